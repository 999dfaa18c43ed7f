// What a module tells about itself.
#include <cstring>

#include "abi/cpu_features.h"
#include "abi/vm_encoding.h"
#include "runtime/base/text.h"
#include "runtime/module/metadata.h"
#include "runtime/session/module.h"

using namespace eyrie::rt;
using eyrie::rt::module::CountOf;
using eyrie::rt::module::TextOf;
namespace fb = eyrie::abi::fb;

namespace {

eyrie_status_t CheckIndex(const char* what, uint32_t index, size_t count) {
  if (index < count) return nullptr;
  return Error(EYRIE_NOT_FOUND, "there is no %s %u: the module has %zu", what, index, count).Release();
}

eyrie_status_t GetValue(const eyrie_module& module, const char* what, uint32_t first, uint32_t count, uint32_t index,
                        eyrie_value_info_t* info) {
  if (eyrie_status_t status = CheckIndex(what, index, count)) return status;
  *info = module.values[first + index];
  return nullptr;
}

// Marks the function and those that it calls, themselves or through others.
Status FindCalled(const eyrie_module& module, uint32_t function, Array<bool>& reached) {
  Array<uint32_t> pending(module.runtime->allocator);
  EYRIE_RETURN_IF_ERROR(reached.Resize(module.code.size()));
  EYRIE_RETURN_IF_ERROR(pending.Push(function));
  reached[function] = true;
  for (size_t next = 0; next < pending.size(); ++next) {
    std::span<const uint32_t> code = module.FunctionAt(pending[next]).code;
    for (size_t at = 0; at < code.size(); at += eyrie::abi::VmLengthOf(code[at])) {
      if (eyrie::abi::VmOpcodeOf(code[at]) != static_cast<uint32_t>(eyrie::abi::VmOp::kCall)) continue;
      uint32_t callee = code[at + 1];
      if (!reached[callee]) EYRIE_RETURN_IF_ERROR(pending.Push(callee));
      reached[callee] = true;
    }
  }
  return {};
}

}  // namespace

extern "C" {

void eyrie_module_get_info(const eyrie_module_t* module, eyrie_module_info_t* info) {
  const fb::Module& metadata = module->file.metadata();
  *info = {};
  info->producer = TextOf(metadata.producer());
  info->target = TextOf(metadata.target());
  info->source = TextOf(metadata.source());
  info->format_major = module->file.header().format_major;
  info->format_minor = module->file.header().format_minor;
  info->file_size = module->file.header().file_size;
  info->section_count = module->file.header().section_count;
  info->function_count = module->public_count;
  info->internal_count = static_cast<uint32_t>(module->functions.size()) - module->public_count;
  info->executable_count = CountOf(metadata.executables());
}

eyrie_status_t eyrie_module_section(const eyrie_module_t* module, uint32_t index, eyrie_section_info_t* info) {
  auto sections = module->file.sections();
  if (eyrie_status_t status = CheckIndex("section", index, sections.size())) return status;
  const eyrie::abi::SectionEntry& section = sections[index];
  *info = {section.kind, eyrie::rt::module::SectionName(section.kind), section.offset, section.size, section.alignment,
           section.crc};
  return nullptr;
}

eyrie_status_t eyrie_module_find(const eyrie_module_t* module, const char* name, uint32_t* function) {
  uint32_t count = module->public_count;
  const auto* list = module->file.metadata().functions();
  if ((!name || !*name) && count == 1) {
    *function = 0;
    return nullptr;
  }
  const char* wanted = name && *name ? name : "main";
  for (uint32_t i = 0; i < count; ++i) {
    if (strcmp(TextOf(list->Get(i)->name()), wanted) == 0) {
      *function = i;
      return nullptr;
    }
  }
  char names[400];
  Text text(names, sizeof(names));
  for (uint32_t i = 0; i < count && text.size() < sizeof(names); ++i)
    text.Print(i ? ", %s" : "%s", TextOf(list->Get(i)->name()));
  return Error(EYRIE_NOT_FOUND, "the module has no function '%.100s'; it has: %s", wanted, names).Release();
}

eyrie_status_t eyrie_module_function(const eyrie_module_t* module, uint32_t function, eyrie_function_info_t* info) {
  if (eyrie_status_t status = CheckIndex("function", function, module->functions.size())) return status;
  const fb::Function& item = *module->file.metadata().functions()->Get(function);
  const session::FunctionRecord& record = module->functions[function];
  *info = {};
  info->name = TextOf(item.name());
  info->argument_count = record.argument_count;
  info->result_count = record.result_count;
  info->int_registers = item.int_registers();
  info->buffer_registers = item.buffer_registers();
  info->code_words = item.code_size();
  info->block_count = CountOf(item.blocks());
  info->arena_bytes = info->total_bytes = info->lower_bound = info->upper_bound = -1;
  if (const fb::MemoryPlan* plan = item.memory_plan()) {
    info->arena_bytes = plan->arena_bytes();
    info->total_bytes = plan->total_bytes();
    info->lower_bound = plan->lower_bound();
    info->upper_bound = plan->upper_bound();
    info->transient_count = CountOf(plan->transients());
  }
  return nullptr;
}

eyrie_status_t eyrie_module_argument(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                     eyrie_value_info_t* info) {
  if (eyrie_status_t status = CheckIndex("function", function, module->functions.size())) return status;
  const session::FunctionRecord& record = module->functions[function];
  return GetValue(*module, "argument", record.first_argument, record.argument_count, index, info);
}

eyrie_status_t eyrie_module_result(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                   eyrie_value_info_t* info) {
  if (eyrie_status_t status = CheckIndex("function", function, module->functions.size())) return status;
  const session::FunctionRecord& record = module->functions[function];
  return GetValue(*module, "result", record.first_result, record.result_count, index, info);
}

eyrie_status_t eyrie_module_transient(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                      eyrie_transient_info_t* info) {
  if (eyrie_status_t status = CheckIndex("function", function, module->functions.size())) return status;
  const fb::MemoryPlan* plan = module->file.metadata().functions()->Get(function)->memory_plan();
  if (eyrie_status_t status = CheckIndex("transient", index, plan ? CountOf(plan->transients()) : 0)) return status;
  const fb::Transient& item = *plan->transients()->Get(index);
  *info = {TextOf(item.name()), item.offset(), item.size(), item.first_use(), item.last_use()};
  return nullptr;
}

eyrie_status_t eyrie_module_executable(const eyrie_module_t* module, uint32_t index, eyrie_executable_info_t* info) {
  const auto* list = module->file.metadata().executables();
  if (eyrie_status_t status = CheckIndex("executable", index, CountOf(list))) return status;
  const fb::Executable& item = *list->Get(index);
  session::Code code = module->CodeOf(item, module->chosen[index]);
  *info = {};
  info->name = TextOf(item.name());
  info->format = code.format;
  info->features = code.features;
  info->size = code.size;
  info->variant_count = CountOf(item.variants()) + 1;
  info->export_count = CountOf(item.exports());
  for (uint32_t i = 0; i < index; ++i) info->first_export += CountOf(list->Get(i)->exports());
  return nullptr;
}

eyrie_status_t eyrie_module_variant(const eyrie_module_t* module, uint32_t executable, uint32_t index,
                                    eyrie_variant_info_t* info) {
  const auto* list = module->file.metadata().executables();
  if (eyrie_status_t status = CheckIndex("executable", executable, CountOf(list))) return status;
  const fb::Executable& item = *list->Get(executable);
  if (eyrie_status_t status = CheckIndex("variant", index, size_t{CountOf(item.variants())} + 1)) return status;
  session::Code code = module->CodeOf(item, index);
  *info = {code.format, code.features, code.offset, code.size,
           index == module->chosen[executable] && module->Fits(code)};
  return nullptr;
}

eyrie_status_t eyrie_module_cpu(const eyrie_module_t* module, uint32_t index, eyrie_cpu_info_t* info) {
  const auto* list = module->file.metadata().processors();
  if (eyrie_status_t status = CheckIndex("processor", index, CountOf(list))) return status;
  const fb::Processor& item = *list->Get(index);
  const char* format = TextOf(item.format());
  *info = {TextOf(item.name()), format, item.features(), module->runtime->device->CanRun(format, item.features())};
  return nullptr;
}

const char* eyrie_feature_name(const char* format, uint32_t bit) {
  return format ? eyrie::abi::CpuFeatureName(format, bit) : nullptr;
}

eyrie_status_t eyrie_module_export(const eyrie_module_t* module, uint32_t index, eyrie_export_info_t* info) {
  if (eyrie_status_t status = CheckIndex("export", index, module->exports.size())) return status;
  const hal::ExportSpec& spec = module->export_specs[index];
  *info = {};
  info->symbol = spec.symbol;
  info->executable = module->exports[index].executable_index;
  info->binding_count = spec.binding_count;
  info->constant_count = spec.constant_count;
  info->local_memory = spec.local_memory;
  info->operations = module->ExportAt(index).operations();
  if (const auto* nodes = module->ExportAt(index).nodes())
    for (uint32_t i = 0; i < nodes->size(); ++i) info->node_count += nodes->c_str()[i] == '\0';
  return nullptr;
}

const char* eyrie_module_export_node(const eyrie_module_t* module, uint32_t index, uint32_t node) {
  if (index >= module->exports.size()) return nullptr;
  const auto* nodes = module->ExportAt(index).nodes();
  const char *at = nodes ? nodes->c_str() : nullptr, *end = nodes ? at + nodes->size() : nullptr;
  for (; at < end; at += strlen(at) + 1, --node)
    if (node == 0) return at;
  return nullptr;
}

eyrie_status_t eyrie_module_disassemble(const eyrie_module_t* module, uint32_t function, char* memory, size_t capacity,
                                        size_t* needed) {
  if (eyrie_status_t status = CheckIndex("function", function, module->code.size())) return status;
  Array<bool> reached(module->runtime->allocator);
  if (Status status = FindCalled(*module, function, reached); !status.ok()) return status.Release();
  Text text(memory, capacity);
  for (uint32_t i = 0; i < reached.size(); ++i)
    if (reached[i]) vm::Disassemble(module->FunctionAt(i), *module, text);
  if (needed) *needed = text.size() + 1;
  return nullptr;
}

}  // extern "C"
