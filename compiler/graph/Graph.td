// The graph dialect: what linalg on tensors lacks to describe a whole model.
#ifndef EYRIE_GRAPH_TD
#define EYRIE_GRAPH_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/OpBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/IR/RegionKindInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def GraphDialect : Dialect {
  let name = "graph";
  let cppNamespace = "::eyrie::graph";
  let summary = "Whole-model program: globals, reshapes, executables and their dispatches.";
  let useDefaultTypePrinterParser = 1;
}

def Graph_ListType : TypeDef<GraphDialect, "List"> {
  let mnemonic = "list";
  let summary = "A sequence of tensors of one element type; rank and sizes differ from element to element.";
  let description = [{
    A value that never changes, on the host. It goes through branches and loops as scalars do. `name` is the element
    type's in abi/element_types.def, which tells unsigned integers and strings from signed integers.

    Example: `!graph.list<i8, "u8">`
  }];
  let parameters = (ins "::mlir::Type":$elementType, StringRefParameter<"name in abi/element_types.def">:$name);
  let assemblyFormat = "`<` $elementType `,` $name `>`";
}

class Graph_Op<string mnemonic, list<Trait> traits = []> : Op<GraphDialect, mnemonic, traits>;

def Graph_GlobalOp : Graph_Op<"global", [Symbol]> {
  let summary = "A weight or other tensor that lives as long as the module.";
  let description = [{
    `value` is a dense_resource whose blob refers to the mapped model file (never a copy), or a dense attribute for
    small data. A global without a value is filled by the module's `@__initialize` function, which the compiler runs
    at compile time.

    Example: `graph.global @conv1.weight = dense<1.0> : tensor<2x2xf32> : tensor<2x2xf32>`
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttr:$type, OptionalAttr<ElementsAttr>:$value);
  let assemblyFormat = "$sym_name (`=` $value^)? attr-dict `:` $type";
  let hasVerifier = 1;
}

def Graph_LoadGlobalOp : Graph_Op<"load_global", [Pure]> {
  let summary = "The value of a global.";
  let description = "Example: `%w = graph.load_global @conv1.weight : tensor<2x2xf32>`";
  let arguments = (ins FlatSymbolRefAttr:$global);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$global attr-dict `:` type($result)";
}

def Graph_StoreGlobalOp : Graph_Op<"store_global"> {
  let summary = "Gives a global its value; only inside `@__initialize`.";
  let description = "Example: `graph.store_global @w.packed, %0 : tensor<2x2xf32>`";
  let arguments = (ins FlatSymbolRefAttr:$global, AnyRankedTensor:$value);
  let assemblyFormat = "$global `,` $value attr-dict `:` type($value)";
}

def Graph_ReshapeOp : Graph_Op<"reshape", [Pure,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "The same elements in the same row-major order under another shape; costs nothing.";
  let description = [{
    C1: both types have one element type, or one has elements of fewer than 8 bits and the other is its bytes (i8).
    C2: as many `dims` as the result has dynamic dimensions. C3: when both shapes are static, their element counts are
    equal. C4: or, with other elements, their bytes.

    Example: `%r = graph.reshape %x [%n] : tensor<?x4x2xf32> -> tensor<?x8xf32>`
  }];
  let arguments = (ins AnyRankedTensor:$source, Variadic<Index>:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$source (`[` $dims^ `]`)? attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
  let hasCanonicalizer = 1;
}

def Graph_SliceOp : Graph_Op<"slice", [Pure,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "Consecutive rows (along the first dimension) of a tensor, beginning at `offset`; costs nothing.";
  let description = [{
    The rows must exist. `dims` are the result's dynamic dimensions.
    C1: source and result have one element type and rank, at least 1. C2: as many `dims` as dynamic dimensions.

    Example: `%r = graph.slice %x[%i] : tensor<8x4xf32> -> tensor<1x4xf32>`
  }];
  let arguments = (ins AnyRankedTensor:$source, Index:$offset, Variadic<Index>:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$source `[` $offset `]` (`sizes` `(` $dims^ `)`)? attr-dict `:` type($source) `->` type($result)";
  let hasVerifier = 1;
}

def Graph_UpdateOp : Graph_Op<"update", [Pure, AllTypesMatch<["dest", "result"]>]> {
  let summary = "`dest` with consecutive rows (along the first dimension), beginning at `offset`, replaced by `part`.";
  let description = [{
    The rows must exist. Written in place where nothing reads the old tensor afterwards.
    C1: dest and part have one element type and rank, at least 1.

    Example: `%r = graph.update %y, %row at %i : tensor<8x4xf32>, tensor<1x4xf32>`
  }];
  let arguments = (ins AnyRankedTensor:$dest, AnyRankedTensor:$part, Index:$offset);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$dest `,` $part `at` $offset attr-dict `:` type($dest) `,` type($part)";
  let hasVerifier = 1;
}

def Graph_AppendOp : Graph_Op<"append", [Pure,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "The rows (along the first dimension) of `dest`, then those of `part`: written behind them, in place.";
  let description = [{
    `dest` is a state of the function; the rows that it has stay as they are. `dims` are the result's dynamic dimensions.
    C1: dest, part and result have one element type and rank, at least 1. C2: as many `dims` as dynamic dimensions.

    Example: `%r = graph.append %cache, %row sizes(%n) : tensor<?x4xf32>, tensor<1x4xf32> -> tensor<?x4xf32>`
  }];
  let arguments = (ins AnyRankedTensor:$dest, AnyRankedTensor:$part, Variadic<Index>:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = [{
    $dest `,` $part (`sizes` `(` $dims^ `)`)? attr-dict `:` type($dest) `,` type($part) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Graph_ReadScalarOp : Graph_Op<"read_scalar"> {
  let summary = "Reads one element of a tensor on the host; waits for the device.";
  let description = "Example: `%c = graph.read_scalar %t[%i] : tensor<4xi1>`. Integers and booleans only.";
  let arguments = (ins AnyRankedTensor:$source, Variadic<Index>:$indices);
  let results = (outs AnySignlessInteger:$result);
  let assemblyFormat = "$source `[` $indices `]` attr-dict `:` type($source) `->` type($result)";
}

//===- sequences ----------------------------------------------------------------------------------------------------===
// Positions count from 0 and are checked when the program runs.

def Graph_ListEmptyOp : Graph_Op<"list_empty", [Pure]> {
  let summary = "The sequence without elements.";
  let description = "Example: `%l = graph.list_empty : !graph.list<f32, \"f32\">`";
  let results = (outs Graph_ListType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Graph_ListSizeOp : Graph_Op<"list_size", [Pure]> {
  let summary = "The number of elements.";
  let description = "Example: `%n = graph.list_size %l : !graph.list<f32, \"f32\">`";
  let arguments = (ins Graph_ListType:$list);
  let results = (outs Index:$result);
  let assemblyFormat = "$list attr-dict `:` type($list)";
}

def Graph_ListDimOp : Graph_Op<"list_dim", [NoMemoryEffect]> {
  let summary = "The size of a dimension of an element.";
  let description = "Example: `%d = graph.list_dim %l[%i] 1 : !graph.list<f32, \"f32\">`";
  let arguments = (ins Graph_ListType:$list, Index:$position, I64Attr:$dim);
  let results = (outs Index:$result);
  let assemblyFormat = "$list `[` $position `]` $dim attr-dict `:` type($list)";
}

def Graph_ListGetOp : Graph_Op<"list_get", [NoMemoryEffect,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "An element, which must have the result's rank and sizes; costs nothing.";
  let description = [{
    C1: the list's element type is the tensor's. C2: as many `dims` as the result has dynamic dimensions.

    Example: `%t = graph.list_get %l[%i] sizes(%d) : !graph.list<f32, "f32"> -> tensor<?x8xf32>`
  }];
  let arguments = (ins Graph_ListType:$list, Index:$position, Variadic<Index>:$dims);
  let results = (outs AnyRankedTensor:$result);
  let assemblyFormat = "$list `[` $position `]` (`sizes` `(` $dims^ `)`)? attr-dict `:` type($list) `->` type($result)";
  let hasVerifier = 1;
}

def Graph_ListInsertOp : Graph_Op<"list_insert", [NoMemoryEffect, AllTypesMatch<["list", "result"]>]> {
  let summary = "The sequence with a tensor put before an element; the tensor is shared, not copied.";
  let description = [{
    C1: the list's element type is the tensor's.

    Example: `%m = graph.list_insert %l[%i], %t : !graph.list<f32, "f32">, tensor<?x8xf32>`
  }];
  let arguments = (ins Graph_ListType:$list, Index:$position, AnyRankedTensor:$tensor);
  let results = (outs Graph_ListType:$result);
  let assemblyFormat = "$list `[` $position `]` `,` $tensor attr-dict `:` type($list) `,` type($tensor)";
  let hasVerifier = 1;
}

def Graph_ListTakeOp : Graph_Op<"list_take", [NoMemoryEffect, AllTypesMatch<["list", "other", "result"]>]> {
  let summary = "The sequence with an element of another one put before an element.";
  let description = "Example: `%m = graph.list_take %l[%i], %other[%j] : !graph.list<f32, \"f32\">`";
  let arguments = (ins Graph_ListType:$list, Index:$position, Graph_ListType:$other, Index:$taken);
  let results = (outs Graph_ListType:$result);
  let assemblyFormat = "$list `[` $position `]` `,` $other `[` $taken `]` attr-dict `:` type($list)";
}

def Graph_ListEraseOp : Graph_Op<"list_erase", [NoMemoryEffect, AllTypesMatch<["list", "result"]>]> {
  let summary = "The sequence without an element.";
  let description = "Example: `%m = graph.list_erase %l[%i] : !graph.list<f32, \"f32\">`";
  let arguments = (ins Graph_ListType:$list, Index:$position);
  let results = (outs Graph_ListType:$result);
  let assemblyFormat = "$list `[` $position `]` attr-dict `:` type($list)";
}

//===- the host -----------------------------------------------------------------------------------------------------===

def Graph_HostCallOp : Graph_Op<"host_call", [NoMemoryEffect, AttrSizedOperandSegments,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "Calls a function of the host: one of the runtime's own, or the caller's; waits for the device.";
  let description = [{
    A function of its inputs: it may be left out where nobody needs its results, and equal calls may become one. It is
    never run at compile time. `types` are the element types of inputs and results by their names in
    abi/element_types.def; `config` holds integers, floats, strings and arrays of one of them. `dims` are the results'
    dynamic dimensions.
    C1: as many `dims` as the results have dynamic dimensions. C2: `types` names one type for each tensor, which has it.

    Example: `%r = graph.host_call "text.lower"(%x) sizes(%n) {config = {}, types = ["string", "string"]}
       : (tensor<?xi64>) -> tensor<?xi64>`
  }];
  let arguments = (ins StrAttr:$callee, Variadic<AnyRankedTensor>:$inputs, Variadic<Index>:$dims, StrArrayAttr:$types,
                       DictionaryAttr:$config);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    $callee `(` $inputs `)` (`sizes` `(` $dims^ `)`)? attr-dict `:` functional-type($inputs, $results)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    ::llvm::SmallVector<::mlir::OpFoldResult> getResultSizes(unsigned i);
  }];
}

//===- executables --------------------------------------------------------------------------------------------------===

def Graph_ExecutableOp : Graph_Op<"executable", [IsolatedFromAbove, SymbolTable, Symbol, NoTerminator,
    SingleBlock]> {
  let summary = "One kernel: a function on tensors and, once a target has compiled it, its code.";
  let description = [{
    Holds `func.func @<name>` on tensors and index scalars (attributes `graph.arg_dims` and `graph.result_dims` say
    which scalar holds each dynamic dimension). A target adds its code, the attributes `target` and `variants`
    (Variants.h), and functions that count the workgroups of each variant.
  }];
  let arguments = (ins SymbolNameAttr:$sym_name);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name attr-dict-with-keyword $body";
  let skipDefaultBuilders = 1;
  let builders = [OpBuilder<(ins "::llvm::StringRef":$name)>];
}

def Graph_DispatchOp : Graph_Op<"dispatch", [Pure,
    DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>]> {
  let summary = "Runs an executable on tensors; index operands are its push constants.";
  let description = [{
    C1: tensors come before index operands. C2: `arg_dims` and `result_dims` name, for every dynamic dimension of every
    tensor, the index operand that holds it.

    Example: `%r = graph.dispatch @add_0(%a, %b, %n) {arg_dims = [[0], []], result_dims = [[0]]}
       : (tensor<?x8xf32>, tensor<8xf32>, index) -> tensor<?x8xf32>`
  }];
  let arguments = (ins FlatSymbolRefAttr:$executable, Variadic<AnyType>:$operands, ArrayAttr:$arg_dims,
                       ArrayAttr:$result_dims);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = "$executable `(` $operands `)` attr-dict `:` functional-type($operands, $results)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    unsigned getNumTensorOperands();
    ::mlir::OperandRange getTensors() { return getOperands().take_front(getNumTensorOperands()); }
    ::mlir::OperandRange getConstants() { return getOperands().drop_front(getNumTensorOperands()); }
    /// The sizes of tensor operand / result `i`, static ones as attributes.
    ::llvm::SmallVector<::mlir::OpFoldResult> getOperandSizes(unsigned i);
    ::llvm::SmallVector<::mlir::OpFoldResult> getResultSizes(unsigned i);
  }];
}

#endif
