#include "compiler/module/Metadata.h"
#include "compiler/stream/Stream.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::module;

FailureOr<Objects::Place> Objects::add(ElementsAttr object) {
  FailureOr<stream::WeightContent> content = failure();
  if (object.getElementType().isInteger(8))
    content = stream::getWeightContent(object);
  if (failed(content))
    return failure();
  SmallVector<char, 0> bytes;
  for (int64_t i = 0; i < content->repeat; ++i)
    llvm::append_range(bytes, content->piece);

  uint64_t hash = llvm::xxh3_64bits(StringRef(bytes.data(), bytes.size()));
  for (auto [it, end] = known.equal_range(hash); it != end; ++it)
    if (ArrayRef(section).slice(it->second.offset, it->second.size) == ArrayRef(bytes))
      return it->second;
  section.resize(llvm::alignTo(section.size(), stream::kAlignment));
  Place place = {section.size(), bytes.size()};
  llvm::append_range(section, bytes);
  known.emplace(hash, place);
  return place;
}
