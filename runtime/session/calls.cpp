// Instances and calls of the C interface.
#include "runtime/session/fence.h"
#include "runtime/session/instance.h"

using namespace eyrie::rt;

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
  return instance
      ->Alone([&] {
        instance->cancelled.store(false, std::memory_order_relaxed);
        return instance->Call(function, inputs, input_count, outputs, output_count, session::ReadOptions(options));
      })
      .Release();
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
  *stats = {instance->calls,         instance->arena_bytes(),    instance->result_bytes(),
            instance->dispatches,    instance->states().bytes(), instance->moved_bytes(),
            instance->arena_needed()};
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
