#include "tools/eyrie/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <random>
#include <set>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/parts.h"
#include "tools/eyrie/strings.h"

namespace eyrie::cli {
namespace {

// What the command line says of one input.
struct Given {
  std::optional<Tensor> tensor;
  // Of a sequence:
  std::optional<uint64_t> length;
  std::map<uint64_t, Tensor> elements;
};

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

[[noreturn]] void RefuseMadeUp(const Value& input, const std::string& text, const std::string& why) {
  FailUsage("--input " + input.name + "=" + text.substr(0, 200) + ": " + why +
            "; expected @FILE.npy or, as an example, 1x3xf32=0.5");
}

// Splits at commas; a backslash takes the next character as it is.
std::vector<std::string> SplitStrings(const std::string& text) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      parts.emplace_back();
    } else {
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      parts.back() += text[i];
    }
  }
  return parts;
}

// A number for each element, or one for all. Null if all is well, otherwise the text that is no value of the type.
const std::string* StoreNumbers(const std::vector<std::string>& values, Tensor* tensor) {
  if (tensor->data.size() != 0) std::memset(tensor->data.data(), 0, tensor->data.size());
  uint8_t* data = tensor->data.data();
  size_t count = tensor->count(), bytes = eyrie_type_bits(tensor->type) / 8;
  for (size_t i = 0; i < std::min(values.size(), count); ++i)
    if (!StoreText(tensor->type, data, i, values[i])) return &values[i];
  for (size_t i = values.size(); i < count; ++i) {
    if (bytes == 0) {
      StoreBits(tensor->type, data, i, LoadBits(tensor->type, data, 0));
    } else {
      std::memcpy(data + i * bytes, data, bytes);
    }
  }
  return nullptr;
}

// "1x3xf32=0.5", "f32=1", "2xi64=1,2", "2xstring=a,b"
Tensor MakeUp(const Value& input, const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos) RefuseMadeUp(input, text, "there is no value");
  std::vector<std::string> dims = Split(text.substr(0, equals), 'x');
  uint32_t type = eyrie_type_from_name(dims.back().c_str());
  if (type == 0) RefuseMadeUp(input, text, "there is no element type '" + dims.back() + "'");
  dims.pop_back();
  std::vector<int64_t> shape(dims.size());
  for (size_t i = 0; i < dims.size(); ++i)
    if (!ReadDim(dims[i], &shape[i])) RefuseMadeUp(input, text, "'" + dims[i] + "' is not a dimension");
  // Before memory is taken for a shape that is wrong anyway.
  Tensor shape_only{type, shape, {}, {}};
  CheckFits(shape_only, input, "--input");
  std::string rest = text.substr(equals + 1);
  std::vector<std::string> values = type == EYRIE_STRING ? SplitStrings(rest) : Split(rest, ',');
  Tensor tensor = MakeTensor(type, shape);
  if (values.size() != 1 && values.size() != tensor.count())
    RefuseMadeUp(
        input, text,
        "there are " + std::to_string(values.size()) + " values for " + std::to_string(tensor.count()) + " elements");
  if (type == EYRIE_STRING) return MakeStrings(shape, values);
  const std::string* bad = StoreNumbers(values, &tensor);
  if (bad != nullptr) RefuseMadeUp(input, text, "'" + *bad + "' is not a value of the type");
  return tensor;
}

Tensor ReadTensor(const Value& input, const npy::Array& array, const std::string& found) {
  Tensor tensor = FromArray(array, input, found);
  CheckFits(tensor, input, found);
  return tensor;
}

[[noreturn]] void RefuseWhole(const Value& sequence) {
  Fail("the input '" + sequence.name + "' is a " + TypeText(sequence) + ": give its elements as '" + sequence.name +
       ".0', '" + sequence.name + ".1', ..., or '" + sequence.name + ".len' = 0 if it is empty");
}

void SetPart(const Part& part, Tensor tensor, std::vector<Given>* given) {
  Given& input = (*given)[part.value];
  if (part.kind == Part::kElement) {
    input.elements[part.index] = std::move(tensor);
  } else {
    input.tensor = std::move(tensor);
  }
}

void TakeArchive(const Function& function, const std::string& path, std::vector<Given>* given) {
  std::string found = "'" + path + "'";
  size_t matched = ReadArchive(function.inputs, path, [&](const Part& part, npy::Array array) {
    Value value = part.Describe(function.inputs);
    if (value.is_sequence) RefuseWhole(value);
    if (part.kind == Part::kLength) {
      (*given)[part.value].length = LengthFromArray(array, value.name, found);
    } else {
      SetPart(part, ReadTensor(value, array, found), given);
    }
  });
  bool may_be_empty =
      std::all_of(function.inputs.begin(), function.inputs.end(), [](const Value& v) { return v.is_optional; });
  if (matched == 0 && !may_be_empty)
    Fail(found + " has no entry with the name of an input; the inputs are " + Signature(function.inputs));
}

void TakeNamed(const Function& function, const Part& part, const std::string& text, std::vector<Given>* given) {
  Value value = part.Describe(function.inputs);
  if (value.is_sequence) RefuseWhole(value);
  bool is_file = !text.empty() && text[0] == '@';
  std::string path = is_file ? text.substr(1) : "", found = "'" + path + "'";
  if (part.kind == Part::kLength) {
    uint64_t length = 0;
    if (is_file) {
      length = LengthFromArray(ReadArrayFile(path), value.name, found);
    } else if (!ReadCount(text, &length)) {
      FailUsage("--input " + value.name + "=" + text.substr(0, 200) + ": expected the number of elements or @FILE.npy");
    }
    (*given)[part.value].length = length;
  } else {
    SetPart(part, is_file ? ReadTensor(value, ReadArrayFile(path), found) : MakeUp(value, text), given);
  }
}

// The argument that was given, or none.
std::optional<Argument> ToArgument(const Value& input, Given given) {
  if (!input.is_sequence) return given.tensor ? std::optional(Argument(std::move(*given.tensor))) : std::nullopt;
  if (!given.length && given.elements.empty()) return std::nullopt;  // an empty one says its length
  std::vector<uint64_t> indices;
  for (const auto& [index, tensor] : given.elements) indices.push_back(index);
  SettleLength(input, given.length ? &*given.length : nullptr, indices);
  std::vector<Tensor> elements;
  for (auto& [index, tensor] : given.elements) elements.push_back(std::move(tensor));
  return Argument(std::move(elements));
}

std::vector<std::optional<Argument>> ReadGiven(const Function& function, const std::vector<std::string>& inputs) {
  std::vector<Given> given(function.inputs.size());
  std::set<std::string> named;
  // Archives first: what is named replaces theirs.
  for (const std::string& text : inputs)
    if (!text.empty() && text[0] == '@') TakeArchive(function, text.substr(1), &given);
  for (const std::string& text : inputs) {
    if (!text.empty() && text[0] == '@') continue;
    std::string rest;
    Part part = SplitName(function.inputs, text, &rest, "--input");
    std::string name = part.Describe(function.inputs).name;
    if (!named.insert(name).second) FailUsage("--input '" + name + "' is given twice");
    TakeNamed(function, part, rest, &given);
  }
  std::vector<std::optional<Argument>> arguments;
  for (size_t i = 0; i < given.size(); ++i) arguments.push_back(ToArgument(function.inputs[i], std::move(given[i])));
  return arguments;
}

using Symbols = std::map<std::string, int64_t>;

// What `--shape` says of inputs, and of dimensions by their names.
struct Shapes {
  std::vector<std::optional<std::vector<int64_t>>> of;
  Symbols symbols;
};

bool IsSymbol(const Function& function, const std::string& name) {
  auto has = [&](const Value& input) {
    return std::any_of(input.dims.begin(), input.dims.end(), [&](const eyrie_dim_t& dim) {
      return dim.size < 0 && dim.symbol != nullptr && name == dim.symbol;
    });
  };
  return std::any_of(function.inputs.begin(), function.inputs.end(), has) &&
         std::none_of(function.inputs.begin(), function.inputs.end(),
                      [&](const Value& input) { return input.name == name; });
}

Shapes ReadShapes(const Function& function, const std::vector<std::string>& flags) {
  Shapes shapes{std::vector<std::optional<std::vector<int64_t>>>(function.inputs.size()), {}};
  for (const std::string& text : flags) {
    std::string rest;
    if (size_t end = text.rfind('='); end != std::string::npos && IsSymbol(function, text.substr(0, end))) {
      int64_t size = 0;
      if (!ReadDim(text.substr(end + 1), &size))
        FailUsage("--shape " + text + ": '" + text.substr(end + 1) + "' is not a size");
      if (!shapes.symbols.emplace(text.substr(0, end), size).second)
        FailUsage("--shape " + text + ": the size of '" + text.substr(0, end) + "' is given twice");
      continue;
    }
    Part part = SplitName(function.inputs, text, &rest, "--shape");
    if (part.kind != Part::kWhole)
      FailUsage("--shape " + text + ": expected the name of an input, '" + function.inputs[part.value].name + "'");
    std::vector<int64_t> shape;
    for (const std::string& dim : rest.empty() ? std::vector<std::string>() : Split(rest, 'x')) {
      shape.push_back(0);
      if (!ReadDim(dim, &shape.back())) FailUsage("--shape " + text + ": '" + dim + "' is not a dimension");
    }
    if (shapes.of[part.value])
      FailUsage("--shape " + text + ": the shape of '" + function.inputs[part.value].name + "' is given twice");
    shapes.of[part.value] = shape;
  }
  return shapes;
}

// The static shape, with the symbols that are settled and `open_size` for what is open.
std::vector<int64_t> ShapeFor(const Function& function, const Value& input, const Symbols& symbols,
                              std::optional<int64_t> open_size) {
  std::vector<int64_t> shape;
  std::string named;
  bool known = !input.any_rank;
  for (const eyrie_dim_t& dim : input.dims) {
    std::optional<int64_t> size = open_size;
    auto symbol = dim.symbol != nullptr ? symbols.find(dim.symbol) : symbols.end();
    if (dim.size >= 0) {
      size = dim.size;
    } else if (symbol != symbols.end()) {
      size = symbol->second;
    }
    known = known && size;
    if (known) shape.push_back(*size);
    if (!size && dim.symbol != nullptr && named.empty() && IsSymbol(function, dim.symbol))
      named = std::string(", --shape ") + dim.symbol + "=8";
  }
  if (!known)
    Fail("input '" + input.name + "' is " + (input.is_sequence ? "a " : "") + TypeText(input) + ": give " +
         (input.is_sequence ? "the shape of an element" : "its shape") + ", as in --shape " + input.name +
         "=1x3x224x224" + named + ", or the input itself with --input");
  return shape;
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

Tensor MakeRandom(uint32_t type, const std::vector<int64_t>& shape, Normal* normal) {
  if (type == EYRIE_STRING) return MakeStrings(shape, {""});
  Tensor made = MakeTensor(type, shape);
  if (made.data.size() != 0) std::memset(made.data.data(), 0, made.data.size());
  for (size_t k = 0; FamilyOf(type) == Family::kFloat && k < made.count(); ++k)
    if (!StoreReal(type, made.data.data(), k, normal->Next())) StoreBits(type, made.data.data(), k, 127);
  return made;
}

}  // namespace

std::vector<Argument> ReadInputs(const Function& function, const std::vector<std::string>& inputs) {
  std::vector<std::optional<Argument>> given = ReadGiven(function, inputs);
  std::vector<Value> missing;
  for (size_t i = 0; i < given.size(); ++i) {
    if (!given[i] && function.inputs[i].is_optional) given[i].emplace();
    if (!given[i]) missing.push_back(function.inputs[i]);
  }
  if (!missing.empty()) {
    bool sequence = missing[0].is_sequence;
    Fail("inputs are missing: " + Signature(missing) + "; give each " + (sequence ? "part " : "") + "as --input " +
         (sequence ? missing[0].name + ".0" : "NAME") + "=@FILE.npy");
  }
  std::vector<Argument> arguments;
  for (std::optional<Argument>& argument : given) arguments.push_back(std::move(*argument));
  return arguments;
}

std::vector<Argument> MakeInputs(const Function& function, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& flags, std::optional<int64_t> open_size) {
  std::vector<std::optional<Argument>> given = ReadGiven(function, inputs);
  auto [shapes, symbols] = ReadShapes(function, flags);
  // Sizes that a given input or shape settles for the others.
  for (size_t i = 0; i < given.size(); ++i) {
    const Value& input = function.inputs[i];
    if (input.is_sequence || input.is_optional) continue;
    const std::vector<int64_t>* shape = given[i] ? &given[i]->tensors()[0].shape : shapes[i] ? &*shapes[i] : nullptr;
    if (shape == nullptr || shape->size() != input.dims.size()) continue;
    for (size_t d = 0; d < input.dims.size(); ++d) {
      if (input.dims[d].size >= 0 || input.dims[d].symbol == nullptr) continue;
      int64_t size = (*shape)[d], before = symbols.emplace(input.dims[d].symbol, size).first->second;
      if (size != before)
        Fail("input '" + input.name + "': its dimension '" + input.dims[d].symbol + "' is " + std::to_string(size) +
             ", but " + std::to_string(before) + " elsewhere");
    }
  }
  Normal normal;
  std::vector<Argument> arguments;
  for (size_t i = 0; i < given.size(); ++i) {
    const Value& input = function.inputs[i];
    if (given[i]) {
      arguments.push_back(std::move(*given[i]));
      continue;
    }
    if (input.is_optional && !shapes[i]) {
      arguments.emplace_back();
      continue;
    }
    std::vector<int64_t> shape = shapes[i] ? *shapes[i] : ShapeFor(function, input, symbols, open_size);
    Tensor shape_only{input.type, shape, {}, {}};
    CheckFits(shape_only, input.is_sequence ? ElementOf(input, 0) : input, "--shape");
    Tensor made = MakeRandom(input.type, shape, &normal);
    if (input.is_sequence) {
      std::vector<Tensor> elements;
      elements.push_back(std::move(made));
      arguments.push_back(Argument(std::move(elements)));
    } else {
      arguments.push_back(Argument(std::move(made)));
    }
  }
  return arguments;
}

}  // namespace eyrie::cli
