// After warm-up a call makes no system calls but those that put threads to sleep and wake them: a child process
// forbids all others to itself and goes on calling.
#include <gtest/gtest.h>

#if defined(__linux__)
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>

#include "runtime/base/status.h"
#include "runtime/testing/cases.h"

#if !defined(__SANITIZE_THREAD__) && !__has_feature(thread_sanitizer) && !defined(__SANITIZE_ADDRESS__) && \
    !__has_feature(address_sanitizer)

namespace eyrie::rt::testing {
namespace {

#if defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#elif defined(__riscv)
constexpr uint32_t kArchitecture = AUDIT_ARCH_RISCV64;
#else
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#endif
enum Exit { kGood = 0, kFailed = 1, kSystemCall = 3, kNotPermitted = 77 };

void Say(const char* text) { [[maybe_unused]] ssize_t written = write(STDERR_FILENO, text, strlen(text)); }

void Require(eyrie_status_t given) {
  Status status(given);
  if (status.ok()) return;
  Say(status.message());
  Say("\n");
  _exit(kFailed);
}

// A thread that blocks the signal, as workers do, is killed by it instead.
void OnSystemCall(int, siginfo_t* info, void*) {
  char text[64];
  snprintf(text, sizeof(text), "system call %d after warm-up\n", info->si_syscall);
  Say(text);
  _exit(kSystemCall);
}

// For all threads of the process.
void ForbidSystemCalls() {
  struct sigaction action = {};
  action.sa_sigaction = OnSystemCall;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, nullptr);
  // The clock is read without a system call where the system maps its code into the process.
  bool has_clock = getauxval(AT_SYSINFO_EHDR) != 0;
  const uint32_t allowed[] = {__NR_futex, __NR_sched_yield,  __NR_exit,         __NR_exit_group,
                              __NR_write, __NR_rt_sigreturn, __NR_clock_gettime};
  const size_t count = sizeof(allowed) / sizeof(allowed[0]) - (has_clock ? 1 : 0);
  std::vector<sock_filter> code = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
  };
  for (size_t i = 0; i < count; ++i) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
    _exit(kNotPermitted);
}

// One instance with cases of several sizes.
struct Subject {
  const Kind* kind;
  std::vector<uint8_t> file;
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* instance = nullptr;
  std::vector<std::unique_ptr<Case>> cases;
};

class Child {
 public:
  explicit Child(uint32_t threads) {
    eyrie_runtime_options_t options = {};
    options.struct_size = sizeof(options);
    options.threads = threads;
    Require(eyrie_runtime_create(&options, &runtime_));
    Require(eyrie_fence_create(runtime_, 0, &fence_));
    for (const Kind& kind : Kinds()) {
      Subject subject = {&kind, kind.module().Build(), nullptr, nullptr, {}};
      Require(eyrie_module_load_memory(runtime_, subject.file.data(), subject.file.size(), nullptr, &subject.module));
      Require(eyrie_instance_create(subject.module, nullptr, &subject.instance));
      // The last takes large pages.
      for (uint32_t size : {3u, 0u, 40u, 1000u, 17u, kind.name[0] == 'b' ? 70000u : 200u}) {
        subject.cases.push_back(kind.make());
        subject.cases.back()->Prepare(size, size);
      }
      subjects_.push_back(std::move(subject));
    }
  }
  void CallAll() {
    for (Subject& subject : subjects_)
      for (const std::unique_ptr<Case>& each : subject.cases) {
        each->Reset();
        Require(eyrie_call(subject.instance, 0, each->inputs.data(), each->inputs.size(), &each->output, 1, nullptr));
        Check(subject, *each);
        each->Reset();
        Require(eyrie_call_async(subject.instance, 0, each->inputs.data(), each->inputs.size(), &each->output, 1,
                                 nullptr, nullptr, 0, {fence_, ++value_}));
        Require(eyrie_fence_wait(fence_, value_, UINT64_MAX));
        Check(subject, *each);
      }
  }
  uint64_t Allocations() const {
    eyrie_runtime_stats_t stats;
    eyrie_runtime_get_stats(runtime_, &stats);
    return stats.allocations;
  }

 private:
  static void Check(const Subject& subject, const Case& call) {
    if (call.IsRight()) return;
    Say(subject.kind->name);
    Say(": a wrong result\n");
    _exit(kFailed);
  }
  eyrie_runtime_t* runtime_ = nullptr;
  eyrie_fence_t* fence_ = nullptr;
  uint64_t value_ = 0;
  std::vector<Subject> subjects_;
};

[[noreturn]] void RunChild(uint32_t threads) {
  Child child(threads);
  for (int i = 0; i < 3; ++i) child.CallAll();
  ForbidSystemCalls();
  uint64_t before = child.Allocations();
  for (int i = 0; i < 100; ++i) child.CallAll();
  if (child.Allocations() != before) {
    Say("a call allocated after warm-up\n");
    _exit(kFailed);
  }
  _exit(kGood);
}

// The child's exit code; -1 if a signal ended it.
template <typename Function>
int ExitCodeOf(Function run) {
  pid_t child = fork();
  if (child == 0) run();
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

class SystemCalls : public ::testing::TestWithParam<uint32_t> {};

TEST_P(SystemCalls, NoneAfterWarmUp) {
  int code = ExitCodeOf([] { RunChild(GetParam()); });
  if (code == kNotPermitted) GTEST_SKIP() << "seccomp is not permitted here";
  EXPECT_EQ(code, kGood) << (code < 0 ? "a worker thread made a system call" : "");
}

INSTANTIATE_TEST_SUITE_P(Threads, SystemCalls, ::testing::Values(0u, 3u),
                         [](const auto& info) { return info.param ? "pool" : "inline"; });

// The test itself notices one.
TEST(SystemCallFilter, Notices) {
  int code = ExitCodeOf([] {
    ForbidSystemCalls();
    getppid();
    _exit(kGood);
  });
  if (code == kNotPermitted) GTEST_SKIP() << "seccomp is not permitted here";
  EXPECT_EQ(code, kSystemCall);
}

}  // namespace
}  // namespace eyrie::rt::testing

#endif
#endif
