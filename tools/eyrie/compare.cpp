#include "tools/eyrie/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/parts.h"

namespace eyrie::cli {
namespace {

std::string Position(size_t index, const std::vector<int64_t>& shape) {
  std::string text;
  for (size_t d = shape.size(); d-- > 0;) {
    text = std::to_string(index % static_cast<size_t>(shape[d])) + (text.empty() ? "" : ",") + text;
    index /= static_cast<size_t>(shape[d]);
  }
  return "[" + text + "]";
}

// |a - b|, where equal infinities and two NaNs are equal and one NaN is as far as can be.
double Distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0;
  double distance = std::fabs(a - b);
  return std::isnan(distance) ? INFINITY : distance;
}

void CompareNumbers(const eyrie_tensor_t& output, const Tensor& reference, double rtol, double atol,
                    Comparison* result) {
  const uint8_t *a = static_cast<const uint8_t*>(output.data), *b = reference.data.data();
  Family family = FamilyOf(output.type);
  uint32_t type_a = output.type, type_b = reference.type;
  size_t count = result->count, parts = 1;
  if (family == Family::kComplex) {
    // Real and imaginary parts are compared on their own.
    type_a = type_b = output.type == EYRIE_COMPLEX64 ? EYRIE_F32 : EYRIE_F64;
    parts = 2;
  }
  bool exact = family != Family::kFloat && family != Family::kComplex;
  double largest = 0;
  for (size_t i = 0; i < count * parts; ++i) {
    double x = LoadReal(type_a, a, i), y = LoadReal(type_b, b, i), distance = Distance(x, y);
    bool same = exact ? LoadBits(type_a, a, i) == LoadBits(type_b, b, i)
                      : distance == 0 || distance <= atol + rtol * std::fabs(y);
    // Neighbouring 64-bit integers may be one double.
    if (exact && !same && distance == 0) distance = 1;
    result->max_absolute = std::max(result->max_absolute, distance);
    if (std::isfinite(y)) largest = std::max(largest, std::fabs(y));
    if (same) continue;
    if (result->differing++ == 0)
      result->first = Position(i / parts, reference.shape) + ": " + ElementText(output.type, a, i / parts) +
                      ", expected " + ElementText(reference.type, b, i / parts);
  }
  result->max_relative = result->max_absolute == 0 ? 0 : result->max_absolute / largest;
}

void CompareStrings(const eyrie_tensor_t& output, const Tensor& reference, Comparison* result) {
  const uint8_t *a = static_cast<const uint8_t*>(output.data), *b = reference.data.data();
  for (size_t i = 0; i < result->count; ++i) {
    if (LoadString(a, i) == LoadString(b, i)) continue;
    if (result->differing++ == 0)
      result->first = Position(i, reference.shape) + ": " + Quoted(LoadString(a, i).substr(0, 200)) + ", expected " +
                      Quoted(LoadString(b, i).substr(0, 200));
  }
}

// What the archive says of an output.
struct Reference {
  std::optional<npy::Array> whole;
  std::optional<uint64_t> length;
  std::map<uint64_t, npy::Array> elements;
};

struct Tolerance {
  double relative, absolute;
};

Comparison CompareTensor(const Value& value, const eyrie_tensor_t& output, const npy::Array& array,
                         const Tolerance& tolerance) {
  Comparison result;
  std::vector<int64_t> shape = ShapeOf(output);
  result.name = value.name;
  result.count = CountOf(shape);
  result.is_numeric = output.type != EYRIE_STRING;
  Tensor reference;
  try {
    reference = FromArray(array, value, "the reference");
  } catch (const Failure& failure) {
    result.problem = failure.message;
    return result;
  }
  if (reference.shape != shape) {
    result.problem =
        "the result is " + TypeText(output.type, shape) + ", the reference " + TypeText(output.type, reference.shape);
  } else if (result.is_numeric) {
    CompareNumbers(output, reference, tolerance.relative, tolerance.absolute, &result);
  } else {
    CompareStrings(output, reference, &result);
  }
  return result;
}

void CompareSequence(const Value& value, const eyrie_tensor_t& output, const Reference& reference,
                     const Tolerance& tolerance, std::vector<Comparison>* results) {
  std::vector<uint64_t> indices;
  for (const auto& [index, array] : reference.elements) indices.push_back(index);
  size_t expected = SettleLength(value, reference.length ? &*reference.length : nullptr, indices);
  std::vector<eyrie_tensor_t> elements = ElementsOf(output);
  Comparison length;
  length.name = value.name + ".len";
  length.is_numeric = false;
  length.count = 1;
  if (elements.size() != expected)
    length.problem =
        "the result has length " + std::to_string(elements.size()) + ", the reference " + std::to_string(expected);
  results->push_back(std::move(length));
  for (size_t i = 0; elements.size() == expected && i < expected; ++i)
    results->push_back(CompareTensor(ElementOf(value, i), elements[i], reference.elements.at(i), tolerance));
}

}  // namespace

std::vector<Comparison> CompareOutputs(const Function& function, const std::vector<eyrie_tensor_t>& outputs,
                                       const std::string& path, double rtol, double atol) {
  std::vector<Reference> references(outputs.size());
  ReadArchive(function.outputs, path, [&](const Part& part, npy::Array array) {
    Reference& reference = references[part.value];
    std::string name = part.Describe(function.outputs).name;
    if (part.kind == Part::kLength) {
      reference.length = LengthFromArray(array, name, "'" + path + "'");
    } else if (part.kind == Part::kElement) {
      reference.elements[part.index] = std::move(array);
    } else {
      reference.whole = std::move(array);
    }
  });
  std::vector<Comparison> results;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const Value& value = function.outputs[i];
    const Reference& reference = references[i];
    bool has_entry = value.is_sequence ? reference.length || !reference.elements.empty() : reference.whole.has_value();
    if (outputs[i].type == EYRIE_NONE || (value.is_optional && !has_entry)) {
      Comparison result;
      result.name = value.name;
      result.is_numeric = false;
      result.count = 1;
      if (has_entry) result.problem = "the result has no value, the reference has one";
      if (outputs[i].type != EYRIE_NONE) result.problem = "the result has a value, the reference has none";
      results.push_back(std::move(result));
      continue;
    }
    if (value.is_sequence ? !reference.length && reference.elements.empty() : !reference.whole)
      Fail("'" + path + "' has no entry for the output '" + value.name + (value.is_sequence ? ".len'" : "'"));
    if (value.is_sequence) {
      CompareSequence(value, outputs[i], reference, {rtol, atol}, &results);
    } else {
      results.push_back(CompareTensor(value, outputs[i], *reference.whole, {rtol, atol}));
    }
  }
  return results;
}

}  // namespace eyrie::cli
