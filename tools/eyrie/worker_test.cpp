#include "tools/eyrie/worker.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

size_t FileCount(const std::string& folder) {
  auto files = std::filesystem::directory_iterator(folder);
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

TEST(Worker, WhatItReportsArrives) {
  WorkerOutcome outcome = RunWorker([](WorkerReport* report, int) {
    report->Stage("one");
    report->Stage("two");
    report->Message(std::string(200000, 'm'));
    report->Result("");
    if (write(STDOUT_FILENO, "talk", 4) != 4) return 9;
    return 1;
  });
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.signal, 0);
  EXPECT_EQ(outcome.stage, "two");
  EXPECT_EQ(outcome.message.size(), 200000u);
  EXPECT_EQ(outcome.talk, "talk");
  EXPECT_GT(outcome.peak_rss_bytes, 0u);
}

TEST(Worker, ACrashIsAnOutcome) {
  WorkerOutcome outcome = RunWorker([](WorkerReport* report, int) -> int {
    report->Stage("target");
    raise(SIGKILL);
    return 0;
  });
  EXPECT_EQ(outcome.signal, SIGKILL);
  EXPECT_EQ(outcome.stage, "target");
}

// Starts a process that works in a scratch folder of `parent` until `number` ends it, and waits until all is over.
int EndBySignal(const std::string& parent, int number) {
  int ready[2];
  EXPECT_EQ(pipe(ready), 0);
  pid_t child = fork();
  if (child == 0) {
    try {
      ScratchFolder folder(parent, "test");
      RunWorker([&](WorkerReport*, int) {
        std::ofstream(folder.path() + "/unfinished") << "half";
        if (write(ready[1], "x", 1) != 1) return 1;
        pause();
        return 0;
      });
    } catch (const Failure&) {
    }
    _exit(0);
  }
  close(ready[1]);
  char byte;
  EXPECT_EQ(read(ready[0], &byte, 1), 1);
  kill(child, number);
  int status = 0;
  waitpid(child, &status, 0);
  // End of file when the last process that holds the pipe, the worker or the janitor, is gone.
  EXPECT_EQ(read(ready[0], &byte, 1), 0);
  close(ready[0]);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

TEST(Worker, SignalsLeaveNothingBehind) {
  std::string parent = testing::TempDir() + "worker_test" + std::to_string(getpid());
  std::filesystem::create_directory(parent);
  for (int number : {SIGINT, SIGTERM, SIGKILL}) {
    EXPECT_EQ(EndBySignal(parent, number), number);
    EXPECT_EQ(FileCount(parent), 0u);
  }
  {
    ScratchFolder folder(parent, "test");
    EXPECT_EQ(FileCount(parent), 1u);
  }
  EXPECT_EQ(FileCount(parent), 0u);
  std::filesystem::remove_all(parent);
}

TEST(Worker, AFolderThatCannotBeMadeIsNamed) {
  try {
    ScratchFolder folder("/nowhere", "cannot write '/nowhere/a'");
    FAIL();
  } catch (const Failure& failure) {
    EXPECT_EQ(failure.exit_code, kFailed);
    EXPECT_EQ(failure.message, "cannot write '/nowhere/a': No such file or directory");
  }
}

}  // namespace
}  // namespace eyrie::cli
