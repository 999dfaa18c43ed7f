#include "compiler/stream/Packer.h"
#include <gtest/gtest.h>
#include <random>

using namespace eyrie::stream;

namespace {

std::vector<Lifespan> makeRandom(unsigned seed, unsigned count, unsigned steps, unsigned longest) {
  std::mt19937 random(seed);
  std::vector<Lifespan> tensors;
  for (unsigned i = 0; i < count; ++i) {
    unsigned first = random() % steps;
    // Sizes spread over several orders of magnitude, as in real models; now and then an empty tensor.
    int64_t size = random() % 20 == 0 ? 0 : int64_t(64) << random() % 12;
    tensors.push_back(
        {size * int64_t(1 + random() % 7), first, std::min(steps - 1, first + unsigned(random() % longest))});
  }
  return tensors;
}

void expectValid(const std::vector<Lifespan> &tensors, const Packing &packing) {
  ASSERT_EQ(packing.offsets.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_GE(packing.offsets[i], 0);
    EXPECT_EQ(packing.offsets[i] % 64, 0);
    EXPECT_LE(packing.offsets[i] + tensors[i].size, packing.bytes);
    for (size_t j = 0; j < i; ++j)
      if (tensors[i].overlaps(tensors[j]) && tensors[i].size != 0 && tensors[j].size != 0)
        EXPECT_TRUE(packing.offsets[i] + tensors[i].size <= packing.offsets[j] ||
                    packing.offsets[j] + tensors[j].size <= packing.offsets[i])
            << i << " and " << j << " are alive together and overlap";
  }
}

TEST(Packer, NothingAliveTogetherOverlaps) {
  for (unsigned seed = 0; seed < 60; ++seed) {
    std::vector<Lifespan> tensors = makeRandom(seed, 1 + seed * 3, 40, 1 + seed % 12);
    Packing packing = pack(tensors);
    expectValid(tensors, packing);
    EXPECT_GE(packing.bytes, getLowerBound(tensors));
  }
}

TEST(Packer, IsNearTheLowerBound) {
  double sum = 0;
  int count = 0;
  for (unsigned seed = 100; seed < 140; ++seed) {
    std::vector<Lifespan> tensors = makeRandom(seed, 120, 100, 6);
    double ratio = double(pack(tensors).bytes) / double(getLowerBound(tensors));
    EXPECT_LE(ratio, 1.10) << "seed " << seed;
    sum += ratio;
    ++count;
  }
  EXPECT_LE(sum / count, 1.02);
}

TEST(Packer, ChainNeedsTwoTensors) {
  std::vector<Lifespan> chain;
  for (unsigned i = 0; i < 50; ++i)
    chain.push_back({640, i, i + 1});
  EXPECT_EQ(pack(chain).bytes, 1280);
}

TEST(Packer, EmptyAndSingle) {
  EXPECT_EQ(pack({}).bytes, 0);
  EXPECT_EQ(pack({{64, 0, 0}}).bytes, 64);
  EXPECT_EQ(pack({{0, 3, 5}}).bytes, 0);
}

TEST(Packer, SameAnswerEveryTime) {
  std::vector<Lifespan> tensors = makeRandom(7, 200, 60, 10);
  EXPECT_EQ(pack(tensors).offsets, pack(tensors).offsets);
}

} // namespace
