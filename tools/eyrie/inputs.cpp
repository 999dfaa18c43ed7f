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

// No sequence has more elements: an index must not make us allocate without end.
constexpr int64_t kMaxElements = 1 << 24;

// What has been given for an input so far.
struct Slot {
  std::optional<Tensor> tensor;
  std::map<size_t, Tensor> elements;
  std::optional<int64_t> length;

  bool given() const { return tensor || length || !elements.empty(); }
};
using Slots = std::vector<Slot>;

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

// An archive of arrays.
class Archive {
 public:
  explicit Archive(const std::string& path) : where_("'" + path + "'"), file_(ReadWhole(path)) {
    std::string error;
    if (!reader_.Open({file_.data(), file_.size()}, &error)) Fail("cannot read " + where_ + ": " + error);
  }
  bool Has(const std::string& name) { return reader_.Find(name + ".npy") != nullptr; }
  npy::Array Read(const std::string& name) {
    npy::Bytes bytes;
    std::string error;
    const npy::ZipEntry* entry = reader_.Find(name + ".npy");
    if (entry == nullptr) Fail(where_ + " has no entry '" + name + "'");
    if (!reader_.Extract(*entry, &bytes, &error)) Fail("cannot read " + where_ + ": " + error);
    return ReadArray({bytes.data(), bytes.size()}, "'" + entry->name + "' in " + where_);
  }
  Tensor Read(const Value& expected) {
    Tensor tensor = FromArray(Read(expected.name), expected, where_);
    CheckFits(tensor, expected, where_);
    return tensor;
  }
  const std::string& where() const { return where_; }

 private:
  std::string where_;
  npy::Bytes file_;
  npy::ZipReader reader_;
};

int64_t CheckLength(const Value& sequence, int64_t length, const std::string& where) {
  if (length < 0 || length > kMaxElements)
    Fail("'" + sequence.name + ".len' is " + std::to_string(length) + " in " + where + ": expected 0 to " +
         std::to_string(kMaxElements));
  return length;
}

// The length that an archive gives as an integer of any width.
int64_t ReadLength(const Value& sequence, const npy::Array& array, const std::string& where) {
  if ((array.kind != 'i' && array.kind != 'u') || array.data.size() != array.item_size)
    Fail("'" + sequence.name + ".len' in " + where + " must be one integer, found dtype '" + array.Descr() +
         "' of shape " + npy::ShapeText(array.shape));
  uint64_t bits = 0;
  std::memcpy(&bits, array.data.data(), array.item_size);
  unsigned unused = 64 - 8 * array.item_size;
  return CheckLength(sequence, static_cast<int64_t>(bits << unused) >> unused, where);
}

void ReadArchive(const Function& function, const std::string& path, Slots* slots) {
  Archive archive(path);
  bool matched = false;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    const Value& input = function.inputs[i];
    Slot& slot = (*slots)[i];
    if (!input.is_sequence) {
      if (!archive.Has(input.name)) continue;
      slot.tensor = archive.Read(input);
    } else {
      slot = Slot();
      if (archive.Has(input.name + ".len"))
        slot.length = ReadLength(input, archive.Read(input.name + ".len"), archive.where());
      for (size_t k = 0; slot.length ? k < static_cast<size_t>(*slot.length) : archive.Has(ElementOf(input, k).name);
           ++k)
        slot.elements[k] = archive.Read(ElementOf(input, k));
      if (!slot.given()) continue;
    }
    matched = true;
  }
  if (!matched && !function.inputs.empty())
    Fail(archive.where() + " has no entry with the name of an input; the inputs are " + Signature(function.inputs));
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
  // Before memory is taken for a shape that is wrong anyway.
  Tensor shape_only{type, shape, {}};
  CheckFits(shape_only, input, "--input");
  Tensor tensor = MakeTensor(type, shape);
  std::vector<std::string> values = Split(text.substr(equals + 1), ',');
  if (values.size() != 1 && values.size() != tensor.count())
    bad("there are " + std::to_string(values.size()) + " values for " + std::to_string(tensor.count()) + " elements");
  if (FamilyOf(type) == Family::kString) {
    if (values.size() == 1) values.resize(tensor.count(), values[0]);
    SetTexts(&tensor, std::move(values));
    return tensor;
  }
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

Tensor ReadTensor(const Value& expected, const std::string& text) {
  if (text.empty() || text[0] != '@') return MakeUp(expected, text);
  std::string path = text.substr(1), where = "'" + path + "'";
  npy::Bytes file = ReadWhole(path);
  Tensor tensor = FromArray(ReadArray({file.data(), file.size()}, where), expected, where);
  CheckFits(tensor, expected, where);
  return tensor;
}

// A sequence's length is given, or one more than its largest index; every element must be there.
void CheckElements(const Value& sequence, const Slot& slot) {
  size_t length = slot.elements.empty() ? 0 : slot.elements.rbegin()->first + 1;
  if (slot.length && *slot.length < static_cast<int64_t>(length))
    Fail("input '" + sequence.name + "': its length is " + std::to_string(*slot.length) + ", but '" +
         ElementOf(sequence, length - 1).name + "' is given");
  if (slot.length) length = static_cast<size_t>(*slot.length);
  for (size_t k = 0; k < length; ++k)
    if (!slot.elements.contains(k))
      Fail("input '" + sequence.name + "' is a sequence of " + std::to_string(length) + ", but '" +
           ElementOf(sequence, k).name + "' is missing");
}

Slots ReadGiven(const Function& function, const std::vector<std::string>& inputs) {
  Slots slots(function.inputs.size());
  // Archives first: a named input replaces theirs.
  for (const std::string& text : inputs)
    if (!text.empty() && text[0] == '@') ReadArchive(function, text.substr(1), &slots);
  std::vector<Slot> named(slots.size());
  for (const std::string& text : inputs) {
    if (!text.empty() && text[0] == '@') continue;
    Place place = FindPlace(function.inputs, text, "--input");
    const Value& input = *place.value;
    Slot& slot = named[static_cast<size_t>(&input - function.inputs.data())];
    bool twice = false;
    if (place.part == Place::Part::kElement) {
      Value element = ElementOf(input, place.element);
      twice = !slot.elements.emplace(place.element, ReadTensor(element, place.rest)).second;
    } else if (place.part == Place::Part::kLength) {
      int64_t length = 0;
      if (!ReadDim(place.rest, &length)) FailUsage("--input " + text + ": the length must be a number");
      twice = slot.length.has_value();
      slot.length = CheckLength(input, length, "--input");
    } else if (input.is_sequence) {
      FailUsage("--input " + input.name + " is a " + TypeText(input) + ": give its elements as " + input.name +
                ".0=..., " + input.name + ".1=..., or " + input.name + ".len=0 for none");
    } else {
      twice = slot.tensor.has_value();
      slot.tensor = ReadTensor(input, place.rest);
    }
    if (twice) FailUsage("--input '" + text.substr(0, text.size() - place.rest.size() - 1) + "' is given twice");
  }
  for (size_t i = 0; i < slots.size(); ++i) {
    if (named[i].given()) slots[i] = std::move(named[i]);
    if (function.inputs[i].is_sequence) CheckElements(function.inputs[i], slots[i]);
  }
  return slots;
}

Argument ToArgument(const Value& input, Slot slot) {
  Argument argument;
  argument.is_sequence = input.is_sequence;
  if (slot.tensor) argument.tensor = std::move(*slot.tensor);
  for (auto& [index, element] : slot.elements) argument.elements.push_back(std::move(element));
  return argument;
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

// A tensor of the shape with made-up elements.
Tensor MakeRandom(uint32_t type, const std::vector<int64_t>& shape, Normal* normal) {
  Tensor made = MakeTensor(type, shape);
  if (FamilyOf(type) == Family::kString) {
    SetTexts(&made, std::vector<std::string>(made.count()));
    return made;
  }
  if (made.data.size() != 0) std::memset(made.data.data(), 0, made.data.size());
  for (size_t k = 0; FamilyOf(type) == Family::kFloat && k < made.count(); ++k)
    if (!StoreReal(type, made.data.data(), k, normal->Next())) StoreBits(type, made.data.data(), k, 127);
  return made;
}

using Shapes = std::vector<std::optional<std::vector<int64_t>>>;

Shapes ReadShapes(const Function& function, const std::vector<std::string>& shapes) {
  Shapes given(function.inputs.size());
  for (const std::string& text : shapes) {
    Place place = FindPlace(function.inputs, text, "--shape");
    if (place.part != Place::Part::kWhole)
      FailUsage("--shape " + text + ": expected the name of an input; all elements of a sequence have one shape here");
    std::vector<int64_t> shape;
    for (const std::string& dim : place.rest.empty() ? std::vector<std::string>() : Split(place.rest, 'x')) {
      shape.push_back(0);
      if (!ReadDim(dim, &shape.back())) FailUsage("--shape " + text + ": '" + dim + "' is not a dimension");
    }
    given[static_cast<size_t>(place.value - function.inputs.data())] = shape;
  }
  return given;
}

bool BeginsWithName(const std::string& text, const std::string& name) {
  return text.size() > name.size() && text.compare(0, name.size(), name) == 0 && text[name.size()] == '=';
}

// "NAME.len=" or "NAME.3=" of a sequence.
bool FindPart(const Value& sequence, const std::string& text, Place* place) {
  const std::string& name = sequence.name;
  if (!sequence.is_sequence || text.compare(0, name.size() + 1, name + ".") != 0) return false;
  size_t equals = text.find('=', name.size());
  if (equals == std::string::npos) return false;
  std::string part = text.substr(name.size() + 1, equals - name.size() - 1);
  int64_t index = 0;
  if (part != "len" && (!ReadDim(part, &index) || index >= kMaxElements)) return false;
  *place = {&sequence, part == "len" ? Place::Part::kLength : Place::Part::kElement, static_cast<size_t>(index),
            text.substr(equals + 1)};
  return true;
}

}  // namespace

Place FindPlace(const std::vector<Value>& values, const std::string& text, const char* flag) {
  const Value* best = nullptr;
  for (const Value& value : values)
    if (BeginsWithName(text, value.name) && (best == nullptr || best->name.size() < value.name.size())) best = &value;
  if (best != nullptr) return {best, Place::Part::kWhole, 0, text.substr(best->name.size() + 1)};
  Place place;
  for (const Value& value : values)
    if (FindPart(value, text, &place)) return place;
  if (text.find('=') == std::string::npos)
    FailUsage(std::string(flag) + " '" + text.substr(0, 200) + "': expected NAME=... or @FILE.npz");
  Fail(std::string(flag) + ": there is no '" + text.substr(0, std::min<size_t>(text.find('='), 200)) + "'; there is " +
       Signature(values));
}

std::vector<Argument> ReadInputs(const Function& function, const std::vector<std::string>& inputs) {
  Slots slots = ReadGiven(function, inputs);
  std::vector<Value> missing;
  for (size_t i = 0; i < slots.size(); ++i)
    if (!slots[i].given()) missing.push_back(function.inputs[i]);
  if (!missing.empty()) Fail("inputs are missing: " + Signature(missing) + "; give each as --input NAME=@FILE.npy");
  std::vector<Argument> arguments;
  for (size_t i = 0; i < slots.size(); ++i) arguments.push_back(ToArgument(function.inputs[i], std::move(slots[i])));
  return arguments;
}

std::vector<Argument> MakeInputs(const Function& function, const std::vector<std::string>& inputs,
                                 const std::vector<std::string>& shapes) {
  Slots slots = ReadGiven(function, inputs);
  Shapes given = ReadShapes(function, shapes);
  // Sizes that a given input or shape settles for the others.
  std::map<std::string, int64_t> symbols;
  for (size_t i = 0; i < slots.size(); ++i) {
    const std::vector<eyrie_dim_t>& dims = function.inputs[i].dims;
    const std::vector<int64_t>* shape = slots[i].tensor ? &slots[i].tensor->shape : given[i] ? &*given[i] : nullptr;
    if (shape == nullptr || shape->size() != dims.size()) continue;
    for (size_t d = 0; d < dims.size(); ++d)
      if (dims[d].size < 0 && dims[d].symbol != nullptr) symbols.emplace(dims[d].symbol, (*shape)[d]);
  }
  Normal normal;
  std::vector<Argument> arguments;
  for (size_t i = 0; i < slots.size(); ++i) {
    const Value& input = function.inputs[i];
    if (!slots[i].given()) {
      Tensor made{input.type, {}, {}};
      if (given[i]) made.shape = *given[i];
      bool open = input.any_rank && !given[i];
      for (const eyrie_dim_t& dim : input.dims) {
        if (given[i]) break;
        auto symbol = dim.size < 0 && dim.symbol != nullptr ? symbols.find(dim.symbol) : symbols.end();
        open = open || (dim.size < 0 && symbol == symbols.end());
        if (open) break;
        made.shape.push_back(dim.size < 0 ? symbol->second : dim.size);
      }
      if (open)
        Fail("input '" + input.name + "' is " + TypeText(input) + ": give its shape, as in --shape " + input.name +
             "=1x3x224x224, or the input itself with --input");
      CheckFits(made, input, "--shape");
      made = MakeRandom(input.type, made.shape, &normal);
      if (input.is_sequence) {
        slots[i].elements.emplace(0, std::move(made));
      } else {
        slots[i].tensor = std::move(made);
      }
    }
    arguments.push_back(ToArgument(input, std::move(slots[i])));
  }
  return arguments;
}

}  // namespace eyrie::cli
