#include "compiler/stream/Weights.h"
#include "compiler/stream/Stream.h"
#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;
using namespace eyrie::stream;

int64_t eyrie::stream::getStoredBytes(ShapedType type) {
  int64_t bits = getStoredBits(type.getElementType());
  return bits == 0 ? -1 : (type.getNumElements() * bits + 7) / 8;
}

/// Packs elements below 8 bits, given one to a byte, the first in the lowest bits.
static void packBits(ArrayRef<char> elements, int64_t bits, SmallVectorImpl<char> &out) {
  out.assign((elements.size() * bits + 7) / 8, 0);
  for (auto [i, element] : llvm::enumerate(elements))
    out[i * bits / 8] |= static_cast<char>((element & ((1 << bits) - 1)) << (i * bits % 8));
}

static FailureOr<WeightContent> checkSize(WeightContent content, int64_t bytes) {
  if (content.size() != bytes)
    return failure();
  return content;
}

FailureOr<WeightContent> eyrie::stream::getWeightContent(ElementsAttr value) {
  auto type = cast<ShapedType>(value.getType());
  int64_t bytes = getStoredBytes(type), bits = getStoredBits(type.getElementType());
  if (bytes < 0)
    return failure();
  WeightContent content;
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(value)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    if (!blob)
      return failure();
    content.piece = blob->getData();
    // Blobs hold the stored layout, or one byte for each element of a packed type.
    if (bits < 8 && content.size() == type.getNumElements() && content.size() != bytes) {
      packBits(content.piece, bits, content.owned);
      content.piece = content.owned;
    }
    return checkSize(std::move(content), bytes);
  }
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (!dense)
    return failure();
  if (bytes == 0)
    return content;
  if (type.getElementType().isInteger(1)) {
    // MLIR's own layout of booleans has changed between versions; go through the values.
    for (bool element : dense.getValues<bool>())
      content.owned.push_back(element);
    content.piece = content.owned;
    return content;
  }
  ArrayRef<char> raw = dense.getRawData();
  if (bits < 8) {
    SmallVector<char> elements(raw);
    if (dense.isSplat())
      elements.assign(type.getNumElements(), raw[0]);
    packBits(elements, bits, content.owned);
    content.piece = content.owned;
    return content;
  }
  content.piece = raw;
  if (dense.isSplat())
    content.repeat = type.getNumElements();
  return checkSize(std::move(content), bytes);
}
