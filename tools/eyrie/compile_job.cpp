#include "tools/eyrie/compile_job.h"

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "tools/npy/file.h"

namespace eyrie::cli {
namespace {

// The function's name, if one is given, and the file. A file's own name may contain '='.
std::pair<std::string, std::string> SplitModel(const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || text.find('/') < equals || access(text.c_str(), F_OK) == 0)
    return {"", text};
  return {text.substr(0, equals), text.substr(equals + 1)};
}

void CheckModel(const std::string& path, const std::string& output) {
  struct stat model, other;
  if (stat(path.c_str(), &model) != 0) Fail("cannot read '" + path + "': " + std::strerror(errno));
  if (S_ISDIR(model.st_mode)) Fail("cannot read '" + path + "': it is a directory");
  if (!S_ISREG(model.st_mode)) Fail("cannot read '" + path + "': it is not a regular file");
  if (access(path.c_str(), R_OK) != 0) Fail("cannot read '" + path + "': " + std::strerror(errno));
  if (output.empty() || output == "-" || stat(output.c_str(), &other) != 0) return;
  if (model.st_dev == other.st_dev && model.st_ino == other.st_ino)
    Fail("cannot write '" + output + "': it is the model itself");
}

// The compiler does not see the output's name.
void CheckFunctions(const std::string& path, const std::string& output) {
  struct stat functions, other;
  if (stat(path.c_str(), &functions) != 0 || stat(output.c_str(), &other) != 0) return;
  if (functions.st_dev == other.st_dev && functions.st_ino == other.st_ino)
    Fail("cannot write '" + output + "': it is a file of --functions");
}

// A single model without a name is the function "main".
eyrie_compile_result_t AddModels(const CompilerLibrary& api, eyrie_compile_t* job, const CompileJob& given) {
  if (given.models.size() == 1 && SplitModel(given.models[0]).first.empty()) return EYRIE_COMPILE_OK;
  for (const std::string& model : given.models) {
    auto [name, path] = SplitModel(model);
    eyrie_compile_result_t result = api.compile_add(job, path.c_str(), name.empty() ? nullptr : name.c_str());
    if (result != EYRIE_COMPILE_OK) return result;
  }
  return EYRIE_COMPILE_OK;
}

struct Progress {
  WorkerReport* report;
  int terminal;  // -1: nobody looks
};

void ShowProgress(void* user, const char* stage, size_t index, size_t count) {
  Progress* progress = static_cast<Progress*>(user);
  progress->report->Stage(stage);
  if (progress->terminal >= 0) dprintf(progress->terminal, "\r\033[K[%zu/%zu] %s", index + 1, count, stage);
}

// In the worker: runs the step and reports.
int Work(const CompilerLibrary& api, const CompileJob& given, const CompileStep& step, WorkerReport* report,
         int terminal) {
  eyrie_compile_t* job = api.compile_create();
  if (job == nullptr) return report->Message("not enough memory"), kFailed;
  eyrie_compile_result_t result = EYRIE_COMPILE_OK;
  for (const auto& [name, value] : given.options) {
    result = api.compile_set(job, name.c_str(), value.c_str());
    if (result != EYRIE_COMPILE_OK) break;
  }
  if (result == EYRIE_COMPILE_OK) result = AddModels(api, job, given);
  bool is_plain = given.models.size() == 1 && SplitModel(given.models[0]).first.empty();
  Progress progress{report, isatty(terminal) ? terminal : -1};
  if (result == EYRIE_COMPILE_OK) {
    api.compile_on_progress(job, ShowProgress, &progress);
    result = step(job, is_plain ? given.models[0].c_str() : nullptr);
    if (progress.terminal >= 0) dprintf(progress.terminal, "\r\033[K");
  }
  report->Message(api.compile_message(job));
  report->Result(api.compile_report(job));
  return result;
}

std::string Replace(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string LastLine(const std::string& text) {
  size_t end = text.find_last_not_of("\n \t");
  if (end == std::string::npos) return "";
  size_t begin = text.rfind('\n', end);
  return text.substr(begin == std::string::npos ? 0 : begin + 1, end - (begin == std::string::npos ? -1 : begin));
}

// Quotes an argument for the shell.
std::string Quoted(const std::string& text) { return "'" + Replace(text, "'", "'\\''") + "'"; }

// Writes down how to see the crash again. Returns the path, or nothing if that fails too.
std::string WriteReproducer(const CompileJob& job, const WorkerOutcome& outcome) {
  std::string path = TemporaryFolder() + "/eyrie-crash-" + std::to_string(getpid()) + ".txt";
  char folder[4096];
  std::string text = "# eyrie " EYRIE_VERSION ", stage '" + outcome.stage + "', signal " +
                     std::to_string(outcome.signal) + "\ncd " + Quoted(getcwd(folder, sizeof(folder)) ? folder : ".") +
                     "\neyrie " + job.command;
  for (const std::string& model : job.models) text += " " + Quoted(model);
  if (!job.output.empty()) text += " -o " + Quoted(job.output);
  for (const auto& [name, value] : job.options) text += " " + Quoted("--" + name + "=" + value);
  text += "\n\n# What it said:\n" + outcome.talk;
  npy::OutputFile file;
  return file.Open(path) && file.Write(text.data(), text.size()) && file.Commit() ? path : "";
}

[[noreturn]] void FailCrashed(const CompileJob& job, const WorkerOutcome& outcome) {
  std::string reason = outcome.signal == SIGKILL ? "was killed (is there enough memory?)"
                       : outcome.signal != 0     ? std::string("crashed: ") + strsignal(outcome.signal)
                                                 : "ended unexpectedly";
  std::string last = LastLine(outcome.talk), path = WriteReproducer(job, outcome);
  std::string message = "the compiler " + reason +
                        (outcome.stage.empty() ? "" : " in the stage '" + outcome.stage + "'") +
                        (last.empty() ? "" : " (" + last.substr(0, 300) + ")") + ". This is a bug of Eyrie" +
                        (path.empty() ? "" : "; how to see it again is in " + path);
  throw Failure{outcome.signal == SIGKILL ? kFailed : kBug, message};
}

}  // namespace

std::string TemporaryFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != 0 ? folder : "/tmp";
}

std::string OptionOf(const CompileJob& job, const std::string& name) {
  std::string value;
  for (const auto& [option, given] : job.options)
    if (option == name) value = given;
  return value;
}

std::string FolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

void CheckModels(const CompileJob& job) {
  for (const std::string& model : job.models) CheckModel(SplitModel(model).second, job.output);
  for (const auto& [name, value] : job.options)
    if (name == "functions") CheckFunctions(value, job.output);
}

void CheckPaths(const CompileJob& job) {
  CheckModels(job);
  struct stat output;
  if (job.output == "-" || stat(job.output.c_str(), &output) != 0) return;
  std::string problem = "cannot write '" + job.output + "': ";
  if (S_ISDIR(output.st_mode)) Fail(problem + "it is a directory");
  if (!S_ISREG(output.st_mode)) Fail(problem + "it is not a regular file");
  if (access(job.output.c_str(), W_OK) != 0) Fail(problem + std::strerror(errno));
}

WorkerOutcome RunCompiler(const CompilerLibrary& api, const CompileJob& job, const CompileStep& step,
                          const std::string& from, const std::string& to) {
  WorkerOutcome outcome =
      RunWorker([&](WorkerReport* report, int terminal) { return Work(api, job, step, report, terminal); });
  if (outcome.signal != 0 || (outcome.exit_code != EYRIE_COMPILE_OK && outcome.message.empty()))
    FailCrashed(job, outcome);
  if (!from.empty()) outcome.message = Replace(outcome.message, from, to);
  if (outcome.exit_code != EYRIE_COMPILE_OK) throw Failure{outcome.exit_code, outcome.message};
  return outcome;
}

CompileArguments::CompileArguments(CLI::App* app, const CompilerLibrary& api, CompileJob* job,
                                   const std::vector<std::string>& leave_out)
    : api_(api), job_(job) {
  app->add_option("MODEL", job->models,
                  "The model file. Several become functions of one module, named like their files or by NAME=FILE")
      ->required();
  for (size_t i = 0; const eyrie_option_info_t* option = api.compiler_option(i); ++i) {
    if (std::count(leave_out.begin(), leave_out.end(), option->name)) continue;
    std::string flag = (option->letter ? std::string("-") + option->letter + "," : "") + "--" + option->name;
    if (option->kind == EYRIE_OPTION_FLAG) {
      app->add_flag(flag, switches_[option->name], option->help);
      continue;
    }
    std::string help = option->help;
    if (*option->default_value != 0) help += std::string(" (default: ") + option->default_value + ")";
    CLI::Option* added = app->add_option(flag, values_[option->name], help);
    added->type_name(option->value_name)->allow_extra_args(false);
    // A vector takes any number of values.
    bool is_repeated =
        option->kind == EYRIE_OPTION_SHAPE || option->kind == EYRIE_OPTION_PAIR || option->kind == EYRIE_OPTION_LIST;
    if (!is_repeated) added->expected(1);
  }
}

void CompileArguments::Finish() {
  for (const auto& [name, given] : values_)
    for (const std::string& value : given) job_->options.emplace_back(name, value);
  for (const auto& [name, on] : switches_)
    if (on) job_->options.emplace_back(name, "true");
  eyrie_compile_t* probe = api_.compile_create();
  eyrie_compile_result_t result = probe == nullptr ? EYRIE_COMPILE_FAILED : EYRIE_COMPILE_OK;
  for (size_t i = 0; result == EYRIE_COMPILE_OK && i < job_->options.size(); ++i)
    result = api_.compile_set(probe, job_->options[i].first.c_str(), job_->options[i].second.c_str());
  if (result == EYRIE_COMPILE_OK) result = AddModels(api_, probe, *job_);
  if (result == EYRIE_COMPILE_OK) result = api_.compile_check(probe);
  std::string message = probe == nullptr ? "not enough memory" : api_.compile_message(probe);
  api_.compile_destroy(probe);
  if (result != EYRIE_COMPILE_OK) throw Failure{result, message};
}

}  // namespace eyrie::cli
