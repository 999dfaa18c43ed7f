#include "runtime/session/inputs.h"

#include "runtime/base/checked.h"
#include "runtime/session/types.h"

namespace eyrie::rt::session {
namespace {

std::span<const int64_t> DimsOf(const eyrie_tensor_t& tensor) { return {tensor.dims, tensor.rank}; }

std::span<const eyrie_tensor_t> ElementsOf(const eyrie_tensor_t& sequence) {
  return {static_cast<const eyrie_tensor_t*>(sequence.data), static_cast<size_t>(sequence.dims[0])};
}

}  // namespace

Inputs::Inputs(const eyrie_module& module, vm::Lists& lists, StringTable& strings, SymbolSizes& symbols)
    : module_(module),
      lists_(lists),
      strings_(strings),
      symbols_(symbols),
      buffers_(module.runtime->allocator),
      lists_of_(module.runtime->allocator),
      elements_(module.runtime->allocator),
      ids_(module.runtime->allocator) {}

Inputs::~Inputs() {
  for (hal::Buffer* buffer : buffers_) module_.runtime->device->ReleaseBuffer(buffer);
  for (hal::Buffer* buffer : elements_) module_.runtime->device->ReleaseBuffer(buffer);
}

Status Inputs::Prepare(uint32_t count) {
  EYRIE_RETURN_IF_ERROR(buffers_.Reserve(count));
  for (uint32_t i = 0; i < count; ++i) {
    EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, module_.runtime->device->ImportHostMemory(nullptr, 0, false));
    EYRIE_RETURN_IF_ERROR(buffers_.Push(buffer));
  }
  return lists_of_.Resize(count);
}

void Inputs::Release() {
  for (vm::List*& list : lists_of_) lists_.Assign(list, nullptr);
  element_count_ = 0;
  count_ = 0;
}

Status Inputs::Bind(uint32_t function, const eyrie_tensor_t* inputs, size_t count) {
  const FunctionRecord& record = module_.functions[function];
  if (count != record.argument_count)
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s' takes %u inputs, got %zu",
                 module_.FunctionAt(function).name, record.argument_count, count);
  if (count && !inputs) return Error(EYRIE_INVALID_ARGUMENT, "no inputs given");
  const eyrie_value_info_t* values = module_.values.data() + record.first_argument;
  uint64_t string_count = 0;
  for (uint32_t i = 0; i < count; ++i) {
    EYRIE_RETURN_IF_ERROR(CheckInput(i, values[i], inputs[i]));
    if (!IsList(values[i])) EYRIE_RETURN_IF_ERROR(symbols_.Bind("input", i, values[i], DimsOf(inputs[i])));
    if (values[i].type == EYRIE_STRING) EYRIE_RETURN_IF_ERROR(CountStrings(inputs[i], &string_count));
  }
  ids_.Clear();
  EYRIE_RETURN_IF_ERROR(ids_.Reserve(string_count));
  inputs_ = inputs;
  count_ = static_cast<uint32_t>(count);
  for (uint32_t i = 0; i < count; ++i) {
    Status status =
        IsList(values[i]) ? BindList(lists_of_[i], values[i], inputs[i]) : BindTensor(buffers_[i], inputs[i]);
    if (!status.ok()) return Annotate(std::move(status), "input %u '%.100s'", i, values[i].name);
  }
  return {};
}

Status Inputs::CountStrings(const eyrie_tensor_t& tensor, uint64_t* count) const {
  if (tensor.type == EYRIE_NONE) return {};
  if (tensor.type == EYRIE_SEQUENCE) {
    for (const eyrie_tensor_t& element : ElementsOf(tensor)) EYRIE_RETURN_IF_ERROR(CountStrings(element, count));
    return {};
  }
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, TensorBytes(tensor.type, DimsOf(tensor)));
  return CheckedAdd(*count, uint64_t{bytes / sizeof(int64_t)}, count) ? Status() : OutOfMemory();
}

Status Inputs::BindTensor(hal::Buffer* buffer, const eyrie_tensor_t& tensor) {
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, TensorBytes(tensor.type, DimsOf(tensor)));
  void* data = tensor.data;
  if (tensor.type == EYRIE_STRING) {
    size_t begin = ids_.size(), count = bytes / sizeof(int64_t);
    EYRIE_RETURN_IF_ERROR(ids_.Resize(begin + count));  // within what is reserved: nothing moves
    data = ids_.data() + begin;
    EYRIE_RETURN_IF_ERROR(
        strings_.Encode({static_cast<const eyrie_string_t*>(tensor.data), count}, ids_.data() + begin));
  }
  buffer->Rebind(data, bytes, false);
  return {};
}

Result<hal::Buffer*> Inputs::ElementBuffer() {
  if (element_count_ == elements_.size()) {
    EYRIE_RETURN_IF_ERROR(elements_.Reserve(element_count_ + 1));
    EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, module_.runtime->device->ImportHostMemory(nullptr, 0, false));
    EYRIE_RETURN_IF_ERROR(elements_.Push(buffer));
  }
  return elements_[element_count_++];
}

Status Inputs::PushElement(vm::List*& list, const eyrie_tensor_t& tensor) {
  EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, ElementBuffer());
  EYRIE_RETURN_IF_ERROR(BindTensor(buffer, tensor));
  EYRIE_ASSIGN_OR_RETURN(vm::Element * element, lists_.Make(tensor.type, {buffer, buffer->size()}, 0, DimsOf(tensor)));
  return lists_.Insert(list, list, static_cast<int64_t>(vm::Lists::SizeOf(list)), element);
}

Status Inputs::BindList(vm::List*& list, const eyrie_value_info_t& value, const eyrie_tensor_t& input) {
  if (input.type == EYRIE_NONE) return {};
  if (!value.is_sequence) return PushElement(list, input);
  if (MarkersOf(value)) {
    alignas(16) static const uint8_t zero[16] = {};
    EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, ElementBuffer());
    EYRIE_ASSIGN_OR_RETURN(size_t bytes, TensorBytes(value.type, {}));
    buffer->Rebind(const_cast<uint8_t*>(zero), bytes, false);
    EYRIE_ASSIGN_OR_RETURN(vm::Element * element, lists_.Make(value.type, {buffer, bytes}, 0, {}));
    EYRIE_RETURN_IF_ERROR(lists_.Insert(list, list, 0, element));
  }
  int64_t position = 0;
  for (const eyrie_tensor_t& tensor : ElementsOf(input)) {
    Status status = PushElement(list, tensor);
    if (!status.ok()) return Annotate(std::move(status), "element %lld", static_cast<long long>(position));
    ++position;
  }
  return {};
}

Status Inputs::CheckOverlap(const void* memory, size_t bytes, uint32_t output) const {
  auto begin = reinterpret_cast<uintptr_t>(memory);
  auto overlaps = [&](const eyrie_tensor_t& tensor) {
    auto other = reinterpret_cast<uintptr_t>(tensor.data);
    auto size = CallerBytes(tensor.type, DimsOf(tensor));
    return size.ok() && begin < other + size.value() && other < begin + bytes;
  };
  for (uint32_t i = 0; i < count_; ++i) {
    bool found = overlaps(inputs_[i]);
    if (inputs_[i].type == EYRIE_SEQUENCE)
      for (const eyrie_tensor_t& element : ElementsOf(inputs_[i])) found |= overlaps(element);
    if (found) return Error(EYRIE_INVALID_ARGUMENT, "output %u and input %u overlap in memory", output, i);
  }
  return {};
}

}  // namespace eyrie::rt::session
