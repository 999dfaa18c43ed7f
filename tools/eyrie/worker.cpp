#include "tools/eyrie/worker.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// Written by the handler, which may call only what is safe in one.
volatile sig_atomic_t pending_signal = 0;
volatile pid_t worker = 0;

void OnSignal(int number) {
  pending_signal = number;
  if (worker > 0) kill(worker, SIGKILL);
}

void CatchSignals() {
  for (int number : kSignals) {
    struct sigaction action = {}, before = {};
    action.sa_handler = OnSignal;
    sigemptyset(&action.sa_mask);
    // What the caller ignores (nohup) stays ignored.
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) sigaction(number, &action, nullptr);
  }
}

void ReleaseSignals() {
  for (int number : kSignals) {
    struct sigaction before = {};
    if (sigaction(number, nullptr, &before) == 0 && before.sa_handler == OnSignal) signal(number, SIG_DFL);
  }
}

void RemoveFolder(const std::string& path) {
  // The worker writes files here, never folders.
  if (DIR* folder = opendir(path.c_str())) {
    while (dirent* entry = readdir(folder)) unlink((path + "/" + entry->d_name).c_str());
    closedir(folder);
  }
  rmdir(path.c_str());
}

// A process that waits for the end of this one, however it comes, and removes the folder. `*lifeline` gets the end of
// a pipe that must stay open as long as the folder is needed. Without a janitor (-1) all goes well too, but for a kill.
pid_t StartJanitor(const std::string& path, int* lifeline) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) return -1;
  pid_t janitor = fork();
  if (janitor != 0) {
    close(pipe_ends[0]);
    *lifeline = pipe_ends[1];
    return janitor;
  }
  // Its own session keeps it from the terminal's signals and from those to the whole group.
  setsid();
  for (int number : kSignals) signal(number, SIG_IGN);
  close(pipe_ends[1]);
  for (int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) close(file);
  if (chdir("/") != 0) _exit(0);
  char byte;
  while (read(pipe_ends[0], &byte, 1) < 0 && errno == EINTR) {
  }
  // A worker that outlived its parent by a moment may still have put a file there.
  for (int i = 0; i < 100 && access(path.c_str(), F_OK) == 0; ++i) {
    RemoveFolder(path);
    usleep(i == 0 ? 1000 : 20000);
  }
  _exit(0);
}

std::string ReadAll(int file) {
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t got = read(file, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

void ReadReport(const std::string& text, WorkerOutcome* outcome) {
  size_t at = 0;
  uint32_t size = 0;
  while (text.size() - at > sizeof(size)) {
    std::memcpy(&size, text.data() + at + 1, sizeof(size));
    std::string part = text.substr(at + 1 + sizeof(size), size);
    switch (text[at]) {
      case 'S':
        outcome->stage = part;
        break;
      case 'M':
        outcome->message = part;
        break;
      default:
        outcome->result = part;
        break;
    }
    at = std::min(text.size(), at + 1 + sizeof(size) + size);
  }
}

[[noreturn]] void BeWorker(const std::function<int(WorkerReport*, int)>& work, pid_t parent, int report_file,
                           int talk) {
  for (int number : kSignals) signal(number, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kBug);
  rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
  if (talk >= 0) {
    dup2(talk, STDOUT_FILENO);
    dup2(talk, STDERR_FILENO);
  }
  WorkerReport report(report_file);
  int code = work(&report, terminal);
  // Neither destructors nor exit handlers: there is nothing of them that the kernel does not do faster.
  _exit(code);
}

}  // namespace

ScratchFolder::ScratchFolder(const std::string& parent, const std::string& purpose) {
  CatchSignals();
  std::string name = parent + "/.eyrie-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) {
    int code = errno;
    ReleaseSignals();
    Fail(purpose + ": " + std::strerror(code));
  }
  char* absolute = realpath(name.c_str(), nullptr);
  path_ = absolute != nullptr ? absolute : name;
  free(absolute);
  janitor_ = StartJanitor(path_, &lifeline_);
}

ScratchFolder::~ScratchFolder() {
  RemoveFolder(path_);
  if (lifeline_ >= 0) close(lifeline_);
  while (janitor_ > 0 && waitpid(janitor_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ReleaseSignals();
  if (pending_signal != 0) raise(pending_signal);
}

void WorkerReport::Send(char kind, const std::string& text) {
  uint32_t size = static_cast<uint32_t>(text.size());
  std::string record(1, kind);
  record.append(reinterpret_cast<const char*>(&size), sizeof(size));
  record += text;
  for (size_t done = 0; done < record.size();) {
    ssize_t written = write(file_, record.data() + done, record.size() - done);
    if (written < 0 && errno != EINTR) return;
    if (written > 0) done += static_cast<size_t>(written);
  }
}

WorkerOutcome RunWorker(const std::function<int(WorkerReport*, int)>& work) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) Fail(std::string("cannot start the compiler: ") + std::strerror(errno));
  int talk = memfd_create("talk", MFD_CLOEXEC);
  pid_t parent = getpid(), child = fork();
  if (child < 0) Fail(std::string("cannot start the compiler: ") + std::strerror(errno));
  if (child == 0) {
    close(pipe_ends[0]);
    BeWorker(work, parent, pipe_ends[1], talk);
  }
  worker = child;
  // A signal that came before the worker was known.
  if (pending_signal != 0) kill(child, SIGKILL);
  close(pipe_ends[1]);
  WorkerOutcome outcome;
  ReadReport(ReadAll(pipe_ends[0]), &outcome);
  close(pipe_ends[0]);
  int status = 0;
  rusage usage = {};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  worker = 0;
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : kBug;
  outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  outcome.peak_rss_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  if (talk >= 0) {
    lseek(talk, 0, SEEK_SET);
    outcome.talk = ReadAll(talk);
    close(talk);
  }
  // The folder's destructor, on the way out, ends this process by the signal.
  if (pending_signal != 0) throw Failure{kFailed, "stopped by a signal"};
  return outcome;
}

}  // namespace eyrie::cli
