// Work in a child process, so that a crash of it is a line of text and not the end of this program.
#ifndef EYRIE_TOOLS_EYRIE_WORKER_H_
#define EYRIE_TOOLS_EYRIE_WORKER_H_

#include <sys/types.h>

#include <functional>
#include <string>

namespace eyrie::cli {

// A folder that disappears with this object and, should this process be killed, with the process.
class ScratchFolder {
 public:
  // Makes the folder in `parent`; fails if that cannot be. From here on INT, TERM and HUP end the worker (if one runs)
  // and then, after the folder is gone, this process.
  explicit ScratchFolder(const std::string& parent, const std::string& purpose);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
  pid_t janitor_ = -1;
  int lifeline_ = -1;
};

// What the worker tells while it works. All of it arrives, also if the worker dies.
class WorkerReport {
 public:
  explicit WorkerReport(int file) : file_(file) {}
  void Stage(const std::string& text) { Send('S', text); }
  void Message(const std::string& text) { Send('M', text); }
  void Result(const std::string& text) { Send('R', text); }

 private:
  void Send(char kind, const std::string& text);
  int file_;
};

struct WorkerOutcome {
  int exit_code = 0;
  int signal = 0;                      // that killed it; 0: it ended by itself
  std::string stage, message, result;  // the last of each that it reported
  std::string talk;                    // what it wrote to its standard output and standard error
  uint64_t peak_rss_bytes = 0;
};

// Runs `work` in a child process and waits for it. Its value is the child's exit code. `work` may use `terminal`, a
// copy of this process's standard error, for progress.
WorkerOutcome RunWorker(const std::function<int(WorkerReport* report, int terminal)>& work);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_WORKER_H_
