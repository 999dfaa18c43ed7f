// The stream dialect (Stream.td) and the passes of the room.
#pragma once
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "compiler/stream/StreamDialect.h.inc"
#include "compiler/stream/StreamEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/stream/StreamTypes.h.inc"
#define GET_OP_CLASSES
#include "compiler/stream/StreamOps.h.inc"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/SetVector.h"

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace eyrie::stream {

/// On a graph.global that the program uses: its byte offset in the weights section (i64, a multiple of 64). Globals of
/// equal content share one offset.
inline constexpr llvm::StringLiteral kWeightOffset = "stream.offset";

/// On a function, after `stream-plan-memory`: a dictionary with `arena_bytes`, `lower_bound` (most bytes alive at one
/// time), `total_bytes` (sum of all transients), each -1 if known only at run time, and `transients`, an array of
/// dictionaries {name, offset, size, first_use, last_use}; `upper_bound`: the arena is never larger, whatever promised
/// sizes a call has, -1 if sizes are not bounded or the program makes blocks.
inline constexpr llvm::StringLiteral kMemoryPlan = "stream.memory_plan";

inline constexpr int64_t kAlignment = 64;

/// The name of the state that argument or result `i` is; null if it is the caller's.
mlir::StringAttr getStateOfArgument(mlir::func::FuncOp func, unsigned i);
mlir::StringAttr getStateOfResult(mlir::func::FuncOp func, unsigned i);
/// Its number among those of the caller.
unsigned getArgumentNumber(mlir::func::FuncOp func, unsigned i);
unsigned getResultNumber(mlir::func::FuncOp func, unsigned i);
/// The states of the module's functions, in the order of their numbers in the module file.
llvm::SetVector<mlir::StringAttr> getStates(mlir::ModuleOp module);

/// Whether the global is outside the module (graph::kParameter) or derived from such (graph::kDerivedBy).
bool isParameter(mlir::Operation *global);
/// Those of the module, in the order of their numbers in the module file, which follow those of the states.
llvm::SetVector<mlir::StringAttr> getParameters(mlir::ModuleOp module);

/// Bytes of one tensor type's elements as modules store them: dense, packed below 8 bits, booleans one to a byte.
/// Returns the bits of one element, or 0 for a type that cannot be stored.
int64_t getStoredBits(mlir::Type elementType);

/// graph.dispatch & co. -> resources and commands -> barriers -> one planned arena.
void buildStreamPipeline(mlir::OpPassManager &pm);
void registerStreamPasses();
void registerStreamDialect(mlir::DialectRegistry &registry);

std::unique_ptr<mlir::Pass> createConvertGraphPass();
std::unique_ptr<mlir::Pass> createSchedulePass();
std::unique_ptr<mlir::Pass> createPlanMemoryPass();

} // namespace eyrie::stream
