// Operators that a function of the caller computes when the model runs, as `--host-op` describes them:
//   my.domain::Op(T[..., n, k], i64[k]) -> T[..., 2*n], i64[?]
#pragma once
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace eyrie::import::onnx {

/// A size: a number, a name, or a sum, difference, product or quotient (rounded down, by a positive number) of sizes.
struct HostSize {
  enum class Kind {
    Number,
    Name,
    Add,
    Subtract,
    Multiply,
    Divide,
    Unknown, // "?": of an input any; of an output what the function `NAME.sizes` says
    Rest,    // "...": any number of sizes, the same wherever it stands
  };
  Kind kind = Kind::Number;
  int64_t number = 0;
  std::string name;
  std::vector<HostSize> operands; // two, or none

  std::string str() const;
};

struct HostTensor {
  std::string type; // as in abi/element_types.def, or the name of a type that stands for any: T, T1
  std::vector<HostSize> sizes;

  bool isAnyType() const { return type.front() >= 'A' && type.front() <= 'Z'; }
  std::string str() const;
};

struct HostOp {
  std::string text; // the whole
  std::string domain, name;
  std::vector<HostTensor> inputs, outputs;

  /// The function that computes it; the one that says the sizes "?" of its outputs has ".sizes" behind it.
  std::string callee() const { return domain + "::" + name; }
};

/// Reads a signature. Names of sizes and types in outputs stand in inputs too, each size as one on its own. The error
/// says where, what was expected and what was found.
llvm::Expected<HostOp> parseHostOp(llvm::StringRef text);

} // namespace eyrie::import::onnx
