#include "abi/crc32c.h"
#include "abi/module_format.h"
#include "compiler/graph/Graph.h"
#include "compiler/module/Metadata.h"
#include "compiler/stream/Stream.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::module;

FailureOr<Weights> Weights::collect(ModuleOp module) {
  Weights weights;
  llvm::DenseSet<int64_t> known;
  for (auto global : module.getOps<graph::GlobalOp>()) {
    auto offset = global->getAttrOfType<IntegerAttr>(stream::kWeightOffset);
    if (!offset)
      continue;
    FailureOr<stream::WeightContent> content = failure();
    if (global.getValue())
      content = stream::getWeightContent(*global.getValue());
    if (failed(content))
      return global.emitOpError("has no value that can be stored");
    weights.present = true;
    weights.bytes = std::max(weights.bytes, offset.getInt() + content->size());
    if (content->size() != 0 && known.insert(offset.getInt()).second)
      weights.pieces.push_back({offset.getInt(), std::move(*content)});
  }
  llvm::sort(weights.pieces, [](const Piece &a, const Piece &b) { return a.offset < b.offset; });
  return weights;
}

void Weights::forEachPart(llvm::function_ref<void(ArrayRef<char>)> sink) const {
  static constexpr char kZeros[stream::kAlignment] = {};
  int64_t at = 0;
  auto pad = [&](int64_t end) {
    for (; at < end; at += std::min<int64_t>(end - at, sizeof(kZeros)))
      sink(ArrayRef<char>(kZeros, std::min<int64_t>(end - at, sizeof(kZeros))));
  };
  for (const Piece &piece : pieces) {
    pad(piece.offset);
    if (piece.content.repeat == 1) {
      sink(piece.content.piece);
    } else {
      // Not element by element: splats may be large.
      SmallVector<char, 0> block;
      int64_t perBlock = std::min<int64_t>(piece.content.repeat, 4096);
      for (int64_t i = 0; i < perBlock; ++i)
        llvm::append_range(block, piece.content.piece);
      int64_t left = piece.content.repeat;
      for (; left >= perBlock; left -= perBlock)
        sink(block);
      sink(ArrayRef<char>(block).take_front(left * piece.content.piece.size()));
    }
    at = piece.offset + piece.content.size();
  }
  pad(bytes);
}

std::vector<uint32_t> Weights::computeChecks() const {
  std::vector<uint32_t> checks;
  uint64_t filled = 0;
  uint32_t crc = 0;
  forEachPart([&](ArrayRef<char> part) {
    while (!part.empty()) {
      size_t take = std::min<uint64_t>(part.size(), abi::kWeightChunk - filled);
      crc = abi::Crc32c(part.data(), take, crc);
      filled += take;
      part = part.drop_front(take);
      if (filled == abi::kWeightChunk) {
        checks.push_back(crc);
        filled = 0;
        crc = 0;
      }
    }
  });
  if (filled != 0)
    checks.push_back(crc);
  return checks;
}
