#include "compiler/target/test/Emulator.h"
#include "runtime/testing/kernel_job.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include <csignal>
#include <map>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace eyrie::target::test;
using namespace eyrie::rt::testing;

namespace {
struct Model {
  const char *arch, *cpu; // the latter for --cpu
  const char *model;      // for the emulator: no more than what `cpu` says, as far as it can be told
};
const Model models[] = {
    {"x86_64", "x86-64", "qemu64,-sse3,-cx16"},
    {"aarch64", "armv8-a", "cortex-a57"},
    {"aarch64", "armv8.6-a,+sve2", "max,sve256=on"},
    {"riscv64", "rv64gc", "rv64"},
    {"riscv64", "rv64gcv", "rv64,v=true,vext_spec=v1.0,vlen=128"},
    {"riscv64", "rv64gcv_zvl256b", "rv64,v=true,vext_spec=v1.0,vlen=256"},
    {"wasm32", "wasm32", ""},
};
} // namespace

std::unique_ptr<Program> TestProcessor::compile(llvm::StringRef text, std::string &error) const {
  TargetOptions options;
  options.cpu = cpu;
  return emulator ? Program::compileForAnother(text, options, error) : Program::compile(text, options, error);
}

int64_t TestProcessor::run(Kernel &kernel, llvm::ArrayRef<Buffer> bindings, llvm::ArrayRef<int64_t> constants,
                           std::string &error) const {
  if (emulator)
    return emulator->run(kernel, bindings, constants, error);
  std::vector<void *> pointers;
  for (const Buffer &buffer : bindings)
    pointers.push_back(buffer.data());
  return test::run(kernel, pointers, constants);
}

bool TestProcessor::isEmulatorToBlame(const Kernel &kernel) const {
  std::string reason = emulator && !emulator->isRunning() ? emulator->weaknessAt(kernel) : "";
  if (!reason.empty())
    printf("not run for %s: %s\n", cpu.c_str(), reason.c_str());
  return !reason.empty();
}

llvm::ArrayRef<TestProcessor> eyrie::target::test::processorsHere() {
  static const std::vector<TestProcessor> processors = [] {
    std::vector<TestProcessor> list = {{"native"}, {"generic"}};
    auto features = llvm::sys::getHostCPUFeatures();
    if (features.lookup("avx2") && features.lookup("fma") && features.lookup("bmi2"))
      list.push_back({"x86-64-v3"});
    return list;
  }();
  return processors;
}

std::vector<TestProcessor> eyrie::target::test::emulatedProcessors(llvm::StringRef arch, std::string &reason) {
  static std::map<std::string, Emulator> emulators; // by model
  std::vector<TestProcessor> processors;
  for (const Model &model : models) {
    if (arch != model.arch)
      continue;
    Emulator &emulator = emulators[model.model];
    if (!emulator.isRunning() && !emulator.start(arch, model.model, reason))
      return {};
    processors.push_back({model.cpu, &emulator});
  }
  return processors;
}

bool eyrie::target::test::emulatorsAreRequired() { return getenv("EYRIE_REQUIRE_EMULATORS"); }

/// Versions of qemu before 8.1 end with an assertion (`ctx->insn_start != NULL`) at RISC-V's vf[wn]cvt.rtz.x[u].f,
/// unless another instruction before it has set its idea of the rounding mode: its issue 1441.
static bool hasRtzConversions(const std::string &qemu) {
  std::string command = qemu + " --version", text(256, '\0');
  FILE *pipe = popen(command.c_str(), "r");
  text.resize(pipe ? fread(text.data(), 1, text.size(), pipe) : 0);
  if (pipe)
    pclose(pipe);
  int major = 0, minor = 0;
  llvm::StringRef version = llvm::StringRef(text).split("version ").second;
  return !version.consumeInteger(10, major) && version.consume_front(".") && !version.consumeInteger(10, minor) &&
         std::pair(major, minor) >= std::pair(8, 1);
}

std::string Emulator::weaknessAt(const Kernel &kernel) const {
  if (convertsTowardsZero)
    return {};
  constexpr uint32_t mask = 0xfc03707f, conversion = 0x48031057; // funct6 VFUNARY0, OPFVV, vs1 = **11*
  for (size_t at = 0; at + 4 <= kernel.object.size(); at += 2) {
    uint32_t word;
    std::memcpy(&word, kernel.object.data() + at, 4);
    if ((word & mask) == conversion)
      return "this version of qemu ends where it converts vectors towards zero (its issue 1441)";
  }
  return {};
}

/// The program and its arguments that run kernels for such processors; empty, and why in `reason`, if something is
/// missing.
static std::vector<std::string> runnerFor(llvm::StringRef arch, llvm::StringRef model, std::string &reason) {
  std::string name = arch.str();
  if (arch == "wasm32") {
    auto node = llvm::sys::findProgramByName("node");
    if (node)
      return {*node, WASM_RUNNER};
    reason = "there is no node: tools/dev/setup.sh --cross installs it";
    return {};
  }
  auto qemu = llvm::sys::findProgramByName("qemu-" + name);
  if (!qemu) {
    reason = "there is no qemu-" + name + ": tools/dev/setup.sh --cross installs it";
    return {};
  }
  bool isHost = arch == llvm::Triple(llvm::sys::getProcessTriple()).getArchName();
  std::string runner = isHost ? RUNNER : BUILD "/../" + name + "/bin/eyrie_kernel_runner";
  if (!llvm::sys::fs::can_execute(runner)) {
    reason = "there is no " + runner + ": tools/dev/build.sh " + name + " builds it";
    return {};
  }
  std::vector<std::string> words = {*qemu, "-cpu", model.str()};
  if (!isHost)
    words.insert(words.end(), {"-L", "/usr/" + name + "-linux-gnu"});
  words.push_back(runner);
  return words;
}

bool Emulator::start(llvm::StringRef arch, llvm::StringRef model, std::string &reason) {
  std::vector<std::string> words = runnerFor(arch, model, reason);
  if (words.empty())
    return false;
  convertsTowardsZero = arch != "riscv64" || hasRtzConversions(words[0]);
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    reason = "no sockets";
    return false;
  }
  fd = ends[0];
  pid = fork();
  if (pid == 0) {
    dup2(ends[1], 0);
    dup2(ends[1], 1);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  Greeting greeting;
  if (pid < 0 || !receive(&greeting, sizeof(greeting))) {
    reason = "the emulator did not start: " + stop();
    return false;
  }
  return true;
}

Emulator::~Emulator() {
  if (pid > 0)
    stop();
}

std::string Emulator::stop() {
  close(fd);
  int status = 0;
  if (pid > 0)
    waitpid(pid, &status, 0);
  pid = 0;
  if (WIFSIGNALED(status))
    return std::string("it ended by a signal: ") + strsignal(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

bool Emulator::send(const void *bytes, size_t size) {
  for (auto *at = static_cast<const char *>(bytes); size;) {
    ssize_t sent = ::send(fd, at, size, MSG_NOSIGNAL);
    if (sent <= 0)
      return false;
    at += sent;
    size -= sent;
  }
  return true;
}

bool Emulator::receive(void *bytes, size_t size) {
  for (auto *at = static_cast<char *>(bytes); size;) {
    ssize_t received = read(fd, at, size);
    if (received <= 0)
      return false;
    at += received;
    size -= received;
  }
  return true;
}

int64_t Emulator::run(Kernel &kernel, llvm::ArrayRef<Buffer> bindings, llvm::ArrayRef<int64_t> constants,
                      std::string &error) {
  std::vector<int64_t> count = evaluate(kernel.workgroups, constants);
  Job job = {};
  job.object_bytes = kernel.object.size();
  job.symbol_bytes = kernel.name.size();
  job.features = kernel.features;
  job.local_bytes = kernel.localBytes;
  job.constant_count = constants.size();
  job.binding_count = bindings.size();
  std::copy(count.begin(), count.end(), job.workgroup_count);
  std::vector<uint64_t> sizes;
  for (const Buffer &binding : bindings)
    sizes.push_back(binding.size());
  bool isThere = send(&job, sizeof(job)) && send(kernel.object.data(), kernel.object.size()) &&
                 send(kernel.name.data(), kernel.name.size()) && send(constants.data(), 8 * constants.size()) &&
                 send(sizes.data(), 8 * sizes.size());
  for (const Buffer &binding : bindings)
    isThere = isThere && send(binding.data(), binding.size());
  Answer answer = {};
  isThere = isThere && receive(&answer, sizeof(answer));
  error.resize(isThere ? answer.text_bytes : 0);
  isThere = isThere && receive(error.data(), error.size());
  if (isThere && answer.code == 0)
    for (const Buffer &binding : bindings)
      isThere = isThere && receive(binding.data(), binding.size());
  if (!isThere)
    error = "the emulator is gone: " + stop();
  return isThere && answer.code == 0 ? count[0] * count[1] * count[2] : -1;
}
