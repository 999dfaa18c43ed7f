#include "runtime/testing/cases.h"

#include <cstring>
#include <string>

#include "runtime/testing/functions.h"
#include "runtime/testing/states.h"
#include "runtime/testing/tensors.h"

namespace eyrie::rt::testing {
namespace {

bool HasShape(const eyrie_tensor_t& tensor, uint32_t type, std::initializer_list<int64_t> dims) {
  if (tensor.type != type || tensor.rank != dims.size()) return false;
  return memcmp(tensor.dims, dims.begin(), dims.size() * sizeof(int64_t)) == 0;
}

// Small integers: their sums and products are exact.
std::vector<float> Numbers(uint32_t count, uint32_t seed) {
  std::vector<float> numbers(count);
  for (uint32_t i = 0; i < count; ++i) numbers[i] = static_cast<float>((i * 7 + seed) % 61);
  return numbers;
}

// The output lies in memory of the case.
class AddScaleCase : public Case {
 public:
  void Prepare(uint32_t size, uint32_t seed) override {
    rows_ = size;
    a_ = Numbers(size * 8, seed);
    b_ = Numbers(size * 8, seed / 3);
    y_.resize(size * 8 + 1);
    inputs = {F32(a_, {rows_, 8}), F32(b_, {rows_, 8})};
    Reset();
  }
  void Reset() override {
    for (float& value : y_) value = -1;
    output = {y_.data(), (y_.size() - 1) * sizeof(float), 0, 0, {}};
  }
  bool IsRight() const override {
    if (!HasShape(output, EYRIE_F32, {rows_, 8}) || output.data != y_.data() || y_.back() != -1) return false;
    for (size_t i = 0; i < a_.size(); ++i)
      if (y_[i] != Expected(i)) return false;
    return true;
  }
  bool owns_outputs() const override { return true; }

 protected:
  virtual float Expected(size_t i) const { return (a_[i] + b_[i]) * static_cast<float>(i % 8 + 1); }
  int64_t rows_ = 0;
  std::vector<float> a_, b_, y_;
};

class StepsCase final : public AddScaleCase {
 public:
  void Prepare(uint32_t size, uint32_t seed) override {
    AddScaleCase::Prepare(size, seed);
    c_.resize(size % 6);
    inputs.push_back(F32(c_, {static_cast<int64_t>(c_.size())}));
  }

 private:
  float Expected(size_t i) const override { return a_[i] + b_[i] * static_cast<float>(c_.size()); }
  std::vector<float> c_;
};

class StringsCase final : public Case {
 public:
  void Prepare(uint32_t size, uint32_t seed) override {
    texts_.clear();
    for (uint32_t i = 0; i < size; ++i)
      texts_.push_back(i % 3 ? std::string(i % 40, static_cast<char>('a' + (seed + i) % 26)) : "dog");
    strings_.clear();
    for (const std::string& text : texts_) strings_.push_back({text.data(), text.size()});
    inputs = {TensorOf(EYRIE_STRING, strings_, {static_cast<int64_t>(size)})};
    Reset();
  }
  void Reset() override { output = {}; }
  bool IsRight() const override {
    if (!HasShape(output, EYRIE_STRING, {static_cast<int64_t>(texts_.size())})) return false;
    const auto* strings = static_cast<const eyrie_string_t*>(output.data);
    for (size_t i = 0; i < texts_.size(); ++i)
      if (strings[i].size != texts_[i].size() || memcmp(strings[i].data, texts_[i].data(), strings[i].size) != 0)
        return false;
    return true;
  }

 private:
  std::vector<std::string> texts_;
  std::vector<eyrie_string_t> strings_;
};

class RowsCase final : public Case {
 public:
  void Prepare(uint32_t size, uint32_t seed) override {
    rows_ = size;
    x_ = Numbers(size * 3, seed);
    inputs = {F32(x_, {rows_, 3})};
    Reset();
  }
  void Reset() override { output = {}; }
  bool IsRight() const override {
    if (!HasShape(output, EYRIE_SEQUENCE, {rows_})) return false;
    const auto* rows = static_cast<const eyrie_tensor_t*>(output.data);
    for (int64_t i = 0; i < rows_; ++i)
      if (!HasShape(rows[i], EYRIE_F32, {3}) || memcmp(rows[i].data, &x_[static_cast<size_t>(i) * 3], 12) != 0)
        return false;
    return true;
  }

 private:
  int64_t rows_ = 0;
  std::vector<float> x_;
};

class SequenceCase final : public Case {
 public:
  void Prepare(uint32_t size, uint32_t seed) override {
    memory_.clear();
    elements_.clear();
    for (uint32_t i = 0; i < size % 9; ++i) memory_.push_back(Numbers(i * 2, seed + i));
    for (std::vector<float>& data : memory_) elements_.push_back(F32(data, {static_cast<int64_t>(data.size()) / 2, 2}));
    inputs = {SequenceOf(elements_)};
    Reset();
  }
  void Reset() override { output = {}; }
  bool IsRight() const override {
    if (!HasShape(output, EYRIE_SEQUENCE, {static_cast<int64_t>(elements_.size())})) return false;
    const auto* results = static_cast<const eyrie_tensor_t*>(output.data);
    for (size_t i = 0; i < elements_.size(); ++i) {
      if (!HasShape(results[i], EYRIE_F32, {elements_[i].dims[0], 2})) return false;
      if (!memory_[i].empty() && memcmp(results[i].data, memory_[i].data(), memory_[i].size() * sizeof(float)) != 0)
        return false;
    }
    return true;
  }

 private:
  std::vector<std::vector<float>> memory_;
  std::vector<eyrie_tensor_t> elements_;
};

// Whatever calls came before and ended in whatever way, both states are what one call gave them.
class TwinsCase final : public Case {
 public:
  void Prepare(uint32_t, uint32_t seed) override {
    x_.assign(8, static_cast<float>(seed % 1000));
    inputs = {F32(x_, {8})};
    Reset();
  }
  void Reset() override { output = {}; }
  bool IsRight() const override {
    if (!HasShape(output, EYRIE_F32, {16})) return false;
    const auto* y = static_cast<const float*>(output.data);
    for (int i = 1; i < 16; ++i)
      if (y[i] != y[0]) return false;
    return true;
  }

 private:
  std::vector<float> x_;
};

template <typename T>
std::unique_ptr<Case> Make() {
  return std::make_unique<T>();
}

const Kind kKinds[] = {
    {"arena", AddScaleModule, Make<AddScaleCase>},
    {"blocks in a loop", [] { return ModuleOf(Steps()); }, Make<StepsCase>},
    {"strings", [] { return EchoModule(); }, Make<StringsCase>},
    {"a sequence of blocks", [] { return ModuleOf(Rows()); }, Make<RowsCase>},
    {"a sequence in and out", [] { return ModuleOf(Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32))); },
     Make<SequenceCase>},
    {"states", TwinsModule, Make<TwinsCase>},
};

}  // namespace

std::span<const Kind> Kinds() { return kKinds; }

}  // namespace eyrie::rt::testing
