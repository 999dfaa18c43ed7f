// `eyrie check`: whether a model will compile, and what it will cost, without compiling it.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "tools/eyrie/compile_job.h"
#include "tools/eyrie/module.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kExamples[] =
    "  eyrie check model.onnx\n"
    "  eyrie check model.onnx --shape batch=8 --json";

// "12.3 G", in powers of a thousand.
std::string CountText(double count) {
  const char* units[] = {"", " k", " M", " G", " T", " P", " E"};
  size_t unit = 0;
  while (count >= 999.95 && unit + 1 < std::size(units)) count /= 1000, ++unit;
  char text[32];
  snprintf(text, sizeof(text), unit ? "%.1f%s" : "%.0f%s", count, units[unit]);
  return text;
}

std::string ValuesText(const Json& values, const char* kind) {
  std::string text;
  for (const Json& value : values) {
    std::vector<std::string> labels = value.value("labels", std::vector<std::string>());
    text += std::string("  ") + kind + Printable(value["name"].get<std::string>()) + ": " +
            Printable(value["type"].get<std::string>()) + (labels.empty() ? "" : "  columns " + LabelsText(labels)) +
            "\n";
  }
  return text;
}

/// What ranges of open sizes come to: the estimate is for their ends.
std::string LargestText(const Json& sizes) {
  std::string text;
  for (const auto& [name, size] : sizes.items())
    text +=
        (text.empty() ? "sizes        at most " : ", ") + Printable(name) + " " + std::to_string(size.get<int64_t>());
  return text.empty() ? text : text + "; the figures below are for these\n";
}

std::string FunctionText(const Json& function) {
  std::string text = "\nfunction " + Printable(function["name"].get<std::string>()) + "\n" +
                     ValuesText(function["inputs"], "input      ") + ValuesText(function["outputs"], "output     ");
  std::string note;
  if (function["has_open_sizes"].get<bool>()) note = " with every open size 1 (give sizes with --shape)";
  if (function["has_loops"].get<bool>()) note += std::string(note.empty() ? " with" : ",") + " every loop run once";
  return text + "  operations " + CountText(function["operations"].get<double>()) + note + "\n  memory     " +
         SizeText(function["input_bytes"]) + " of inputs, " + SizeText(function["output_bytes"]) +
         " of outputs, at most " + SizeText(function["transient_bytes"]) + " between them\n";
}

std::string Text(const CompileJob& job, const Json& told) {
  std::string models;
  for (const std::string& model : job.models) models += (models.empty() ? "" : ", ") + Printable(model);
  const Json& parameters = told["parameters"];
  std::string text = models + ": can be compiled\nparameters   " + CountText(parameters["elements"].get<double>()) +
                     " in " + std::to_string(parameters["tensors"].get<int64_t>()) + " tensors, " +
                     SizeText(parameters["bytes"]) + "\n" + LargestText(told["largest_sizes"]);
  for (const Json& function : told["functions"]) text += FunctionText(function);
  return text;
}

}  // namespace

int CheckMain(const std::vector<std::string>& arguments) {
  CompilerLibrary api = LoadCompilerLibrary();
  CompileJob job;
  job.command = "check";
  bool as_json = false;
  CLI::App app;
  DescribeCommand(
      &app, "check",
      "Says within seconds, without compiling, whether a model will compile, what is not supported and why, "
      "and what it will cost: parameters, operations on elements, memory.",
      kExamples);
  CompileArguments options(&app, api, &job,
                           {"stop-after", "dump-dir", "time", "strip", "jobs", "opt-level", "parameters"});
  app.add_flag("--json", as_json, "Prints JSON");
  if (Parse(&app, arguments)) return kSuccess;
  options.Finish();
  CheckModels(job);
  WorkerOutcome outcome = RunCompiler(
      api, job, [&](eyrie_compile_t* made, const char* model) { return api.compile_estimate(made, model); });
  if (!outcome.message.empty()) dprintf(STDERR_FILENO, "%s\n", outcome.message.c_str());
  Print(as_json ? outcome.result + "\n" : Text(job, Json::parse(outcome.result)));
  return kSuccess;
}

}  // namespace eyrie::cli
