// Tensors outside the module: found by name in the files that it is loaded with, used where they are mapped, or
// computed from others once.
#include <cstring>

#include "abi/crc32c.h"
#include "abi/element_types.h"
#include "runtime/base/checked.h"
#include "runtime/module/metadata.h"
#include "runtime/session/instance.h"
#include "runtime/session/module.h"
#include "runtime/session/types.h"

using namespace eyrie::rt;
using eyrie::rt::module::CountOf;
using eyrie::rt::module::TextOf;

namespace {

bool IsSame(const eyrie_value_info_t& value, const parameters::Entry& entry) {
  bool same = value.type == entry.type && value.rank == entry.rank;
  for (uint32_t i = 0; same && i < value.rank; ++i) same = value.dims[i].size == entry.dims[i];
  return same;
}

Status OtherType(const eyrie_value_info_t& value, const parameters::Entry& entry, const eyrie_parameters& file) {
  char expected[256], found[256];
  Text expected_text(expected, sizeof(expected)), found_text(found, sizeof(found));
  session::PrintShape(expected_text, value);
  session::PrintShape(found_text, entry.type, {entry.dims, entry.rank});
  return Error(EYRIE_INVALID_ARGUMENT,
               "parameter '%.100s' must be %s, but %.200s has %s: give a tensor of the model's own type and shape, or "
               "compile again with the new model",
               value.name, expected, file.path(), found);
}

// The last file that has the name.
const parameters::Entry* Find(std::span<eyrie_parameters* const> files, const char* name, eyrie_parameters** file) {
  for (size_t i = files.size(); i-- > 0;) {
    const parameters::Entry* entry = files[i]->file.Find(name, strlen(name));
    if (entry && !entry->is_derived) return *file = files[i], entry;
  }
  return nullptr;
}

// Frees the instance, whatever happens.
struct OwnInstance {
  eyrie_instance* instance = nullptr;
  ~OwnInstance() { eyrie_instance_destroy(instance); }
};

}  // namespace

Status eyrie_module::KeepFiles() {
  if (options.parameter_count && !options.parameters)
    return Error(EYRIE_INVALID_ARGUMENT, "%zu files of parameters, but no list of them", options.parameter_count);
  EYRIE_RETURN_IF_ERROR(parameter_files.Reserve(options.parameter_count));
  for (size_t i = 0; i < options.parameter_count; ++i) {
    eyrie_parameters* given = options.parameters[i];
    if (!given || given->runtime != runtime)
      return Error(EYRIE_INVALID_ARGUMENT, "file of parameters %zu is %s", i,
                   given ? "of another runtime than the module" : "null");
    EYRIE_RETURN_IF_ERROR(parameter_files.Push(given));
    given->Retain();
  }
  options.parameters = nullptr;
  return {};
}

void eyrie_module::ReleaseParameters() {
  for (session::ParameterRecord& parameter : parameters) {
    runtime->device->ReleaseBuffer(parameter.buffer);
    runtime->allocator.Release(parameter.memory, parameter.size, 64);
  }
  for (eyrie_parameters* given : parameter_files) given->Release();
}

Status eyrie_module::BindParameters() {
  EYRIE_RETURN_IF_ERROR(KeepFiles());
  for (session::ParameterRecord& parameter : parameters) {
    if (parameter.global->kind() == 2)
      EYRIE_RETURN_IF_ERROR(CheckFixed(parameter));
    else if (!CountOf(parameter.global->sources()))
      EYRIE_RETURN_IF_ERROR(BindParameter(parameter));
  }
  return {};
}

Status eyrie_module::BindParameter(session::ParameterRecord& parameter) {
  const eyrie_value_info_t& value = values[parameter.value];
  const parameters::Entry* entry = Find({parameter_files.data(), parameter_files.size()}, value.name, &parameter.file);
  if (!entry) {
    char names[512] = "";
    Text text(names, sizeof(names));
    for (size_t i = 0; i < parameter_files.size() && text.size() < sizeof(names); ++i)
      text.Print(i ? ", %.200s" : "%.200s", parameter_files[i]->path());
    const char* archive = TextOf(file.metadata().archive());
    return Error(EYRIE_NOT_FOUND,
                 "parameter '%.100s' is missing: searched %s; give the module the file that has it%s%.200s", value.name,
                 parameter_files.size() ? names : "no file", *archive ? ", such as the compiler's " : "", archive);
  }
  if (entry->problem)
    return Error(EYRIE_INVALID_ARGUMENT, "parameter '%.100s' of %.200s cannot be used: it %s", value.name,
                 parameter.file->path(), entry->problem);
  if (!IsSame(value, *entry)) return OtherType(value, *entry, *parameter.file);
  parameter.entry = static_cast<size_t>(entry - parameter.file->file.entries().data());
  auto* data = const_cast<uint8_t*>(parameter.file->file.DataOf(*entry));
  if (!IsAligned(data, session::CallerAlignment(value.type))) {
    parameter.memory = runtime->allocator.Allocate(parameter.size, 64);
    if (!parameter.memory) return OutOfMemory();
    __builtin_memcpy(parameter.memory, data, parameter.size);
    data = static_cast<uint8_t*>(parameter.memory);
  }
  EYRIE_ASSIGN_OR_RETURN(parameter.buffer, runtime->device->ImportHostMemory(data, parameter.size, /*writable=*/false));
  return {};
}

// What a file gives under the name of a tensor that is part of the code has no effect: it must be the same.
Status eyrie_module::CheckFixed(const session::ParameterRecord& parameter) const {
  const eyrie_value_info_t& value = values[parameter.value];
  eyrie_parameters* given = nullptr;
  const parameters::Entry* entry = Find({parameter_files.data(), parameter_files.size()}, value.name, &given);
  if (!entry) return {};
  if (entry->problem)
    return Error(EYRIE_INVALID_ARGUMENT, "'%.100s' of %.200s cannot be compared with what is part of the code: it %s",
                 value.name, given->path(), entry->problem);
  if (!IsSame(value, *entry)) return OtherType(value, *entry, *given);
  if (eyrie::abi::Crc32c(given->file.DataOf(*entry), entry->size) == parameter.global->crc()) return {};
  return Error(EYRIE_FAILED_PRECONDITION,
               "'%.100s' of %.200s has other values than the module was compiled with, but they are part of its code: "
               "compile the changed model again",
               value.name, given->path());
}

Status eyrie_module::VerifyParameters() {
  for (const session::ParameterRecord& parameter : parameters)
    if (parameter.file) EYRIE_RETURN_IF_ERROR(parameter.file->Verify(parameter.entry));
  return {};
}

Status eyrie_module::DeriveParameters() {
  OwnInstance own;
  uint64_t left = transient_limit();
  for (session::ParameterRecord& parameter : parameters) {
    if (!CountOf(parameter.global->sources())) continue;
    if (parameter.size > left)
      return Error(EYRIE_RESOURCE_EXHAUSTED, "parameter '%.100s' takes %llu bytes, of which %llu are left by the limit",
                   values[parameter.value].name, static_cast<unsigned long long>(parameter.size),
                   static_cast<unsigned long long>(left));
    left -= parameter.size;
    if (!own.instance) {
      own.instance = runtime->allocator.New<eyrie_instance>(this, eyrie_instance_options_t{});
      if (!own.instance) return OutOfMemory();
      EYRIE_RETURN_IF_ERROR(own.instance->Prepare());
    }
    EYRIE_RETURN_IF_ERROR(
        Annotate(Derive(*own.instance, parameter), "parameter '%.100s'", values[parameter.value].name));
  }
  return {};
}

Status eyrie_module::Derive(eyrie_instance& instance, session::ParameterRecord& parameter) {
  auto describe = [&](const session::ParameterRecord& record, void* data) {
    const eyrie_value_info_t& value = values[record.value];
    eyrie_tensor_t tensor = {data, static_cast<size_t>(record.size), value.type, value.rank, {}};
    for (uint32_t i = 0; i < value.rank; ++i) tensor.dims[i] = value.dims[i].size;
    return tensor;
  };
  parameter.memory = runtime->allocator.Allocate(parameter.size, 64);
  if (!parameter.memory) return OutOfMemory();
  const auto& sources = *parameter.global->sources();
  Array<eyrie_tensor_t> inputs(runtime->allocator);
  for (uint32_t i = 0; i < sources.size(); ++i) {
    const session::ParameterRecord& source = parameters[sources[i] - states.size()];
    const void* data =
        source.memory ? source.memory : source.file->file.DataOf(source.file->file.entries()[source.entry]);
    EYRIE_RETURN_IF_ERROR(inputs.Push(describe(source, const_cast<void*>(data))));
  }
  eyrie_tensor_t output = describe(parameter, parameter.memory);
  EYRIE_RETURN_IF_ERROR(instance.Call(parameter.global->function(), inputs.data(), inputs.size(), &output, 1, {}));
  for (uint32_t i = 0; i < sources.size(); ++i) {
    const session::ParameterRecord& source = parameters[sources[i] - states.size()];
    source.file->file.Forget(source.file->file.entries()[source.entry]);
  }
  EYRIE_ASSIGN_OR_RETURN(parameter.buffer, runtime->device->ImportHostMemory(parameter.memory, parameter.size,
                                                                             /*writable=*/false));
  return {};
}

extern "C" {

eyrie_status_t eyrie_module_parameter(const eyrie_module_t* module, uint32_t index, eyrie_module_parameter_t* info) {
  if (index >= module->parameters.size())
    return Error(EYRIE_NOT_FOUND, "there is no parameter %u: the module has %zu", index, module->parameters.size())
        .Release();
  const session::ParameterRecord& parameter = module->parameters[index];
  const auto* sources = parameter.global->sources();
  *info = {};
  info->value = module->values[parameter.value];
  info->size_bytes = parameter.size;
  info->is_derived = CountOf(sources) != 0;
  info->is_fixed = parameter.global->kind() == 2;
  info->source_count = CountOf(sources);
  return nullptr;
}

eyrie_status_t eyrie_module_parameter_source(const eyrie_module_t* module, uint32_t index, uint32_t source,
                                             uint32_t* parameter) {
  const auto* sources = index < module->parameters.size() ? module->parameters[index].global->sources() : nullptr;
  if (source >= CountOf(sources))
    return Error(EYRIE_NOT_FOUND, "parameter %u has no source %u: it has %u", index, source, CountOf(sources))
        .Release();
  *parameter = sources->Get(source) - static_cast<uint32_t>(module->states.size());
  return nullptr;
}

const char* eyrie_module_archive(const eyrie_module_t* module) { return TextOf(module->file.metadata().archive()); }

}  // extern "C"
