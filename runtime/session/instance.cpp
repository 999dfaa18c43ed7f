#include "runtime/session/instance.h"

#include <cstring>

#include "abi/element_types.h"
#include "runtime/base/checked.h"

using namespace eyrie::rt;
namespace abi = eyrie::abi;

namespace {

// So many recorded commands are submitted even if the program does not ask for it: a program's endless loop must not
// take memory without end.
constexpr uint32_t kMaxRecorded = 1u << 16;

static_assert(sizeof(vm::BindingRef) == sizeof(hal::Binding) &&
              offsetof(vm::BindingRef, length) == offsetof(hal::Binding, length));

const hal::Binding& ToBinding(const vm::BindingRef& binding) { return reinterpret_cast<const hal::Binding&>(binding); }

}  // namespace

eyrie_instance::eyrie_instance(eyrie_module* module, const eyrie_instance_options_t& options)
    : queue(this),
      module_(module),
      options_(options),
      device_(module->runtime->device),
      lists_(module->runtime->allocator, *this),
      interpreter_(module->runtime->allocator, lists_),
      strings_(module->runtime->allocator, module->texts),
      host_calls_(*module, strings_),
      symbols_(*module),
      inputs_(*module, lists_, strings_, symbols_),
      results_(*module, lists_, strings_, symbols_, inputs_),
      profile_(module->runtime->allocator),
      blocks_(module->runtime->allocator, device_),
      states_(*module, *this) {
  lists_.set_limit(module->transient_limit());
  strings_.set_limit(module->transient_limit());
  module_->Retain();
}

eyrie_instance::~eyrie_instance() {
  results_.Release();
  inputs_.Release();
  device_->ReleaseBuffer(arena_);
  if (commands_) commands_->Destroy();
  module_->runtime->allocator.Delete(timeline_);
}

Status eyrie_instance::TakeArena() {
  if (!options_.arena && options_.arena_size)
    return Error(EYRIE_INVALID_ARGUMENT, "an arena of %zu bytes without an address", options_.arena_size);
  if (reinterpret_cast<uintptr_t>(options_.arena) % EYRIE_ARENA_ALIGNMENT)
    return Error(EYRIE_INVALID_ARGUMENT, "the arena at %p is not aligned to %d bytes", options_.arena,
                 EYRIE_ARENA_ALIGNMENT);
  if (options_.arena) blocks_.UseMemory(options_.arena, options_.arena_size);
  return {};
}

Status eyrie_instance::Prepare() {
  EYRIE_RETURN_IF_ERROR(TakeArena());
  vm::Program program = module_->program();
  uint32_t argument_count = 0, result_count = 0;
  for (const vm::Function& function : program.functions) EYRIE_RETURN_IF_ERROR(interpreter_.Prepare(program, function));
  for (uint32_t i = 0; i < module_->functions.size(); ++i) {
    const session::FunctionRecord& record = module_->functions[i];
    argument_count = record.argument_count > argument_count ? record.argument_count : argument_count;
    result_count = record.result_count > result_count ? record.result_count : result_count;
  }
  EYRIE_RETURN_IF_ERROR(inputs_.Prepare(argument_count));
  EYRIE_RETURN_IF_ERROR(results_.Prepare(result_count));
  EYRIE_RETURN_IF_ERROR(symbols_.Prepare());
  EYRIE_RETURN_IF_ERROR(host_calls_.Prepare());
  if (options_.profile) EYRIE_RETURN_IF_ERROR(profile_.Resize(module_->exports.size()));
  EYRIE_ASSIGN_OR_RETURN(commands_, device_->CreateCommandBuffer());
  timeline_ = module_->runtime->allocator.New<hal::Semaphore>(0);
  if (!timeline_) return OutOfMemory();
  EYRIE_RETURN_IF_ERROR(commands_->Begin());
  return states_.Reset();
}

session::States& eyrie_instance::StatesBetweenCalls() {
  // What a call recorded and left when it failed must not run any more.
  (void)commands_->Begin();
  blocks_.NoteBarrier();
  return states_;
}

// ---- The VM's host

vm::BufferRef eyrie_instance::Parameter(uint32_t global) const {
  const session::ParameterRecord& parameter = module_->parameters[global - module_->states.size()];
  return {parameter.buffer, parameter.size};
}

vm::BufferRef eyrie_instance::Weights() { return {module_->weights, module_->weights->size()}; }

Status eyrie_instance::Arena(uint64_t size, vm::BufferRef* buffer) {
  if (arena_taken_) return Error(EYRIE_FAILED_PRECONDITION, "the transient memory is asked for twice in one call");
  if (blocks_.has_memory()) {
    // One more block; the program does not count its holders.
    EYRIE_RETURN_IF_ERROR(AllocateBlock(size, buffer));
    arena_block_ = buffer->block;
    buffer->block = 0;
    arena_taken_ = true;
    return {};
  }
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
  uint64_t limit = module_->transient_limit();
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

// Room for twice the bytes, so that a state that grows step by step is moved rarely.
Status eyrie_instance::Extend(const vm::BufferRef& from, uint64_t bytes, uint64_t used, vm::BufferRef* buffer) {
  if (used > from.size || used > bytes)
    return Error(EYRIE_OUT_OF_RANGE, "%llu bytes are kept of a buffer of %llu that grows to %llu",
                 static_cast<unsigned long long>(used), static_cast<unsigned long long>(from.size),
                 static_cast<unsigned long long>(bytes));
  if (from.block && from.size >= bytes) {
    blocks_.Retain(from.block);
    *buffer = from;
    return {};
  }
  uint64_t limit = module_->transient_limit(), held = arena_bytes();
  bool may_double = bytes <= limit / 2 && held <= limit - 2 * bytes;
  if (blocks_.has_memory()) may_double = may_double && blocks_.HasRoom(2 * bytes);
  EYRIE_RETURN_IF_ERROR(AllocateBlock(may_double ? 2 * bytes : bytes, buffer));
  moved_bytes_ += used;
  return used ? Copy({from.handle, 0, used}, {buffer->handle, 0, used}) : Status();
}

Status eyrie_instance::Barrier() {
  blocks_.NoteBarrier();
  return commands_->Barrier();
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

Status eyrie_instance::CallHost(uint32_t function, std::span<const int64_t> sizes,
                                std::span<const vm::BindingRef> tensors) {
  EYRIE_RETURN_IF_ERROR(SubmitAndWait());
  return host_calls_.Call(function, sizes, tensors, stop_);
}

Status eyrie_instance::Return() {
  EYRIE_RETURN_IF_ERROR(SubmitAndWait());
  return results_.CheckComplete();
}

// ---- The call

// Sizes of states count among those that equal symbols must agree on.
Status eyrie_instance::BindStates(uint32_t function) {
  for (uint32_t state : module_->StatesOf(function)) {
    int64_t dims[EYRIE_MAX_RANK];
    const eyrie_value_info_t& info = module_->values[module_->states[state].value];
    EYRIE_RETURN_IF_ERROR(symbols_.Bind("state", state, info, states_.ModelDims(state, dims)));
  }
  return {};
}

Status eyrie_instance::Call(uint32_t function, const eyrie_tensor_t* inputs, size_t input_count,
                            eyrie_tensor_t* outputs, size_t output_count, const eyrie_call_options_t& options) {
  if (function >= module_->callable_count())
    return Error(EYRIE_NOT_FOUND, "there is no function %u: the module has %u", function, module_->callable_count());
  // What the last call left, which its caller could still use.
  results_.Release();
  inputs_.Release();
  strings_.Clear();
  symbols_.Clear();
  if (arena_block_) blocks_.Release(arena_block_);
  arena_block_ = 0;
  blocks_.BeginCall();
  EYRIE_RETURN_IF_ERROR(inputs_.Bind(function, inputs, input_count));
  EYRIE_RETURN_IF_ERROR(BindStates(function));
  EYRIE_RETURN_IF_ERROR(results_.Begin(function, outputs, output_count));
  EYRIE_RETURN_IF_ERROR(module_->EnsureVerified(module_->options.verify == EYRIE_VERIFY_LAZY));

  arena_taken_ = false;
  recorded_ = 0;
  dispatches = 0;
  ++calls;
  stop_ = {&cancelled, options.timeout_ns ? NowNs() + options.timeout_ns : kForever};
  EYRIE_RETURN_IF_ERROR(commands_->Begin());
  Status status = interpreter_.Run(module_->program(), module_->FunctionAt(function), *this);
  if (!status.ok()) {
    states_.Discard();
    // A failed submission has failed the timeline: start a new one.
    timeline_->~Semaphore();
    new (timeline_) hal::Semaphore(timeline_value_ = 0);
    return status;
  }
  status = results_.HandOut(outputs);
  if (status.ok())
    states_.Commit();
  else
    states_.Discard();
  return status;
}
