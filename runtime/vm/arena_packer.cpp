#include "runtime/vm/arena_packer.h"

namespace eyrie::rt::vm {
namespace {

// Larger than any memory; sums of all rows stay far below 2^64.
constexpr int64_t kMaxSize = int64_t{1} << 47;
constexpr int kOrders = 6;

bool Overlap(const PackRow& a, const PackRow& b) { return a.first_step <= b.last_step && b.first_step <= a.last_step; }

}  // namespace

Status ArenaPacker::Reserve(uint32_t rows) {
  for (Array<uint64_t>* array : {&sizes_, &offsets_, &best_, &pressure_}) EYRIE_RETURN_IF_ERROR(array->Reserve(rows));
  EYRIE_RETURN_IF_ERROR(order_.Reserve(rows));
  return placed_.Reserve(rows);
}

// The most bytes alive at one time; the maximum is at a time when a tensor begins. Fills `pressure_`: the most bytes
// alive while each tensor lives.
uint64_t ArenaPacker::Bound(std::span<const PackRow> rows) {
  uint64_t bound = 0;
  for (size_t i = 0; i < rows.size(); ++i) pressure_[i] = 0;
  for (const PackRow& at : rows) {
    uint64_t sum = 0;
    for (size_t k = 0; k < rows.size(); ++k)
      if (rows[k].first_step <= at.first_step && at.first_step <= rows[k].last_step) sum += sizes_[k];
    for (size_t k = 0; k < rows.size(); ++k)
      if (rows[k].first_step <= at.first_step && at.first_step <= rows[k].last_step && pressure_[k] < sum)
        pressure_[k] = sum;
    bound = sum > bound ? sum : bound;
  }
  return bound;
}

// Descending by one of kOrders keys; equal ones by size, then in program order.
void ArenaPacker::Sort(std::span<const PackRow> rows, int order) {
  auto key_of = [&](uint32_t i) -> double {
    const double size = static_cast<double>(sizes_[i]);
    const double life = static_cast<double>(rows[i].last_step - rows[i].first_step) + 1;
    switch (order) {
      case 0:
        return size;
      case 1:
        return size * life;
      case 2:
        return static_cast<double>(pressure_[i]);
      case 3:
        return life;
      case 4:
        return -static_cast<double>(rows[i].first_step);
      default:
        return static_cast<double>(rows[i].last_step);
    }
  };
  auto before = [&](uint32_t a, uint32_t b) {
    const double x = key_of(a), y = key_of(b);
    if (x != y) return x > y;
    return sizes_[a] != sizes_[b] ? sizes_[a] > sizes_[b] : a < b;
  };
  const size_t count = rows.size();
  for (size_t i = 0; i < count; ++i) order_[i] = static_cast<uint32_t>(i);
  for (size_t gap = count / 2; gap > 0; gap /= 2)
    for (size_t i = gap; i < count; ++i) {
      const uint32_t moved = order_[i];
      size_t at = i;
      for (; at >= gap && before(moved, order_[at - gap]); at -= gap) order_[at] = order_[at - gap];
      order_[at] = moved;
    }
}

// Places the tensors in their order; the end of the last one. Gives up beyond `limit`.
uint64_t ArenaPacker::Place(std::span<const PackRow> rows, Fit fit, uint64_t bound, uint64_t limit) {
  uint64_t total = 0;
  size_t placed = 0;
  for (size_t n = 0; n < rows.size(); ++n) {
    const uint32_t i = order_[n];
    uint64_t end = 0, best = UINT64_MAX, best_gap = UINT64_MAX;
    for (size_t k = 0; k < placed; ++k) {
      const uint32_t other = placed_[k];
      if (!sizes_[other] || !Overlap(rows[i], rows[other])) continue;
      const uint64_t begin = offsets_[other], gap = begin > end ? begin - end : 0;
      if (gap >= sizes_[i] && gap < best_gap) {
        best = end;
        best_gap = fit == Fit::kFirstGap ? 0 : gap;
      }
      end = begin + sizes_[other] > end ? begin + sizes_[other] : end;
    }
    // The gap below the ceiling counts too; what is put there, if not alone, hangs from the ceiling.
    const uint64_t ceiling = total > bound ? total : bound, gap = ceiling > end ? ceiling - end : 0;
    if (fit == Fit::kBothEnds && gap >= sizes_[i] && gap < best_gap) best = end ? ceiling - sizes_[i] : 0;
    offsets_[i] = best != UINT64_MAX ? best : end;
    total = offsets_[i] + sizes_[i] > total ? offsets_[i] + sizes_[i] : total;
    if (total > limit) return total;
    size_t at = placed++;
    for (; at > 0 && offsets_[placed_[at - 1]] > offsets_[i]; --at) placed_[at] = placed_[at - 1];
    placed_[at] = i;
  }
  return total;
}

Status ArenaPacker::Pack(std::span<const PackRow> rows, int64_t* registers, int64_t* total) {
  bool is_same = remembered_ == rows.data() && sizes_.size() == rows.size();
  for (Array<uint64_t>* array : {&sizes_, &offsets_, &best_, &pressure_})
    EYRIE_RETURN_IF_ERROR(array->Resize(static_cast<uint32_t>(rows.size())));
  EYRIE_RETURN_IF_ERROR(order_.Resize(static_cast<uint32_t>(rows.size())));
  EYRIE_RETURN_IF_ERROR(placed_.Resize(static_cast<uint32_t>(rows.size())));
  for (size_t i = 0; i < rows.size(); ++i) {
    const int64_t size = registers[rows[i].size_register];
    if (size < 0 || size > kMaxSize) {
      remembered_ = nullptr;
      return Error(EYRIE_OUT_OF_RANGE, "a transient tensor of %lld bytes", static_cast<long long>(size));
    }
    const uint64_t rounded = (static_cast<uint64_t>(size) + 63) / 64 * 64;
    is_same = is_same && sizes_[i] == rounded;
    sizes_[i] = rounded;
  }
  if (!is_same) {
    const uint64_t bound = Bound(rows);
    total_ = UINT64_MAX;
    for (int attempt = 0; attempt < kFits * kOrders && total_ > bound; ++attempt) {
      if (attempt % kFits == 0) Sort(rows, attempt / kFits);
      const uint64_t found = Place(rows, static_cast<Fit>(attempt % kFits), bound, total_ - 1);
      if (found >= total_) continue;
      total_ = found;
      for (size_t i = 0; i < rows.size(); ++i) best_[i] = offsets_[i];
    }
    if (rows.empty()) total_ = 0;
    remembered_ = rows.data();
  }
  for (size_t i = 0; i < rows.size(); ++i) registers[rows[i].offset_register] = static_cast<int64_t>(best_[i]);
  *total = static_cast<int64_t>(total_);
  return {};
}

}  // namespace eyrie::rt::vm
