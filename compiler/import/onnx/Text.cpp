#include "compiler/import/onnx/Text.h"
#include "llvm/ADT/StringExtras.h"

std::string eyrie::import::onnx::printable(llvm::StringRef name) {
  constexpr size_t kMost = 160;
  std::string text;
  auto append = [&](llvm::StringRef part) {
    for (unsigned char c : part) {
      if (c >= 0x20 && c != 0x7f)
        text += static_cast<char>(c);
      else
        text += std::string("\\x") + llvm::hexdigit(c >> 4) + llvm::hexdigit(c & 15);
    }
  };
  if (name.size() <= kMost) {
    append(name);
  } else {
    append(name.take_front(kMost / 2));
    text += "...";
    append(name.take_back(kMost / 2));
  }
  return text;
}

std::string eyrie::import::onnx::quote(llvm::StringRef name) { return "'" + printable(name) + "'"; }
