#include "runtime/session/signature.h"

#include "runtime/base/checked.h"
#include "runtime/module/metadata.h"
#include "runtime/session/types.h"

namespace eyrie::rt::session {

// ---- Symbols

Status SymbolSizes::Prepare() { return sizes_.Resize(module::CountOf(module_.file.metadata().symbols())); }

void SymbolSizes::Clear() {
  for (Binding& binding : sizes_) binding.what = nullptr;
}

Status SymbolSizes::CheckRange(uint32_t symbol, const eyrie_value_info_t& value, const char* what) const {
  const auto* ranges = module_.file.metadata().symbol_ranges();
  if (!ranges) return {};
  const Binding& binding = sizes_[symbol];
  const abi::fb::SymbolRange& range = *ranges->Get(symbol);
  if (binding.size >= range.least() && binding.size <= range.most() && binding.size % range.divisor() == 0) return {};
  char sizes[64];
  Text text(sizes, sizeof(sizes));
  text.Print(range.divisor() > 1 ? "multiples of %lld" : "sizes", static_cast<long long>(range.divisor()));
  return Error(EYRIE_INVALID_ARGUMENT,
               "dimension '%.60s' is %lld in %s %u '%.100s', but the module was compiled for %s from %lld to %lld",
               module::TextOf(module_.file.metadata().symbols()->Get(symbol)), static_cast<long long>(binding.size),
               what, binding.index, value.name, sizes, static_cast<long long>(range.least()),
               static_cast<long long>(range.most()));
}

Status SymbolSizes::Bind(const char* what, uint32_t index, const eyrie_value_info_t& value,
                         std::span<const int64_t> dims) {
  const int32_t* symbols = module_.dim_symbols.data() + (value.dims - module_.dims.data());
  for (uint32_t i = 0; i < value.rank; ++i) {
    if (symbols[i] < 0) continue;
    Binding& binding = sizes_[static_cast<uint32_t>(symbols[i])];
    if (!binding.what) {
      binding = {dims[i], what, index};
      EYRIE_RETURN_IF_ERROR(CheckRange(static_cast<uint32_t>(symbols[i]), value, what));
    } else if (binding.size != dims[i]) {
      return Error(EYRIE_INVALID_ARGUMENT, "dimension '%.60s' is %lld in %s %u, but %lld in %s %u '%.100s'",
                   value.dims[i].symbol, static_cast<long long>(binding.size), binding.what, binding.index,
                   static_cast<long long>(dims[i]), what, index, value.name);
    }
  }
  return {};
}

// ---- Shapes and memory

namespace {

Status Mismatch(const eyrie_value_info_t& value, bool is_element, uint32_t type, std::span<const int64_t> dims) {
  char expected[256], found[256];
  Text expected_text(expected, sizeof(expected)), found_text(found, sizeof(found));
  if (is_element)
    PrintElementShape(expected_text, value);
  else
    PrintShape(expected_text, value);
  PrintShape(found_text, type, dims);
  return Error(EYRIE_INVALID_ARGUMENT, "expected %s, got %s", expected, found);
}

Status CheckRank(const eyrie_tensor_t& tensor) {
  if (tensor.rank <= EYRIE_MAX_RANK) return {};
  return Error(EYRIE_INVALID_ARGUMENT, "rank %u, limit %u", tensor.rank, EYRIE_MAX_RANK);
}

Status CheckMemory(const eyrie_tensor_t& tensor) {
  EYRIE_ASSIGN_OR_RETURN(size_t bytes, CallerBytes(tensor.type, {tensor.dims, tensor.rank}));
  if (tensor.size_bytes < bytes)
    return Error(EYRIE_INVALID_ARGUMENT, "its shape takes %zu bytes, but only %zu are given", bytes, tensor.size_bytes);
  if (!tensor.data && bytes) return Error(EYRIE_INVALID_ARGUMENT, "no data");
  if (!IsAligned(tensor.data, CallerAlignment(tensor.type)))
    return Error(EYRIE_INVALID_ARGUMENT, "the data is not aligned to its elements (%zu bytes)",
                 CallerAlignment(tensor.type));
  return {};
}

Status CheckSequence(const eyrie_value_info_t& value, const eyrie_tensor_t& tensor) {
  EYRIE_RETURN_IF_ERROR(CheckRank(tensor));
  if (tensor.type != EYRIE_SEQUENCE) return Mismatch(value, false, tensor.type, {tensor.dims, tensor.rank});
  if (tensor.rank != 1 || tensor.dims[0] < 0)
    return Error(EYRIE_INVALID_ARGUMENT, "a sequence has rank 1 and a size, got rank %u", tensor.rank);
  return CheckMemory(tensor);
}

}  // namespace

Status CheckShape(const eyrie_value_info_t& value, uint32_t type, std::span<const int64_t> dims) {
  bool fits = type == value.type && (value.any_rank || dims.size() == value.rank);
  for (size_t i = 0; fits && i < dims.size(); ++i)
    fits = !value.any_rank && value.dims[i].size >= 0 ? dims[i] == value.dims[i].size : dims[i] >= 0;
  return fits ? Status() : Mismatch(value, value.is_sequence, type, dims);
}

Status CheckTensor(const eyrie_value_info_t& value, const eyrie_tensor_t& tensor) {
  EYRIE_RETURN_IF_ERROR(CheckRank(tensor));
  EYRIE_RETURN_IF_ERROR(CheckShape(value, tensor.type, {tensor.dims, tensor.rank}));
  return CheckMemory(tensor);
}

Status CheckInput(uint32_t index, const eyrie_value_info_t& value, const eyrie_tensor_t& tensor) {
  if (value.is_optional && tensor.type == EYRIE_NONE) return {};
  Status status = value.is_sequence ? CheckSequence(value, tensor) : CheckTensor(value, tensor);
  if (!status.ok()) return Annotate(std::move(status), "input %u '%.100s'", index, value.name);
  const auto* elements = static_cast<const eyrie_tensor_t*>(tensor.data);
  for (int64_t i = 0; value.is_sequence && i < tensor.dims[0]; ++i) {
    status = CheckTensor(value, elements[i]);
    if (!status.ok())
      return Annotate(std::move(status), "input %u '%.100s', element %lld", index, value.name,
                      static_cast<long long>(i));
  }
  return {};
}

}  // namespace eyrie::rt::session
