#include "runtime/session/states.h"

#include <cstring>

#include "abi/element_types.h"
#include "runtime/base/checked.h"
#include "runtime/session/signature.h"
#include "runtime/session/types.h"

namespace eyrie::rt::session {

States::States(const eyrie_module& module, vm::Host& host)
    : module_(module), host_(host), slots_(module.runtime->allocator) {}

// ---- Memory

void States::Drop(Value& value) {
  if (value.block.handle) host_.ReleaseBlock(value.block.block);
  value.block = {};
}

Status States::MakeRoom(uint32_t state, Value& value, uint64_t bytes) {
  if (value.block.handle && value.block.size >= bytes) return {};
  vm::BufferRef block;
  EYRIE_RETURN_IF_ERROR(Annotate(host_.AllocateBlock(bytes ? bytes : 1, &block), "state '%.100s'", Info(state).name));
  Drop(value);
  value.block = block;
  return {};
}

Result<size_t> States::Bytes(uint32_t state, std::span<const int64_t> dims) const {
  return TensorBytes(Info(state).type, dims);
}

static uint8_t* HostOf(const vm::BufferRef& block) { return static_cast<const hal::Buffer*>(block.handle)->host(); }

Status States::Reset() {
  EYRIE_RETURN_IF_ERROR(slots_.Resize(module_.states.size()));
  for (uint32_t i = 0; i < count(); ++i) {
    const int64_t* dims = module_.states[i].initial_dims;
    EYRIE_ASSIGN_OR_RETURN(size_t bytes, Bytes(i, {dims, Info(i).rank}));
    EYRIE_RETURN_IF_ERROR(MakeRoom(i, slots_[i].value, bytes));
  }
  // Nothing fails any more: all of them are reset, or none.
  for (uint32_t i = 0; i < count(); ++i) {
    Value& value = slots_[i].value;
    memcpy(value.dims, module_.states[i].initial_dims, sizeof(value.dims));
    size_t bytes = Bytes(i, {value.dims, Info(i).rank}).value();
    memset(HostOf(value.block), 0, bytes);
  }
  return {};
}

uint64_t States::bytes() const {
  uint64_t bytes = 0;
  for (const Slot& slot : slots_) bytes += slot.value.block.size;
  return bytes;
}

// ---- In a call

vm::BufferRef States::Load(uint32_t state) {
  const vm::BufferRef& block = slots_[state].value.block;
  host_.RetainBlock(block.block);
  return block;
}

Status States::Store(uint32_t state, const vm::BufferRef& block, std::span<const int64_t> dims) {
  const eyrie_value_info_t& info = Info(state);
  const StateRecord& record = module_.states[state];
  Value& next = slots_[state].next;
  if (next.block.handle)
    return Error(EYRIE_FAILED_PRECONDITION, "state '%.100s' is stored twice in one call", info.name);
  if (!block.block)
    return Error(EYRIE_FAILED_PRECONDITION, "state '%.100s' is stored from memory that is not a block", info.name);
  int64_t model_dims[EYRIE_MAX_RANK];
  for (size_t i = 0; i < dims.size(); ++i) model_dims[record.order[i]] = dims[i];
  Status status = CheckShape(info, info.type, {model_dims, dims.size()});
  if (!status.ok()) return Annotate(std::move(status), "state '%.100s'", info.name);
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, Bytes(state, dims));
  if (bytes > block.size)
    return Error(EYRIE_OUT_OF_RANGE, "state '%.100s' takes %zu bytes, its block has %llu", info.name, bytes,
                 static_cast<unsigned long long>(block.size));
  host_.RetainBlock(block.block);
  next.block = block;
  memcpy(next.dims, dims.data(), dims.size() * sizeof(int64_t));
  return {};
}

void States::Commit() {
  for (Slot& slot : slots_) {
    if (!slot.next.block.handle) continue;
    Drop(slot.value);
    slot.value = slot.next;
    slot.next.block = {};
  }
}

void States::Discard() {
  for (Slot& slot : slots_) Drop(slot.next);
}

std::span<const int64_t> States::ModelDims(uint32_t state, int64_t (&dims)[EYRIE_MAX_RANK]) const {
  uint32_t rank = Info(state).rank;
  for (uint32_t i = 0; i < rank; ++i) dims[module_.states[state].order[i]] = slots_[state].value.dims[i];
  return {dims, rank};
}

// ---- Between calls

Status States::Check(uint32_t state) const {
  if (state < count()) return {};
  return Error(EYRIE_NOT_FOUND, "there is no state %u: the module has %u", state, count());
}

void States::Permute(uint32_t state, const int64_t* dims, const uint8_t* from, uint8_t* to, bool to_memory) const {
  const StateRecord& record = module_.states[state];
  uint32_t rank = Info(state).rank;
  // The last dimensions that lie alike are copied as one run.
  uint32_t outer = rank;
  while (outer && record.order[outer - 1] == outer - 1) --outer;
  size_t run = Bytes(state, {dims, rank}).value();
  if (!run) return;
  size_t runs = 1;
  for (uint32_t i = 0; i < outer; ++i) runs *= static_cast<size_t>(dims[i]);
  run /= runs;
  // Strides, in runs, of the model's dimensions in the order of those in memory.
  size_t strides[EYRIE_MAX_RANK], stride = 1;
  int64_t position[EYRIE_MAX_RANK] = {};
  for (uint32_t model = outer; model-- > 0;) {
    uint32_t i = 0;
    while (record.order[i] != model) ++i;
    strides[i] = stride;
    stride *= static_cast<size_t>(dims[i]);
  }
  size_t in_model = 0;
  for (size_t k = 0; k < runs; ++k) {
    memcpy(to + (to_memory ? k : in_model) * run, from + (to_memory ? in_model : k) * run, run);
    for (uint32_t i = outer; i-- > 0;) {
      in_model += strides[i];
      if (++position[i] < dims[i]) break;
      in_model -= strides[i] * static_cast<size_t>(dims[i]);
      position[i] = 0;
    }
  }
}

Status States::Get(uint32_t state, eyrie_tensor_t& tensor) const {
  EYRIE_RETURN_IF_ERROR(Check(state));
  const eyrie_value_info_t& info = Info(state);
  int64_t dims[EYRIE_MAX_RANK];
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, Bytes(state, ModelDims(state, dims)));
  if (tensor.data) {
    if (tensor.size_bytes < bytes)
      return Error(EYRIE_INVALID_ARGUMENT, "state '%.100s' takes %zu bytes, the given memory has %zu", info.name, bytes,
                   tensor.size_bytes);
    const Value& value = slots_[state].value;
    Permute(state, value.dims, HostOf(value.block), static_cast<uint8_t*>(tensor.data), /*to_memory=*/false);
  } else {
    tensor.size_bytes = bytes;
  }
  tensor.type = info.type;
  tensor.rank = info.rank;
  memcpy(tensor.dims, dims, info.rank * sizeof(int64_t));
  return {};
}

Status States::Fill(uint32_t state, const eyrie_tensor_t& tensor, Value& value) {
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, Bytes(state, {tensor.dims, tensor.rank}));
  EYRIE_RETURN_IF_ERROR(MakeRoom(state, value, bytes));
  for (uint32_t i = 0; i < tensor.rank; ++i) value.dims[i] = tensor.dims[module_.states[state].order[i]];
  Permute(state, value.dims, static_cast<const uint8_t*>(tensor.data), HostOf(value.block), /*to_memory=*/true);
  return {};
}

Status States::Set(uint32_t state, const eyrie_tensor_t& tensor) {
  EYRIE_RETURN_IF_ERROR(Check(state));
  EYRIE_RETURN_IF_ERROR(Annotate(CheckTensor(Info(state), tensor), "state '%.100s'", Info(state).name));
  return Fill(state, tensor, slots_[state].value);
}

Status States::Reserve(uint32_t state, const int64_t* dims) {
  EYRIE_RETURN_IF_ERROR(Check(state));
  const eyrie_value_info_t& info = Info(state);
  if (!dims) return Error(EYRIE_INVALID_ARGUMENT, "state '%.100s': no sizes are given", info.name);
  EYRIE_RETURN_IF_ERROR(Annotate(CheckShape(info, info.type, {dims, info.rank}), "state '%.100s'", info.name));
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, Bytes(state, {dims, info.rank}));
  Value& value = slots_[state].value;
  if (value.block.size >= bytes) return {};
  Value larger = value;
  larger.block = {};
  EYRIE_RETURN_IF_ERROR(MakeRoom(state, larger, bytes));
  EYRIE_ASSIGN_OR_RETURN(size_t used, Bytes(state, {value.dims, info.rank}));
  memcpy(HostOf(larger.block), HostOf(value.block), used);
  Drop(value);
  value = larger;
  return {};
}

}  // namespace eyrie::rt::session
