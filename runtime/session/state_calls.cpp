// States of the C interface.
#include "runtime/session/instance.h"

using namespace eyrie::rt;

namespace {

template <typename Work>
eyrie_status_t OnStates(eyrie_instance_t* instance, Work work) {
  if (!instance) return Error(EYRIE_INVALID_ARGUMENT, "no instance").Release();
  return instance->Alone([&] { return work(instance->StatesBetweenCalls()); }).Release();
}

}  // namespace

extern "C" {

eyrie_status_t eyrie_module_state(const eyrie_module_t* module, uint32_t index, eyrie_value_info_t* info) {
  if (index >= module->states.size())
    return Error(EYRIE_NOT_FOUND, "there is no state %u: the module has %zu", index, module->states.size()).Release();
  *info = module->values[module->states[index].value];
  return nullptr;
}

eyrie_status_t eyrie_state_get(eyrie_instance_t* instance, uint32_t index, eyrie_tensor_t* tensor) {
  if (!tensor) return Error(EYRIE_INVALID_ARGUMENT, "no place for the state").Release();
  return OnStates(instance, [&](session::States& states) { return states.Get(index, *tensor); });
}

eyrie_status_t eyrie_state_set(eyrie_instance_t* instance, uint32_t index, const eyrie_tensor_t* tensor) {
  if (!tensor) return Error(EYRIE_INVALID_ARGUMENT, "no value for the state").Release();
  return OnStates(instance, [&](session::States& states) { return states.Set(index, *tensor); });
}

eyrie_status_t eyrie_state_reset(eyrie_instance_t* instance) {
  return OnStates(instance, [](session::States& states) { return states.Reset(); });
}

eyrie_status_t eyrie_state_reserve(eyrie_instance_t* instance, uint32_t index, const int64_t* dims) {
  return OnStates(instance, [&](session::States& states) { return states.Reserve(index, dims); });
}

eyrie_status_t eyrie_state_save(eyrie_instance_t* instance, void* data, size_t capacity, size_t* needed) {
  if (!needed) return Error(EYRIE_INVALID_ARGUMENT, "no place for the size").Release();
  return OnStates(instance,
                  [&](session::States& states) { return states.Save(static_cast<uint8_t*>(data), capacity, needed); });
}

eyrie_status_t eyrie_state_restore(eyrie_instance_t* instance, const void* data, size_t size) {
  return OnStates(instance,
                  [&](session::States& states) { return states.Restore(static_cast<const uint8_t*>(data), size); });
}

}  // extern "C"
