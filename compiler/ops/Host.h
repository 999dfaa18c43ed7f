// Operations that functions of the host compute: those of the runtime on strings, and the caller's.
#pragma once
#include "compiler/ops/Ops.h"

namespace eyrie::ops {

/// What a host function gives.
struct HostResult {
  mlir::Type elementType;
  bool isUnsigned = false, isString = false;
  Dims shape;
};
/// Calls a host function; `config` is graph.host_call's.
SmallVector<Tensor> hostCall(Builder &b, llvm::StringRef callee, ArrayRef<Tensor> inputs, ArrayRef<HostResult> results,
                             ArrayRef<mlir::NamedAttribute> config = {});

// Of tensors of strings.
FailureOr<Tensor> concatStrings(Builder &b, const Tensor &x, const Tensor &y);
enum class Case { Same, Lower, Upper };
Tensor changeCase(Builder &b, const Tensor &x, Case to);
struct SplitAttrs {
  std::string delimiter;       // empty: white space
  std::optional<int64_t> most; // times
};
/// The parts of each string along a new last dimension, empty strings behind them; and their numbers.
FailureOr<SmallVector<Tensor>> splitStrings(Builder &b, const Tensor &x, const SplitAttrs &attrs);
/// Whether each string is matched as a whole by a regular expression in RE2's syntax.
FailureOr<Tensor> matchStrings(Builder &b, const Tensor &x, llvm::StringRef pattern);
FailureOr<Tensor> stringsToNumbers(Builder &b, const Tensor &x, mlir::Type elementType, bool isUnsigned);
FailureOr<Tensor> numbersToStrings(Builder &b, const Tensor &x);
/// The strings [C] or [1, C] that are none of `stops`, in another case; one empty string if there are none. With
/// `isSensitive` stops are compared as the strings are written, else by their lower case.
struct NormalizeAttrs {
  Case to = Case::Same;
  bool isSensitive = false;
  SmallVector<int64_t> stops; // ids; in lower case unless isSensitive
};
FailureOr<Tensor> normalizeStrings(Builder &b, const Tensor &x, const NormalizeAttrs &attrs);

} // namespace eyrie::ops
