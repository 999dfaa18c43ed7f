// `eyrie compile`: a model becomes a module. The compiler runs in a child process.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "tools/eyrie/command.h"
#include "tools/eyrie/compiler_library.h"
#include "tools/eyrie/worker.h"
#include "tools/npy/file.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kExamples[] =
    "  eyrie compile model.onnx -o model.eyr\n"
    "  eyrie compile model.onnx -o model.eyr --shape x=1x3x224x224 --time\n"
    "  eyrie compile model.onnx -o model.eyr --shape batch=1..64 --shape length=64..512:64\n"
    "  eyrie compile prefill.onnx decode=step.onnx -o decoder.eyr\n"
    "  eyrie compile model.onnx -o model.eyr --cpu=x86-64-v3\n"
    "  eyrie compile model.onnx -o - --stop-after graph\n"
    "  eyrie compile model.onnx -o model.eyr --dump-dir stages";

struct CompileFlags {
  std::vector<std::string> models;  // FILE or NAME=FILE
  std::string output;
  std::vector<std::pair<std::string, std::string>> options;  // of the compiler's table, as given
  bool json = false;
};

std::string FolderOf(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string TemporaryFolder() {
  const char* folder = std::getenv("TMPDIR");
  return folder != nullptr && *folder != 0 ? folder : "/tmp";
}

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
  if (output == "-" || stat(output.c_str(), &other) != 0) return;
  if (model.st_dev == other.st_dev && model.st_ino == other.st_ino)
    Fail("cannot write '" + output + "': it is the model itself");
}

void CheckPaths(const CompileFlags& flags) {
  for (const std::string& model : flags.models) CheckModel(SplitModel(model).second, flags.output);
  struct stat output;
  if (flags.output == "-" || stat(flags.output.c_str(), &output) != 0) return;
  std::string problem = "cannot write '" + flags.output + "': ";
  if (S_ISDIR(output.st_mode)) Fail(problem + "it is a directory");
  if (!S_ISREG(output.st_mode)) Fail(problem + "it is not a regular file");
  if (access(flags.output.c_str(), W_OK) != 0) Fail(problem + std::strerror(errno));
}

// A single model without a name is the function "main".
eyrie_compile_result_t AddModels(const CompilerLibrary& api, eyrie_compile_t* job, const CompileFlags& flags) {
  if (flags.models.size() == 1 && SplitModel(flags.models[0]).first.empty()) return EYRIE_COMPILE_OK;
  for (const std::string& model : flags.models) {
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

// In the worker: compiles to `output` and reports.
int Work(const CompilerLibrary& api, const CompileFlags& flags, const std::string& output, WorkerReport* report,
         int terminal) {
  eyrie_compile_t* job = api.compile_create();
  if (job == nullptr) return report->Message("not enough memory"), kFailed;
  eyrie_compile_result_t result = EYRIE_COMPILE_OK;
  for (const auto& [name, value] : flags.options) {
    result = api.compile_set(job, name.c_str(), value.c_str());
    if (result != EYRIE_COMPILE_OK) break;
  }
  if (result == EYRIE_COMPILE_OK) result = AddModels(api, job, flags);
  bool is_plain = flags.models.size() == 1 && SplitModel(flags.models[0]).first.empty();
  Progress progress{report, isatty(terminal) ? terminal : -1};
  if (result == EYRIE_COMPILE_OK) {
    api.compile_on_progress(job, ShowProgress, &progress);
    result = api.compile_run(job, is_plain ? flags.models[0].c_str() : nullptr, output.c_str());
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
std::string WriteReproducer(const CompileFlags& flags, const WorkerOutcome& outcome) {
  std::string path = TemporaryFolder() + "/eyrie-crash-" + std::to_string(getpid()) + ".txt";
  char folder[4096];
  std::string text = "# eyrie " EYRIE_VERSION ", stage '" + outcome.stage + "', signal " +
                     std::to_string(outcome.signal) + "\ncd " + Quoted(getcwd(folder, sizeof(folder)) ? folder : ".") +
                     "\neyrie compile";
  for (const std::string& model : flags.models) text += " " + Quoted(model);
  text += " -o " + Quoted(flags.output);
  for (const auto& [name, value] : flags.options) text += " " + Quoted("--" + name + "=" + value);
  text += "\n\n# What it said:\n" + outcome.talk;
  npy::OutputFile file;
  return file.Open(path) && file.Write(text.data(), text.size()) && file.Commit() ? path : "";
}

[[noreturn]] void FailCrashed(const CompileFlags& flags, const WorkerOutcome& outcome) {
  std::string reason = outcome.signal == SIGKILL ? "was killed (is there enough memory?)"
                       : outcome.signal != 0     ? std::string("crashed: ") + strsignal(outcome.signal)
                                                 : "ended unexpectedly";
  std::string last = LastLine(outcome.talk), path = WriteReproducer(flags, outcome);
  std::string message = "the compiler " + reason +
                        (outcome.stage.empty() ? "" : " in the stage '" + outcome.stage + "'") +
                        (last.empty() ? "" : " (" + last.substr(0, 300) + ")") + ". This is a bug of Eyrie" +
                        (path.empty() ? "" : "; how to see it again is in " + path);
  throw Failure{outcome.signal == SIGKILL ? kFailed : kBug, message};
}

// Gives the finished module its name.
uint64_t Install(const std::string& from, const std::string& to) {
  struct stat info;
  std::string problem = "cannot write '" + to + "': ";
  if (stat(from.c_str(), &info) != 0) Fail(problem + std::strerror(errno));
  if (to == "-") {
    npy::Bytes bytes;
    std::string error;
    if (!npy::ReadFile(from, &bytes, &error)) Fail(error);
    Print(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    return bytes.size();
  }
  mode_t mask = umask(0);
  umask(mask);
  chmod(from.c_str(), 0666 & ~mask);
  if (rename(from.c_str(), to.c_str()) != 0) Fail(problem + std::strerror(errno));
  return static_cast<uint64_t>(info.st_size);
}

int Compile(const CompilerLibrary& api, const CompileFlags& flags) {
  CheckPaths(flags);
  auto start = std::chrono::steady_clock::now();
  bool to_stdout = flags.output == "-";
  if (to_stdout && flags.json) FailUsage("--json and -o - would mix two outputs");
  ScratchFolder folder(to_stdout ? TemporaryFolder() : FolderOf(flags.output), "cannot write '" + flags.output + "'");
  std::string unfinished = folder.path() + "/module";
  WorkerOutcome outcome =
      RunWorker([&](WorkerReport* report, int terminal) { return Work(api, flags, unfinished, report, terminal); });
  if (outcome.signal != 0 || (outcome.exit_code != EYRIE_COMPILE_OK && outcome.message.empty()))
    FailCrashed(flags, outcome);
  std::string message = Replace(outcome.message, unfinished, flags.output);
  if (outcome.exit_code != EYRIE_COMPILE_OK) throw Failure{outcome.exit_code, message};
  uint64_t size = Install(unfinished, flags.output);
  // Warnings, if any.
  if (!message.empty()) dprintf(STDERR_FILENO, "%s\n", message.c_str());
  if (!outcome.talk.empty()) dprintf(STDERR_FILENO, "%s", outcome.talk.c_str());
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (flags.json) {
    Json json = {
        {"output", flags.output}, {"size_bytes", size}, {"compile_ms", ms}, {"peak_rss_bytes", outcome.peak_rss_bytes}};
    if (!outcome.result.empty()) json["report"] = outcome.result;
    Print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  } else if (!outcome.result.empty()) {
    // With the module on standard output the table is talk.
    if (to_stdout) {
      dprintf(STDERR_FILENO, "%s", outcome.result.c_str());
    } else {
      Print(outcome.result);
    }
  }
  return kSuccess;
}

std::string StagesText(const CompilerLibrary& api) {
  std::string text = "\n\nStages:\n";
  for (size_t i = 0; const eyrie_stage_info_t* stage = api.compiler_stage(i); ++i) {
    std::string name = stage->name;
    text += "  " + name + std::string(name.size() < 10 ? 10 - name.size() : 1, ' ') + stage->description + "\n";
  }
  text.pop_back();
  return text;
}

// One flag for each row of the compiler's table.
void AddOptions(CLI::App* app, const CompilerLibrary& api, std::map<std::string, std::vector<std::string>>* values,
                std::map<std::string, bool>* switches) {
  for (size_t i = 0; const eyrie_option_info_t* option = api.compiler_option(i); ++i) {
    std::string flag = (option->letter ? std::string("-") + option->letter + "," : "") + "--" + option->name;
    if (option->kind == EYRIE_OPTION_FLAG) {
      app->add_flag(flag, (*switches)[option->name], option->help);
      continue;
    }
    std::string help = option->help;
    if (*option->default_value != 0) help += std::string(" (default: ") + option->default_value + ")";
    CLI::Option* added = app->add_option(flag, (*values)[option->name], help);
    added->type_name(option->value_name)->allow_extra_args(false);
    // A vector takes any number of values; all but shapes are given once.
    if (option->kind != EYRIE_OPTION_SHAPE && option->kind != EYRIE_OPTION_PAIR) added->expected(1);
  }
}

}  // namespace

int CompileMain(const std::vector<std::string>& arguments) {
  CompilerLibrary api = LoadCompilerLibrary();
  CompileFlags flags;
  std::map<std::string, std::vector<std::string>> values;
  std::map<std::string, bool> switches;
  CLI::App app;
  std::string examples = kExamples + StagesText(api);
  DescribeCommand(&app, "compile", "Compiles a model (.onnx), or several, into a module (.eyr).", examples.c_str());
  app.add_option("MODEL", flags.models,
                 "The model file. Several become functions of one module, named like their files or by NAME=FILE")
      ->required();
  app.add_option("-o,--output", flags.output, "The module file to write; - for standard output")
      ->required()
      ->type_name("FILE");
  AddOptions(&app, api, &values, &switches);
  app.add_flag("--json", flags.json, "Prints JSON: size, time and memory of the compilation");
  if (Parse(&app, arguments)) return kSuccess;
  for (const auto& [name, given] : values)
    for (const std::string& value : given) flags.options.emplace_back(name, value);
  for (const auto& [name, on] : switches)
    if (on) flags.options.emplace_back(name, "true");
  // A wrong option is found before anything is started.
  eyrie_compile_t* probe = api.compile_create();
  eyrie_compile_result_t result = probe == nullptr ? EYRIE_COMPILE_FAILED : EYRIE_COMPILE_OK;
  for (size_t i = 0; result == EYRIE_COMPILE_OK && i < flags.options.size(); ++i)
    result = api.compile_set(probe, flags.options[i].first.c_str(), flags.options[i].second.c_str());
  if (result == EYRIE_COMPILE_OK) result = AddModels(api, probe, flags);
  if (result == EYRIE_COMPILE_OK) result = api.compile_check(probe);
  if (result != EYRIE_COMPILE_OK)
    throw Failure{result, probe == nullptr ? "not enough memory" : api.compile_message(probe)};
  api.compile_destroy(probe);
  return Compile(api, flags);
}

}  // namespace eyrie::cli
