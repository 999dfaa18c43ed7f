#include "runtime/session/parameters.h"

#include <cstring>

#include "runtime/base/text.h"

using namespace eyrie::rt;

void eyrie_parameters::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  eyrie_runtime* owner = runtime;
  owner->allocator.Delete(this);
  owner->Release();
}

Status eyrie_parameters::Open(const char* path, const eyrie_parameters_options_t& options) {
  EYRIE_RETURN_IF_ERROR(file.Open(path, options.in_memory));
  Text(path_, sizeof(path_)).Print("%s", path);
  EYRIE_RETURN_IF_ERROR(verified_.Resize(file.entries().size()));
  return options.verify == EYRIE_VERIFY_FULL ? VerifyAll() : Status();
}

Status eyrie_parameters::Verify(size_t index) {
  // Two threads may compare at the same time: they come to the same result.
  if (__atomic_load_n(&verified_[index], __ATOMIC_RELAXED)) return {};
  EYRIE_RETURN_IF_ERROR(Annotate(file.Verify(file.entries()[index]), "%s", path_));
  file.Forget(file.entries()[index]);
  __atomic_store_n(&verified_[index], uint8_t{1}, __ATOMIC_RELAXED);
  return {};
}

Status eyrie_parameters::VerifyAll() {
  for (size_t i = 0; i < file.entries().size(); ++i) EYRIE_RETURN_IF_ERROR(Verify(i));
  return {};
}

extern "C" {

eyrie_status_t eyrie_parameters_open(eyrie_runtime_t* runtime, const char* path,
                                     const eyrie_parameters_options_t* options, eyrie_parameters_t** parameters) {
  if (!runtime || !parameters)
    return Error(EYRIE_INVALID_ARGUMENT, "no runtime, or no place for the parameters").Release();
  *parameters = nullptr;
  if (Status status = runtime->CheckProcess(); !status.ok()) return status.Release();
  auto* created = runtime->allocator.New<eyrie_parameters>(runtime);
  if (!created) return OutOfMemory().Release();
  Status status = created->Open(path, session::ReadOptions(options));
  if (!status.ok()) {
    created->Release();
    return status.Release();
  }
  *parameters = created;
  return nullptr;
}

void eyrie_parameters_destroy(eyrie_parameters_t* parameters) {
  if (parameters && parameters->runtime->process.IsSameProcess()) parameters->Release();
}

const char* eyrie_parameters_format(const eyrie_parameters_t* parameters) { return parameters->file.format(); }

size_t eyrie_parameters_count(const eyrie_parameters_t* parameters) { return parameters->file.entries().size(); }

eyrie_status_t eyrie_parameters_entry(const eyrie_parameters_t* parameters, size_t index,
                                      eyrie_parameter_info_t* info) {
  auto entries = parameters->file.entries();
  if (index >= entries.size())
    return Error(EYRIE_NOT_FOUND, "there is no tensor %zu: %s has %zu", index, parameters->path(), entries.size())
        .Release();
  const parameters::Entry& entry = entries[index];
  *info = {entry.name,   entry.type, entry.type_name, entry.problem,    entry.rank,        entry.dims,
           entry.offset, entry.size, nullptr,         entry.is_derived, entry.source_check};
  info->data = parameters->file.DataOf(entry);
  return nullptr;
}

eyrie_status_t eyrie_parameters_find(const eyrie_parameters_t* parameters, const char* name, size_t* index) {
  const parameters::Entry* found = name ? parameters->file.Find(name, strlen(name)) : nullptr;
  if (!found)
    return Error(EYRIE_NOT_FOUND, "there is no tensor '%.100s' in %s", name ? name : "", parameters->path()).Release();
  *index = static_cast<size_t>(found - parameters->file.entries().data());
  return nullptr;
}

eyrie_status_t eyrie_parameters_verify(eyrie_parameters_t* parameters) { return parameters->VerifyAll().Release(); }

}  // extern "C"
