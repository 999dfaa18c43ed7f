#include "tools/eyrie/compare.h"

#include <algorithm>
#include <cmath>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

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

void CompareTexts(const eyrie_tensor_t& output, const Tensor& reference, Comparison* result) {
  const uint8_t *a = static_cast<const uint8_t*>(output.data), *b = reference.data.data();
  for (size_t i = 0; i < result->count; ++i) {
    const eyrie_string_t& text = static_cast<const eyrie_string_t*>(output.data)[i];
    if (std::string_view(text.data, text.size) == reference.texts[i]) continue;
    if (result->differing++ == 0)
      result->first = Position(i, reference.shape) + ": " + ElementText(output.type, a, i) + ", expected " +
                      ElementText(reference.type, b, i);
  }
}

}  // namespace

std::vector<Comparison> CompareOutputs(const std::vector<NamedTensors>& outputs, const std::string& path, double rtol,
                                       double atol) {
  npy::Bytes file;
  npy::ZipReader reader;
  std::string error;
  if (!npy::ReadFile(path, &file, &error)) Fail(error);
  if (!reader.Open({file.data(), file.size()}, &error)) Fail("cannot read '" + path + "': " + error);
  std::vector<Comparison> results;
  auto compare = [&](const std::string& name, const eyrie_tensor_t& tensor, bool is_element) {
    std::vector<int64_t> shape = ShapeOf(tensor);
    Comparison result;
    result.name = name;
    result.count = CountOf(shape);
    const npy::ZipEntry* entry = reader.Find(name + ".npy");
    if (entry == nullptr && is_element) {
      result.problem = "the reference has no such element";
      return result;
    }
    if (entry == nullptr) Fail("'" + path + "' has no entry for the output '" + name + "'");
    npy::Bytes bytes;
    npy::Array array;
    if (!reader.Extract(*entry, &bytes, &error)) Fail("cannot read '" + path + "': " + error);
    if (!npy::ReadNpy({bytes.data(), bytes.size()}, &array, &error))
      Fail("cannot read '" + entry->name + "' in '" + path + "': " + error);
    Value expected{name, tensor.type, {}, false, /*any_rank=*/true};
    Tensor reference;
    try {
      reference = FromArray(array, expected, "the reference");
    } catch (const Failure& failure) {
      result.problem = failure.message;
    }
    if (result.problem.empty() && reference.shape != shape)
      result.problem =
          "the result is " + TypeText(tensor.type, shape) + ", the reference " + TypeText(tensor.type, reference.shape);
    if (!result.problem.empty()) return result;
    if (tensor.type == EYRIE_STRING) {
      CompareTexts(tensor, reference, &result);
    } else {
      CompareNumbers(tensor, reference, rtol, atol, &result);
    }
    return result;
  };
  for (const NamedTensors& output : outputs)
    for (size_t i = 0; i < output.entries().size(); ++i)
      results.push_back(compare(output.entries()[i].name, output.entries()[i].tensor, /*is_element=*/i > 0));
  return results;
}

}  // namespace eyrie::cli
