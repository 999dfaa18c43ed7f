#include "runtime/session/runtime.h"

#include "runtime/hal/drivers/cpu/cpu_count.h"
#include "runtime/hal/drivers/cpu/cpu_device.h"

#ifndef EYRIE_VERSION
#define EYRIE_VERSION "0"
#endif

using namespace eyrie::rt;

void eyrie_runtime::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  Allocator memory(functions);
  this->~eyrie_runtime();
  memory.Release(this, sizeof(*this), alignof(eyrie_runtime));
}

Status eyrie_runtime::CheckProcess() const {
  if (__builtin_expect(process.IsSameProcess(), 1)) return {};
  return Error(EYRIE_FAILED_PRECONDITION, "the runtime was made before fork(); a child must make its own");
}

extern "C" {

const char* eyrie_version(void) { return EYRIE_VERSION; }

eyrie_status_t eyrie_runtime_create(const eyrie_runtime_options_t* given, eyrie_runtime_t** runtime) {
  if (!runtime) return Error(EYRIE_INVALID_ARGUMENT, "no place for the runtime").Release();
  *runtime = nullptr;
  eyrie_runtime_options_t options = session::ReadOptions(given);
  if (!options.allocator.allocate != !options.allocator.release)
    return Error(EYRIE_INVALID_ARGUMENT, "an allocator needs both of its functions").Release();
  if (options.executor.submit && options.executor.concurrency > 1023)
    return Error(EYRIE_INVALID_ARGUMENT, "an executor of concurrency %u, limit 1023", options.executor.concurrency)
        .Release();
  if (options.threads == EYRIE_THREADS_AUTO) {
    uint32_t cpus = hal::cpu::UsableCpus();
    options.threads = cpus < 1024 ? cpus : 1024;
  }
  if (options.threads > 1024) return Error(EYRIE_INVALID_ARGUMENT, "%u threads, limit 1024", options.threads).Release();
  Allocator memory(options.allocator);
  void* place = memory.Allocate(sizeof(eyrie_runtime), alignof(eyrie_runtime));
  if (!place) return OutOfMemory().Release();
  auto* created = new (place) eyrie_runtime(options.allocator);
  auto device = hal::cpu::CreateCpuDevice(
      created->allocator, {options.threads, options.spin_us, options.low_latency != 0, options.executor});
  if (!device.ok()) {
    created->Release();
    return device.status().Release();
  }
  created->device = device.value();
  created->low_latency = options.low_latency != 0;
  created->scheduler.set_device(created->device);
  *runtime = created;
  return nullptr;
}

void eyrie_runtime_destroy(eyrie_runtime_t* runtime) {
  if (runtime && runtime->process.IsSameProcess()) runtime->Release();
}

void eyrie_runtime_get_stats(eyrie_runtime_t* runtime, eyrie_runtime_stats_t* stats) {
  stats->allocations = runtime->allocator.allocations();
  stats->bytes = runtime->allocator.bytes();
  stats->peak_bytes = runtime->allocator.peak_bytes();
  stats->threads = runtime->device->thread_count();
}

}  // extern "C"
