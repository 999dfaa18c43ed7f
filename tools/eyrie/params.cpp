// `eyrie params`: files of parameters, listed, made, converted, taken apart.
#include <nlohmann/json.hpp>

#include "tools/eyrie/command.h"
#include "tools/eyrie/module.h"
#include "tools/eyrie/parameter_set.h"
#include "tools/eyrie/tensor.h"
#include "tools/npy/file.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string ShapeText(const Parameter& parameter) {
  std::string text;
  for (int64_t dim : parameter.dims) text += std::to_string(dim) + "x";
  return text + parameter.type_name;
}

int List(const std::string& path, bool verify, bool json) {
  ParameterSet set;
  std::string format = set.Load(path, verify);
  uint64_t bytes = 0;
  size_t name_width = 4, shape_width = 5;
  for (const auto& [name, parameter] : set.parameters()) {
    bytes += parameter.data.size;
    name_width = std::max(name_width, Printable(name).size());
    shape_width = std::max(shape_width, ShapeText(parameter).size());
  }
  if (json) {
    Json tensors = Json::array();
    for (const auto& [name, parameter] : set.parameters()) {
      Json row = {{"name", name},
                  {"type", parameter.type_name},
                  {"shape", parameter.dims},
                  {"size_bytes", parameter.data.size},
                  {"derived", parameter.is_derived}};
      if (parameter.type == 0) row["problem"] = parameter.problem;
      tensors.push_back(row);
    }
    Json all = {{"format", format}, {"size_bytes", bytes}, {"tensors", tensors}};
    Print(all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return kSuccess;
  }
  size_t count = set.parameters().size();
  std::string text = Printable(path) + ": " + format + ", " + std::to_string(count) + " tensor" +
                     (count == 1 ? "" : "s") + ", " + SizeText(bytes) + "\n";
  for (const auto& [name, parameter] : set.parameters()) {
    std::string shape = ShapeText(parameter), printable = Printable(name), size = SizeText(parameter.data.size);
    text += "  " + printable + std::string(name_width - printable.size() + 2, ' ') + shape +
            std::string(shape_width - shape.size() + 2, ' ') + size + (parameter.is_derived ? "  derived" : "") +
            (parameter.type == 0 ? "  " + parameter.problem : "") + "\n";
  }
  Print(text);
  return kSuccess;
}

int ListMain(const std::vector<std::string>& arguments) {
  std::string path;
  bool verify = false, json = false;
  CLI::App app;
  DescribeCommand(&app, "params list", "Lists the tensors of a file of parameters.",
                  "  eyrie params list weights.safetensors\n  eyrie params list weights.eyp --verify --json");
  app.add_option("FILE", path, "The file: .eyp, .safetensors, .npz or .gguf")->required();
  app.add_flag("--verify", verify, "Also compares the tensors with their checksums (.eyp and .npz have some)");
  app.add_flag("--json", json, "Prints JSON");
  return Parse(&app, arguments) ? kSuccess : List(path, verify, json);
}

int ConvertMain(const std::vector<std::string>& arguments) {
  std::vector<std::string> inputs;
  std::string output;
  bool merge_lora = false;
  double scale = 1;
  CLI::App app;
  DescribeCommand(
      &app, "params convert",
      "Writes the tensors of files of parameters into one file, in the format that its extension says. Of "
      "tensors of the same name the last file's is taken. Derived tensors stay in archives alone.",
      "  eyrie params convert weights.safetensors -o weights.eyp\n"
      "  eyrie params convert base.eyp tuned.npz -o both.eyp\n"
      "  eyrie params convert base.safetensors adapter.safetensors --merge-lora --lora-scale 2 -o merged.eyp");
  app.add_option("IN", inputs, "The files to read: .eyp, .safetensors, .npz or .gguf")->required();
  app.add_option("-o,--output", output, "The file to write: .eyp, .safetensors or .npz")->required()->type_name("OUT");
  app.add_flag("--merge-lora", merge_lora,
               "Adds X.lora_A.weight (r x in) and X.lora_B.weight (out x r) to X.weight: W + scale * B A");
  app.add_option("--lora-scale", scale, "The scale of --merge-lora: alpha / r of most adapters")
      ->type_name("S")
      ->capture_default_str();
  if (Parse(&app, arguments)) return kSuccess;
  CheckOutputFormat(output);
  ParameterSet set;
  for (const std::string& input : inputs) set.Load(input, /*verify=*/true);
  if (merge_lora) MergeLora(&set, scale);
  WriteParameters(set, output);
  return kSuccess;
}

int CreateMain(const std::vector<std::string>& arguments) {
  std::vector<std::string> inputs;
  std::string output;
  CLI::App app;
  DescribeCommand(&app, "params create", "Writes arrays of .npy files into a file of parameters.",
                  "  eyrie params create -o weights.eyp layer.weight=w.npy layer.bias=b.npy");
  app.add_option("TENSOR", inputs, "NAME=FILE.npy")->required();
  app.add_option("-o,--output", output, "The file to write: .eyp, .safetensors or .npz")->required()->type_name("OUT");
  if (Parse(&app, arguments)) return kSuccess;
  CheckOutputFormat(output);
  ParameterSet set;
  for (const std::string& input : inputs) {
    size_t equals = input.find('=');
    if (equals == std::string::npos || equals == 0) FailUsage("'" + input + "': expected NAME=FILE.npy");
    std::string name = input.substr(0, equals);
    if (set.parameters().contains(name)) FailUsage("'" + name + "' is given twice");
    set.LoadArray(name, input.substr(equals + 1));
  }
  WriteParameters(set, output);
  return kSuccess;
}

// The file of a tensor; its name must not lead out of the folder.
std::string PathOf(const std::string& folder, const std::string& name) {
  if (name.find('/') != std::string::npos || name == "." || name == "..")
    Fail("the tensor '" + name + "' cannot be a file: its name has a '/'; use `eyrie params convert` to .npz");
  return folder + "/" + name + ".npy";
}

int ExtractMain(const std::vector<std::string>& arguments) {
  std::string path, folder;
  std::vector<std::string> names;
  CLI::App app;
  DescribeCommand(&app, "params extract", "Writes tensors of a file of parameters as NAME.npy into a folder.",
                  "  eyrie params extract weights.eyp layer.weight layer.bias -o arrays");
  app.add_option("FILE", path, "The file: .eyp, .safetensors, .npz or .gguf")->required();
  app.add_option("NAME", names, "The tensors to write")->required();
  app.add_option("-o,--output", folder, "The folder, which must exist")->required()->type_name("DIR");
  if (Parse(&app, arguments)) return kSuccess;
  ParameterSet set;
  set.Load(path, /*verify=*/true);
  for (const std::string& name : names) {
    const Parameter& parameter = set.Get(name);
    CheckUsable(name, parameter);
    eyrie_tensor_t tensor = {};
    tensor.data = const_cast<uint8_t*>(parameter.data.data);
    tensor.size_bytes = parameter.data.size;
    tensor.type = parameter.type;
    tensor.rank = static_cast<uint32_t>(parameter.dims.size());
    std::copy(parameter.dims.begin(), parameter.dims.end(), tensor.dims);
    NpyFile array = ToNpy(tensor, name);
    npy::OutputFile file;
    if (!file.Open(PathOf(folder, name)) || !file.Write(array.header.data(), array.header.size()) ||
        (array.data.size != 0 && !file.Write(array.data.data, array.data.size)) || !file.Commit())
      Fail(file.error());
  }
  return kSuccess;
}

constexpr Command kActions[] = {
    {"list", "Lists the tensors of a file", ListMain},
    {"convert", "Writes tensors of files into one file of another format", ConvertMain},
    {"create", "Writes arrays of .npy files into a file", CreateMain},
    {"extract", "Writes tensors of a file as .npy files", ExtractMain},
};

}  // namespace

int ParamsMain(const std::vector<std::string>& arguments) {
  std::string names, help =
                         "Lists, converts, makes and takes apart files of parameters.\n"
                         "Usage: eyrie params ACTION [OPTIONS]\n\nActions:\n";
  for (const Command& action : kActions) {
    names += (names.empty() ? "" : ", ") + std::string(action.name);
    help += "  " + std::string(action.name) + std::string(12 - strlen(action.name), ' ') + action.summary + "\n";
  }
  help +=
      "\nFiles: .eyp (Eyrie's own), .safetensors, .npz, and .gguf to read.\n"
      "\nExamples:\n"
      "  eyrie params list weights.safetensors --json\n"
      "  eyrie params convert weights.safetensors -o weights.eyp\n"
      "  eyrie params create --help\n";
  if (arguments.empty()) FailUsage("no action: expected one of " + names + "; see `eyrie params --help`");
  if (arguments[0] == "--help" || arguments[0] == "-h") return Print(help), kSuccess;
  for (const Command& action : kActions)
    if (arguments[0] == action.name) return action.main({arguments.begin() + 1, arguments.end()});
  FailUsage("there is no action '" + arguments[0].substr(0, 100) + "': expected one of " + names);
}

}  // namespace eyrie::cli
