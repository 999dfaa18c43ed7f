#include "runtime/vm/arena_packer.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "runtime/testing/session.h"

namespace eyrie::rt::vm {
namespace {

// Registers: the sizes, then the offsets.
struct Tensors {
  std::vector<PackRow> rows;
  std::vector<int64_t> registers;

  void Add(int64_t size, uint32_t first, uint32_t last) {
    rows.push_back({static_cast<uint32_t>(rows.size()), 0, first, last});
    registers.push_back(size);
  }
  void Finish() {
    for (PackRow& row : rows) row.offset_register = row.size_register + static_cast<uint32_t>(rows.size());
    registers.resize(2 * rows.size());
  }
  int64_t Offset(size_t i) const { return registers[rows[i].offset_register]; }
  int64_t Rounded(size_t i) const { return (registers[i] + 63) / 64 * 64; }
  int64_t Bound() const {
    int64_t bound = 0;
    for (const PackRow& at : rows) {
      int64_t sum = 0;
      for (size_t i = 0; i < rows.size(); ++i)
        if (rows[i].first_step <= at.first_step && at.first_step <= rows[i].last_step) sum += Rounded(i);
      bound = std::max(bound, sum);
    }
    return bound;
  }
  void Check(int64_t total) const {
    for (size_t i = 0; i < rows.size(); ++i) {
      ASSERT_EQ(Offset(i) % 64, 0);
      ASSERT_GE(Offset(i), 0);
      ASSERT_LE(Offset(i) + Rounded(i), total);
      for (size_t k = 0; k < i; ++k) {
        bool together = rows[i].first_step <= rows[k].last_step && rows[k].first_step <= rows[i].last_step;
        bool apart = Offset(i) + Rounded(i) <= Offset(k) || Offset(k) + Rounded(k) <= Offset(i);
        ASSERT_TRUE(!together || apart || Rounded(i) == 0 || Rounded(k) == 0) << i << " and " << k;
      }
    }
  }
};

class ArenaPackerTest : public ::testing::Test {
 protected:
  void Pack(Tensors& tensors, int64_t* total) {
    ASSERT_TRUE(packer.Reserve(static_cast<uint32_t>(tensors.rows.size())).ok());
    ASSERT_TRUE(packer.Pack(tensors.rows, tensors.registers.data(), total).ok());
    tensors.Check(*total);
  }
  Allocator allocator{eyrie_allocator_t{}};
  ArenaPacker packer{allocator};
};

TEST_F(ArenaPackerTest, ChainsTakeTwoTensors) {
  Tensors tensors;
  for (uint32_t i = 0; i < 40; ++i) tensors.Add(640, i, i + 1);
  tensors.Finish();
  int64_t total = 0;
  Pack(tensors, &total);
  EXPECT_EQ(total, 1280);
}

TEST_F(ArenaPackerTest, ChainsOfAnySizesReachTheBound) {
  // As convolutions make them: tensor, padded tensor, tensor, of all sizes. Every second one must end at the top.
  std::mt19937 random(3);
  for (int round = 0; round < 100; ++round) {
    Tensors tensors;
    for (uint32_t i = 0, count = 2 + random() % 100; i < count; ++i) tensors.Add(1 + random() % 1000000, i, i + 1);
    tensors.Finish();
    int64_t total = 0;
    Pack(tensors, &total);
    ASSERT_EQ(total, tensors.Bound()) << round;
  }
}

TEST_F(ArenaPackerTest, NothingAndSizesOfZero) {
  Tensors tensors;
  int64_t total = 1;
  Pack(tensors, &total);
  EXPECT_EQ(total, 0);
  tensors.Add(0, 0, 3);
  tensors.Add(1, 0, 3);
  tensors.Add(0, 2, 2);
  tensors.Finish();
  Pack(tensors, &total);
  EXPECT_EQ(total, 64);
}

TEST_F(ArenaPackerTest, RandomLivesStayApartAndNearTheBound) {
  std::mt19937 random(1);
  double worst = 0, sum = 0;
  for (int round = 0; round < 200; ++round) {
    Tensors tensors;
    uint32_t steps = 1 + random() % 80;
    for (uint32_t i = 0, count = random() % 120; i < count; ++i) {
      uint32_t first = random() % steps;
      tensors.Add(random() % 7 ? random() % 100000 : 0, first, first + random() % 6);
    }
    tensors.Finish();
    int64_t total = 0;
    Pack(tensors, &total);
    double ratio = static_cast<double>(total) / static_cast<double>(std::max<int64_t>(1, tensors.Bound()));
    if (tensors.Bound() == 0) ratio = 1;
    worst = std::max(worst, ratio);
    sum += ratio;
  }
  EXPECT_LT(worst, 1.4);
  EXPECT_LT(sum / 200, 1.09);
}

TEST_F(ArenaPackerTest, RemembersAndNotices) {
  Tensors tensors;
  tensors.Add(100, 0, 1);
  tensors.Add(200, 1, 2);
  tensors.Finish();
  int64_t first = 0, again = 0, other = 0;
  Pack(tensors, &first);
  std::vector<int64_t> before = tensors.registers;
  Pack(tensors, &again);
  EXPECT_EQ(first, again);
  EXPECT_EQ(before, tensors.registers);
  tensors.registers[1] = 2000;
  Pack(tensors, &other);
  EXPECT_GT(other, first);
}

TEST_F(ArenaPackerTest, BadSizesAreRefused) {
  for (int64_t bad : {int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 48}) {
    Tensors tensors;
    tensors.Add(64, 0, 1);
    tensors.Add(bad, 0, 1);
    tensors.Finish();
    int64_t total = 0;
    ASSERT_TRUE(packer.Reserve(2).ok());
    Status status = packer.Pack(tensors.rows, tensors.registers.data(), &total);
    EXPECT_FALSE(status.ok());
  }
}

}  // namespace
}  // namespace eyrie::rt::vm
