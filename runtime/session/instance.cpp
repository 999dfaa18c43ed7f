#include "runtime/session/instance.h"

#include <cstring>

#include "abi/element_types.h"
#include "runtime/base/checked.h"
#include "runtime/module/metadata.h"
#include "runtime/session/fence.h"
#include "runtime/session/types.h"

using namespace eyrie::rt;
using eyrie::rt::session::ResultSlot;
namespace abi = eyrie::abi;

namespace {

// So many recorded commands are submitted even if the program does not ask for it: a program's endless loop must not
// take memory without end.
constexpr uint32_t kMaxRecorded = 1u << 16;
constexpr uint64_t kDefaultMaxArena = uint64_t{1} << 40;

static_assert(sizeof(vm::BindingRef) == sizeof(hal::Binding) &&
              offsetof(vm::BindingRef, length) == offsetof(hal::Binding, length));

const hal::Binding& ToBinding(const vm::BindingRef& binding) { return reinterpret_cast<const hal::Binding&>(binding); }

}  // namespace

eyrie_instance::eyrie_instance(eyrie_module* module, const eyrie_instance_options_t& options)
    : queue(this),
      module_(module),
      options_(options),
      device_(module->runtime->device),
      interpreter_(module->runtime->allocator),
      arguments_(module->runtime->allocator),
      results_(module->runtime->allocator),
      symbols_(module->runtime->allocator),
      profile_(module->runtime->allocator),
      blocks_(module->runtime->allocator, device_) {
  module_->Retain();
}

eyrie_instance::~eyrie_instance() {
  for (hal::Buffer* buffer : arguments_) device_->ReleaseBuffer(buffer);
  for (ResultSlot& slot : results_) {
    device_->ReleaseBuffer(slot.view);
    device_->ReleaseBuffer(slot.owned);
  }
  device_->ReleaseBuffer(arena_);
  if (commands_) commands_->Destroy();
  module_->runtime->allocator.Delete(timeline_);
}

Status eyrie_instance::Prepare() {
  vm::Program program = module_->program();
  uint32_t argument_count = 0, result_count = 0;
  for (uint32_t i = 0; i < module_->functions.size(); ++i) {
    EYRIE_RETURN_IF_ERROR(interpreter_.Prepare(program, module_->FunctionAt(i)));
    const session::FunctionRecord& record = module_->functions[i];
    argument_count = record.argument_count > argument_count ? record.argument_count : argument_count;
    result_count = record.result_count > result_count ? record.result_count : result_count;
  }
  EYRIE_RETURN_IF_ERROR(arguments_.Reserve(argument_count));
  for (uint32_t i = 0; i < argument_count; ++i) {
    EYRIE_ASSIGN_OR_RETURN(hal::Buffer * buffer, device_->ImportHostMemory(nullptr, 0, false));
    EYRIE_RETURN_IF_ERROR(arguments_.Push(buffer));
  }
  EYRIE_RETURN_IF_ERROR(results_.Reserve(result_count));
  for (uint32_t i = 0; i < result_count; ++i) {
    EYRIE_RETURN_IF_ERROR(results_.Resize(i + 1));
    EYRIE_ASSIGN_OR_RETURN(results_[i].view, device_->ImportHostMemory(nullptr, 0, true));
  }
  EYRIE_RETURN_IF_ERROR(symbols_.Resize(module::CountOf(module_->file.metadata().symbols())));
  if (options_.profile) EYRIE_RETURN_IF_ERROR(profile_.Resize(module_->exports.size()));
  EYRIE_ASSIGN_OR_RETURN(commands_, device_->CreateCommandBuffer());
  timeline_ = module_->runtime->allocator.New<hal::Semaphore>(0);
  return timeline_ ? Status() : OutOfMemory();
}

uint64_t eyrie_instance::result_bytes() const {
  uint64_t bytes = 0;
  for (const ResultSlot& slot : results_) bytes += slot.owned ? slot.owned->size() : 0;
  return bytes;
}

// ---- Checks of a call's tensors

// Compares with the signature; equal symbols must have equal sizes.
Status eyrie_instance::CheckDims(const char* what, uint32_t index, const eyrie_value_info_t& value,
                                 std::span<const int64_t> dims) {
  const int32_t* symbols = module_->dim_symbols.data() + (value.dims - module_->dims.data());
  bool fits = dims.size() == value.rank;
  for (uint32_t i = 0; fits && i < value.rank; ++i)
    fits = value.dims[i].size >= 0 ? dims[i] == value.dims[i].size : dims[i] >= 0;
  if (!fits) {
    char expected[256], found[256];
    Text expected_text(expected, sizeof(expected)), found_text(found, sizeof(found));
    session::PrintShape(expected_text, value);
    session::PrintShape(found_text, value.type, dims);
    return Error(EYRIE_INVALID_ARGUMENT, "%s %u '%.100s': expected %s, got %s", what, index, value.name, expected,
                 found);
  }
  for (uint32_t i = 0; i < value.rank; ++i) {
    if (symbols[i] < 0) continue;
    SymbolBinding& binding = symbols_[static_cast<uint32_t>(symbols[i])];
    if (!binding.what) {
      binding = {dims[i], what, index};
    } else if (binding.size != dims[i]) {
      return Error(EYRIE_INVALID_ARGUMENT, "dimension '%.60s' is %lld in %s %u, but %lld in %s %u '%.100s'",
                   value.dims[i].symbol, static_cast<long long>(binding.size), binding.what, binding.index,
                   static_cast<long long>(dims[i]), what, index, value.name);
    }
  }
  return {};
}

Status eyrie_instance::CheckInput(uint32_t index, const eyrie_value_info_t& value, const eyrie_tensor_t& tensor) {
  if (tensor.rank > EYRIE_MAX_RANK)
    return Error(EYRIE_INVALID_ARGUMENT, "input %u '%.100s': rank %u, limit %u", index, value.name, tensor.rank,
                 EYRIE_MAX_RANK);
  std::span<const int64_t> dims(tensor.dims, tensor.rank);
  if (tensor.type != value.type) {
    char expected[256], found[256];
    Text expected_text(expected, sizeof(expected)), found_text(found, sizeof(found));
    session::PrintShape(expected_text, value);
    session::PrintShape(found_text, tensor.type, dims);
    return Error(EYRIE_INVALID_ARGUMENT, "input %u '%.100s': expected %s, got %s", index, value.name, expected, found);
  }
  EYRIE_RETURN_IF_ERROR(CheckDims("input", index, value, dims));
  auto bytes = session::TensorBytes(tensor.type, dims);
  EYRIE_RETURN_IF_ERROR(Annotate(std::move(bytes.status()), "input %u '%.100s'", index, value.name));
  if (tensor.size_bytes < bytes.value())
    return Error(EYRIE_INVALID_ARGUMENT, "input %u '%.100s': its shape takes %zu bytes, but only %zu are given", index,
                 value.name, bytes.value(), tensor.size_bytes);
  if (!tensor.data && bytes.value())
    return Error(EYRIE_INVALID_ARGUMENT, "input %u '%.100s': no data", index, value.name);
  if (!IsAligned(tensor.data, session::ElementAlignment(tensor.type)))
    return Error(EYRIE_INVALID_ARGUMENT, "input %u '%.100s': the data is not aligned to its elements (%zu bytes)",
                 index, value.name, session::ElementAlignment(tensor.type));
  arguments_[index]->Rebind(tensor.data, bytes.value(), false);
  return {};
}

Status eyrie_instance::CheckInputs(uint32_t function, const eyrie_tensor_t* inputs, size_t count) {
  const session::FunctionRecord& record = module_->functions[function];
  if (count != record.argument_count)
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s' takes %u inputs, got %zu",
                 module_->FunctionAt(function).name, record.argument_count, count);
  if (count && !inputs) return Error(EYRIE_INVALID_ARGUMENT, "no inputs given");
  symbols_.Clear();
  EYRIE_RETURN_IF_ERROR(symbols_.Resize(symbols_.capacity() ? module::CountOf(module_->file.metadata().symbols()) : 0));
  for (uint32_t i = 0; i < count; ++i)
    EYRIE_RETURN_IF_ERROR(CheckInput(i, module_->values[record.first_argument + i], inputs[i]));
  return {};
}

Status eyrie_instance::CheckOverlap(uint32_t result, const eyrie_tensor_t& output, size_t bytes) const {
  auto begin = reinterpret_cast<uintptr_t>(output.data);
  for (uint32_t i = 0; i < input_count_; ++i) {
    auto other = reinterpret_cast<uintptr_t>(inputs_[i].data);
    if (begin < other + arguments_[i]->size() && other < begin + bytes)
      return Error(EYRIE_INVALID_ARGUMENT, "output %u and input %u overlap in memory", result, i);
  }
  return {};
}

// ---- The VM's host

vm::BufferRef eyrie_instance::Argument(uint32_t argument) {
  return {arguments_[argument], arguments_[argument]->size()};
}

vm::BufferRef eyrie_instance::Weights() { return {module_->weights, module_->weights->size()}; }

Status eyrie_instance::Arena(uint64_t size, vm::BufferRef* buffer) {
  if (arena_taken_) return Error(EYRIE_FAILED_PRECONDITION, "the transient memory is asked for twice in one call");
  EYRIE_RETURN_IF_ERROR(CheckTransient(blocks_.bytes(), size));
  if (!arena_ || arena_->size() < size) {
    device_->ReleaseBuffer(arena_);
    arena_ = nullptr;
    EYRIE_ASSIGN_OR_RETURN(arena_, device_->AllocateBuffer(size));
  }
  arena_taken_ = true;
  *buffer = {arena_, arena_->size()};
  return {};
}

Status eyrie_instance::CheckTransient(uint64_t held, uint64_t size) const {
  uint64_t limit = module_->options.max_arena_bytes ? module_->options.max_arena_bytes : kDefaultMaxArena;
  if (size <= limit && held <= limit - size) return {};
  return Error(EYRIE_RESOURCE_EXHAUSTED, "the call needs %llu bytes of transient memory%s, limit %llu",
               static_cast<unsigned long long>(size), held ? " more" : "", static_cast<unsigned long long>(limit));
}

Status eyrie_instance::AllocateBlock(uint64_t size, vm::BufferRef* buffer) {
  uint32_t block = 0;
  bool needs_barrier = false;
  hal::Buffer* memory = blocks_.Take(size, &block, &needs_barrier);
  if (memory) {
    *buffer = {memory, memory->size(), block};
    return needs_barrier ? Barrier() : Status();
  }
  EYRIE_RETURN_IF_ERROR(CheckTransient(arena_bytes(), size));
  if (blocks_.MustTrim(size)) EYRIE_RETURN_IF_ERROR(SubmitAndWait());
  EYRIE_ASSIGN_OR_RETURN(memory, blocks_.Make(size, &block));
  *buffer = {memory, memory->size(), block};
  return {};
}

Status eyrie_instance::Barrier() {
  blocks_.NoteBarrier();
  return commands_->Barrier();
}

Status eyrie_instance::AllocateResult(uint32_t result, std::span<const int64_t> dims, vm::BufferRef* buffer) {
  ResultSlot& slot = results_[result];
  if (slot.allocated) return Error(EYRIE_FAILED_PRECONDITION, "result %u is allocated twice in one call", result);
  const eyrie_value_info_t& value = module_->values[module_->functions[function_].first_result + result];
  EYRIE_RETURN_IF_ERROR(CheckDims("result", result, value, dims));
  EYRIE_ASSIGN_OR_RETURN(slot.bytes, session::TensorBytes(value.type, dims));
  const eyrie_tensor_t& output = outputs_[result];
  if (output.data) {
    if (output.size_bytes < slot.bytes)
      return Error(EYRIE_INVALID_ARGUMENT, "output %u '%.100s' needs %zu bytes, the given memory has %zu", result,
                   value.name, slot.bytes, output.size_bytes);
    if (!IsAligned(output.data, session::ElementAlignment(value.type)))
      return Error(EYRIE_INVALID_ARGUMENT, "output %u '%.100s': the memory is not aligned to its elements (%zu bytes)",
                   result, value.name, session::ElementAlignment(value.type));
    EYRIE_RETURN_IF_ERROR(CheckOverlap(result, output, slot.bytes));
    slot.view->Rebind(output.data, slot.bytes, true);
  } else {
    if (!slot.owned || slot.owned->size() < slot.bytes) {
      device_->ReleaseBuffer(slot.owned);
      slot.owned = nullptr;
      EYRIE_ASSIGN_OR_RETURN(slot.owned, device_->AllocateBuffer(slot.bytes < 64 ? 64 : slot.bytes));
    }
    slot.view->Rebind(slot.owned->host(), slot.bytes, true);
  }
  for (size_t i = 0; i < dims.size(); ++i) slot.dims[i] = dims[i];
  slot.allocated = true;
  *buffer = {slot.view, slot.bytes};
  return {};
}

Status eyrie_instance::Load(uint32_t element_type, void* handle, uint64_t offset, int64_t* value) {
  EYRIE_RETURN_IF_ERROR(SubmitAndWait());
  const auto* buffer = static_cast<const hal::Buffer*>(handle);
  const abi::ElementTypeInfo* type = abi::FindElementType(element_type);
  uint32_t bits = type->bits, bytes = bits / 8;
  if (!InRange(offset, bytes, buffer->size()))
    return Error(EYRIE_OUT_OF_RANGE, "a load of %u bytes from byte %llu of a buffer of %llu bytes", bytes,
                 static_cast<unsigned long long>(offset), static_cast<unsigned long long>(buffer->size()));
  uint64_t word = 0;
  memcpy(&word, buffer->host() + offset, bytes);
  if (type->kind == abi::ElementKind::kInt)
    word = static_cast<uint64_t>(static_cast<int64_t>(word << (64 - bits)) >> (64 - bits));
  *value = static_cast<int64_t>(word);
  return {};
}

Status eyrie_instance::Store(uint32_t element_type, void* handle, uint64_t offset, int64_t value) {
  EYRIE_RETURN_IF_ERROR(SubmitAndWait());
  const auto* buffer = static_cast<const hal::Buffer*>(handle);
  uint32_t bytes = abi::FindElementType(element_type)->bits / 8u;
  if (!InRange(offset, bytes, buffer->size()))
    return Error(EYRIE_OUT_OF_RANGE, "a store of %u bytes to byte %llu of a buffer of %llu bytes", bytes,
                 static_cast<unsigned long long>(offset), static_cast<unsigned long long>(buffer->size()));
  if (!buffer->writable()) return Error(EYRIE_PERMISSION_DENIED, "a store to a read-only buffer");
  memcpy(buffer->host() + offset, &value, bytes);
  return {};
}

// Submits by itself when very much has been recorded.
Status eyrie_instance::Recorded(Status status) {
  if (__builtin_expect(status.ok() && ++recorded_ < kMaxRecorded, 1)) return status;
  EYRIE_RETURN_IF_ERROR(std::move(status));
  return SubmitAndWait();
}

Status eyrie_instance::Dispatch(uint32_t export_index, const uint64_t workgroup_count[3],
                                std::span<const int64_t> constants, std::span<const vm::BindingRef> bindings) {
  const session::ExportRef& ref = module_->exports[export_index];
  ++dispatches;
  return Recorded(commands_->Dispatch(ref.executable, ref.ordinal, workgroup_count, constants,
                                      {reinterpret_cast<const hal::Binding*>(bindings.data()), bindings.size()},
                                      export_index));
}

Status eyrie_instance::Copy(const vm::BindingRef& source, const vm::BindingRef& destination) {
  return Recorded(commands_->Copy(ToBinding(source), ToBinding(destination)));
}

Status eyrie_instance::Fill(const vm::BindingRef& destination, uint64_t pattern, uint32_t pattern_bytes) {
  return Recorded(commands_->Fill(ToBinding(destination), pattern, pattern_bytes));
}

Status eyrie_instance::SubmitAndWait() {
  blocks_.NoteBarrier();
  if (commands_->empty()) return {};
  EYRIE_RETURN_IF_ERROR(commands_->End());
  hal::SemaphoreValue signal = {timeline_, timeline_value_ + 1};
  hal::Submission submission = {commands_, {}, {&signal, 1}, &stop_, {profile_.data(), profile_.size()}};
  EYRIE_RETURN_IF_ERROR(device_->Submit(submission));
  EYRIE_RETURN_IF_ERROR(timeline_->Wait(++timeline_value_, kForever));
  recorded_ = 0;
  return commands_->Begin();
}

Status eyrie_instance::Return() {
  EYRIE_RETURN_IF_ERROR(SubmitAndWait());
  uint32_t count = module_->functions[function_].result_count;
  for (uint32_t i = 0; i < count; ++i)
    if (!results_[i].allocated) return Error(EYRIE_FAILED_PRECONDITION, "the function returns without result %u", i);
  return {};
}

// ---- The call

Status eyrie_instance::Call(uint32_t function, const eyrie_tensor_t* inputs, size_t input_count,
                            eyrie_tensor_t* outputs, size_t output_count, const eyrie_call_options_t& options) {
  if (function >= module_->functions.size())
    return Error(EYRIE_NOT_FOUND, "there is no function %u: the module has %zu", function, module_->functions.size());
  const session::FunctionRecord& record = module_->functions[function];
  EYRIE_RETURN_IF_ERROR(CheckInputs(function, inputs, input_count));
  if (output_count != record.result_count || (output_count && !outputs))
    return Error(EYRIE_INVALID_ARGUMENT, "function '%.100s' gives %u outputs, room for %zu",
                 module_->FunctionAt(function).name, record.result_count, outputs ? output_count : 0);
  EYRIE_RETURN_IF_ERROR(module_->EnsureVerified(module_->options.verify == EYRIE_VERIFY_LAZY));

  function_ = function;
  inputs_ = inputs;
  input_count_ = input_count;
  outputs_ = outputs;
  arena_taken_ = false;
  recorded_ = 0;
  dispatches = 0;
  ++calls;
  for (ResultSlot& slot : results_) slot.allocated = false;
  stop_ = {&cancelled, options.timeout_ns ? NowNs() + options.timeout_ns : kForever};
  EYRIE_RETURN_IF_ERROR(commands_->Begin());
  Status status = interpreter_.Run(module_->FunctionAt(function), *this);
  blocks_.ReleaseAll();
  if (!status.ok()) {
    // A failed submission has failed the timeline: start a new one.
    timeline_->~Semaphore();
    new (timeline_) hal::Semaphore(timeline_value_ = 0);
    return status;
  }
  for (uint32_t i = 0; i < output_count; ++i) {
    const eyrie_value_info_t& value = module_->values[record.first_result + i];
    const ResultSlot& slot = results_[i];
    if (!outputs[i].data) {
      outputs[i].data = slot.view->host();
      outputs[i].size_bytes = slot.bytes;
    }
    outputs[i].type = value.type;
    outputs[i].rank = value.rank;
    memcpy(outputs[i].dims, slot.dims, value.rank * sizeof(int64_t));
  }
  return status;
}

extern "C" {

eyrie_status_t eyrie_instance_create(eyrie_module_t* module, const eyrie_instance_options_t* given,
                                     eyrie_instance_t** instance) {
  if (!module || !instance) return Error(EYRIE_INVALID_ARGUMENT, "no module, or no place for the instance").Release();
  *instance = nullptr;
  if (Status status = module->runtime->CheckProcess(); !status.ok()) return status.Release();
  if (module->options.inspect_only)
    return Error(EYRIE_FAILED_PRECONDITION, "the module was loaded to be looked at, not to be run").Release();
  auto* created = module->runtime->allocator.New<eyrie_instance>(module, session::ReadOptions(given));
  if (!created) return OutOfMemory().Release();
  Status status = created->Prepare();
  if (!status.ok()) {
    eyrie_instance_destroy(created);
    return status.Release();
  }
  *instance = created;
  return nullptr;
}

void eyrie_instance_destroy(eyrie_instance_t* instance) {
  if (!instance) return;
  eyrie_module* module = instance->module_;
  if (!module->runtime->process.IsSameProcess()) return;
  module->runtime->scheduler.Drain(instance->queue);
  module->runtime->allocator.Delete(instance);
  module->Release();
}

eyrie_status_t eyrie_call(eyrie_instance_t* instance, uint32_t function, const eyrie_tensor_t* inputs,
                          size_t input_count, eyrie_tensor_t* outputs, size_t output_count,
                          const eyrie_call_options_t* options) {
  if (!instance) return Error(EYRIE_INVALID_ARGUMENT, "no instance").Release();
  Status status = instance->module_->runtime->CheckProcess();
  if (!status.ok()) return status.Release();
  if (instance->running.exchange(true, std::memory_order_seq_cst))
    return Error(EYRIE_FAILED_PRECONDITION, "the instance already runs a call; use one instance for each thread")
        .Release();
  if (instance->queue.count.load(std::memory_order_seq_cst)) {
    status = Error(EYRIE_FAILED_PRECONDITION, "the instance has asynchronous calls that have not ended");
  } else {
    instance->cancelled.store(false, std::memory_order_relaxed);
    status = instance->Call(function, inputs, input_count, outputs, output_count, session::ReadOptions(options));
  }
  instance->running.store(false, std::memory_order_seq_cst);
  // A call that was queued meanwhile waits for the instance.
  if (instance->queue.count.load(std::memory_order_seq_cst)) instance->module_->runtime->scheduler.Advance();
  return status.Release();
}

eyrie_status_t eyrie_call_async(eyrie_instance_t* instance, uint32_t function, const eyrie_tensor_t* inputs,
                                size_t input_count, eyrie_tensor_t* outputs, size_t output_count,
                                const eyrie_call_options_t* given, const eyrie_fence_point_t* waits, size_t wait_count,
                                eyrie_fence_point_t signal) {
  if (!instance) return Error(EYRIE_INVALID_ARGUMENT, "no instance").Release();
  eyrie_runtime* runtime = instance->module_->runtime;
  if (Status status = runtime->CheckProcess(); !status.ok()) return status.Release();
  if (wait_count > EYRIE_MAX_WAITS || (wait_count && !waits))
    return Error(EYRIE_INVALID_ARGUMENT, "a call waits for at most %d fences, got %zu", EYRIE_MAX_WAITS,
                 waits ? wait_count : 0)
        .Release();
  session::QueuedCall call = {function,   inputs, input_count, outputs, output_count, kForever,
                              wait_count, {},     signal,      false,   nullptr};
  for (size_t i = 0; i < wait_count; ++i) {
    if (!waits[i].fence || waits[i].fence->runtime != runtime)
      return Error(EYRIE_INVALID_ARGUMENT, "wait %zu: no fence, or one of another runtime", i).Release();
    call.waits[i] = waits[i];
  }
  if (!signal.fence || signal.fence->runtime != runtime)
    return Error(EYRIE_INVALID_ARGUMENT, "signal: no fence, or one of another runtime").Release();
  eyrie_call_options_t options = session::ReadOptions(given);
  if (options.timeout_ns) {
    uint64_t now = NowNs();
    call.deadline_ns = options.timeout_ns < kForever - now ? now + options.timeout_ns : kForever;
  }
  return runtime->scheduler.Enqueue(instance->queue, call).Release();
}

void eyrie_instance_cancel(eyrie_instance_t* instance) {
  if (instance->queue.count.load(std::memory_order_seq_cst))
    instance->module_->runtime->scheduler.Cancel(instance->queue);
  else
    instance->cancelled.store(true, std::memory_order_relaxed);
}

void eyrie_instance_get_stats(const eyrie_instance_t* instance, eyrie_instance_stats_t* stats) {
  *stats = {instance->calls, instance->arena_bytes(), instance->result_bytes(), instance->dispatches};
}

eyrie_status_t eyrie_instance_profile(const eyrie_instance_t* instance, uint32_t export_index,
                                      eyrie_profile_t* profile) {
  auto entries = instance->profile();
  if (export_index >= entries.size())
    return Error(EYRIE_NOT_FOUND, "no profile of export %u: %zu are measured", export_index, entries.size()).Release();
  *profile = {entries[export_index].calls, entries[export_index].total_ns};
  return nullptr;
}

}  // extern "C"
