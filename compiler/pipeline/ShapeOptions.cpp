#include "compiler/pipeline/ShapeOptions.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"

using namespace eyrie::pipeline;
using eyrie::import::onnx::SymbolRange;
using llvm::StringRef;

static bool readSize(StringRef text, int64_t least, int64_t &size) {
  return !text.getAsInteger(10, size) && size >= least && size <= int64_t(1) << 48;
}

/// "1..64", "64..512:64".
static bool readRange(StringRef text, SymbolRange &range, std::string &expected) {
  expected = "a range as SYMBOL=1..64, or SYMBOL=64..512:64 for multiples of 64";
  auto [bounds, divisor] = text.split(':');
  auto [least, most] = bounds.split("..");
  if (!readSize(least, 0, range.least) || !readSize(most, 0, range.most) ||
      (text.contains(':') && !readSize(divisor, 1, range.divisor)))
    return false;
  expected = "a range that does not end before it begins";
  if (range.most < range.least)
    return false;
  int64_t first = llvm::divideCeil(range.least, range.divisor) * range.divisor;
  int64_t last = range.most / range.divisor * range.divisor;
  expected = "a range that has a multiple of " + std::to_string(range.divisor);
  range.least = first;
  range.most = last;
  return first <= last;
}

/// "1,8,64".
static bool readList(StringRef text, SymbolRange &range, std::string &expected) {
  llvm::SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    int64_t size;
    expected = "sizes from 1 as SYMBOL=1,8,64";
    if (!readSize(part, 1, size))
      return false;
    expected = "each size once";
    if (llvm::is_contained(range.values, size))
      return false;
    range.values.push_back(size);
  }
  return true;
}

/// A range and a list of one dimension go together.
static bool addRange(SymbolRange range, ShapeOptions &shapes, std::string &expected) {
  auto known = llvm::find_if(shapes.ranges, [&](const SymbolRange &other) { return other.name == range.name; });
  if (known == shapes.ranges.end()) {
    shapes.ranges.push_back(std::move(range));
    return true;
  }
  expected = "one range and one list for a name";
  if (known->isPromise() ? range.values.empty() : !range.values.empty())
    return false;
  SymbolRange both = known->isPromise() ? *known : range;
  both.values = known->isPromise() ? range.values : known->values;
  for (int64_t size : both.values) {
    expected = std::to_string(size) + " to be a size that the range of the name has";
    if (size < both.least || size > both.most || size % both.divisor)
      return false;
  }
  *known = both;
  return true;
}

bool eyrie::pipeline::readShape(StringRef text, ShapeOptions &shapes, std::string &expected) {
  expected = "NAME=DIMS with dimensions such as 1x3x224x224, or for an open dimension SYMBOL=8, SYMBOL=1..64, "
             "SYMBOL=64..512:64 or SYMBOL=1,8,64";
  // The name of an input may itself contain '='.
  auto [name, dims] = text.rsplit('=');
  if (name.empty() || name.size() == text.size())
    return false;
  bool isFixed = llvm::any_of(shapes.fixed, [&, name = name](const auto &other) { return other.first == name; });
  SymbolRange range;
  range.name = name.str();
  if (dims.contains("..") || dims.contains(',')) {
    if (!(dims.contains("..") ? readRange(dims, range, expected) : readList(dims, range, expected)))
      return false;
    expected = "each name once";
    return !isFixed && addRange(std::move(range), shapes, expected);
  }
  std::vector<int64_t> sizes;
  llvm::SmallVector<StringRef> parts;
  if (!dims.empty() && dims != "scalar")
    dims.split(parts, 'x');
  for (StringRef part : parts) {
    sizes.push_back(0);
    if (part.getAsInteger(10, sizes.back()) || sizes.back() < 0)
      return false;
  }
  expected = "each name once";
  if (isFixed || llvm::any_of(shapes.ranges, [&](const SymbolRange &other) { return other.name == range.name; }))
    return false;
  shapes.fixed.emplace_back(range.name, std::move(sizes));
  return true;
}
