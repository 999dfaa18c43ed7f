#include "runtime/session/module.h"

#include <algorithm>

#include "runtime/base/checked.h"
#include "runtime/module/metadata.h"
#include "runtime/session/types.h"
#include "runtime/vm/verifier.h"

using namespace eyrie::rt;
using eyrie::rt::module::CountOf;
using eyrie::rt::module::TextOf;
namespace fb = eyrie::abi::fb;

eyrie_module::eyrie_module(eyrie_runtime* runtime, const eyrie_module_options_t& options)
    : runtime(runtime),
      options(options),
      texts(runtime->allocator),
      values(runtime->allocator),
      dims(runtime->allocator),
      dim_symbols(runtime->allocator),
      ranks(runtime->allocator),
      types(runtime->allocator),
      functions(runtime->allocator),
      code(runtime->allocator),
      host_counts(runtime->allocator),
      host_targets(runtime->allocator),
      states(runtime->allocator),
      state_ranks(runtime->allocator),
      parameters(runtime->allocator),
      parameter_files(runtime->allocator),
      export_specs(runtime->allocator),
      export_counts(runtime->allocator),
      exports(runtime->allocator),
      chosen(runtime->allocator),
      executables(runtime->allocator) {
  runtime->Retain();
}

eyrie_module::~eyrie_module() {
  for (hal::Executable* executable : executables) executable->Destroy();
  runtime->device->ReleaseBuffer(weights);
  ReleaseParameters();
  runtime->allocator.Release(copy, copy_size, 64);
}

void eyrie_module::Release() {
  if (references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  eyrie_runtime* owner = runtime;
  owner->allocator.Delete(this);
  owner->Release();
}

Status eyrie_module::LoadFile(const char* path) {
  EYRIE_ASSIGN_OR_RETURN(mapping, MappedFile::Open(path));
  EYRIE_RETURN_IF_ERROR(Annotate(file.Parse(mapping.data(), mapping.size()), "%.400s", path));
  return Annotate(Build(), "%.400s", path);
}

Status eyrie_module::LoadMemory(const uint8_t* data, size_t size) {
  if (!data || !size) return Error(EYRIE_INVALID_ARGUMENT, "no bytes, so this is not a module");
  if (!IsAligned(data, 64)) {
    copy = runtime->allocator.Allocate(size, 64);
    if (!copy) return OutOfMemory();
    copy_size = size;
    __builtin_memcpy(copy, data, size);
    data = static_cast<const uint8_t*>(copy);
  }
  EYRIE_RETURN_IF_ERROR(file.Parse(data, size));
  return Build();
}

Status eyrie_module::Build() {
  string_count = CountOf(file.metadata().strings());
  EYRIE_RETURN_IF_ERROR(texts.Build(file.metadata()));
  EYRIE_RETURN_IF_ERROR(BuildValues());
  EYRIE_RETURN_IF_ERROR(FindCpu());
  EYRIE_RETURN_IF_ERROR(BuildExports());
  for (uint32_t i = 0; i < CountOf(file.metadata().functions()); ++i) EYRIE_RETURN_IF_ERROR(code.Push(ReadFunction(i)));
  EYRIE_RETURN_IF_ERROR(CountHostFunctions());
  vm::Program verified_against = program();
  for (uint32_t i = 0; i < code.size(); ++i) EYRIE_RETURN_IF_ERROR(vm::Verify(verified_against, FunctionAt(i)));
  if (options.inspect_only) {
    is_loaded_ = true;
    return options.verify == EYRIE_VERIFY_FULL ? EnsureVerified(true) : Status();
  }
  EYRIE_RETURN_IF_ERROR(BindHostFunctions());
  EYRIE_RETURN_IF_ERROR(BindParameters());
  if (options.verify == EYRIE_VERIFY_FULL) EYRIE_RETURN_IF_ERROR(EnsureVerified(true));
  EYRIE_RETURN_IF_ERROR(LoadExecutables());
  auto bytes = file.weights();
  EYRIE_ASSIGN_OR_RETURN(weights, runtime->device->ImportHostMemory(const_cast<uint8_t*>(bytes.data()), bytes.size(),
                                                                    /*writable=*/false));
  EYRIE_RETURN_IF_ERROR(DeriveParameters());
  is_loaded_ = true;
  return {};
}

Status eyrie_module::AddValue(const fb::Value& value) {
  uint32_t rank = CountOf(value.dims());
  eyrie_value_info_t info = {
      TextOf(value.name()), value.element_type(),  rank, nullptr, value.kind() % 2 == 1, value.any_rank(),
      value.kind() >= 2,    TextOf(value.labels())};
  // The address of the dimensions is set when all are there.
  EYRIE_RETURN_IF_ERROR(values.Push(info));
  EYRIE_RETURN_IF_ERROR(ranks.Push(session::IsList(info) ? vm::kSequence : rank));
  EYRIE_RETURN_IF_ERROR(types.Push(value.element_type()));
  for (uint32_t i = 0; i < rank; ++i) {
    const fb::Dim* dim = value.dims()->Get(i);
    const char* symbol = dim->symbol() >= 0 ? TextOf(file.metadata().symbols()->Get(dim->symbol())) : nullptr;
    EYRIE_RETURN_IF_ERROR(dims.Push({dim->size(), symbol}));
    EYRIE_RETURN_IF_ERROR(dim_symbols.Push(dim->size() >= 0 ? -1 : dim->symbol()));
  }
  return {};
}

Status eyrie_module::AddState(const fb::Global& global) {
  session::StateRecord record = {};
  record.value = static_cast<uint32_t>(values.size());
  EYRIE_RETURN_IF_ERROR(AddValue(*global.value()));
  uint32_t rank = CountOf(global.value()->dims());
  for (uint32_t i = 0; i < rank; ++i) {
    record.order[i] = global.order() ? global.order()->Get(i) : static_cast<uint8_t>(i);
    int64_t size = global.value()->dims()->Get(record.order[i])->size();
    record.initial_dims[i] = size < 0 ? 0 : size;
  }
  EYRIE_RETURN_IF_ERROR(states.Push(record));
  return state_ranks.Push(rank);
}

Status eyrie_module::AddParameter(const fb::Global& global) {
  session::ParameterRecord record = {};
  record.value = static_cast<uint32_t>(values.size());
  record.global = &global;
  EYRIE_RETURN_IF_ERROR(AddValue(*global.value()));
  parameter_count += global.kind() == 1;
  return parameters.Push(record);
}

Status eyrie_module::BuildValues() {
  const auto* list = file.metadata().functions();
  EYRIE_RETURN_IF_ERROR(functions.Reserve(CountOf(list)));
  for (uint32_t i = 0; i < CountOf(list); ++i) {
    const fb::Function& function = *list->Get(i);
    if (function.callee()) break;  // none but such follow
    session::FunctionRecord record = {};
    record.first_argument = static_cast<uint32_t>(values.size());
    record.argument_count = CountOf(function.arguments());
    for (uint32_t k = 0; k < record.argument_count; ++k) EYRIE_RETURN_IF_ERROR(AddValue(*function.arguments()->Get(k)));
    record.first_result = static_cast<uint32_t>(values.size());
    record.result_count = CountOf(function.results());
    for (uint32_t k = 0; k < record.result_count; ++k) EYRIE_RETURN_IF_ERROR(AddValue(*function.results()->Get(k)));
    EYRIE_RETURN_IF_ERROR(functions.Push(record));
    if (!function.internal()) public_count = i + 1;
  }
  const auto* globals = file.metadata().globals();
  for (uint32_t i = 0; i < CountOf(globals); ++i) {
    const fb::Global& global = *globals->Get(i);
    EYRIE_RETURN_IF_ERROR(global.kind() == 0 ? AddState(global) : AddParameter(global));
  }
  const eyrie_dim_t* at = dims.data();
  for (eyrie_value_info_t& value : values) {
    value.dims = at;
    at += value.rank;
  }
  for (session::ParameterRecord& parameter : parameters) {
    const eyrie_value_info_t& value = values[parameter.value];
    int64_t sizes[EYRIE_MAX_RANK];
    for (uint32_t i = 0; i < value.rank; ++i) sizes[i] = value.dims[i].size;
    auto bytes = session::CallerBytes(value.type, {sizes, value.rank});
    EYRIE_RETURN_IF_ERROR(Annotate(std::move(bytes.status()), "parameter '%.100s'", value.name));
    parameter.size = bytes.value();
  }
  return {};
}

Status eyrie_module::BuildExports() {
  const auto* list = file.metadata().executables();
  for (uint32_t i = 0; i < CountOf(list); ++i) {
    const auto* items = list->Get(i)->exports();
    const auto* variants = list->Get(i)->variants();
    uint32_t variant = ChooseVariant(*list->Get(i));
    EYRIE_RETURN_IF_ERROR(chosen.Push(variant));
    const auto* local = variant < CountOf(variants) ? variants->Get(variant)->local_memory() : nullptr;
    for (uint32_t k = 0; k < CountOf(items); ++k) {
      const fb::Export& item = *items->Get(k);
      EYRIE_RETURN_IF_ERROR(export_specs.Push({TextOf(item.symbol()), item.binding_count(), item.constant_count(),
                                               local ? local->Get(k) : item.local_memory()}));
      EYRIE_RETURN_IF_ERROR(export_counts.Push({item.binding_count(), item.constant_count(), variant}));
      EYRIE_RETURN_IF_ERROR(exports.Push({nullptr, i, k}));
    }
  }
  return {};
}

Status eyrie_module::CountHostFunctions() {
  const auto* list = file.metadata().host_functions();
  for (uint32_t i = 0; i < CountOf(list); ++i) {
    uint32_t sizes = 0;
    for (uint32_t k = 0; k < CountOf(list->Get(i)->ranks()); ++k) sizes += list->Get(i)->ranks()->Get(k);
    EYRIE_RETURN_IF_ERROR(host_counts.Push({CountOf(list->Get(i)->types()), sizes}));
  }
  return {};
}

Status eyrie_module::LoadExecutables() {
  const auto* list = file.metadata().executables();
  EYRIE_RETURN_IF_ERROR(executables.Reserve(CountOf(list)));
  uint32_t first = 0;
  for (uint32_t i = 0; i < CountOf(list); ++i) {
    const fb::Executable& item = *list->Get(i);
    uint32_t count = CountOf(item.exports());
    session::Code code = CodeOf(item, chosen[i]);
    hal::ExecutableSpec spec = {};
    spec.name = TextOf(item.name());
    spec.format = code.format;
    spec.features = code.features;
    spec.object = file.objects().data() + code.offset;
    spec.object_size = static_cast<size_t>(code.size);
    spec.exports = {export_specs.data() + first, count};
    auto loaded = runtime->device->LoadExecutable(spec);
    EYRIE_RETURN_IF_ERROR(Annotate(std::move(loaded.status()), "executable %u", i));
    EYRIE_RETURN_IF_ERROR(executables.Push(loaded.value()));
    for (uint32_t k = 0; k < count; ++k) exports[first + k].executable = loaded.value();
    first += count;
  }
  return {};
}

Status eyrie_module::EnsureVerified(bool wanted) {
  if (!wanted || weights_verified_.load(std::memory_order_acquire)) return {};
  MutexLock lock(verify_mutex_);
  if (weights_verified_.load(std::memory_order_relaxed)) return {};
  EYRIE_RETURN_IF_ERROR(file.VerifyWeights(mapping.data() ? &mapping : nullptr));
  EYRIE_RETURN_IF_ERROR(VerifyParameters());
  weights_verified_.store(true, std::memory_order_release);
  return {};
}

vm::Function eyrie_module::ReadFunction(uint32_t index) const {
  const fb::Function& item = *file.metadata().functions()->Get(index);
  vm::Function function;
  function.name = TextOf(item.name());
  function.code = file.bytecode().subspan(item.code_offset(), item.code_size());
  function.first_word = item.code_offset();
  if (item.blocks()) function.blocks = {item.blocks()->data(), item.blocks()->size()};
  function.int_registers = item.int_registers();
  function.buffer_registers = item.buffer_registers();
  function.list_registers = item.list_registers();
  function.index = index;
  if (const fb::Signature* signature = item.callee()) {
    function.is_callee = true;
    function.parameters = {signature->int_parameters(), signature->buffer_parameters(), signature->list_parameters()};
    function.returned = {signature->int_results(), signature->buffer_results(), signature->list_results()};
    return function;
  }
  const session::FunctionRecord& record = functions[index];
  function.argument_ranks = {ranks.data() + record.first_argument, record.argument_count};
  function.result_ranks = {ranks.data() + record.first_result, record.result_count};
  // Results lie behind the arguments.
  function.types = {types.data() + record.first_argument, size_t{record.argument_count} + record.result_count};
  function.states = StatesOf(index);
  return function;
}

std::span<const uint32_t> eyrie_module::StatesOf(uint32_t function) const {
  const auto* list = file.metadata().functions()->Get(function)->states();
  return list ? std::span(list->data(), list->size()) : std::span<const uint32_t>();
}

const fb::Export& eyrie_module::ExportAt(uint32_t index) const {
  const session::ExportRef& ref = exports[index];
  return *file.metadata().executables()->Get(ref.executable_index)->exports()->Get(ref.ordinal);
}

const char* eyrie_module::String(uint32_t index) const { return TextOf(file.metadata().strings()->Get(index)); }
const char* eyrie_module::Export(uint32_t index) const { return export_specs[index].symbol; }
const char* eyrie_module::Function(uint32_t index) const {
  return TextOf(file.metadata().functions()->Get(index)->name());
}

const char* eyrie_module::HostFunction(uint32_t index) const {
  return TextOf(file.metadata().host_functions()->Get(index)->name());
}

const char* eyrie_module::Node(uint32_t word) const {
  const fb::SourceMap* map = file.metadata().source_map();
  if (!map || !CountOf(map->words())) return nullptr;
  const uint32_t *words = map->words()->data(), *end = words + map->words()->size();
  const uint32_t* behind = std::upper_bound(words, end, word);
  uint32_t node = behind == words ? 0 : map->nodes()->Get(static_cast<uint32_t>(behind - words) - 1);
  return node ? TextOf(map->names()->Get(node - 1)) : nullptr;
}

namespace {

template <typename Load>
eyrie_status_t LoadModule(eyrie_runtime_t* runtime, const eyrie_module_options_t* given, eyrie_module_t** module,
                          Load load) {
  if (!runtime || !module) return Error(EYRIE_INVALID_ARGUMENT, "no runtime, or no place for the module").Release();
  *module = nullptr;
  if (Status status = runtime->CheckProcess(); !status.ok()) return status.Release();
  auto* created = runtime->allocator.New<eyrie_module>(runtime, session::ReadOptions(given));
  if (!created) return OutOfMemory().Release();
  Status status = load(*created);
  if (!status.ok()) {
    created->Release();
    return status.Release();
  }
  *module = created;
  return nullptr;
}

}  // namespace

extern "C" {

eyrie_status_t eyrie_module_load_file(eyrie_runtime_t* runtime, const char* path, const eyrie_module_options_t* options,
                                      eyrie_module_t** module) {
  return LoadModule(runtime, options, module, [&](eyrie_module& created) { return created.LoadFile(path); });
}

eyrie_status_t eyrie_module_load_memory(eyrie_runtime_t* runtime, const void* data, size_t size,
                                        const eyrie_module_options_t* options, eyrie_module_t** module) {
  return LoadModule(runtime, options, module,
                    [&](eyrie_module& created) { return created.LoadMemory(static_cast<const uint8_t*>(data), size); });
}

void eyrie_module_destroy(eyrie_module_t* module) {
  if (module && module->runtime->process.IsSameProcess()) module->Release();
}

eyrie_status_t eyrie_module_verify(eyrie_module_t* module) { return module->EnsureVerified(true).Release(); }

}  // extern "C"
