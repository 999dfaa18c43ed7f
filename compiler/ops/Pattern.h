// Regular expressions.
#pragma once
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <vector>

namespace eyrie::ops {

/// The program (abi/pattern.h) that matches whole texts against a regular expression in the syntax of RE2
/// (https://github.com/google/re2/wiki/Syntax), in UTF-8. Unicode classes (\p) are not supported. An error says where.
llvm::Expected<std::vector<int64_t>> compilePattern(llvm::StringRef pattern);

} // namespace eyrie::ops
