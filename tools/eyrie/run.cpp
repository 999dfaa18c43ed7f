// `eyrie run`: calls a function once.
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "tools/eyrie/command.h"
#include "tools/eyrie/compare.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/inputs.h"
#include "tools/eyrie/parts.h"
#include "tools/eyrie/states.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kExamples[] =
    "  eyrie run model.eyr --input x=@x.npy\n"
    "  eyrie run model.eyr --input x=1x3x224x224xf32=0.5 --output y=@y.npy\n"
    "  eyrie run model.eyr --input @inputs.npz --output @outputs.npz --threads 4\n"
    "  eyrie run model.eyr --input @inputs.npz --expect @reference.npz --rtol 1e-4\n"
    "  eyrie run decoder.eyr --input @token.npz --load-state cache --save-state cache\n"
    "  eyrie run model.eyr --parameters model.eyp,tuned.safetensors --input @inputs.npz";

struct RunFlags {
  std::string module, function, expect, load_state, save_state, cpu;
  std::vector<std::string> inputs, outputs, parameters, plugins;
  double rtol = 1e-3, atol = 1e-4;
  int64_t threads = 0;
  bool json = false;
};

// Where outputs go.
struct Destination {
  std::optional<Part> part;  // none: all, into an archive
  std::string path;
};

std::vector<Destination> ReadDestinations(const Function& function, const std::vector<std::string>& flags) {
  std::vector<Destination> result;
  for (const std::string& text : flags) {
    Destination destination{std::nullopt, text};
    if (text.empty() || text[0] != '@')
      destination.part = SplitName(function.outputs, text, &destination.path, "--output");
    if (destination.path.size() < 2 || destination.path[0] != '@')
      FailUsage("--output '" + text + "': expected NAME=@FILE.npy or @FILE.npz");
    destination.path.erase(0, 1);
    for (const Destination& other : result)
      if (other.path == destination.path) FailUsage("--output: '" + other.path + "' is given twice");
    if (destination.part) {
      Value value = destination.part->Describe(function.outputs);
      if (value.is_sequence)
        FailUsage("--output: '" + value.name + "' is a " + TypeText(value) +
                  ": write an archive, --output @FILE.npz, or an " + "element, --output " + value.name +
                  ".0=@FILE.npy");
    }
    result.push_back(destination);
  }
  return result;
}

npy::Span SpanOf(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

// A tensor that stands under a name in an archive: an output, or a part of one.
struct NamedTensor {
  std::string name;
  eyrie_tensor_t tensor;
};

// `*length` gets the number of elements and must outlive the tensor.
NamedTensor LengthOf(const std::string& name, const eyrie_tensor_t& sequence, int64_t* length) {
  *length = sequence.dims[0];
  eyrie_tensor_t tensor = {};
  tensor.data = length;
  tensor.size_bytes = sizeof(*length);
  tensor.type = EYRIE_I64;
  return {name + ".len", tensor};
}

NamedTensor Select(const Function& function, const std::vector<eyrie_tensor_t>& outputs, const Part& part,
                   int64_t* length) {
  const eyrie_tensor_t& output = outputs[part.value];
  const std::string& name = function.outputs[part.value].name;
  if (output.type == EYRIE_NONE) Fail("--output: the optional output '" + name + "' has no value in this call");
  if (part.kind == Part::kWhole) return {name, output};
  if (part.kind == Part::kLength) return LengthOf(name, output, length);
  std::vector<eyrie_tensor_t> elements = ElementsOf(output);
  Value element = part.Describe(function.outputs);
  if (part.index >= elements.size())
    Fail("--output: there is no '" + element.name + "', the sequence '" + name + "' has " +
         std::to_string(elements.size()) + " element" + (elements.size() == 1 ? "" : "s"));
  return {element.name, elements[part.index]};
}

void WriteArray(const NamedTensor& tensor, const std::string& path) {
  NpyFile array = ToNpy(tensor.tensor, tensor.name);
  npy::OutputFile file;
  if (!file.Open(path) || !file.Write(array.header.data(), array.header.size()) ||
      !file.Write(array.data.data, array.data.size) || !file.Commit())
    Fail(file.error());
}

void WriteArchive(const Function& function, const std::vector<eyrie_tensor_t>& outputs, const std::string& path) {
  npy::OutputFile file;
  bool good = file.Open(path);
  npy::ZipWriter archive(&file);
  std::set<std::string> names;
  auto add = [&](const NamedTensor& tensor) {
    if (!names.insert(tensor.name).second)
      Fail("'" + path + "' cannot hold all outputs: two have the name '" + tensor.name + "'");
    NpyFile array = ToNpy(tensor.tensor, tensor.name);
    good = good && archive.Add(tensor.name + ".npy", SpanOf(array.header), array.data);
  };
  for (size_t i = 0; good && i < outputs.size(); ++i) {
    const Value& output = function.outputs[i];
    if (outputs[i].type == EYRIE_NONE) continue;
    if (!output.is_sequence) {
      add({output.name, outputs[i]});
      continue;
    }
    int64_t length;
    add(LengthOf(output.name, outputs[i], &length));
    uint64_t index = 0;
    for (const eyrie_tensor_t& element : ElementsOf(outputs[i])) add({ElementOf(output, index++).name, element});
  }
  if (!good || !archive.Finish() || !file.Commit()) Fail(file.error());
}

void WriteOutput(const Function& function, const std::vector<eyrie_tensor_t>& outputs, const Destination& destination) {
  int64_t length;
  if (destination.part) {
    WriteArray(Select(function, outputs, *destination.part, &length), destination.path);
  } else {
    WriteArchive(function, outputs, destination.path);
  }
}

std::string ComparisonText(const Comparison& result) {
  char text[160];
  if (!result.problem.empty()) return result.name + ": FAILED: " + result.problem + "\n";
  std::string line = result.name + (result.good() ? ": ok" : ": FAILED");
  std::snprintf(text, sizeof(text), ": max abs error %.3g, max rel error %.3g", result.max_absolute,
                result.max_relative);
  if (result.is_numeric) line += text;
  if (!result.good())
    line += (result.is_numeric ? ", " : ": ") + std::to_string(result.differing) + " of " +
            std::to_string(result.count) + " elements differ, the first at " + result.first;
  return line + "\n";
}

Json NumberJson(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

Json ComparisonJson(const Comparison& result) {
  Json json = {{"name", result.name}, {"ok", result.good()}};
  if (!result.problem.empty()) return json["problem"] = result.problem, json;
  if (result.is_numeric) {
    json["max_abs_error"] = NumberJson(result.max_absolute);
    json["max_rel_error"] = NumberJson(result.max_relative);
  }
  json["differing"] = result.differing;
  json["count"] = result.count;
  return json;
}

Json TensorJson(const std::string& name, const eyrie_tensor_t& tensor, bool with_data) {
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
      case Family::kString:
        data.push_back(std::string(LoadString(bytes, i)));
        break;
      case Family::kComplex:
        data.push_back(ElementText(tensor.type, bytes, i));
        break;
    }
  }
  return json;
}

Json OutputJson(const Value& value, const eyrie_tensor_t& output, bool with_data) {
  if (output.type == EYRIE_NONE) return {{"name", value.name}, {"type", nullptr}};
  if (!value.is_sequence) return TensorJson(value.name, output, with_data);
  Json json = {{"name", value.name}, {"type", "sequence"}, {"elements", Json::array()}};
  uint64_t index = 0;
  for (const eyrie_tensor_t& element : ElementsOf(output))
    json["elements"].push_back(TensorJson(ElementOf(value, index++).name, element, with_data));
  return json;
}

std::string OutputText(const Value& value, const eyrie_tensor_t& output) {
  std::string name = Printable(value.name) + ": ";
  if (output.type == EYRIE_NONE) return name + "no value\n";
  if (!value.is_sequence) return name + TypeText(output.type, ShapeOf(output)) + "\n" + TensorText(output);
  std::vector<eyrie_tensor_t> elements = ElementsOf(output);
  std::string text = name + "sequence of " + std::to_string(elements.size()) + "\n";
  for (size_t i = 0; i < elements.size(); ++i) text += OutputText(ElementOf(value, i), elements[i]);
  return text;
}

int Run(const RunFlags& flags) {
  std::string expect = flags.expect;
  if (!expect.empty() && expect[0] == '@') expect.erase(0, 1);
  if (!(flags.rtol >= 0) || !(flags.atol >= 0)) FailUsage("--rtol and --atol must not be negative");
  Module module(flags.module, {.threads = ThreadCount(flags.threads),
                               .cpu = flags.cpu,
                               .parameters = flags.parameters,
                               .plugins = flags.plugins});
  Function function = module.Find(flags.function);
  std::vector<Destination> destinations = ReadDestinations(function, flags.outputs);
  std::vector<Argument> arguments = ReadInputs(function, flags.inputs);
  std::vector<eyrie_tensor_t> inputs, outputs(function.outputs.size());
  for (const Argument& argument : arguments) inputs.push_back(argument.ToRuntime());
  eyrie_instance_t* instance = nullptr;
  Check(eyrie_instance_create(module.get(), nullptr, &instance), "");
  // The outputs belong to the instance: it goes last.
  std::unique_ptr<eyrie_instance_t, void (*)(eyrie_instance_t*)> owner(instance, eyrie_instance_destroy);
  if (!flags.load_state.empty()) LoadStateFile(instance, flags.load_state);
  auto start = std::chrono::steady_clock::now();
  Check(eyrie_call(instance, function.index, inputs.data(), inputs.size(), outputs.data(), outputs.size(), nullptr),
        "");
  double ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  for (const Destination& destination : destinations) WriteOutput(function, outputs, destination);
  if (!flags.save_state.empty()) SaveStateFile(instance, flags.save_state);

  std::vector<Comparison> comparisons;
  if (!expect.empty()) comparisons = CompareOutputs(function, outputs, expect, flags.rtol, flags.atol);
  bool print = destinations.empty() && expect.empty(), good = true;
  std::string text;
  for (const Comparison& comparison : comparisons) {
    text += ComparisonText(comparison);
    good = good && comparison.good();
  }
  if (flags.json) {
    Json json = {{"function", function.name}, {"first_call_ms", ms}, {"outputs", Json::array()}};
    for (size_t i = 0; i < outputs.size(); ++i)
      json["outputs"].push_back(OutputJson(function.outputs[i], outputs[i], print));
    for (const Comparison& comparison : comparisons) json["expect"].push_back(ComparisonJson(comparison));
    text = json.dump(print ? -1 : 2, ' ', false, Json::error_handler_t::replace) + "\n";
  } else if (print) {
    for (size_t i = 0; i < outputs.size(); ++i) text += OutputText(function.outputs[i], outputs[i]);
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
              "Writes an output: NAME=@FILE.npy (of a sequence NAME.0, ...), or all to @FILE.npz; otherwise they are "
              "printed");
  app.add_option("--expect", flags.expect, "Compares the outputs with an archive; exit code 1 if they differ")
      ->type_name("@FILE.npz");
  app.add_option("--rtol", flags.rtol, "Relative tolerance of --expect for floats")
      ->type_name("R")
      ->capture_default_str();
  app.add_option("--atol", flags.atol, "Absolute tolerance of --expect for floats")
      ->type_name("A")
      ->capture_default_str();
  AddParameterFiles(&app, &flags.parameters);
  AddPlugins(&app, &flags.plugins);
  app.add_option("--load-state", flags.load_state,
                 "Begins with the states that --save-state wrote; without it they are new")
      ->type_name("FILE");
  app.add_option("--save-state", flags.save_state, "Writes the states of the module after the call")->type_name("FILE");
  AddThreads(&app, &flags.threads);
  AddCpu(&app, &flags.cpu);
  app.add_option("--function", flags.function, "The function to call, if there are several")->type_name("NAME");
  app.add_flag("--json", flags.json, "Prints JSON");
  return Parse(&app, arguments) ? kSuccess : Run(flags);
}

}  // namespace eyrie::cli
