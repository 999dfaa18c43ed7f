// How names from a file, which may hold anything, are shown to a person.
#pragma once
#include "llvm/ADT/StringRef.h"
#include <string>

namespace eyrie::import::onnx {

/// 'name', with unprintable bytes as \xNN and the middle of long names left out.
std::string quote(llvm::StringRef name);
/// The same without the quotation marks.
std::string printable(llvm::StringRef name);

} // namespace eyrie::import::onnx
