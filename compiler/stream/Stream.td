// The stream dialect: the host program of a model, on resources with a lifetime instead of tensors.
#ifndef EYRIE_STREAM_TD
#define EYRIE_STREAM_TD

include "mlir/IR/OpBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def StreamDialect : Dialect {
  let name = "stream";
  let cppNamespace = "::eyrie::stream";
  let summary = "Host programs: memory with a lifetime and the commands that work on it.";
  let useDefaultTypePrinterParser = 1;
}

def Stream_Lifetime : I32EnumAttr<"Lifetime", "who owns a resource and for how long", [
    I32EnumAttrCase<"Constant", 0, "constant">,      // the module's weights
    I32EnumAttrCase<"External", 1, "external">,      // an argument or a result of the call
    I32EnumAttrCase<"Transient", 2, "transient">,    // the call's arena, or a part of it that is not placed yet
    I32EnumAttrCase<"Variable", 3, "variable">]> {   // state that outlives the call
  let cppNamespace = "::eyrie::stream";
  let genSpecializedAttr = 0;
}

def Stream_ResourceType : TypeDef<StreamDialect, "Resource"> {
  let mnemonic = "resource";
  let summary = "Bytes without a shape.";
  let parameters = (ins EnumParameter<Stream_Lifetime>:$lifetime);
  let assemblyFormat = "`<` $lifetime `>`";
}

class Stream_Op<string mnemonic, list<Trait> traits = []> : Op<StreamDialect, mnemonic, traits>;

//===- resources ----------------------------------------------------------------------------------------------------===

def Stream_ImportOp : Stream_Op<"import", [Pure]> {
  let summary = "The bytes of a function argument: read-only, unless it is a state.";
  let description = "Example: `%r = stream.import %x : tensor<?x8xf32> -> !stream.resource<external>`";
  let arguments = (ins AnyRankedTensor:$source);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
}

def Stream_ConstantsOp : Stream_Op<"constants", [Pure]> {
  let summary = "The module's weights section; read-only. Where each global lies in it is its `stream.offset`.";
  let description = "Example: `%w = stream.constants : !stream.resource<constant>`";
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "attr-dict `:` type($result)";
}

def Stream_ParameterOp : Stream_Op<"parameter", [Pure]> {
  let summary = "A tensor outside the module, or one derived from such when it is loaded; read-only.";
  let description = "Example: `%w = stream.parameter @conv1.weight : !stream.resource<constant>`";
  let arguments = (ins FlatSymbolRefAttr:$global);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$global attr-dict `:` type($result)";
}

def Stream_ShareOp : Stream_Op<"share", [Pure]> {
  let summary = "An argument or the constants as a resource that control flow can hand on in place of a block.";
  let description = "Example: `%s = stream.share %x : !stream.resource<external> -> !stream.resource<transient>`";
  let arguments = (ins Stream_ResourceType:$source);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$source attr-dict `:` type($source) `->` type($result)";
}

def Stream_OutputOp : Stream_Op<"output"> {
  let summary = "Allocates a result of the function; `sizes` are all dimensions of its type.";
  let description = [{
    At most once for each result.

    Example: `%r = stream.output 0[%n, %c8] : !stream.resource<external>`
  }];
  let arguments = (ins I64Attr:$index, Variadic<Index>:$sizes);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$index `[` $sizes `]` attr-dict `:` type($result)";
}

def Stream_AllocOp : Stream_Op<"alloc"> {
  let summary = "One transient tensor of `bytes` bytes, not yet placed in the arena.";
  let description = [{
    `name` is the model's node that writes it. `stream-plan-memory` replaces every one of them by the arena.

    Example: `%t = stream.alloc %bytes {name = "conv1"} : !stream.resource<transient>`
  }];
  let arguments = (ins Index:$bytes, DefaultValuedAttr<StrAttr, "\"\"">:$name);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$bytes attr-dict `:` type($result)";
}

def Stream_BlockOp : Stream_Op<"block"> {
  let summary = "One transient tensor with memory of its own, given back when nothing refers to it any more.";
  let description = [{
    For sizes that are known only while the program runs and for tensors that control flow hands on.

    Example: `%b = stream.block %bytes : !stream.resource<transient>`
  }];
  let arguments = (ins Index:$bytes);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$bytes attr-dict `:` type($result)";
}

def Stream_ExtendOp : Stream_Op<"extend", [NoMemoryEffect]> {
  let summary = "At least `bytes` bytes that begin with the first `used` of `source`: the same memory if it has room.";
  let description = [{
    What lies behind `used` is undefined, and only one extension of a resource may be written there.

    Example: `%r = stream.extend %state keep %used to %bytes : !stream.resource<external> -> !stream.resource<transient>`
  }];
  let arguments = (ins Stream_ResourceType:$source, Index:$used, Index:$bytes);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$source `keep` $used `to` $bytes attr-dict `:` type($source) `->` type($result)";
}

def Stream_StoreStateOp : Stream_Op<"store_state"> {
  let summary = "The tensor at the begin of a block becomes the value of a state when the call has ended well.";
  let description = [{
    `sizes` are all dimensions, as the state lies in memory.

    Example: `stream.store_state "cache", %r[%n, %c8] : !stream.resource<transient>`
  }];
  let arguments = (ins StrAttr:$state, Stream_ResourceType:$resource, Variadic<Index>:$sizes);
  let assemblyFormat = "$state `,` $resource `[` $sizes `]` attr-dict `:` type($resource)";
}

def Stream_ArenaOp : Stream_Op<"arena"> {
  let summary = "The call's transient memory, at least `bytes` bytes, 64-byte aligned; at most once in a function.";
  let description = "Example: `%a = stream.arena %bytes : !stream.resource<transient>`";
  let arguments = (ins Index:$bytes);
  let results = (outs Stream_ResourceType:$result);
  let assemblyFormat = "$bytes attr-dict `:` type($result)";
}

def Stream_PackOp : Stream_Op<"pack", [Pure]> {
  let summary = "Places tensors whose sizes are known only at run time in one arena.";
  let description = [{
    Tensors whose lives (steps `first` to `last`, both included) overlap share no byte; offsets are multiples of 64.
    C1: as many offsets, first and last steps as sizes.

    Example: `%total, %o:2 = stream.pack %a, %b first [0, 1] last [1, 2] : index, index`
  }];
  let arguments = (ins Variadic<Index>:$sizes, DenseI64ArrayAttr:$first, DenseI64ArrayAttr:$last);
  let results = (outs Index:$total, Variadic<Index>:$offsets);
  let assemblyFormat = "$sizes `first` $first `last` $last attr-dict `:` type($offsets)";
  let hasVerifier = 1;
}

//===- commands -----------------------------------------------------------------------------------------------------===

def Stream_DispatchOp : Stream_Op<"dispatch", [AttrSizedOperandSegments]> {
  let summary = "Records a run of an executable.";
  let description = [{
    The bindings are the executable's tensors: `ins` are only read, `outs` only written. No byte of an `outs` lies in
    another binding. `workgroups` is empty until `vm-inline-workgroups` fills it in.
    C1: as many resources as offsets and lengths. C2: `reads` is at most the number of bindings.
    C3: none or three workgroup counts.

    Example: `stream.dispatch @add_0 (%n) ins(%a[%c0 for %len]) outs(%b[%c64 for %len])
       : !stream.resource<external>, !stream.resource<transient>`
  }];
  let arguments = (ins FlatSymbolRefAttr:$executable, Variadic<Index>:$workgroups, Variadic<Index>:$constants,
                       Variadic<Stream_ResourceType>:$resources, Variadic<Index>:$offsets, Variadic<Index>:$lengths,
                       I64Attr:$reads);
  let assemblyFormat = [{
    $executable (`workgroups` `(` $workgroups^ `)`)? `(` $constants `)`
    custom<Bindings>($resources, type($resources), $offsets, $lengths, $reads) attr-dict
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    bool isWrite(unsigned binding) { return static_cast<int64_t>(binding) >= static_cast<int64_t>(getReads()); }
  }];
}

def Stream_VariantOp : Stream_Op<"variant", [Pure]> {
  let summary = "Which of an executable's variants was loaded: its place in their list.";
  let description = "Example: `%v = stream.variant @add_0`";
  let arguments = (ins FlatSymbolRefAttr:$executable);
  let results = (outs Index:$result);
  let assemblyFormat = "$executable attr-dict";
}

def Stream_CopyOp : Stream_Op<"copy"> {
  let summary = "Records a copy of bytes between ranges that do not overlap.";
  let description = [{
    Example: `stream.copy %a[%o1], %b[%o2] for %length : !stream.resource<external>, !stream.resource<transient>`
  }];
  let arguments = (ins Stream_ResourceType:$source, Index:$source_offset, Stream_ResourceType:$target,
                       Index:$target_offset, Index:$length);
  let assemblyFormat = [{
    $source `[` $source_offset `]` `,` $target `[` $target_offset `]` `for` $length attr-dict
    `:` type($source) `,` type($target)
  }];
}

def Stream_FillOp : Stream_Op<"fill"> {
  let summary = "Records filling bytes with the low `width` bytes of `pattern`; `width` is 1, 2, 4 or 8.";
  let description = "Example: `stream.fill %a[%o for %length] with 0 width 4 : !stream.resource<transient>`";
  let arguments = (ins Stream_ResourceType:$target, Index:$offset, Index:$length, I64Attr:$pattern, I64Attr:$width);
  let assemblyFormat = [{
    $target `[` $offset `for` $length `]` `with` $pattern `width` $width attr-dict `:` type($target)
  }];
}

def Stream_BarrierOp : Stream_Op<"barrier"> {
  let summary = "Commands after it see what those before it wrote; commands without one in between may run together.";
  let description = "Example: `stream.barrier`";
  let assemblyFormat = "attr-dict";
}

def Stream_ReadScalarOp : Stream_Op<"read_scalar"> {
  let summary = "Runs all recorded commands, waits, and reads one integer at a byte offset.";
  let description = "Example: `%c = stream.read_scalar %a[%o] : !stream.resource<transient> -> i1`";
  let arguments = (ins Stream_ResourceType:$source, Index:$offset);
  let results = (outs AnySignlessInteger:$result);
  let assemblyFormat = "$source `[` $offset `]` attr-dict `:` type($source) `->` type($result)";
}

def Stream_HostCallOp : Stream_Op<"host_call", [AttrSizedOperandSegments]> {
  let summary = "Runs all recorded commands, waits, and calls a function of the host (graph.host_call).";
  let description = [{
    `sizes` are all dimensions of all tensors, `ranks` how many each has.
    C1: as many offsets, lengths, types and ranks as resources, and as many sizes as `ranks` add up to.

    Example: `stream.host_call "text.lower" sizes(%n, %n) ins(%a[%c0 for %len]) outs(%b[%c64 for %len])
       : !stream.resource<external>, !stream.resource<transient>
       {config = {}, ranks = array<i64: 1, 1>, types = ["string", "string"]}`
  }];
  let arguments = (ins StrAttr:$callee, Variadic<Index>:$sizes, Variadic<Stream_ResourceType>:$resources,
                       Variadic<Index>:$offsets, Variadic<Index>:$lengths, I64Attr:$reads, StrArrayAttr:$types,
                       DenseI64ArrayAttr:$ranks, DictionaryAttr:$config);
  let assemblyFormat = [{
    $callee `sizes` `(` $sizes `)`
    custom<Bindings>($resources, type($resources), $offsets, $lengths, $reads) attr-dict
  }];
  let hasVerifier = 1;
}

def Stream_ListGetOp : Stream_Op<"list_get", [NoMemoryEffect]> {
  let summary = "The memory of an element of a sequence, and the byte offset at which the element begins there.";
  let description = "Example: `%r, %o = stream.list_get %l[%i] : !graph.list<f32, \"f32\"> -> !stream.resource<transient>`";
  let arguments = (ins AnyType:$list, Index:$position);
  let results = (outs Stream_ResourceType:$result, Index:$offset);
  let assemblyFormat = "$list `[` $position `]` attr-dict `:` type($list) `->` type($result)";
}

def Stream_ListInsertOp : Stream_Op<"list_insert", [NoMemoryEffect, AllTypesMatch<["list", "result"]>]> {
  let summary = "A sequence with the tensor of these sizes, at a byte offset of a resource, put before an element.";
  let description = [{
    The resource is an argument, a constant or a block, and is not written to any more.

    Example: `%m = stream.list_insert %l[%i], %r[%o] sizes(%d) : !graph.list<f32, "f32">, !stream.resource<transient>`
  }];
  let arguments = (ins AnyType:$list, Index:$position, Stream_ResourceType:$resource, Index:$offset,
                       Variadic<Index>:$sizes);
  let results = (outs AnyType:$result);
  let assemblyFormat = [{
    $list `[` $position `]` `,` $resource `[` $offset `]` `sizes` `(` $sizes `)` attr-dict
    `:` type($list) `,` type($resource)
  }];
}

def Stream_ListResultOp : Stream_Op<"list_result"> {
  let summary = "Gives a result of the function that is a sequence.";
  let description = "Example: `stream.list_result 0, %l : !graph.list<f32, \"f32\">`";
  let arguments = (ins I64Attr:$index, AnyType:$list);
  let assemblyFormat = "$index `,` $list attr-dict `:` type($list)";
}

def Stream_ReturnOp : Stream_Op<"return", [Terminator]> {
  let summary = "Runs all recorded commands, waits, and ends the call; the results are the function's `stream.output`s.";
  let description = "Example: `stream.return`";
  let assemblyFormat = "attr-dict";
}

#endif
