// What a call needs besides the module: registers, commands, the arena, inputs and results. It is the VM's host: it
// turns what the bytecode asks for into work of the device.
#ifndef EYRIE_RUNTIME_SESSION_INSTANCE_H_
#define EYRIE_RUNTIME_SESSION_INSTANCE_H_

#include <atomic>

#include "runtime/session/block_pool.h"
#include "runtime/session/host_calls.h"
#include "runtime/session/results.h"
#include "runtime/session/scheduler.h"
#include "runtime/session/states.h"
#include "runtime/vm/interpreter.h"

struct eyrie_instance final : eyrie::rt::vm::Host {
  eyrie_instance(eyrie_module* module, const eyrie_instance_options_t& options);
  ~eyrie_instance();
  eyrie::rt::Status Prepare();
  eyrie::rt::Status Call(uint32_t function, const eyrie_tensor_t* inputs, size_t input_count, eyrie_tensor_t* outputs,
                         size_t output_count, const eyrie_call_options_t& options);
  // Has the instance for itself while `work` runs; refused while a call has it or waits for it.
  template <typename Work>
  eyrie::rt::Status Alone(Work work);

  // vm::Host
  int64_t ArgumentDim(uint32_t argument, uint32_t axis) override { return inputs_.Dim(argument, axis); }
  eyrie::rt::vm::BufferRef Argument(uint32_t argument) override { return inputs_.Tensor(argument); }
  eyrie::rt::vm::BufferRef Weights() override;
  eyrie::rt::Status Arena(uint64_t size, eyrie::rt::vm::BufferRef* buffer) override;
  eyrie::rt::Status AllocateBlock(uint64_t size, eyrie::rt::vm::BufferRef* buffer) override;
  void RetainBlock(uint32_t block) override { blocks_.Retain(block); }
  void ReleaseBlock(uint32_t block) override { blocks_.Release(block); }
  eyrie::rt::Status Extend(const eyrie::rt::vm::BufferRef& from, uint64_t bytes, uint64_t used,
                           eyrie::rt::vm::BufferRef* buffer) override;
  eyrie::rt::vm::BufferRef State(uint32_t state) override {
    return state < module_->states.size() ? states_.Load(state) : Parameter(state);
  }
  int64_t StateDim(uint32_t state, uint32_t axis) override { return states_.Dim(state, axis); }
  eyrie::rt::Status StoreState(uint32_t state, const eyrie::rt::vm::BufferRef& value,
                               std::span<const int64_t> dims) override {
    return states_.Store(state, value, dims);
  }
  eyrie::rt::vm::List* ListArgument(uint32_t argument) override { return inputs_.List(argument); }
  eyrie::rt::Status ListResult(uint32_t result, eyrie::rt::vm::List* list) override {
    return results_.SetList(result, list);
  }
  eyrie::rt::Status AllocateResult(uint32_t result, std::span<const int64_t> dims,
                                   eyrie::rt::vm::BufferRef* buffer) override {
    return results_.Allocate(result, dims, buffer);
  }
  eyrie::rt::Status Load(uint32_t element_type, void* buffer, uint64_t offset, int64_t* value) override;
  eyrie::rt::Status Store(uint32_t element_type, void* buffer, uint64_t offset, int64_t value) override;
  eyrie::rt::Status Dispatch(uint32_t export_index, const uint64_t workgroup_count[3],
                             std::span<const int64_t> constants,
                             std::span<const eyrie::rt::vm::BindingRef> bindings) override;
  eyrie::rt::Status Copy(const eyrie::rt::vm::BindingRef& source,
                         const eyrie::rt::vm::BindingRef& destination) override;
  eyrie::rt::Status Fill(const eyrie::rt::vm::BindingRef& destination, uint64_t pattern,
                         uint32_t pattern_bytes) override;
  eyrie::rt::Status Barrier() override;
  eyrie::rt::Status SubmitAndWait() override;
  eyrie::rt::Status CallHost(uint32_t function, std::span<const int64_t> sizes,
                             std::span<const eyrie::rt::vm::BindingRef> tensors) override;
  eyrie::rt::Status Return() override;
  const char* Message(uint32_t string) override { return module_->String(string); }
  const char* Node(uint32_t word) override { return module_->Node(word); }
  eyrie::rt::Status CheckStop() override { return stop_.Check(); }

  std::atomic<bool> running{false};  // a call has the instance
  std::atomic<bool> cancelled{false};
  eyrie::rt::session::CallQueue queue;
  uint64_t calls = 0;
  uint64_t dispatches = 0;
  eyrie_module* module_;

  // For the caller's use of the states, while no call runs.
  eyrie::rt::session::States& StatesBetweenCalls();
  const eyrie::rt::session::States& states() const { return states_; }
  uint64_t moved_bytes() const { return moved_bytes_; }
  uint64_t arena_bytes() const { return (arena_ ? arena_->size() : 0) + blocks_.bytes(); }
  // Without an arena of the caller's, what is held is what was needed.
  uint64_t arena_needed() const { return blocks_.has_memory() ? blocks_.most_needed() : arena_bytes(); }
  uint64_t result_bytes() const { return results_.bytes(); }
  std::span<const eyrie::rt::hal::ProfileEntry> profile() const { return {profile_.data(), profile_.size()}; }

 private:
  eyrie::rt::Status CheckTransient(uint64_t held, uint64_t size) const;
  eyrie::rt::Status TakeArena();
  eyrie::rt::Status Recorded(eyrie::rt::Status status);
  eyrie::rt::Status BindStates(uint32_t function);
  eyrie::rt::vm::BufferRef Parameter(uint32_t global) const;

  eyrie_instance_options_t options_;
  eyrie::rt::hal::Device* device_;
  eyrie::rt::vm::Lists lists_;
  eyrie::rt::vm::Interpreter interpreter_;
  eyrie::rt::session::StringTable strings_;
  eyrie::rt::session::HostCalls host_calls_;
  eyrie::rt::session::SymbolSizes symbols_;
  eyrie::rt::session::Inputs inputs_;
  eyrie::rt::session::Results results_;
  eyrie::rt::Array<eyrie::rt::hal::ProfileEntry> profile_;
  eyrie::rt::hal::CommandBuffer* commands_ = nullptr;
  eyrie::rt::hal::Buffer* arena_ = nullptr;
  eyrie::rt::session::BlockPool blocks_;
  eyrie::rt::session::States states_;
  uint64_t moved_bytes_ = 0;
  eyrie::rt::hal::Semaphore* timeline_ = nullptr;
  uint64_t timeline_value_ = 0;
  eyrie::rt::hal::Stop stop_;

  // Of the running call.
  bool arena_taken_ = false;
  uint32_t arena_block_ = 0;  // of the caller's arena
  uint32_t recorded_ = 0;
};

template <typename Work>
eyrie::rt::Status eyrie_instance::Alone(Work work) {
  using eyrie::rt::Error;
  EYRIE_RETURN_IF_ERROR(module_->runtime->CheckProcess());
  if (running.exchange(true, std::memory_order_seq_cst))
    return Error(EYRIE_FAILED_PRECONDITION, "the instance already runs a call; use one instance for each thread");
  eyrie::rt::Status status;
  if (queue.count.load(std::memory_order_seq_cst))
    status = Error(EYRIE_FAILED_PRECONDITION, "the instance has asynchronous calls that have not ended");
  else
    status = work();
  running.store(false, std::memory_order_seq_cst);
  // A call that was queued meanwhile waits for the instance.
  if (queue.count.load(std::memory_order_seq_cst)) module_->runtime->scheduler.Advance();
  return status;
}

#endif  // EYRIE_RUNTIME_SESSION_INSTANCE_H_
