#include "tools/eyrie/inputs.h"

#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <random>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

namespace eyrie::cli {
namespace {

using Slots = std::vector<std::optional<Tensor>>;

std::string Signature(const std::vector<Value>& values) {
  std::string text;
  for (const Value& value : values) text += (text.empty() ? "'" : ", '") + value.name + "' " + TypeText(value);
  return text.empty() ? "none" : text;
}

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t end; (end = text.find(separator, begin)) != std::string::npos; begin = end + 1)
    parts.push_back(text.substr(begin, end - begin));
  parts.push_back(text.substr(begin));
  return parts;
}

// Reads a dimension; false if the text is not one.
bool ReadDim(const std::string& text, int64_t* dim) {
  if (text.empty() || text.size() > 18 || text.find_first_not_of("0123456789") != std::string::npos) return false;
  *dim = std::stoll(text);
  return true;
}

npy::Array ReadArray(npy::Span file, const std::string& name) {
  npy::Array array;
  std::string error;
  if (!npy::ReadNpy(file, &array, &error)) Fail("cannot read " + name + ": " + error);
  return array;
}

npy::Bytes ReadWhole(const std::string& path) {
  npy::Bytes bytes;
  std::string error;
  if (!npy::ReadFile(path, &bytes, &error)) Fail(error);
  return bytes;
}

void ReadArchive(const Function& function, const std::string& path, Slots* slots) {
  npy::Bytes file = ReadWhole(path);
  npy::ZipReader reader;
  std::string error;
  if (!reader.Open({file.data(), file.size()}, &error)) Fail("cannot read '" + path + "': " + error);
  size_t matched = 0;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    const Value& input = function.inputs[i];
    const npy::ZipEntry* entry = reader.Find(input.name + ".npy");
    if (entry == nullptr) continue;
    ++matched;
    npy::Bytes bytes;
    if (!reader.Extract(*entry, &bytes, &error)) Fail("cannot read '" + path + "': " + error);
    std::string where = "'" + path + "'";
    npy::Array array = ReadArray({bytes.data(), bytes.size()}, "'" + entry->name + "' in " + where);
    (*slots)[i] = FromArray(array, input, where);
    CheckFits(*(*slots)[i], input, where);
  }
  if (matched == 0 && !function.inputs.empty())
    Fail("'" + path + "' has no entry with the name of an input; the inputs are " + Signature(function.inputs));
}

// "1x3xf32=0.5", "f32=1", "2xi64=1,2"
Tensor MakeUp(const Value& input, const std::string& text) {
  auto bad = [&](const std::string& why) {
    FailUsage("--input " + input.name + "=" + text + ": " + why +
              "; expected @FILE.npy or, as an example, 1x3xf32=0.5");
  };
  size_t equals = text.find('=');
  if (equals == std::string::npos) bad("there is no value");
  std::vector<std::string> dims = Split(text.substr(0, equals), 'x');
  uint32_t type = eyrie_type_from_name(dims.back().c_str());
  if (type == 0) bad("there is no element type '" + dims.back() + "'");
  dims.pop_back();
  std::vector<int64_t> shape(dims.size());
  for (size_t i = 0; i < dims.size(); ++i)
    if (!ReadDim(dims[i], &shape[i])) bad("'" + dims[i] + "' is not a dimension");
  if (FamilyOf(type) == Family::kString) bad("strings cannot be made up");
  // Before memory is taken for a shape that is wrong anyway.
  Tensor shape_only{type, shape, {}};
  CheckFits(shape_only, input, "--input");
  Tensor tensor = MakeTensor(type, shape);
  std::vector<std::string> values = Split(text.substr(equals + 1), ',');
  if (values.size() != 1 && values.size() != tensor.count())
    bad("there are " + std::to_string(values.size()) + " values for " + std::to_string(tensor.count()) + " elements");
  if (tensor.data.size() != 0) std::memset(tensor.data.data(), 0, tensor.data.size());
  uint8_t* data = tensor.data.data();
  for (size_t i = 0; i < std::min(values.size(), tensor.count()); ++i)
    if (!StoreText(type, data, i, values[i])) bad("'" + values[i] + "' is not a value of the type");
  size_t bytes = eyrie_type_bits(type) / 8;
  for (size_t i = values.size(); i < tensor.count(); ++i) {
    if (bytes == 0) {
      StoreBits(type, data, i, LoadBits(type, data, 0));
    } else {
      std::memcpy(data + i * bytes, data, bytes);
    }
  }
  return tensor;
}

Slots ReadGiven(const Function& function, const std::vector<std::string>& inputs) {
  Slots slots(function.inputs.size());
  std::vector<bool> named(function.inputs.size(), false);
  // Archives first: a named input replaces theirs.
  for (const std::string& text : inputs)
    if (!text.empty() && text[0] == '@') ReadArchive(function, text.substr(1), &slots);
  for (const std::string& text : inputs) {
    if (!text.empty() && text[0] == '@') continue;
    std::string rest;
    const Value* input = SplitName(function.inputs, text, &rest, "--input");
    size_t index = static_cast<size_t>(input - function.inputs.data());
    if (named[index]) FailUsage("--input '" + input->name + "' is given twice");
    named[index] = true;
    if (!rest.empty() && rest[0] == '@') {
      std::string path = rest.substr(1), where = "'" + path + "'";
      npy::Bytes file = ReadWhole(path);
      slots[index] = FromArray(ReadArray({file.data(), file.size()}, where), *input, where);
      CheckFits(*slots[index], *input, where);
    } else {
      slots[index] = MakeUp(*input, rest);
    }
  }
  return slots;
}

// Numbers from the standard normal distribution (Box and Muller), the same on every machine.
class Normal {
 public:
  double Next() {
    constexpr double kTurn = 6.283185307179586;
    double radius = std::sqrt(-2 * std::log(1 - Uniform()));
    return radius * std::cos(kTurn * Uniform());
  }

 private:
  double Uniform() { return std::ldexp(static_cast<double>(random_() >> 11), -53); }
  std::mt19937_64 random_{42};
};

}  // namespace

const Value* SplitName(const std::vector<Value>& values, const std::string& text, std::string* rest, const char* flag) {
  const Value* best = nullptr;
  for (const Value& value : values) {
    bool matches = text.size() > value.name.size() && text.compare(0, value.name.size(), value.name) == 0 &&
                   text[value.name.size()] == '=';
    if (matches && (best == nullptr || best->name.size() < value.name.size())) best = &value;
  }
  if (best != nullptr) {
    *rest = text.substr(best->name.size() + 1);
    return best;
  }
  if (text.find('=') == std::string::npos)
    FailUsage(std::string(flag) + " '" + text.substr(0, 200) + "': expected NAME=... or @FILE.npz");
  Fail(std::string(flag) + ": there is no '" + text.substr(0, std::min<size_t>(text.find('='), 200)) + "'; there is " +
       Signature(values));
}

std::vector<Tensor> ReadInputs(const Function& function, const std::vector<std::string>& inputs) {
  Slots slots = ReadGiven(function, inputs);
  std::vector<Value> missing;
  for (size_t i = 0; i < slots.size(); ++i)
    if (!slots[i]) missing.push_back(function.inputs[i]);
  if (!missing.empty()) Fail("inputs are missing: " + Signature(missing) + "; give each as --input NAME=@FILE.npy");
  std::vector<Tensor> tensors;
  for (std::optional<Tensor>& slot : slots) tensors.push_back(std::move(*slot));
  return tensors;
}

std::vector<Tensor> MakeInputs(const Function& function, const std::vector<std::string>& inputs,
                               const std::vector<std::string>& shapes) {
  Slots slots = ReadGiven(function, inputs);
  std::vector<std::optional<std::vector<int64_t>>> given(slots.size());
  for (const std::string& text : shapes) {
    std::string rest;
    const Value* input = SplitName(function.inputs, text, &rest, "--shape");
    std::vector<int64_t> shape;
    for (const std::string& dim : rest.empty() ? std::vector<std::string>() : Split(rest, 'x')) {
      shape.push_back(0);
      if (!ReadDim(dim, &shape.back())) FailUsage("--shape " + text + ": '" + dim + "' is not a dimension");
    }
    given[static_cast<size_t>(input - function.inputs.data())] = shape;
  }
  // Sizes that a given input or shape settles for the others.
  std::map<std::string, int64_t> symbols;
  for (size_t i = 0; i < slots.size(); ++i) {
    const std::vector<eyrie_dim_t>& dims = function.inputs[i].dims;
    const std::vector<int64_t>* shape = slots[i] ? &slots[i]->shape : given[i] ? &*given[i] : nullptr;
    if (shape == nullptr || shape->size() != dims.size()) continue;
    for (size_t d = 0; d < dims.size(); ++d)
      if (dims[d].size < 0 && dims[d].symbol != nullptr) symbols.emplace(dims[d].symbol, (*shape)[d]);
  }
  Normal normal;
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < slots.size(); ++i) {
    const Value& input = function.inputs[i];
    if (!slots[i]) {
      Tensor made{input.type, {}, {}};
      if (given[i]) made.shape = *given[i];
      for (const eyrie_dim_t& dim : input.dims) {
        if (given[i]) break;
        auto symbol = dim.size < 0 && dim.symbol != nullptr ? symbols.find(dim.symbol) : symbols.end();
        if (dim.size < 0 && symbol == symbols.end())
          Fail("input '" + input.name + "' is " + TypeText(input) + ": give its shape, as in --shape " + input.name +
               "=1x3x224x224, or the input itself with --input");
        made.shape.push_back(dim.size < 0 ? symbol->second : dim.size);
      }
      CheckFits(made, input, "--shape");
      made = MakeTensor(input.type, made.shape);
      if (made.data.size() != 0) std::memset(made.data.data(), 0, made.data.size());
      for (size_t k = 0; FamilyOf(input.type) == Family::kFloat && k < made.count(); ++k)
        if (!StoreReal(input.type, made.data.data(), k, normal.Next())) StoreBits(input.type, made.data.data(), k, 127);
      slots[i] = std::move(made);
    }
    tensors.push_back(std::move(*slots[i]));
  }
  return tensors;
}

}  // namespace eyrie::cli
