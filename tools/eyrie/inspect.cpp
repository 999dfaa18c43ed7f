// `eyrie inspect`: what is in a module. Never runs or loads any of its code.
#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "tools/eyrie/command.h"
#include "tools/eyrie/host_functions.h"
#include "tools/eyrie/memory_picture.h"
#include "tools/eyrie/module.h"
#include "tools/npy/file.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kExamples[] =
    "  eyrie inspect model.eyr\n"
    "  eyrie inspect model.eyr --vm\n"
    "  eyrie inspect model.eyr --memory plan.svg\n"
    "  eyrie inspect model.eyr --json | python3 -m json.tool";

struct InspectFlags {
  std::string module, function, memory, cpu;
  bool vm = false, json = false;
};

// Reads the table's rows until it ends.
template <typename Info>
std::vector<Info> Rows(const std::function<eyrie_status_t(uint32_t, Info*)>& read) {
  std::vector<Info> rows;
  for (;;) {
    Info info = {};
    eyrie_status_t status = read(static_cast<uint32_t>(rows.size()), &info);
    if (status != nullptr) return eyrie_status_free(status), rows;
    rows.push_back(info);
  }
}

// Everything of a function that is printed.
struct FunctionFacts {
  Function function;
  eyrie_function_info_t info;
  std::vector<eyrie_transient_info_t> transients;
  std::string code;
};

struct Facts {
  eyrie_module_info_t info;
  std::vector<eyrie_section_info_t> sections;
  std::vector<FunctionFacts> functions;
  std::vector<eyrie_executable_info_t> executables;
  std::vector<std::vector<eyrie_variant_info_t>> variants;  // of each executable
  std::vector<eyrie_export_info_t> exports;
  std::vector<eyrie_cpu_info_t> processors;
};

std::string Disassemble(const Module& module, uint32_t function) {
  size_t needed = 0;
  Check(eyrie_module_disassemble(module.get(), function, nullptr, 0, &needed), "");
  std::string text(needed, '\0');
  Check(eyrie_module_disassemble(module.get(), function, text.data(), text.size(), &needed), "");
  return text.c_str();
}

Facts Collect(const Module& module, const InspectFlags& flags) {
  Facts facts = {};
  eyrie_module_get_info(module.get(), &facts.info);
  facts.sections = Rows<eyrie_section_info_t>(
      [&](uint32_t i, eyrie_section_info_t* info) { return eyrie_module_section(module.get(), i, info); });
  facts.executables = Rows<eyrie_executable_info_t>(
      [&](uint32_t i, eyrie_executable_info_t* info) { return eyrie_module_executable(module.get(), i, info); });
  facts.exports = Rows<eyrie_export_info_t>(
      [&](uint32_t i, eyrie_export_info_t* info) { return eyrie_module_export(module.get(), i, info); });
  for (uint32_t i = 0; i < facts.executables.size(); ++i)
    facts.variants.push_back(Rows<eyrie_variant_info_t>(
        [&](uint32_t k, eyrie_variant_info_t* info) { return eyrie_module_variant(module.get(), i, k, info); }));
  facts.processors = Rows<eyrie_cpu_info_t>(
      [&](uint32_t i, eyrie_cpu_info_t* info) { return eyrie_module_cpu(module.get(), i, info); });
  std::vector<uint32_t> indices;
  if (!flags.function.empty()) {
    indices.push_back(module.Find(flags.function).index);
  } else {
    // With the code also that of functions which only the module calls.
    uint32_t count = facts.info.function_count + (flags.vm ? facts.info.internal_count : 0);
    for (uint32_t i = 0; i < count; ++i) indices.push_back(i);
  }
  for (uint32_t index : indices) {
    FunctionFacts function{module.At(index), {}, {}, {}};
    Check(eyrie_module_function(module.get(), index, &function.info), "");
    function.transients = Rows<eyrie_transient_info_t>(
        [&](uint32_t i, eyrie_transient_info_t* info) { return eyrie_module_transient(module.get(), index, i, info); });
    if (flags.vm) function.code = Disassemble(module, index);
    facts.functions.push_back(std::move(function));
  }
  return facts;
}

std::string NodesOf(const Module& module, uint32_t index, uint32_t count) {
  std::string text;
  for (uint32_t i = 0; i < count; ++i) {
    const char* node = eyrie_module_export_node(module.get(), index, i);
    text += std::string(i ? ", " : "") + Printable(node ? node : "?");
  }
  return text;
}

std::string OptionalSize(int64_t size) {
  return size < 0 ? "known at run time" : SizeText(static_cast<uint64_t>(size));
}

std::string Or(const char* text, const char* otherwise) {
  return text != nullptr && *text != 0 ? Printable(text) : otherwise;
}

// The features of a processor, or those that code needs.
template <typename Info>
std::vector<std::string> FeaturesOf(const Info& info) {
  std::vector<std::string> names;
  for (uint32_t bit = 0; bit < 64; ++bit) {
    if ((info.features >> bit & 1) == 0) continue;
    const char* name = info.format ? eyrie_feature_name(info.format, bit) : nullptr;
    names.push_back(name ? name : "bit " + std::to_string(bit));
  }
  return names;
}

std::string Joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " ") + part;
  return text.empty() ? "-" : text;
}

// Lines up the columns of a table: two spaces between them, numbers (columns of `right`) to the right.
std::string Table(const std::vector<std::vector<std::string>>& rows, const std::string& right) {
  std::vector<size_t> widths;
  for (const std::vector<std::string>& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line = " ";
    for (size_t i = 0; i < row.size(); ++i) {
      std::string space(widths[i] - row[i].size(), ' ');
      bool to_right = i < right.size() && right[i] == 'r';
      line += " " + (to_right ? space + row[i] : i + 1 == row.size() ? row[i] : row[i] + space) + " ";
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  return text;
}

std::string ValuesText(const char* title, const std::vector<Value>& values) {
  std::vector<std::vector<std::string>> rows;
  for (const Value& value : values)
    rows.push_back({Printable(value.name),
                    TypeText(value) + (value.labels.empty() ? "" : "  columns " + LabelsText(value.labels))});
  return std::string(title) + "\n" + (rows.empty() ? "  none\n" : Table(rows, "ll"));
}

// Its size, or what it never exceeds.
std::string ArenaText(const eyrie_function_info_t& info) {
  if (info.arena_bytes >= 0 || info.upper_bound < 0) return OptionalSize(info.arena_bytes);
  return "at most " + OptionalSize(info.upper_bound);
}

std::string MemoryText(const FunctionFacts& facts) {
  std::string text = "memory plan: arena " + ArenaText(facts.info) + ", lower bound " +
                     OptionalSize(facts.info.lower_bound) + ", without sharing " +
                     OptionalSize(facts.info.total_bytes) + ", " + std::to_string(facts.transients.size()) +
                     " transients\n";
  if (facts.transients.empty()) return text;
  std::vector<std::vector<std::string>> rows = {{"offset", "size", "first", "last", "name"}};
  auto number = [](int64_t value) { return value < 0 ? "?" : std::to_string(value); };
  for (const eyrie_transient_info_t& row : facts.transients)
    rows.push_back({number(row.offset), number(row.size), std::to_string(row.first_use), std::to_string(row.last_use),
                    Or(row.name, "-")});
  return text + Table(rows, "rrrrl");
}

Json ValuesJson(const std::vector<Value>& values);

std::string KindOf(const Module::Parameter& parameter) {
  if (parameter.is_fixed) return "part of the code";
  return parameter.is_derived ? "computed from " + Printable(Joined(parameter.sources)) : "";
}

std::string ParametersText(const Module& module) {
  std::vector<Module::Parameter> parameters = module.Parameters();
  if (parameters.empty()) return "";
  const char* archive = eyrie_module_archive(module.get());
  std::vector<std::vector<std::string>> rows;
  for (const Module::Parameter& row : parameters)
    rows.push_back({Printable(row.value.name), TypeText(row.value), std::to_string(row.size_bytes), KindOf(row)});
  return "\nparameters" + (*archive ? ", written to " + Printable(archive) : "") + "\n" + Table(rows, "llrl");
}

Json ParametersJson(const Module& module) {
  Json json = Json::array();
  for (const Module::Parameter& parameter : module.Parameters()) {
    Json row = ValuesJson({parameter.value})[0];
    row["bytes"] = parameter.size_bytes;
    row["kind"] = parameter.is_fixed ? "fixed" : parameter.is_derived ? "derived" : "given";
    row["sources"] = parameter.sources;
    json.push_back(row);
  }
  return json;
}

std::string ExecutablesText(const Facts& facts) {
  // Executables of one compilation need the same of the processor: said once.
  bool same = std::all_of(facts.executables.begin(), facts.executables.end(),
                          [&](const auto& row) { return row.features == facts.executables[0].features; });
  std::vector<std::vector<std::string>> rows = {{"executable", "format", "bytes", same ? "" : "features"}};
  for (const eyrie_executable_info_t& row : facts.executables)
    rows.push_back(
        {Or(row.name, "-"), Or(row.format, "?"), std::to_string(row.size), same ? "" : Joined(FeaturesOf(row))});
  return "\nexecutables\n" + Table(rows, "llrl") +
         (same && !facts.executables.empty() ? "  need " + Joined(FeaturesOf(facts.executables[0])) + "\n" : "");
}

// The variant that a processor takes; null if none is for it.
const eyrie_variant_info_t* VariantFor(const eyrie_cpu_info_t& processor,
                                       const std::vector<eyrie_variant_info_t>& variants) {
  for (const eyrie_variant_info_t& variant : variants)
    if (std::string(variant.format) == processor.format && (variant.features & ~processor.features) == 0)
      return &variant;
  return nullptr;
}

std::vector<std::string> ProcessorsOf(const Facts& facts, const std::vector<eyrie_variant_info_t>& variants,
                                      const eyrie_variant_info_t& variant) {
  std::vector<std::string> names;
  for (const eyrie_cpu_info_t& processor : facts.processors)
    if (VariantFor(processor, variants) == &variant) names.push_back(Printable(processor.name));
  return names;
}

// Of a module for several processors.
std::string VariantsText(const Facts& facts) {
  std::vector<std::vector<std::string>> rows = {{"processor", "format", "bytes", "this machine", "features"}};
  for (const eyrie_cpu_info_t& processor : facts.processors) {
    uint64_t bytes = 0;
    for (const std::vector<eyrie_variant_info_t>& variants : facts.variants)
      if (const eyrie_variant_info_t* variant = VariantFor(processor, variants)) bytes += variant->size;
    rows.push_back({Or(processor.name, "?"), Or(processor.format, "?"), std::to_string(bytes),
                    processor.is_usable ? "has them" : "lacks some", Joined(FeaturesOf(processor))});
  }
  std::string text = "\nprocessors\n" + Table(rows, "llrll");
  rows = {{"executable", "format", "bytes", "processors", ""}};
  for (size_t i = 0; i < facts.executables.size(); ++i)
    for (const eyrie_variant_info_t& variant : facts.variants[i])
      rows.push_back({&variant == &facts.variants[i][0] ? Or(facts.executables[i].name, "-") : "",
                      Or(variant.format, "?"), std::to_string(variant.size),
                      Joined(ProcessorsOf(facts, facts.variants[i], variant)), variant.is_taken ? "taken" : ""});
  return text + "\nexecutables\n" + Table(rows, "llrll");
}

Json ExecutableJson(const Facts& facts, size_t index) {
  const eyrie_executable_info_t& row = facts.executables[index];
  Json json = {{"name", row.name ? row.name : ""},
               {"format", row.format ? row.format : ""},
               {"features", FeaturesOf(row)},
               {"size", row.size},
               {"variants", Json::array()}};
  for (const eyrie_variant_info_t& variant : facts.variants[index])
    json["variants"].push_back({{"format", variant.format},
                                {"features", FeaturesOf(variant)},
                                {"offset", variant.offset},
                                {"size", variant.size},
                                {"processors", ProcessorsOf(facts, facts.variants[index], variant)},
                                {"taken", variant.is_taken != 0}});
  return json;
}

std::string Text(const Module& module, const Facts& facts) {
  std::string text = Printable(module.path()) + ": format " + std::to_string(facts.info.format_major) + "." +
                     std::to_string(facts.info.format_minor) + ", " + SizeText(facts.info.file_size) + "\n" +
                     Table({{"producer", Or(facts.info.producer, "-")},
                            {"target", Or(facts.info.target, "-")},
                            {"source", Or(facts.info.source, "-")}},
                           "ll");
  std::vector<std::vector<std::string>> rows = {{"section", "offset", "bytes", "alignment"}};
  for (const eyrie_section_info_t& row : facts.sections)
    rows.push_back(
        {Or(row.name, "?"), std::to_string(row.offset), std::to_string(row.size), std::to_string(row.alignment)});
  text += "\nsections\n" + Table(rows, "lrrr");
  if (std::vector<Value> states = module.States(); !states.empty()) text += "\n" + ValuesText("states", states);
  text += ParametersText(module);
  if (std::vector<std::vector<std::string>> calls = HostFunctionRows(module); !calls.empty()) {
    calls.insert(calls.begin(), {"name", "whose", "tensors", "attributes", "first node"});
    text += "\nhost functions\n" + Table(calls, "lllll");
  }
  text += facts.processors.size() > 1 ? VariantsText(facts) : ExecutablesText(facts);
  rows = {{"#", "dispatch", "tensors", "scalars", "local bytes", "nodes"}};
  for (size_t i = 0; i < facts.exports.size(); ++i) {
    const eyrie_export_info_t& row = facts.exports[i];
    rows.push_back({std::to_string(i), Or(row.symbol, "?"), std::to_string(row.binding_count),
                    std::to_string(row.constant_count), std::to_string(row.local_memory),
                    NodesOf(module, static_cast<uint32_t>(i), row.node_count)});
  }
  text += "\ndispatches\n" + Table(rows, "rlrrrl");
  for (const FunctionFacts& function : facts.functions) {
    text += "\nfunction " + Printable(function.function.name) + "\n";
    text += ValuesText("inputs", function.function.inputs) + ValuesText("outputs", function.function.outputs);
    text += MemoryText(function);
    if (!function.code.empty()) text += "code\n" + function.code;
  }
  return text;
}

Json ValuesJson(const std::vector<Value>& values) {
  Json json = Json::array();
  for (const Value& value : values) {
    Json dims = Json::array();
    for (const eyrie_dim_t& dim : value.dims) {
      if (dim.size >= 0) {
        dims.push_back(dim.size);
      } else {
        dims.push_back(dim.symbol != nullptr ? Json(dim.symbol) : Json(nullptr));
      }
    }
    const char* type = eyrie_type_name(value.type);
    Json element = {{"type", type ? type : "?"}, {"shape", value.any_rank ? Json(nullptr) : dims}};
    Json row = {{"name", value.name}};
    if (value.is_sequence) {
      row["type"] = "sequence";
      row["elements"] = element;
    } else {
      row.update(element);
    }
    if (value.is_optional) row["optional"] = true;
    if (!value.labels.empty()) row["labels"] = value.labels;
    json.push_back(row);
  }
  return json;
}

// Sizes that are known only at run time become null.
Json SizeJson(int64_t size) { return size < 0 ? Json(nullptr) : Json(size); }

Json FunctionJson(const FunctionFacts& facts, bool with_code) {
  Json transients = Json::array();
  for (const eyrie_transient_info_t& row : facts.transients)
    transients.push_back({{"name", row.name ? row.name : ""},
                          {"offset", SizeJson(row.offset)},
                          {"size", SizeJson(row.size)},
                          {"first_use", row.first_use},
                          {"last_use", row.last_use}});
  Json json = {{"name", facts.function.name},
               {"inputs", ValuesJson(facts.function.inputs)},
               {"outputs", ValuesJson(facts.function.outputs)},
               {"arena_bytes", SizeJson(facts.info.arena_bytes)},
               {"lower_bound", SizeJson(facts.info.lower_bound)},
               {"upper_bound", SizeJson(facts.info.upper_bound)},
               {"total_bytes", SizeJson(facts.info.total_bytes)},
               {"transients", transients},
               {"code_words", facts.info.code_words}};
  if (with_code) json["code"] = facts.code;
  return json;
}

Json ToJson(const Module& module, const Facts& facts, bool with_code) {
  auto text = [](const char* value) { return value != nullptr ? Json(value) : Json(""); };
  Json json = {{"format", {facts.info.format_major, facts.info.format_minor}},
               {"file_size", facts.info.file_size},
               {"producer", text(facts.info.producer)},
               {"target", text(facts.info.target)},
               {"source", text(facts.info.source)},
               {"sections", Json::array()},
               {"states", ValuesJson(module.States())},
               {"parameters", ParametersJson(module)},
               {"host_functions", HostFunctionsJson(module)},
               {"processors", Json::array()},
               {"executables", Json::array()},
               {"dispatches", Json::array()},
               {"functions", Json::array()}};
  for (const eyrie_section_info_t& row : facts.sections)
    json["sections"].push_back({{"name", text(row.name)},
                                {"kind", row.kind},
                                {"offset", row.offset},
                                {"size", row.size},
                                {"alignment", row.alignment}});
  for (const eyrie_cpu_info_t& row : facts.processors)
    json["processors"].push_back({{"name", text(row.name)},
                                  {"format", text(row.format)},
                                  {"features", FeaturesOf(row)},
                                  {"usable", row.is_usable != 0}});
  for (size_t i = 0; i < facts.executables.size(); ++i) json["executables"].push_back(ExecutableJson(facts, i));
  for (size_t i = 0; i < facts.exports.size(); ++i) {
    const eyrie_export_info_t& row = facts.exports[i];
    Json nodes = Json::array();
    for (uint32_t k = 0; k < row.node_count; ++k)
      nodes.push_back(text(eyrie_module_export_node(module.get(), static_cast<uint32_t>(i), k)));
    json["dispatches"].push_back({{"name", text(row.symbol)},
                                  {"executable", row.executable},
                                  {"tensors", row.binding_count},
                                  {"scalars", row.constant_count},
                                  {"local_bytes", row.local_memory},
                                  {"operations", row.operations > 0 ? Json(row.operations) : Json(nullptr)},
                                  {"nodes", nodes}});
  }
  for (const FunctionFacts& function : facts.functions) json["functions"].push_back(FunctionJson(function, with_code));
  return json;
}

void WritePicture(const std::string& path, const std::string& svg) {
  npy::OutputFile file;
  if (!file.Open(path) || !file.Write(svg.data(), svg.size()) || !file.Commit()) Fail(file.error());
}

int Inspect(const InspectFlags& flags) {
  Module module(flags.module, {.inspect_only = true, .cpu = flags.cpu});
  Facts facts = Collect(module, flags);
  if (!flags.memory.empty()) {
    uint32_t index = module.Find(flags.function).index;
    auto shown = std::find_if(facts.functions.begin(), facts.functions.end(),
                              [&](const FunctionFacts& row) { return row.function.index == index; });
    WritePicture(flags.memory, MemoryPicture(shown->function.name, shown->info, shown->transients));
    return kSuccess;
  }
  Print(flags.json ? ToJson(module, facts, flags.vm).dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                   : Text(module, facts));
  return kSuccess;
}

}  // namespace

int InspectMain(const std::vector<std::string>& arguments) {
  InspectFlags flags;
  CLI::App app;
  DescribeCommand(&app, "inspect",
                  "Shows a module's signature, sections, dispatches and memory plan. Runs nothing of it.", kExamples);
  app.add_option("MODULE", flags.module, "The module file (.eyr)")->required();
  app.add_option("--function", flags.function, "Shows only this function")->type_name("NAME");
  app.add_flag("--vm", flags.vm, "Also shows the bytecode of the functions");
  app.add_option("--memory", flags.memory, "Draws the memory plan: time from left to right, addresses upwards")
      ->type_name("FILE.svg");
  app.add_option("--cpu", flags.cpu, "Says what this one of the module's processors takes, not this machine")
      ->type_name("NAME");
  app.add_flag("--json", flags.json, "Prints JSON");
  return Parse(&app, arguments) ? kSuccess : Inspect(flags);
}

}  // namespace eyrie::cli
