// What `eyrie compile` and `eyrie check` share: models and options of the command line, and the compiler as a worker.
#ifndef EYRIE_TOOLS_EYRIE_COMPILE_JOB_H_
#define EYRIE_TOOLS_EYRIE_COMPILE_JOB_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/eyrie/command.h"
#include "tools/eyrie/compiler_library.h"
#include "tools/eyrie/worker.h"

namespace eyrie::cli {

struct CompileJob {
  std::string command;                                       // "compile"
  std::vector<std::string> models;                           // FILE or NAME=FILE
  std::string output;                                        // empty if there is none
  std::vector<std::pair<std::string, std::string>> options;  // of the compiler's table, as given
};

// The flags for models and the rows of the compiler's table, of which `leave_out` is not offered.
class CompileArguments {
 public:
  CompileArguments(CLI::App* app, const CompilerLibrary& api, CompileJob* job,
                   const std::vector<std::string>& leave_out = {});
  // After the command line was read: fills in the options. A wrong one is found before anything is started.
  void Finish();

 private:
  const CompilerLibrary& api_;
  CompileJob* job_;
  std::map<std::string, std::vector<std::string>> values_;
  std::map<std::string, bool> switches_;
};

// The option's last value; empty if it is not given.
std::string OptionOf(const CompileJob& job, const std::string& name);
std::string FolderOf(const std::string& path);

// Fails if the model's file cannot be read, or is `output`.
void CheckModels(const CompileJob& job);
// The same, or if `output` is something else than a file that may be written.
void CheckPaths(const CompileJob& job);

// Runs `step` in a worker, with a compile job that has options and models, and the model for it (null: those of the
// job). Fails with the compiler's message, or with one about its crash, in which `from` becomes `to`.
using CompileStep = std::function<eyrie_compile_result_t(eyrie_compile_t* job, const char* model)>;
WorkerOutcome RunCompiler(const CompilerLibrary& api, const CompileJob& job, const CompileStep& step,
                          const std::string& from = "", const std::string& to = "");

std::string TemporaryFolder();

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_COMPILE_JOB_H_
