// Reads an ONNX model file and writes it as core IR (linalg on tensors; see the room's README).
#pragma once
#include "compiler/import/onnx/HostSignature.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace eyrie::import::onnx {

/// What is said of an open dimension that has a name (`--shape batch=1..64`): its sizes are multiples of `divisor` from
/// `least` to `most`. `values` are sizes that are worth code of their own (`--shape batch=1,8,64`).
struct SymbolRange {
  std::string name;
  int64_t least = 0, most = std::numeric_limits<int64_t>::max(), divisor = 1;
  std::vector<int64_t> values;
  bool isPromise() const { return least > 0 || most < std::numeric_limits<int64_t>::max() || divisor > 1; }
};

/// What is known of an input of a node when it is expanded.
struct ExpandInput {
  enum class Kind { Absent, Tensor, Sequence, Optional };
  Kind kind = Kind::Absent;
  int32_t type = 0; // of the elements, as TensorProto.DataType
  /// Sizes of the tensor or of a sequence's elements; nothing if their number is not known. -1: known only at run time.
  std::optional<std::vector<int64_t>> dims;
  /// The elements, if all are known and they are few, as in TensorProto.raw_data.
  std::optional<std::string> elements;
};

/// A node that is to be expanded.
struct ExpandNode {
  std::string place;   // its name, behind those of the nodes whose expansions it is in
  std::string message; // NodeProto, with references to attributes of functions resolved
  int64_t opset = 0;   // the version of the default domain that is in force here
  int64_t version = 0; // that of the operator's domain; 0: none is named
  std::vector<ExpandInput> inputs;
};

/// A FunctionProto, or an error. Neither: the node is imported as if nobody had been asked.
struct ExpandAnswer {
  std::optional<std::string> function, error;
};

/// Expands the nodes of one operator. It may be asked many times for one node, and must then answer the same.
struct Expander {
  std::string domain, name;
  std::function<ExpandAnswer(const ExpandNode &)> expand;
};

struct ImportOptions {
  /// Sizes of inputs by name (`--shape NAME=1x3x224x224`). They replace what the file leaves open; a name that two
  /// inputs share for a dimension takes the size everywhere.
  /// Or one size of such a name itself, if no input has it.
  std::vector<std::pair<std::string, std::vector<int64_t>>> shapes;
  std::vector<SymbolRange> ranges;
  /// Inputs and the outputs that are their values in the next call (`--state IN=OUT`): states of the module, which it
  /// keeps. A `*`, at most one on each side, stands for the same text on both.
  std::vector<std::pair<std::string, std::string>> states;
  /// The strings of models before this one in the module: theirs are numbered behind them.
  std::vector<std::string> texts;
  /// If not null, names in `shapes`, `ranges` and `states` (the input) that the model has not are no errors, because
  /// another one of the module may have them; those that it has are added.
  std::set<std::string> *found = nullptr;
  /// Whether weights become parameters (graph::kParameter): their values are not looked at, and may be others at run
  /// time. All other constants of the model are listed with their checksums (graph::kFixed).
  bool parameters = false;
  /// Files of functions that expand operators (`--functions FILE`): ModelProto or FunctionProto.
  std::vector<std::string> functions;
  /// Operators ("Gelu", "my.domain::Gelu") for which such functions go before the model's and the compiler's own.
  std::vector<std::string> overrides;
  /// Go before all of these.
  std::vector<Expander> expanders;
  /// Operators that functions of the caller compute (`--host-op`), whatever else is known of them. Of several for one
  /// operator a node takes the first that it fits.
  std::vector<HostOp> hostOps;
};

/// Imports the model at `path`: one module with a public `@main` and a `graph.global` for each weight that is used.
/// Any bytes are safe to give: what is wrong is reported to the context's diagnostic engine (file, node, what was
/// expected and found) and gives failure. All unsupported nodes are reported at once.
/// Warnings are emitted after an import without errors.
/// Weights refer to the mapped file, which stays mapped as long as `context` lives (its resources own the mapping).
/// Loads the dialects that it needs into `context`. Opens no file outside the model's folder.
mlir::FailureOr<mlir::OwningOpRef<mlir::ModuleOp>> importOnnx(mlir::MLIRContext &context, llvm::StringRef path,
                                                              const ImportOptions &options = {});

} // namespace eyrie::import::onnx
