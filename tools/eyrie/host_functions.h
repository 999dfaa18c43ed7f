// What a module tells of the functions of the host that it calls.
#ifndef EYRIE_TOOLS_EYRIE_HOST_FUNCTIONS_H_
#define EYRIE_TOOLS_EYRIE_HOST_FUNCTIONS_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/eyrie/module.h"

namespace eyrie::cli {

// Rows of a table: name, "f32[2], i64[1] -> f32[1]" with ranks, attributes, node. Empty if the module calls none.
std::vector<std::vector<std::string>> HostFunctionRows(const Module& module);
nlohmann::ordered_json HostFunctionsJson(const Module& module);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_HOST_FUNCTIONS_H_
