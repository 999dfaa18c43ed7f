// `eyrie run`: calls a function once.
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "tools/eyrie/command.h"
#include "tools/eyrie/compare.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/inputs.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kExamples[] =
    "  eyrie run model.eyr --input x=@x.npy\n"
    "  eyrie run model.eyr --input x=1x3x224x224xf32=0.5 --output y=@y.npy\n"
    "  eyrie run model.eyr --input @inputs.npz --output @outputs.npz --threads 4\n"
    "  eyrie run model.eyr --input @inputs.npz --expect @reference.npz --rtol 1e-4";

struct RunFlags {
  std::string module, function, expect;
  std::vector<std::string> inputs, outputs;
  double rtol = 1e-3, atol = 1e-4;
  int64_t threads = 0;
  bool json = false;
};

// Where an output goes: `name` is empty for an archive of all.
struct Destination {
  std::string name;
  std::string path;
};

std::vector<Destination> ReadDestinations(const Function& function, const std::vector<std::string>& flags) {
  std::vector<Destination> result;
  for (const std::string& text : flags) {
    Destination destination{"", text};
    if (text.empty() || text[0] != '@') {
      Place place = FindPlace(function.outputs, text, "--output");
      destination.path = place.rest;
      destination.name = text.substr(0, text.size() - place.rest.size() - 1);
      if (place.part == Place::Part::kWhole && place.value->is_sequence)
        FailUsage("--output " + text + ": '" + destination.name + "' is a " + TypeText(*place.value) +
                  ", which no .npy file holds; write it to an archive (@FILE.npz), or an element (" + destination.name +
                  ".0=@FILE.npy)");
    }
    if (destination.path.size() < 2 || destination.path[0] != '@')
      FailUsage("--output '" + text + "': expected NAME=@FILE.npy or @FILE.npz");
    destination.path.erase(0, 1);
    for (const Destination& other : result)
      if (other.path == destination.path) FailUsage("--output: '" + other.path + "' is given twice");
    result.push_back(destination);
  }
  return result;
}

npy::Span SpanOf(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

void WriteOutputs(const std::vector<NamedTensors>& outputs, const Destination& destination) {
  npy::OutputFile file;
  bool good = file.Open(destination.path), found = destination.name.empty();
  npy::ZipWriter archive(&file);
  for (const NamedTensors& output : outputs) {
    for (const NamedTensors::Entry& entry : output.entries()) {
      if (!good || (!destination.name.empty() && destination.name != entry.name)) continue;
      NpyFile array = ToNpy(entry.tensor, entry.name);
      found = true;
      good = destination.name.empty()
                 ? archive.Add(entry.name + ".npy", SpanOf(array.header), array.data)
                 : file.Write(array.header.data(), array.header.size()) && file.Write(array.data.data, array.data.size);
    }
  }
  if (!found) Fail("--output: there is no '" + destination.name + "': the sequence is shorter");
  if (good && destination.name.empty()) good = archive.Finish();
  if (!good || !file.Commit()) Fail(file.error());
}

std::string ComparisonText(const Comparison& result) {
  char text[160];
  if (!result.problem.empty()) return result.name + ": FAILED: " + result.problem + "\n";
  std::snprintf(text, sizeof(text), ": %s: max abs error %.3g, max rel error %.3g", result.good() ? "ok" : "FAILED",
                result.max_absolute, result.max_relative);
  std::string line = result.name + text;
  if (!result.good())
    line += ", " + std::to_string(result.differing) + " of " + std::to_string(result.count) +
            " elements differ, the first at " + result.first;
  return line + "\n";
}

Json NumberJson(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

Json ComparisonJson(const Comparison& result) {
  Json json = {{"name", result.name}, {"ok", result.good()}};
  if (!result.problem.empty()) return json["problem"] = result.problem, json;
  json["max_abs_error"] = NumberJson(result.max_absolute);
  json["max_rel_error"] = NumberJson(result.max_relative);
  json["differing"] = result.differing;
  json["count"] = result.count;
  return json;
}

Json OutputJson(const std::string& name, const eyrie_tensor_t& tensor, bool with_data) {
  if (tensor.type == EYRIE_SEQUENCE) {
    Json json = {{"name", name}, {"type", "sequence"}, {"elements", Json::array()}};
    for (const eyrie_tensor_t& element : ElementsOf(tensor)) {
      std::string element_name = name + "." + std::to_string(json["elements"].size());
      json["elements"].push_back(OutputJson(element_name, element, with_data));
    }
    return json;
  }
  Json json = {{"name", name}, {"type", eyrie_type_name(tensor.type)}, {"shape", ShapeOf(tensor)}};
  if (!with_data) return json;
  Json& data = json["data"] = Json::array();
  const uint8_t* bytes = static_cast<const uint8_t*>(tensor.data);
  for (size_t i = 0; i < CountOf(ShapeOf(tensor)); ++i) {
    switch (FamilyOf(tensor.type)) {
      case Family::kFloat:
        data.push_back(NumberJson(LoadReal(tensor.type, bytes, i)));
        break;
      case Family::kBool:
        data.push_back(LoadBits(tensor.type, bytes, i) != 0);
        break;
      case Family::kSigned:
      case Family::kUnsigned:
        data.push_back(Json::parse(ElementText(tensor.type, bytes, i)));
        break;
      case Family::kString: {
        const eyrie_string_t& text = static_cast<const eyrie_string_t*>(tensor.data)[i];
        data.push_back(std::string(text.data, text.size));
        break;
      }
      default:
        data.push_back(ElementText(tensor.type, bytes, i));
    }
  }
  return json;
}

std::string OutputText(const std::string& name, const eyrie_tensor_t& tensor) {
  if (tensor.type != EYRIE_SEQUENCE)
    return Printable(name) + ": " + TypeText(tensor.type, ShapeOf(tensor)) + "\n" + TensorText(tensor);
  std::string text = Printable(name) + ": sequence of " + std::to_string(tensor.dims[0]) + "\n";
  size_t index = 0;
  for (const eyrie_tensor_t& element : ElementsOf(tensor))
    text += OutputText(name + "." + std::to_string(index++), element);
  return text;
}

int Run(const RunFlags& flags) {
  std::string expect = flags.expect;
  if (!expect.empty() && expect[0] == '@') expect.erase(0, 1);
  if (!(flags.rtol >= 0) || !(flags.atol >= 0)) FailUsage("--rtol and --atol must not be negative");
  Module module(flags.module, ThreadCount(flags.threads), /*inspect_only=*/false);
  Function function = module.Find(flags.function);
  std::vector<Destination> destinations = ReadDestinations(function, flags.outputs);
  Arguments inputs(ReadInputs(function, flags.inputs));
  std::vector<eyrie_tensor_t> outputs(function.outputs.size());
  eyrie_instance_t* instance = nullptr;
  Check(eyrie_instance_create(module.get(), nullptr, &instance), "");
  // The outputs belong to the instance: it goes last.
  std::unique_ptr<eyrie_instance_t, void (*)(eyrie_instance_t*)> owner(instance, eyrie_instance_destroy);
  auto start = std::chrono::steady_clock::now();
  Check(eyrie_call(instance, function.index, inputs.data(), inputs.size(), outputs.data(), outputs.size(), nullptr),
        "");
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  std::vector<NamedTensors> named;
  for (size_t i = 0; i < outputs.size(); ++i) named.emplace_back(function.outputs[i].name, outputs[i]);
  for (const Destination& destination : destinations) WriteOutputs(named, destination);

  std::vector<Comparison> comparisons;
  if (!expect.empty()) comparisons = CompareOutputs(named, expect, flags.rtol, flags.atol);
  bool print = destinations.empty() && expect.empty(), good = true;
  std::string text;
  for (const Comparison& comparison : comparisons) {
    text += ComparisonText(comparison);
    good = good && comparison.good();
  }
  if (flags.json) {
    Json json = {{"function", function.name}, {"first_call_ms", ms}, {"outputs", Json::array()}};
    for (size_t i = 0; i < outputs.size(); ++i)
      json["outputs"].push_back(OutputJson(function.outputs[i].name, outputs[i], print));
    for (const Comparison& comparison : comparisons) json["expect"].push_back(ComparisonJson(comparison));
    text = json.dump(print ? -1 : 2, ' ', false, Json::error_handler_t::replace) + "\n";
  } else if (print) {
    for (size_t i = 0; i < outputs.size(); ++i) text += OutputText(function.outputs[i].name, outputs[i]);
  }
  Print(text);
  if (!good) Fail("the outputs differ from '" + expect + "'");
  return kSuccess;
}

}  // namespace

int RunMain(const std::vector<std::string>& arguments) {
  RunFlags flags;
  CLI::App app;
  DescribeCommand(&app, "run", "Calls a function of a module once and prints, writes or checks its outputs.",
                  kExamples);
  app.add_option("MODULE", flags.module, "The module file (.eyr)")->required();
  AddRepeated(&app, "--input", &flags.inputs, "INPUT", kInputHelp);
  AddRepeated(&app, "--output", &flags.outputs, "OUTPUT",
              "Writes an output: NAME=@FILE.npy, or all to @FILE.npz; otherwise they are printed");
  app.add_option("--expect", flags.expect, "Compares the outputs with an archive; exit code 1 if they differ")
      ->type_name("@FILE.npz");
  app.add_option("--rtol", flags.rtol, "Relative tolerance of --expect for floats")
      ->type_name("R")
      ->capture_default_str();
  app.add_option("--atol", flags.atol, "Absolute tolerance of --expect for floats")
      ->type_name("A")
      ->capture_default_str();
  app.add_option("--threads", flags.threads, "Threads to run on; 0 takes all processors")
      ->type_name("N")
      ->capture_default_str();
  app.add_option("--function", flags.function, "The function to call, if there are several")->type_name("NAME");
  app.add_flag("--json", flags.json, "Prints JSON");
  return Parse(&app, arguments) ? kSuccess : Run(flags);
}

}  // namespace eyrie::cli
