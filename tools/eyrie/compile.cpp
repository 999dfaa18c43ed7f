// `eyrie compile`: a model becomes a module. The compiler runs in a child process.
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tools/eyrie/compile_job.h"
#include "tools/eyrie/inputs.h"
#include "tools/eyrie/precision.h"
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
    "  eyrie compile model.onnx -o model.eyr --precision bf16 --input @inputs.npz\n"
    "  eyrie compile model.onnx -o - --stop-after graph\n"
    "  eyrie compile model.onnx -o model.eyr --dump-dir stages";

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

bool IsNarrow(const CompileJob& job) {
  std::string precision = OptionOf(job, "precision");
  return !precision.empty() && precision != "f32" && OptionOf(job, "stop-after").empty();
}

// Compiles the model once more, in f32, into `folder`, and measures how far `module` is from it.
PrecisionReport CompareWithF32(const CompilerLibrary& api, const CompileJob& job, const std::string& module,
                               const std::string& folder, const std::vector<std::string>& inputs) {
  ModuleFiles narrow{module, {}}, reference{folder + "/f32", {}};
  CompileJob again = job;
  again.options.clear();
  for (auto [name, value] : job.options) {
    if (name == "precision" || name == "dump-dir" || name == "time") continue;
    if (name == "parameters") {
      narrow.parameters = {value};
      reference.parameters = {value = folder + "/f32.eyp"};
    }
    again.options.emplace_back(name, value);
  }
  auto run = [&](eyrie_compile_t* made, const char* model) {
    return api.compile_run(made, model, reference.module.c_str());
  };
  RunCompiler(api, again, run, reference.module, job.output);
  PrecisionReport report = MeasurePrecision(narrow, reference, inputs);
  unlink(reference.module.c_str());
  for (const std::string& path : reference.parameters) unlink(path.c_str());
  return report;
}

std::string PrecisionText(const std::string& precision, const PrecisionReport& report) {
  if (!report.problem.empty()) return "the error of " + precision + " was not measured: " + report.problem + "\n";
  std::string text = "beside f32:\n";
  for (const OutputError& error : report.outputs) {
    char numbers[128];
    if (error.is_float) {
      std::snprintf(numbers, sizeof(numbers), "largest error %.2g, root mean square %.2g of the largest magnitude",
                    error.largest, error.root_mean_square);
    } else {
      std::snprintf(numbers, sizeof(numbers), "%.2g %% of the elements differ", 100 * error.largest);
    }
    text += "  " + Printable(error.name) + ": " + numbers + "\n";
  }
  return text;
}

Json PrecisionJson(const PrecisionReport& report) {
  if (!report.problem.empty()) return {{"problem", report.problem}};
  Json outputs = Json::array();
  auto number = [](double value) -> Json { return std::isfinite(value) ? Json(value) : Json("Infinity"); };
  for (const OutputError& error : report.outputs) {
    Json json = {{"name", error.name}};
    if (error.is_float) {
      json["max_error"] = number(error.largest);
      json["rms_error"] = number(error.root_mean_square);
    } else {
      json["differing"] = error.largest;
    }
    outputs.push_back(json);
  }
  return {{"outputs", outputs}};
}

int Compile(const CompilerLibrary& api, const CompileJob& job, const std::vector<std::string>& inputs, bool as_json) {
  CheckPaths(job);
  if (!inputs.empty() && !IsNarrow(job)) FailUsage("--input measures the error of --precision bf16 or f16");
  auto start = std::chrono::steady_clock::now();
  bool to_stdout = job.output == "-";
  if (to_stdout && as_json) FailUsage("--json and -o - would mix two outputs");
  ScratchFolder folder(to_stdout ? TemporaryFolder() : FolderOf(job.output), "cannot write '" + job.output + "'");
  std::string unfinished = folder.path() + "/module";
  auto run = [&](eyrie_compile_t* made, const char* model) { return api.compile_run(made, model, unfinished.c_str()); };
  WorkerOutcome outcome = RunCompiler(api, job, run, unfinished, job.output);
  PrecisionReport precision;
  if (IsNarrow(job)) precision = CompareWithF32(api, job, unfinished, folder.path(), inputs);
  if (!inputs.empty() && !precision.problem.empty()) Fail("--input: " + precision.problem);
  uint64_t size = Install(unfinished, job.output);
  // Warnings, if any.
  if (!outcome.message.empty()) dprintf(STDERR_FILENO, "%s\n", outcome.message.c_str());
  if (!outcome.talk.empty()) dprintf(STDERR_FILENO, "%s", outcome.talk.c_str());
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  if (as_json) {
    Json json = {
        {"output", job.output}, {"size_bytes", size}, {"compile_ms", ms}, {"peak_rss_bytes", outcome.peak_rss_bytes}};
    if (!outcome.result.empty()) json["report"] = outcome.result;
    if (IsNarrow(job)) json["precision"] = PrecisionJson(precision);
    Print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return kSuccess;
  }
  std::string text = outcome.result;
  if (IsNarrow(job)) text += PrecisionText(OptionOf(job, "precision"), precision);
  // With the module on standard output the tables are talk.
  if (to_stdout) {
    dprintf(STDERR_FILENO, "%s", text.c_str());
  } else if (!text.empty()) {
    Print(text);
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

}  // namespace

int CompileMain(const std::vector<std::string>& arguments) {
  CompilerLibrary api = LoadCompilerLibrary();
  CompileJob job;
  job.command = "compile";
  bool as_json = false;
  CLI::App app;
  std::string examples = kExamples + StagesText(api);
  DescribeCommand(&app, "compile", "Compiles a model (.onnx), or several, into a module (.eyr).", examples.c_str());
  CompileArguments options(&app, api, &job);
  app.add_option("-o,--output", job.output, "The module file to write; - for standard output")
      ->required()
      ->type_name("FILE");
  std::vector<std::string> inputs;
  AddRepeated(
      &app, "--input", &inputs, "INPUT",
      "With --precision: an input to measure the error with, NAME=@FILE.npy, @FILE.npz (by name), or made up as in "
      "NAME=1x3xf32=0.5; those that are not given are made up");
  app.add_flag("--json", as_json, "Prints JSON: size, time and memory of the compilation");
  if (Parse(&app, arguments)) return kSuccess;
  options.Finish();
  return Compile(api, job, inputs, as_json);
}

}  // namespace eyrie::cli
