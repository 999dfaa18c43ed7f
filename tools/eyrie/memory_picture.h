// A function's memory plan as a picture.
#ifndef EYRIE_TOOLS_EYRIE_MEMORY_PICTURE_H_
#define EYRIE_TOOLS_EYRIE_MEMORY_PICTURE_H_

#include <eyrie/runtime.h>

#include <string>
#include <vector>

namespace eyrie::cli {

// An SVG document: time (commands in program order) from left to right, addresses upwards, one box for each transient
// tensor under the name of the model's node that writes it, lines at the arena's end and at the lower bound. Fails if
// sizes are known only at run time.
std::string MemoryPicture(const std::string& function, const eyrie_function_info_t& info,
                          const std::vector<eyrie_transient_info_t>& transients);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_MEMORY_PICTURE_H_
