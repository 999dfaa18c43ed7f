#include "tools/eyrie/module.h"

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

Value ValueOf(const eyrie_value_info_t& info) {
  std::vector<std::string> labels;
  for (const char* at = info.labels; at != nullptr && *at != 0; at += labels.back().size() + 1) labels.push_back(at);
  return {info.name,
          info.type,
          {info.dims, info.dims + info.rank},
          info.is_sequence != 0,
          info.any_rank != 0,
          info.is_optional != 0,
          std::move(labels)};
}

}  // namespace

void Check(eyrie_status_t status, const std::string& context) {
  if (status == nullptr) return;
  bool bug = eyrie_status_code(status) == EYRIE_INTERNAL;
  std::string message = context + eyrie_status_message(status);
  eyrie_status_free(status);
  throw Failure{bug ? kBug : kFailed, std::move(message)};
}

Value ElementOf(const Value& sequence, uint64_t index) {
  Value element = sequence;
  element.name += "." + std::to_string(index);
  element.is_sequence = element.is_optional = false;
  return element;
}

std::string TypeText(const Value& value) {
  std::string text = value.is_optional ? "optional " : "";
  if (value.is_sequence) text += "sequence of ";
  for (const eyrie_dim_t& dim : value.dims) {
    text += dim.size >= 0 ? std::to_string(dim.size) : dim.symbol && *dim.symbol ? Printable(dim.symbol) : "?";
    text += "x";
  }
  const char* name = eyrie_type_name(value.type);
  return text + (name ? name : "?") + (value.any_rank && !value.is_sequence ? " of any rank" : "");
}

std::string TypeText(uint32_t type, const std::vector<int64_t>& shape) {
  Value value{"", type, {}};
  for (int64_t dim : shape) value.dims.push_back({dim, nullptr});
  return TypeText(value);
}

std::string LabelsText(const std::vector<std::string>& labels) {
  constexpr size_t kMost = 12;
  std::string text;
  for (size_t i = 0; i < std::min(labels.size(), kMost); ++i) text += (i ? ", " : "") + Printable(labels[i]);
  return labels.size() > kMost ? text + ", ... (" + std::to_string(labels.size()) + ")" : text;
}

void Module::OpenParameters(const std::vector<std::string>& paths) {
  for (const std::string& text : paths) {
    for (size_t begin = 0, end; begin <= text.size(); begin = end + 1) {
      end = std::min(text.find(',', begin), text.size());
      std::string path = text.substr(begin, end - begin);
      if (path.empty()) FailUsage("--parameters '" + text + "': expected files with commas between");
      eyrie_parameters_t* file = nullptr;
      Check(eyrie_parameters_open(runtime_, path.c_str(), nullptr, &file), "");
      files_.push_back(file);
    }
  }
}

Module::Module(const std::string& path, const LoadOptions& load) : path_(path) {
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.threads = load.threads;
  options.low_latency = load.low_latency;
  Check(eyrie_runtime_create(&options, &runtime_), "cannot start the runtime: ");
  eyrie_module_options_t module_options = {};
  module_options.struct_size = sizeof(module_options);
  module_options.inspect_only = load.inspect_only;
  module_options.cpu = load.cpu.c_str();
  eyrie_status_t status = nullptr;
  try {
    for (const std::string& plugin : load.plugins) Check(eyrie_runtime_add_plugin(runtime_, plugin.c_str()), "");
    OpenParameters(load.parameters);
    module_options.parameters = files_.data();
    module_options.parameter_count = files_.size();
    status = eyrie_module_load_file(runtime_, path.c_str(), &module_options, &module_);
  } catch (...) {
    Close();
    throw;
  }
  if (status == nullptr) return;
  Close();
  // The runtime's own messages name the file already.
  bool named = std::string(eyrie_status_message(status)).find(path) != std::string::npos;
  Check(status, named ? "" : "cannot load '" + path + "': ");
}

void Module::Close() {
  eyrie_module_destroy(module_);
  for (eyrie_parameters_t* file : files_) eyrie_parameters_destroy(file);
  eyrie_runtime_destroy(runtime_);
}

std::vector<Module::Parameter> Module::Parameters() const {
  std::vector<Parameter> parameters;
  std::vector<std::vector<uint32_t>> sources;
  eyrie_module_parameter_t info = {};
  for (uint32_t i = 0;; ++i) {
    eyrie_status_t status = eyrie_module_parameter(module_, i, &info);
    if (status != nullptr) {
      eyrie_status_free(status);
      break;
    }
    parameters.push_back({ValueOf(info.value), info.size_bytes, info.is_derived != 0, info.is_fixed != 0, {}});
    sources.emplace_back(info.source_count);
    for (uint32_t k = 0; k < info.source_count; ++k)
      Check(eyrie_module_parameter_source(module_, i, k, &sources.back()[k]), "");
  }
  for (size_t i = 0; i < parameters.size(); ++i)
    for (uint32_t source : sources[i]) parameters[i].sources.push_back(parameters[source].value.name);
  return parameters;
}

Function Module::Find(const std::string& name) const {
  uint32_t index = 0;
  Check(eyrie_module_find(module_, name.c_str(), &index), "");
  return At(index);
}

Function Module::At(uint32_t index) const {
  eyrie_function_info_t info = {};
  Check(eyrie_module_function(module_, index, &info), "");
  Function function{index, info.name, {}, {}};
  eyrie_value_info_t value = {};
  for (uint32_t i = 0; i < info.argument_count; ++i) {
    Check(eyrie_module_argument(module_, index, i, &value), "");
    function.inputs.push_back(ValueOf(value));
  }
  for (uint32_t i = 0; i < info.result_count; ++i) {
    Check(eyrie_module_result(module_, index, i, &value), "");
    function.outputs.push_back(ValueOf(value));
  }
  return function;
}

std::vector<Value> Module::States() const {
  std::vector<Value> states;
  eyrie_value_info_t value = {};
  for (uint32_t i = 0;; ++i) {
    eyrie_status_t status = eyrie_module_state(module_, i, &value);
    if (status != nullptr) return eyrie_status_free(status), states;
    states.push_back(ValueOf(value));
  }
}

uint32_t ThreadCount(int64_t flag) {
  if (flag < 0 || flag > 1024) FailUsage("--threads cannot be " + std::to_string(flag) + ": expected 0 to 1024");
  return flag == 0 ? EYRIE_THREADS_AUTO : static_cast<uint32_t>(flag);
}

}  // namespace eyrie::cli
