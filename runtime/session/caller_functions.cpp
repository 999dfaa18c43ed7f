#include "runtime/session/caller_functions.h"

#include <cstring>

#include "runtime/module/metadata.h"

using eyrie::rt::module::CountOf;
using eyrie::rt::module::TextOf;
namespace fb = eyrie::abi::fb;

namespace eyrie::rt::session {

CallerFunctions* CallerFunctions::Of(eyrie_runtime& runtime) {
  FunctionTable* table = runtime.caller_functions.load(std::memory_order_acquire);
  if (!table) {
    auto* made = runtime.allocator.New<CallerFunctions>(runtime.allocator);
    if (!made) return nullptr;
    if (runtime.caller_functions.compare_exchange_strong(table, made, std::memory_order_acq_rel)) return made;
    runtime.allocator.Delete(made);
  }
  return static_cast<CallerFunctions*>(table);
}

Status CallerFunctions::Add(const char* name, eyrie_host_function_t function, void* user, void (*release)(void* user)) {
  MutexLock lock(mutex_);
  if (FindLocked(name)) return Error(EYRIE_ALREADY_EXISTS, "the runtime has a function '%.100s' already", name);
  size_t size = sizeof(CallerFunction) + strlen(name) + 1;
  void* memory = allocator_.Allocate(size, alignof(CallerFunction));
  if (!memory) return OutOfMemory();
  last_ = new (memory) CallerFunction{function, user, release, last_, size, &HostCalls::CallCaller};
  memcpy(last_ + 1, name, strlen(name) + 1);
  return {};
}

Status CallerFunctions::Keep(void* library, void (*close)(void* library)) {
  MutexLock lock(mutex_);
  auto* kept = allocator_.New<Library>(Library{library, close, last_library_});
  if (!kept) return OutOfMemory();
  last_library_ = kept;
  return {};
}

const CallerFunction* CallerFunctions::FindLocked(const char* name) const {
  for (const CallerFunction* function = last_; function; function = function->before)
    if (strcmp(function->name(), name) == 0) return function;
  return nullptr;
}

const CallerFunction* CallerFunctions::Find(const char* name) {
  MutexLock lock(mutex_);
  return FindLocked(name);
}

void CallerFunctions::Destroy() {
  while (CallerFunction* function = last_) {
    last_ = function->before;
    if (function->release) function->release(function->user);
    allocator_.Release(function, function->size, alignof(CallerFunction));
  }
  while (Library* library = last_library_) {
    last_library_ = library->before;
    library->close(library->handle);
    allocator_.Delete(library);
  }
  allocator_.Delete(this);
}

namespace {

// What eyrie_host_call_t::state points to.
struct CallState {
  const fb::HostFunction& function;
  const hal::Stop& stop;
};

// Outputs lie beside all other tensors. A module may say otherwise.
Status CheckDisjoint(std::span<const eyrie_tensor_t> tensors, size_t input_count) {
  for (size_t i = input_count; i < tensors.size(); ++i) {
    const auto* begin = static_cast<const char*>(tensors[i].data);
    for (size_t k = 0; k < i; ++k) {
      const auto* other = static_cast<const char*>(tensors[k].data);
      if (begin < other + tensors[k].size_bytes && other < begin + tensors[i].size_bytes)
        return Error(EYRIE_INVALID_ARGUMENT, "tensor %zu, an output, lies in the memory of tensor %zu", i, k);
    }
  }
  return {};
}

const CallState& StateOf(const eyrie_host_call_t* call) { return *static_cast<const CallState*>(call->state); }

eyrie_attribute_t Describe(const fb::HostAttribute& attribute) {
  eyrie_attribute_t described = {TextOf(attribute.name()), 0, attribute.is_list(), nullptr, nullptr, nullptr};
  if (uint32_t count = CountOf(attribute.integers())) {
    described.count = count;
    described.integers = reinterpret_cast<const int64_t*>(attribute.integers()->Data());
  } else if (uint32_t numbers = CountOf(attribute.numbers())) {
    described.count = numbers;
    described.numbers = reinterpret_cast<const double*>(attribute.numbers()->Data());
  } else if (uint32_t strings = CountOf(attribute.strings())) {
    described.count = strings;
    described.strings = attribute.strings();
  }
  return described;
}

}  // namespace

Status HostCalls::CallCaller(const CallerFunction& caller, uint32_t index, std::span<const int64_t> sizes,
                             std::span<const vm::BindingRef> bindings, const hal::Stop& stop) {
  const fb::HostFunction& function = *module_.file.metadata().host_functions()->Get(index);
  Status status = MakeTensors(function, sizes, bindings);
  views_.Clear();
  for (size_t i = 0; status.ok() && i < bindings.size(); ++i) {
    const HostTensor& tensor = tensors_[i];
    eyrie_tensor_t view = {};
    view.data = tensor.data;
    view.size_bytes = bindings[i].length;
    view.type = tensor.type;
    view.rank = static_cast<uint32_t>(tensor.dims.size());
    memcpy(view.dims, tensor.dims.data(), tensor.dims.size_bytes());
    status = views_.Push(view);
  }
  if (status.ok()) status = CheckDisjoint({views_.data(), views_.size()}, function.input_count());
  if (status.ok()) {
    const CallState state = {function, stop};
    uint32_t input_count = function.input_count();
    const eyrie_host_call_t call = {sizeof(call),  caller.name(),
                                    input_count,   static_cast<uint32_t>(bindings.size()) - input_count,
                                    views_.data(), views_.data() + input_count,
                                    &module_,      index,
                                    &state};
    status = Status(caller.function(caller.user, &call));
  }
  return Annotate(std::move(status), "%.100s", caller.name());
}

}  // namespace eyrie::rt::session

using namespace eyrie::rt;
using eyrie::rt::session::CallerFunctions;

static eyrie_status_t CheckFunction(uint32_t index, uint32_t count) {
  if (index < count) return nullptr;
  return Error(EYRIE_NOT_FOUND, "there is no host function %u: the module has %u", index, count).Release();
}

extern "C" {

eyrie_status_t eyrie_runtime_add_function(eyrie_runtime_t* runtime, const char* name, eyrie_host_function_t function,
                                          void* user, void (*release)(void* user)) {
  if (!runtime || !name || !function)
    return Error(EYRIE_INVALID_ARGUMENT, "no runtime, no name or no function").Release();
  if (Status status = runtime->CheckProcess(); !status.ok()) return status.Release();
  const char* separator = strstr(name, "::");
  if (!separator || separator == name || !separator[2])
    return Error(EYRIE_INVALID_ARGUMENT,
                 "'%.100s' cannot be the name of a function: expected a domain and a name, as in my.domain::Op", name)
        .Release();
  CallerFunctions* table = CallerFunctions::Of(*runtime);
  return (table ? table->Add(name, function, user, release) : OutOfMemory()).Release();
}

eyrie_string_t eyrie_attribute_string(const eyrie_attribute_t* attribute, size_t index) {
  if (!attribute->strings || index >= attribute->count) return {nullptr, 0};
  const auto& list =
      *static_cast<const flatbuffers::Vector<flatbuffers::Offset<flatbuffers::String>>*>(attribute->strings);
  const flatbuffers::String* text = list.Get(static_cast<uint32_t>(index));
  return {text->c_str(), text->size()};
}

int eyrie_host_call_attribute(const eyrie_host_call_t* call, const char* name, eyrie_attribute_t* attribute) {
  const fb::HostAttribute* found = session::FindAttribute(session::StateOf(call).function, name);
  if (found) *attribute = session::Describe(*found);
  return found != nullptr;
}

int64_t eyrie_host_call_integer(const eyrie_host_call_t* call, const char* name, int64_t initial) {
  return session::IntegerOf(session::StateOf(call).function, name, initial);
}

double eyrie_host_call_number(const eyrie_host_call_t* call, const char* name, double initial) {
  eyrie_attribute_t attribute;
  return eyrie_host_call_attribute(call, name, &attribute) && attribute.numbers ? attribute.numbers[0] : initial;
}

const char* eyrie_host_call_string(const eyrie_host_call_t* call, const char* name, const char* initial) {
  eyrie_attribute_t attribute;
  return eyrie_host_call_attribute(call, name, &attribute) && attribute.strings
             ? eyrie_attribute_string(&attribute, 0).data
             : initial;
}

eyrie_status_t eyrie_host_call_check_stop(const eyrie_host_call_t* call) {
  return session::StateOf(call).stop.Check().Release();
}

eyrie_status_t eyrie_module_host_function(const eyrie_module_t* module, uint32_t index,
                                          eyrie_host_function_info_t* info) {
  const auto* list = module->file.metadata().host_functions();
  if (eyrie_status_t status = CheckFunction(index, CountOf(list))) return status;
  const fb::HostFunction& function = *list->Get(index);
  const char* name = TextOf(function.name());
  uint32_t count = CountOf(function.types());
  *info = {name,
           function.input_count(),
           count - function.input_count(),
           count ? function.types()->data() : nullptr,
           count ? function.ranks()->data() : nullptr,
           CountOf(function.attributes()),
           !session::IsCallerName(name),
           module->NodeOfHostFunction(index)};
  return nullptr;
}

eyrie_status_t eyrie_module_host_attribute(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                           eyrie_attribute_t* attribute) {
  const auto* list = module->file.metadata().host_functions();
  if (eyrie_status_t status = CheckFunction(function, CountOf(list))) return status;
  const auto* attributes = list->Get(function)->attributes();
  if (index >= CountOf(attributes))
    return Error(EYRIE_NOT_FOUND, "there is no attribute %u: the function has %u", index, CountOf(attributes))
        .Release();
  *attribute = session::Describe(*attributes->Get(index));
  return nullptr;
}

}  // extern "C"
