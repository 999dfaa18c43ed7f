#include "runtime/session/results.h"

#include <cstring>

#include "runtime/base/checked.h"
#include "runtime/session/types.h"

namespace eyrie::rt::session {
namespace {

constexpr uint64_t kAlignment = abi::kTensorAlignment;
constexpr uint64_t AlignUp(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

const uint8_t* DataOf(const vm::Element& element) {
  return static_cast<const hal::Buffer*>(element.memory.handle)->host() + element.offset;
}

// Bytes that an element takes besides its memory. It is copied where that is not the caller's to write to after the
// call; ids of strings become strings.
uint64_t CopiedBytes(const vm::Element& element) {
  if (element.type == EYRIE_STRING) return element.length / sizeof(int64_t) * sizeof(eyrie_string_t);
  return element.memory.block ? 0 : element.length;
}

}  // namespace

Results::Results(const eyrie_module& module, vm::Lists& lists, StringTable& strings, SymbolSizes& symbols,
                 const Inputs& inputs)
    : module_(module),
      lists_(lists),
      strings_(strings),
      symbols_(symbols),
      inputs_(inputs),
      slots_(module.runtime->allocator) {}

Results::~Results() {
  for (Slot& slot : slots_) {
    module_.runtime->device->ReleaseBuffer(slot.view);
    module_.runtime->device->ReleaseBuffer(slot.owned);
  }
}

Status Results::Prepare(uint32_t count) {
  EYRIE_RETURN_IF_ERROR(slots_.Reserve(count));
  for (uint32_t i = 0; i < count; ++i) {
    EYRIE_RETURN_IF_ERROR(slots_.Resize(i + 1));
    EYRIE_ASSIGN_OR_RETURN(slots_[i].view, module_.runtime->device->ImportHostMemory(nullptr, 0, true));
  }
  return {};
}

void Results::Release() {
  for (Slot& slot : slots_) lists_.Assign(slot.list, nullptr);
}

const eyrie_value_info_t& Results::ValueOf(uint32_t result) const {
  return module_.values[module_.functions[function_].first_result + result];
}

Status Results::Begin(uint32_t function, const eyrie_tensor_t* outputs, size_t count) {
  const FunctionRecord& record = module_.functions[function];
  if (count != record.result_count || (count && !outputs))
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s' gives %u outputs, room for %zu",
                 module_.FunctionAt(function).name, record.result_count, outputs ? count : 0);
  function_ = function;
  count_ = record.result_count;
  outputs_ = outputs;
  for (uint32_t i = 0; i < count_; ++i) {
    slots_[i].given = false;
    if (outputs[i].data && IsList(ValueOf(i)))
      return Error(EYRIE_INVALID_ARGUMENT, "output %u '%.100s' is %s: its data must be null", i, ValueOf(i).name,
                   ValueOf(i).is_optional ? "optional" : "a sequence");
  }
  return {};
}

Status Results::Own(Slot& slot, size_t bytes) {
  if (slot.owned && slot.owned->size() >= bytes) return {};
  module_.runtime->device->ReleaseBuffer(slot.owned);
  slot.owned = nullptr;
  EYRIE_ASSIGN_OR_RETURN(slot.owned, module_.runtime->device->AllocateBuffer(bytes < 64 ? 64 : bytes));
  return {};
}

Status Results::Allocate(uint32_t result, std::span<const int64_t> dims, vm::BufferRef* buffer) {
  Slot& slot = slots_[result];
  if (slot.given) return Error(EYRIE_FAILED_PRECONDITION, "result %u is allocated twice in one call", result);
  const eyrie_value_info_t& value = ValueOf(result);
  Status status = CheckShape(value, value.type, dims);
  if (!status.ok()) return Annotate(std::move(status), "result %u '%.100s'", result, value.name);
  EYRIE_RETURN_IF_ERROR(symbols_.Bind("result", result, value, dims));
  EYRIE_ASSIGN_OR_RETURN(slot.bytes, CallerBytes(value.type, dims));
  // Ids are written to the memory that will hold their strings.
  EYRIE_ASSIGN_OR_RETURN(size_t written, TensorBytes(value.type, dims));
  const eyrie_tensor_t& output = outputs_[result];
  if (output.data) {
    if (output.size_bytes < slot.bytes)
      return Error(EYRIE_INVALID_ARGUMENT, "output %u '%.100s' needs %zu bytes, the given memory has %zu", result,
                   value.name, slot.bytes, output.size_bytes);
    if (!IsAligned(output.data, CallerAlignment(value.type)))
      return Error(EYRIE_INVALID_ARGUMENT, "output %u '%.100s': the memory is not aligned to its elements (%zu bytes)",
                   result, value.name, CallerAlignment(value.type));
    EYRIE_RETURN_IF_ERROR(inputs_.CheckOverlap(output.data, slot.bytes, result));
    slot.view->Rebind(output.data, written, true);
  } else {
    EYRIE_RETURN_IF_ERROR(Own(slot, slot.bytes));
    slot.view->Rebind(slot.owned->host(), written, true);
  }
  for (size_t i = 0; i < dims.size(); ++i) slot.dims[i] = dims[i];
  slot.given = true;
  *buffer = {slot.view, written};
  return {};
}

Status Results::SetList(uint32_t result, vm::List* list) {
  Slot& slot = slots_[result];
  if (slot.given) return Error(EYRIE_FAILED_PRECONDITION, "result %u is given twice in one call", result);
  const eyrie_value_info_t& value = ValueOf(result);
  if (!value.is_sequence && vm::Lists::SizeOf(list) > 1)
    return Error(EYRIE_FAILED_PRECONDITION, "result %u '%.100s', an optional tensor, is a list of %llu", result,
                 value.name, static_cast<unsigned long long>(vm::Lists::SizeOf(list)));
  for (uint64_t i = MarkersOf(value); i < vm::Lists::SizeOf(list); ++i) {
    vm::Element& element = *list->elements()[i];
    Status status = CheckShape(value, element.type, element.shape());
    if (!status.ok())
      return Annotate(std::move(status), "result %u '%.100s', element %llu", result, value.name,
                      static_cast<unsigned long long>(i));
  }
  lists_.Assign(slot.list, list);
  slot.given = true;
  return {};
}

Status Results::CheckComplete() const {
  for (uint32_t i = 0; i < count_; ++i)
    if (!slots_[i].given) return Error(EYRIE_FAILED_PRECONDITION, "the function returns without result %u", i);
  return {};
}

// ---- To the caller

Status Results::PrepareToHandOut(uint32_t result) {
  Slot& slot = slots_[result];
  const eyrie_value_info_t& value = ValueOf(result);
  bool has_strings = value.type == EYRIE_STRING;
  if (!IsList(value)) return has_strings ? strings_.Note(slot.view->host(), slot.view->size()) : Status();
  uint64_t size = vm::Lists::SizeOf(slot.list);
  uint64_t bytes = AlignUp(size * sizeof(eyrie_tensor_t));
  for (uint64_t i = MarkersOf(value); i < size; ++i) {
    const vm::Element& element = *slot.list->elements()[i];
    if (has_strings) EYRIE_RETURN_IF_ERROR(strings_.Note(DataOf(element), element.length));
    if (!CheckedAdd(bytes, AlignUp(CopiedBytes(element)), &bytes)) return OutOfMemory();
  }
  if (bytes > module_.transient_limit())
    return Error(EYRIE_RESOURCE_EXHAUSTED, "the sequence takes %llu bytes, limit %llu",
                 static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(module_.transient_limit()));
  return Own(slot, bytes);
}

void Results::FillTensor(uint32_t result, eyrie_tensor_t& output) {
  const Slot& slot = slots_[result];
  const eyrie_value_info_t& value = ValueOf(result);
  if (value.type == EYRIE_STRING)
    strings_.Decode(slot.view->host(), slot.view->size(), reinterpret_cast<eyrie_string_t*>(slot.view->host()));
  if (!output.data) {
    output.data = slot.view->host();
    output.size_bytes = slot.bytes;
  }
  output.type = value.type;
  output.rank = value.rank;
  memcpy(output.dims, slot.dims, value.rank * sizeof(int64_t));
}

void Results::FillList(Slot& slot, const eyrie_value_info_t& value, eyrie_tensor_t& output) {
  uint64_t size = vm::Lists::SizeOf(slot.list), markers = MarkersOf(value);
  if (value.is_optional && !size) {
    output = {nullptr, 0, EYRIE_NONE, 0, {}};
    return;
  }
  auto* tensors = reinterpret_cast<eyrie_tensor_t*>(slot.owned->host());
  uint8_t* at = slot.owned->host() + AlignUp(size * sizeof(eyrie_tensor_t));
  for (uint64_t i = markers; i < size; ++i) {
    vm::Element& element = *slot.list->elements()[i];
    uint64_t copied = CopiedBytes(element);
    eyrie_tensor_t& tensor = *new (tensors + i - markers) eyrie_tensor_t{at, copied, element.type, element.rank, {}};
    memcpy(tensor.dims, element.dims(), element.rank * sizeof(int64_t));
    if (element.type == EYRIE_STRING) {
      strings_.Decode(DataOf(element), element.length, reinterpret_cast<eyrie_string_t*>(at));
    } else if (copied) {
      memcpy(at, DataOf(element), copied);
    } else if (element.length) {
      tensor.data = const_cast<uint8_t*>(DataOf(element));
      tensor.size_bytes = element.length;
    }
    at += AlignUp(copied);
  }
  if (!value.is_sequence) {
    output = tensors[0];
    return;
  }
  size -= markers;
  output.data = tensors;
  output.size_bytes = size * sizeof(eyrie_tensor_t);
  output.type = EYRIE_SEQUENCE;
  output.rank = 1;
  output.dims[0] = static_cast<int64_t>(size);
}

Status Results::HandOut(eyrie_tensor_t* outputs) {
  for (uint32_t i = 0; i < count_; ++i) {
    Status status = PrepareToHandOut(i);
    if (!status.ok()) return Annotate(std::move(status), "result %u '%.100s'", i, ValueOf(i).name);
  }
  EYRIE_RETURN_IF_ERROR(strings_.CopyNoted());
  for (uint32_t i = 0; i < count_; ++i) {
    if (IsList(ValueOf(i)))
      FillList(slots_[i], ValueOf(i), outputs[i]);
    else
      FillTensor(i, outputs[i]);
  }
  return {};
}

uint64_t Results::bytes() const {
  uint64_t bytes = 0;
  for (const Slot& slot : slots_) bytes += slot.owned ? slot.owned->size() : 0;
  return bytes;
}

}  // namespace eyrie::rt::session
