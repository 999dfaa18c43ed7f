#include "tools/eyrie/host_functions.h"

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

struct HostFunction {
  eyrie_host_function_info_t info;
  std::vector<eyrie_attribute_t> attributes;
};

std::vector<HostFunction> Collect(const Module& module) {
  std::vector<HostFunction> functions;
  for (uint32_t i = 0;; ++i) {
    HostFunction function = {};
    if (eyrie_status_t status = eyrie_module_host_function(module.get(), i, &function.info))
      return eyrie_status_free(status), functions;
    function.attributes.resize(function.info.attribute_count);
    for (uint32_t k = 0; k < function.info.attribute_count; ++k)
      Check(eyrie_module_host_attribute(module.get(), i, k, &function.attributes[k]), "");
    functions.push_back(std::move(function));
  }
}

const char* TypeName(uint8_t type) {
  const char* name = eyrie_type_name(type);
  return name ? name : "?";
}

std::string TensorsText(const eyrie_host_function_info_t& info, uint32_t begin, uint32_t end) {
  std::string text;
  for (uint32_t i = begin; i < end; ++i)
    text +=
        (i > begin ? ", " : "") + std::string(TypeName(info.types[i])) + " of rank " + std::to_string(info.ranks[i]);
  return text;
}

Json TensorsJson(const eyrie_host_function_info_t& info, uint32_t begin, uint32_t end) {
  Json json = Json::array();
  for (uint32_t i = begin; i < end; ++i) json.push_back({{"type", TypeName(info.types[i])}, {"rank", info.ranks[i]}});
  return json;
}

Json ValueJson(const eyrie_attribute_t& attribute) {
  Json list = Json::array();
  for (size_t i = 0; i < attribute.count; ++i) {
    if (attribute.integers) {
      list.push_back(attribute.integers[i]);
    } else if (attribute.numbers) {
      list.push_back(attribute.numbers[i]);
    } else {
      eyrie_string_t text = eyrie_attribute_string(&attribute, i);
      list.push_back(std::string(text.data, text.size));
    }
  }
  return attribute.is_list || list.empty() ? list : list[0];
}

std::string AttributesText(const HostFunction& function) {
  std::string text;
  for (const eyrie_attribute_t& attribute : function.attributes) {
    std::string value = ValueJson(attribute).dump(-1, ' ', false, Json::error_handler_t::replace);
    text += (text.empty() ? "" : " ") + Printable(attribute.name) + "=" + Printable(value);
  }
  return text.empty() ? "-" : text;
}

}  // namespace

std::vector<std::vector<std::string>> HostFunctionRows(const Module& module) {
  std::vector<std::vector<std::string>> rows;
  for (const HostFunction& function : Collect(module)) {
    const eyrie_host_function_info_t& info = function.info;
    uint32_t count = info.input_count + info.output_count;
    rows.push_back({Printable(info.name), info.is_built_in ? "the runtime's" : "the caller's",
                    TensorsText(info, 0, info.input_count) + " -> " + TensorsText(info, info.input_count, count),
                    AttributesText(function), info.node ? Printable(info.node) : "-"});
  }
  return rows;
}

Json HostFunctionsJson(const Module& module) {
  Json json = Json::array();
  for (const HostFunction& function : Collect(module)) {
    const eyrie_host_function_info_t& info = function.info;
    Json attributes = Json::object();
    for (const eyrie_attribute_t& attribute : function.attributes) attributes[attribute.name] = ValueJson(attribute);
    json.push_back({{"name", info.name},
                    {"inputs", TensorsJson(info, 0, info.input_count)},
                    {"outputs", TensorsJson(info, info.input_count, info.input_count + info.output_count)},
                    {"attributes", attributes},
                    {"built_in", info.is_built_in != 0},
                    {"node", info.node ? Json(info.node) : Json(nullptr)}});
  }
  return json;
}

}  // namespace eyrie::cli
