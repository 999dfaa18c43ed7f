#include "runtime/session/host_calls.h"

#include <cstring>

#include "abi/element_types.h"
#include "abi/vm_encoding.h"
#include "runtime/base/checked.h"
#include "runtime/base/shape.h"
#include "runtime/module/metadata.h"
#include "runtime/session/types.h"

using eyrie::rt::module::CountOf;
using eyrie::rt::module::TextOf;

namespace eyrie::rt::session {
namespace {

const BuiltIn* FindBuiltIn(const char* name) {
#ifndef EYRIE_NO_TEXT
  for (std::span<const BuiltIn> family : {TextFunctions(), NumberFunctions(), PatternFunctions()})
    for (const BuiltIn& function : family)
      if (strcmp(function.name, name) == 0) return &function;
#else
  (void)name;
#endif
  return nullptr;
}

uint32_t TypeOf(char letter) {
  switch (letter) {
    case 's':
      return EYRIE_STRING;
    case 'i':
      return EYRIE_I64;
    case 'u':
      return EYRIE_U64;
    case 'f':
      return EYRIE_F32;
    case 'd':
      return EYRIE_F64;
    default:
      return EYRIE_BOOL;
  }
}

bool HasMoreDims(const BuiltIn& built_in) { return built_in.tensors[strlen(built_in.tensors) - 1] == '+'; }

// Whether the module declares a built-in function with the tensors that it has.
Status CheckTensors(const BuiltIn& built_in, const abi::fb::HostFunction& function) {
  uint32_t i = 0, count = CountOf(function.types()), inputs = 0;
  for (const char* letter = built_in.tensors; *letter; ++letter) {
    if (*letter == '>') {
      inputs = i;
    } else if (*letter != '+') {
      uint32_t rank = i < count ? function.ranks()->Get(i) : 0, first = i < count ? function.ranks()->Get(0) : 0;
      bool has_more = letter[1] == '+';
      if (i >= count || function.types()->Get(i) != TypeOf(*letter) || rank != first + has_more)
        return Error(EYRIE_INVALID_ARGUMENT, "its tensor %u is not %s of rank %u", i, TypeName(TypeOf(*letter)),
                     first + has_more);
      ++i;
    }
  }
  if (i != count || inputs != function.input_count())
    return Error(EYRIE_INVALID_ARGUMENT, "it has %u tensors, %u of them inputs; expected %u and %u", count,
                 function.input_count(), i, inputs);
  return {};
}

// The tensors of a call have as many elements as they must.
[[maybe_unused]] Status CheckCounts(const BuiltIn& built_in, std::span<const HostTensor> tensors) {
  for (uint32_t i = 1; i < tensors.size(); ++i) {
    bool has_more = HasMoreDims(built_in) && i + 1 == tensors.size();
    std::span<const int64_t> dims = tensors[i].dims;
    if (has_more) dims = dims.first(dims.size() - 1);
    if (memcmp(dims.data(), tensors[0].dims.data(), dims.size_bytes()) != 0)
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %u has another shape than tensor 0", i);
  }
  return {};
}

}  // namespace

const abi::fb::HostAttribute* FindAttribute(const abi::fb::HostFunction& function, const char* name) {
  for (uint32_t i = 0; i < CountOf(function.attributes()); ++i)
    if (strcmp(TextOf(function.attributes()->Get(i)->name()), name) == 0) return function.attributes()->Get(i);
  return nullptr;
}

int64_t IntegerOf(const abi::fb::HostFunction& function, const char* name, int64_t initial) {
  const abi::fb::HostAttribute* attribute = FindAttribute(function, name);
  return attribute && CountOf(attribute->integers()) ? attribute->integers()->Get(0) : initial;
}

Status HostCalls::Prepare() {
  size_t most = 0;
  for (const vm::HostCounts& counts : module_.host_counts) most = counts.tensors > most ? counts.tensors : most;
  EYRIE_RETURN_IF_ERROR(views_.Reserve(most));
  return tensors_.Reserve(most);
}

Status HostCalls::MakeTensors(const abi::fb::HostFunction& function, std::span<const int64_t> sizes,
                              std::span<const vm::BindingRef> bindings) {
  tensors_.Clear();
  for (uint32_t i = 0; i < bindings.size(); ++i) {
    const vm::BindingRef& binding = bindings[i];
    uint32_t type = function.types()->Get(i), rank = function.ranks()->Get(i);
    const auto* buffer = static_cast<const hal::Buffer*>(binding.buffer);
    HostTensor tensor = {type, sizes.first(rank), nullptr, 1};
    sizes = sizes.subspan(rank);
    auto bytes = TensorBytes(type, tensor.dims);
    EYRIE_RETURN_IF_ERROR(Annotate(std::move(bytes.status()), "tensor %u", i));
    if (bytes.value() != binding.length || !InRange(binding.offset, binding.length, buffer->size()))
      return Error(EYRIE_OUT_OF_RANGE, "tensor %u takes %zu bytes, but has %llu from byte %llu of a buffer of %llu", i,
                   bytes.value(), static_cast<unsigned long long>(binding.length),
                   static_cast<unsigned long long>(binding.offset), static_cast<unsigned long long>(buffer->size()));
    tensor.data = buffer->host() + binding.offset;
    if (!IsAligned(tensor.data, ElementAlignment(type)))
      return Error(EYRIE_INVALID_ARGUMENT, "tensor %u is not aligned to its elements", i);
    if (i >= function.input_count() && !buffer->writable())
      return Error(EYRIE_PERMISSION_DENIED, "tensor %u, an output, lies in memory that is only read", i);
    for (int64_t dim : tensor.dims) tensor.count *= static_cast<uint64_t>(dim);
    EYRIE_RETURN_IF_ERROR(tensors_.Push(tensor));
  }
  return {};
}

#ifndef EYRIE_NO_TEXT
Status HostCalls::CallBuiltIn(const BuiltIn& built_in, uint32_t index, std::span<const int64_t> sizes,
                              std::span<const vm::BindingRef> bindings, const hal::Stop& stop) {
  const abi::fb::HostFunction& function = *module_.file.metadata().host_functions()->Get(index);
  EYRIE_RETURN_IF_ERROR(MakeTensors(function, sizes, bindings));
  std::span<const HostTensor> tensors(tensors_.data(), tensors_.size());
  EYRIE_RETURN_IF_ERROR(CheckCounts(built_in, tensors));
  return built_in.run({function, tensors.first(function.input_count()), tensors.subspan(function.input_count()),
                       strings_, scratch_, stop});
}
#endif

Status HostCalls::Call(uint32_t index, std::span<const int64_t> sizes, std::span<const vm::BindingRef> bindings,
                       const hal::Stop& stop) {
  EYRIE_RETURN_IF_ERROR(stop.Check());
  const HostTarget& target = module_.host_targets[index];
#ifndef EYRIE_NO_TEXT
  if (target.built_in)
    return Annotate(CallBuiltIn(*target.built_in, index, sizes, bindings, stop), "%s", target.built_in->name);
#endif
  EYRIE_RETURN_IF_ERROR((this->*target.caller->call)(*target.caller, index, sizes, bindings, stop));
  return stop.Check();
}

}  // namespace eyrie::rt::session

using namespace eyrie::rt;

const char* eyrie_module::NodeOfHostFunction(uint32_t index) const {
  for (const vm::Function& function : code)
    for (uint32_t at = 0; at < function.code.size(); at += eyrie::abi::VmLengthOf(function.code[at]))
      if (eyrie::abi::VmOpcodeOf(function.code[at]) == static_cast<uint32_t>(eyrie::abi::VmOp::kHostCall) &&
          function.code[at + 1] == index)
        return Node(function.first_word + at);
  return nullptr;
}

Status eyrie_module::BindHostFunctions() {
  const auto* list = file.metadata().host_functions();
  for (uint32_t i = 0; i < CountOf(list); ++i) {
    const auto& function = *list->Get(i);
    const char* name = TextOf(function.name());
    session::HostTarget target = {session::FindBuiltIn(name), nullptr};
    if (target.built_in) {
      auto check = [&] {
        EYRIE_RETURN_IF_ERROR(session::CheckTensors(*target.built_in, function));
        return target.built_in->check ? target.built_in->check(function) : Status();
      };
      EYRIE_RETURN_IF_ERROR(Annotate(check(), "host function %u, '%.100s'", i, name));
    } else {
      session::FunctionTable* table = runtime->caller_functions.load(std::memory_order_acquire);
      target.caller = table ? table->Find(name) : nullptr;
      if (!target.caller) return MissingFunction(i, name);
      for (uint32_t k = 0; k < CountOf(function.types()); ++k)
        if (function.types()->Get(k) == EYRIE_STRING)
          return Error(EYRIE_INVALID_ARGUMENT, "host function %u, '%.100s': its tensor %u is of strings", i, name, k);
    }
    EYRIE_RETURN_IF_ERROR(host_targets.Push(target));
  }
  return {};
}

Status eyrie_module::MissingFunction(uint32_t index, const char* name) const {
  const char* node = NodeOfHostFunction(index);
  return Error(EYRIE_NOT_FOUND, "%s%.400s%sneeds the host function '%.100s', which is not there%s",
               node ? "node '" : "the module ", node ? node : "", node ? "' " : "", name,
               session::IsCallerName(name)
                   ? "; add it, or a plug-in that has it (--plugin), before the module is loaded"
                   : ": this runtime was built without it");
}
