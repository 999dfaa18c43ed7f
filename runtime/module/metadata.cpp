#include "runtime/module/metadata.h"

#include <cstring>

#include "abi/element_types.h"
#include "abi/module_format.h"
#include "runtime/base/checked.h"

namespace eyrie::rt::module {
namespace {

using Values = flatbuffers::Vector<flatbuffers::Offset<abi::fb::Value>>;

Status CheckValue(const abi::fb::Value& value, uint32_t symbol_count) {
  if (!abi::FindElementType(value.element_type()))
    return Error(EYRIE_INVALID_ARGUMENT, "unknown element type %u", value.element_type());
  uint32_t rank = CountOf(value.dims());
  if (rank > abi::kMaxRank) return Error(EYRIE_INVALID_ARGUMENT, "rank %u, limit %u", rank, abi::kMaxRank);
  if (value.kind() > 3) return Error(EYRIE_INVALID_ARGUMENT, "unknown kind %u", value.kind());
  if (value.any_rank() && (value.kind() == 0 || rank))
    return Error(EYRIE_INVALID_ARGUMENT, "only a list without dimensions may have elements of any rank");
  // The FlatBuffers verifier only looks at the alignment of the vector's length.
  if (rank && !IsAligned(value.dims()->Data(), alignof(abi::fb::Dim)))
    return Error(EYRIE_INVALID_ARGUMENT, "its dimensions are not aligned");
  for (uint32_t i = 0; i < rank; ++i) {
    const abi::fb::Dim* dim = value.dims()->Get(i);
    if (dim->size() < -1)
      return Error(EYRIE_INVALID_ARGUMENT, "dimension %u has the size %lld", i, static_cast<long long>(dim->size()));
    if (dim->symbol() < -1 || (dim->symbol() >= 0 && static_cast<uint32_t>(dim->symbol()) >= symbol_count))
      return Error(EYRIE_INVALID_ARGUMENT, "dimension %u has the symbol %d, of %u", i, dim->symbol(), symbol_count);
    if (dim->symbol() >= 0 && value.kind() != 0)
      return Error(EYRIE_INVALID_ARGUMENT, "dimension %u of a list's elements has a symbol", i);
  }
  return {};
}

Status CheckValues(const Values* values, const char* what, uint32_t symbol_count) {
  if (CountOf(values) > abi::kMaxValues)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%u %ss, limit %u", CountOf(values), what, abi::kMaxValues);
  for (uint32_t i = 0; i < CountOf(values); ++i)
    EYRIE_RETURN_IF_ERROR(Annotate(CheckValue(*values->Get(i), symbol_count), "%s %u", what, i));
  return {};
}

uint64_t CountDims(const Values* values) {
  uint64_t count = 0;
  for (uint32_t i = 0; i < CountOf(values); ++i) count += CountOf(values->Get(i)->dims());
  return count;
}

// The order of a state's dimensions in memory must name each of them once.
Status CheckOrder(const flatbuffers::Vector<uint8_t>* order, uint32_t rank) {
  if (!order) return {};
  if (order->size() != rank)
    return Error(EYRIE_INVALID_ARGUMENT, "the order of its dimensions has %u of them, expected %u", order->size(),
                 rank);
  uint64_t seen = 0;
  for (uint32_t i = 0; i < rank; ++i) {
    if (order->Get(i) >= rank || seen >> order->Get(i) & 1)
      return Error(EYRIE_INVALID_ARGUMENT, "the order of its dimensions has %u in place %u", order->Get(i), i);
    seen |= uint64_t{1} << order->Get(i);
  }
  return {};
}

Status CheckState(const abi::fb::Global& global) {
  if (global.order() && abi::FindElementType(global.value()->element_type())->bits < 8)
    return Error(EYRIE_INVALID_ARGUMENT, "dimensions of packed elements are not reordered");
  return CheckOrder(global.order(), CountOf(global.value()->dims()));
}

Status CheckSameType(const abi::fb::Value& a, const abi::fb::Value& b) {
  bool same = a.element_type() == b.element_type() && a.kind() == b.kind() && CountOf(a.dims()) == CountOf(b.dims());
  for (uint32_t i = 0; same && i < CountOf(a.dims()); ++i) same = a.dims()->Get(i)->size() == b.dims()->Get(i)->size();
  return same ? Status() : Error(EYRIE_INVALID_ARGUMENT, "its function is of other types than it and its sources");
}

// What the loader relies on when it computes a derived parameter.
Status CheckDerived(const abi::fb::Module& metadata, const abi::fb::Global& global) {
  const auto& sources = *global.sources();
  if (global.function() >= CountOf(metadata.functions()) || !metadata.functions()->Get(global.function())->internal())
    return Error(EYRIE_INVALID_ARGUMENT, "function %u, which should compute it, is no internal one", global.function());
  const abi::fb::Function& function = *metadata.functions()->Get(global.function());
  if (CountOf(function.arguments()) != sources.size() || CountOf(function.results()) != 1)
    return Error(EYRIE_INVALID_ARGUMENT, "its function does not take its sources and give one tensor");
  for (uint32_t i = 0; i < sources.size(); ++i) {
    const abi::fb::Global* source =
        sources[i] < metadata.globals()->size() ? metadata.globals()->Get(sources[i]) : nullptr;
    if (!source || source->kind() != 1 || CountOf(source->sources()))
      return Error(EYRIE_INVALID_ARGUMENT, "its source %u is global %u, which is no parameter of a file", i,
                   sources[i]);
    EYRIE_RETURN_IF_ERROR(CheckSameType(*source->value(), *function.arguments()->Get(i)));
  }
  return CheckSameType(*global.value(), *function.results()->Get(0));
}

Status CheckParameter(const abi::fb::Module& metadata, const abi::fb::Global& global) {
  const abi::fb::Value& value = *global.value();
  for (uint32_t i = 0; i < CountOf(value.dims()); ++i)
    if (value.dims()->Get(i)->size() < 0) return Error(EYRIE_INVALID_ARGUMENT, "a parameter of unknown size");
  if (global.order() || !value.name() || !value.name()->size())
    return Error(EYRIE_INVALID_ARGUMENT, "a parameter without a name, or with an order of its dimensions");
  if (!CountOf(global.sources())) return {};
  return global.kind() == 1 ? CheckDerived(metadata, global) : Error(EYRIE_INVALID_ARGUMENT, "a constant with sources");
}

Status CheckGlobal(const abi::fb::Module& metadata, const abi::fb::Global& global) {
  EYRIE_RETURN_IF_ERROR(CheckValue(*global.value(), CountOf(metadata.symbols())));
  if (global.kind() > 2) return Error(EYRIE_INVALID_ARGUMENT, "unknown kind of a global %u", global.kind());
  if (global.value()->kind() != 0 || global.value()->element_type() == EYRIE_STRING)
    return Error(EYRIE_INVALID_ARGUMENT, "a state or parameter is a tensor, not of strings");
  return global.kind() == 0 ? CheckState(global) : CheckParameter(metadata, global);
}

Status CheckStates(const flatbuffers::Vector<uint32_t>* states, uint32_t state_count) {
  for (uint32_t i = 0; i < CountOf(states); ++i)
    if (states->Get(i) >= state_count || (i && states->Get(i) <= states->Get(i - 1)))
      return Error(EYRIE_INVALID_ARGUMENT, "its state %u is global %u, of %u, in ascending order", i, states->Get(i),
                   state_count);
  return {};
}

Status CheckFunction(const abi::fb::Function& function, uint32_t symbol_count, uint64_t bytecode_words) {
  EYRIE_RETURN_IF_ERROR(CheckValues(function.arguments(), "argument", symbol_count));
  EYRIE_RETURN_IF_ERROR(CheckValues(function.results(), "result", symbol_count));
  if (!InRange(function.code_offset(), function.code_size(), bytecode_words))
    return Error(EYRIE_INVALID_ARGUMENT, "%u words of code from word %u, of %llu", function.code_size(),
                 function.code_offset(), static_cast<unsigned long long>(bytecode_words));
  if (function.int_registers() > abi::kMaxRegisters || function.buffer_registers() > abi::kMaxRegisters ||
      function.list_registers() > abi::kMaxRegisters)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%u, %u and %u registers, limit %u", function.int_registers(),
                 function.buffer_registers(), function.list_registers(), abi::kMaxRegisters);
  return {};
}

// What is promised of a symbol's sizes.
Status CheckRanges(const flatbuffers::Vector<const abi::fb::SymbolRange*>* ranges, uint32_t symbol_count) {
  if (!ranges) return {};
  if (ranges->size() != symbol_count)
    return Error(EYRIE_INVALID_ARGUMENT, "%u ranges for %u symbols", ranges->size(), symbol_count);
  if (symbol_count && !IsAligned(ranges->Data(), alignof(abi::fb::SymbolRange)))
    return Error(EYRIE_INVALID_ARGUMENT, "the ranges of symbols are not aligned");
  for (uint32_t i = 0; i < symbol_count; ++i) {
    const abi::fb::SymbolRange& range = *ranges->Get(i);
    if (range.least() < 0 || range.most() < range.least() || range.divisor() < 1)
      return Error(EYRIE_INVALID_ARGUMENT, "symbol %u has a range from %lld to %lld in steps of %lld", i,
                   static_cast<long long>(range.least()), static_cast<long long>(range.most()),
                   static_cast<long long>(range.divisor()));
  }
  return {};
}

// A function that others call.
Status CheckCallee(const abi::fb::Function& function) {
  if (!function.internal()) return Error(EYRIE_INVALID_ARGUMENT, "others call it, but it is not internal");
  if (CountOf(function.arguments()) || CountOf(function.results()) || CountOf(function.states()))
    return Error(EYRIE_INVALID_ARGUMENT, "others call it, but it has arguments, results or states");
  return {};
}

// Of an executable or a variant.
template <typename Code>
Status CheckObject(const Code& code, uint64_t objects_size) {
  if (!InRange(code.offset(), code.size(), objects_size) || code.size() == 0)
    return Error(EYRIE_INVALID_ARGUMENT, "its object does not lie in the objects section");
  if (code.offset() % abi::kTensorAlignment) return Error(EYRIE_INVALID_ARGUMENT, "its object is not aligned");
  return {};
}

Status CheckVariant(const abi::fb::Variant& variant, uint32_t export_count, uint64_t objects_size) {
  EYRIE_RETURN_IF_ERROR(CheckObject(variant, objects_size));
  const auto* local = variant.local_memory();
  if (local && local->size() != export_count)
    return Error(EYRIE_INVALID_ARGUMENT, "local memory of %u exports, of %u", local->size(), export_count);
  for (uint32_t i = 0; i < CountOf(local); ++i)
    if (local->Get(i) > abi::kMaxLocalMemory)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "%u bytes of local memory, limit %u", local->Get(i), abi::kMaxLocalMemory);
  return {};
}

Status CheckExecutable(const abi::fb::Executable& executable, uint64_t objects_size) {
  EYRIE_RETURN_IF_ERROR(CheckObject(executable, objects_size));
  if (CountOf(executable.variants()) > abi::kMaxVariants)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%u variants, limit %u", CountOf(executable.variants()), abi::kMaxVariants);
  for (uint32_t i = 0; i < CountOf(executable.variants()); ++i)
    EYRIE_RETURN_IF_ERROR(Annotate(
        CheckVariant(*executable.variants()->Get(i), CountOf(executable.exports()), objects_size), "variant %u", i));
  for (uint32_t i = 0; i < CountOf(executable.exports()); ++i) {
    const abi::fb::Export& item = *executable.exports()->Get(i);
    if (item.binding_count() > abi::kMaxBindings || item.constant_count() > abi::kMaxConstants ||
        item.local_memory() > abi::kMaxLocalMemory)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "export '%.100s': %u bindings, %u constants, %u bytes of local memory",
                   TextOf(item.symbol()), item.binding_count(), item.constant_count(), item.local_memory());
  }
  return {};
}

// What a host function makes of its attributes it checks itself.
Status CheckHostFunction(const abi::fb::HostFunction& function) {
  uint32_t count = CountOf(function.types());
  if (count > abi::kMaxHostTensors || CountOf(function.ranks()) != count || function.input_count() > count)
    return Error(EYRIE_INVALID_ARGUMENT, "%u types, limit %u, %u ranks and %u inputs", count, abi::kMaxHostTensors,
                 CountOf(function.ranks()), function.input_count());
  for (uint32_t i = 0; i < count; ++i) {
    if (!abi::FindElementType(function.types()->Get(i)))
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %u has the unknown element type %u", i, function.types()->Get(i));
    if (function.ranks()->Get(i) > abi::kMaxRank)
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %u has rank %u, limit %u", i, function.ranks()->Get(i),
                   abi::kMaxRank);
  }
  for (uint32_t i = 0; i < CountOf(function.attributes()); ++i) {
    const abi::fb::HostAttribute& attribute = *function.attributes()->Get(i);
    uint32_t integers = CountOf(attribute.integers()), numbers = CountOf(attribute.numbers());
    if ((integers && numbers) || (CountOf(attribute.strings()) && (integers || numbers)))
      return Error(EYRIE_INVALID_ARGUMENT, "its attribute '%.100s' has values of several kinds",
                   TextOf(attribute.name()));
    if ((integers && !IsAligned(attribute.integers()->Data(), 8)) ||
        (numbers && !IsAligned(attribute.numbers()->Data(), 8)))
      return Error(EYRIE_INVALID_ARGUMENT, "its attribute '%.100s' is not aligned", TextOf(attribute.name()));
  }
  return {};
}

Status CheckHostFunctions(const abi::fb::Module& metadata, size_t metadata_size) {
  uint32_t count = CountOf(metadata.host_functions());
  if (count > abi::kMaxHostFunctions)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%u host functions, limit %u", count, abi::kMaxHostFunctions);
  uint64_t values = 0;  // what loading them looks at: vectors may be referred to many times
  for (uint32_t i = 0; i < count; ++i) {
    const abi::fb::HostFunction& function = *metadata.host_functions()->Get(i);
    EYRIE_RETURN_IF_ERROR(
        Annotate(CheckHostFunction(function), "host function %u, '%.100s'", i, TextOf(function.name())));
    values += CountOf(function.types()) + CountOf(function.attributes());
    for (uint32_t k = 0; k < CountOf(function.attributes()); ++k)
      values += CountOf(function.attributes()->Get(k)->integers());
    if (values > metadata_size)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "the metadata describes more host functions than it can hold");
  }
  return {};
}

// Nothing but errors and tools depends on it, yet a wrong one is refused, so that nobody is led astray.
Status CheckSourceMap(const abi::fb::SourceMap* map, uint64_t bytecode_words) {
  if (!map) return {};
  uint32_t count = CountOf(map->words()), name_count = CountOf(map->names());
  if (CountOf(map->nodes()) != count)
    return Error(EYRIE_INVALID_ARGUMENT, "source map: %u words with %u nodes", count, CountOf(map->nodes()));
  for (uint32_t i = 0; i < count; ++i) {
    uint32_t word = map->words()->Get(i), node = map->nodes()->Get(i);
    if (word >= bytecode_words)
      return Error(EYRIE_INVALID_ARGUMENT, "source map: entry %u is for word %u, of %llu", i, word,
                   static_cast<unsigned long long>(bytecode_words));
    if (i && word <= map->words()->Get(i - 1))
      return Error(EYRIE_INVALID_ARGUMENT, "source map: entry %u is for word %u, behind word %u", i, word,
                   map->words()->Get(i - 1));
    if (node > name_count)
      return Error(EYRIE_INVALID_ARGUMENT, "source map: entry %u has node %u, of %u", i, node, name_count);
  }
  return {};
}

}  // namespace

Status CheckMetadata(const abi::fb::Module& metadata, size_t metadata_size, size_t bytecode_words,
                     size_t objects_size) {
  uint32_t symbol_count = CountOf(metadata.symbols());
  uint32_t function_count = CountOf(metadata.functions()), global_count = CountOf(metadata.globals());
  if (function_count > abi::kMaxFunctions)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%u functions, limit %u", function_count, abi::kMaxFunctions);
  if (global_count > abi::kMaxGlobals)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%u globals, limit %u", global_count, abi::kMaxGlobals);
  EYRIE_RETURN_IF_ERROR(CheckRanges(metadata.symbol_ranges(), symbol_count));
  uint64_t code_end = 0, dim_count = 0;
  uint32_t state_count = 0;
  for (uint32_t i = 0; i < global_count; ++i) {
    const abi::fb::Global& global = *metadata.globals()->Get(i);
    // Vectors may be referred to many times; a small file must not take much memory or time.
    dim_count += CountOf(global.value()->dims()) + CountOf(global.sources());
    if (dim_count > metadata_size)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "the metadata describes more dimensions than it can hold");
    EYRIE_RETURN_IF_ERROR(Annotate(CheckGlobal(metadata, global), "global %u", i));
    if (i && global.kind() < metadata.globals()->Get(i - 1)->kind())
      return Error(EYRIE_INVALID_ARGUMENT, "global %u: its kind %u is behind a higher one", i, global.kind());
    state_count += global.kind() == 0;
  }
  for (uint32_t i = 0; i < function_count; ++i) {
    const abi::fb::Function& function = *metadata.functions()->Get(i);
    EYRIE_RETURN_IF_ERROR(
        Annotate(CheckFunction(function, symbol_count, bytecode_words), "function '%.100s'", TextOf(function.name())));
    EYRIE_RETURN_IF_ERROR(
        Annotate(CheckStates(function.states(), state_count), "function '%.100s'", TextOf(function.name())));
    if (function.callee())
      EYRIE_RETURN_IF_ERROR(Annotate(CheckCallee(function), "function '%.100s'", TextOf(function.name())));
    if (i && !function.callee() && metadata.functions()->Get(i - 1)->callee())
      return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s' lies behind functions that others call",
                   TextOf(function.name()));
    dim_count += CountDims(function.arguments()) + CountDims(function.results());
    if (dim_count > metadata_size)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "the metadata describes more dimensions than it can hold");
    if (i && !function.internal() && metadata.functions()->Get(i - 1)->internal())
      return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s' lies behind functions that cannot be called",
                   TextOf(function.name()));
    if (function.code_offset() < code_end)
      return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s': its code overlaps that of another, or is out of order",
                   TextOf(function.name()));
    code_end = uint64_t{function.code_offset()} + function.code_size();
  }
  EYRIE_RETURN_IF_ERROR(CheckHostFunctions(metadata, metadata_size));
  EYRIE_RETURN_IF_ERROR(CheckSourceMap(metadata.source_map(), bytecode_words));
  uint64_t export_count = 0;
  for (uint32_t i = 0; i < CountOf(metadata.executables()); ++i) {
    const abi::fb::Executable& executable = *metadata.executables()->Get(i);
    EYRIE_RETURN_IF_ERROR(
        Annotate(CheckExecutable(executable, objects_size), "executable '%.100s'", TextOf(executable.name())));
    export_count += CountOf(executable.exports());
  }
  if (export_count > abi::kMaxExports)
    return Error(EYRIE_RESOURCE_EXHAUSTED, "%llu exports, limit %u", static_cast<unsigned long long>(export_count),
                 abi::kMaxExports);
  return {};
}

}  // namespace eyrie::rt::module
