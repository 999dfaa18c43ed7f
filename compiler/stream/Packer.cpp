#include "compiler/stream/Packer.h"
#include <algorithm>
#include <numeric>

namespace eyrie::stream {
namespace {

using Order = std::vector<unsigned>;

/// Places tensors one after another, each into the smallest gap between its placed neighbours that holds it, or at the
/// lowest offset above them.
class GreedyPlacer {
public:
  explicit GreedyPlacer(const std::vector<Lifespan> &tensors) : tensors(tensors), neighbours(tensors.size()) {
    for (unsigned i = 0; i < tensors.size(); ++i)
      for (unsigned j = 0; j < i; ++j)
        if (tensors[i].overlaps(tensors[j])) {
          neighbours[i].push_back(j);
          neighbours[j].push_back(i);
        }
  }

  /// Gives up, returning a larger arena, once it exceeds `limit`.
  Packing place(const Order &order, bool bestFit, int64_t limit) {
    Packing packing;
    packing.offsets.assign(tensors.size(), -1);
    for (unsigned i : order) {
      packing.offsets[i] = findOffset(i, packing.offsets, bestFit);
      packing.bytes = std::max(packing.bytes, packing.offsets[i] + tensors[i].size);
      if (packing.bytes > limit)
        return packing;
    }
    return packing;
  }

private:
  int64_t findOffset(unsigned i, const std::vector<int64_t> &offsets, bool bestFit) {
    taken.clear();
    for (unsigned j : neighbours[i])
      if (offsets[j] >= 0 && tensors[j].size > 0)
        taken.emplace_back(offsets[j], offsets[j] + tensors[j].size);
    std::sort(taken.begin(), taken.end());
    int64_t end = 0, best = -1, bestGap = INT64_MAX;
    for (auto [begin, finish] : taken) {
      int64_t gap = begin - end;
      if (gap >= tensors[i].size && gap < bestGap) {
        best = end;
        bestGap = gap;
        if (!bestFit)
          break;
      }
      end = std::max(end, finish);
    }
    return best >= 0 ? best : end;
  }

  const std::vector<Lifespan> &tensors;
  std::vector<std::vector<unsigned>> neighbours;
  std::vector<std::pair<int64_t, int64_t>> taken;
};

/// An order by descending key; equal keys by descending size, then in program order.
template <typename Key> Order orderBy(const std::vector<Lifespan> &tensors, Key key) {
  Order order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](unsigned a, unsigned b) {
    auto ka = key(tensors[a]), kb = key(tensors[b]);
    if (ka != kb)
      return ka > kb;
    return tensors[a].size != tensors[b].size ? tensors[a].size > tensors[b].size : a < b;
  });
  return order;
}

/// The bytes alive at the busiest step of a tensor's life: tensors of the tightest steps should be placed first.
std::vector<int64_t> getPressure(const std::vector<Lifespan> &tensors) {
  unsigned steps = 0;
  for (const Lifespan &t : tensors)
    steps = std::max(steps, t.last + 1);
  std::vector<int64_t> alive(steps + 1, 0), pressure;
  for (const Lifespan &t : tensors) {
    alive[t.first] += t.size;
    alive[t.last + 1] -= t.size;
  }
  std::partial_sum(alive.begin(), alive.end(), alive.begin());
  for (const Lifespan &t : tensors)
    pressure.push_back(*std::max_element(alive.begin() + t.first, alive.begin() + t.last + 1));
  return pressure;
}

/// Moves a tensor that ends at the top of the arena, and now and then any other, to an earlier place of the order.
void perturb(Order &order, const std::vector<Lifespan> &tensors, const Packing &packing, uint64_t &random) {
  auto next = [&](uint64_t bound) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return (random >> 33) % bound;
  };
  std::vector<unsigned> top;
  for (unsigned place = 0; place < order.size(); ++place)
    if (packing.offsets[order[place]] + tensors[order[place]].size == packing.bytes)
      top.push_back(place);
  unsigned from = !top.empty() && next(4) != 0 ? top[next(top.size())] : next(order.size());
  unsigned to = next(from + 1);
  std::rotate(order.begin() + to, order.begin() + from, order.begin() + from + 1);
}

} // namespace

int64_t getLowerBound(const std::vector<Lifespan> &tensors) {
  int64_t bound = 0;
  for (int64_t pressure : getPressure(tensors))
    bound = std::max(bound, pressure);
  return bound;
}

Packing pack(const std::vector<Lifespan> &tensors) {
  Packing best;
  if (tensors.empty())
    return best;
  int64_t bound = getLowerBound(tensors);
  std::vector<int64_t> pressure = getPressure(tensors);
  auto length = [](const Lifespan &t) { return int64_t(t.last) - t.first + 1; };
  const Order orders[] = {
      orderBy(tensors, [](const Lifespan &t) { return t.size; }),
      orderBy(tensors, [&](const Lifespan &t) { return double(t.size) * double(length(t)); }),
      orderBy(tensors, [&](const Lifespan &t) { return pressure[&t - tensors.data()]; }),
      orderBy(tensors, [&](const Lifespan &t) { return length(t); }),
      orderBy(tensors, [&](const Lifespan &t) { return -int64_t(t.first); }),
      orderBy(tensors, [&](const Lifespan &t) { return int64_t(t.last); }),
  };
  GreedyPlacer placer(tensors);
  best.bytes = INT64_MAX;
  Order bestOrder;
  bool bestFit = true;
  for (const Order &order : orders)
    for (bool fit : {true, false})
      if (Packing packing = placer.place(order, fit, best.bytes - 1); packing.bytes < best.bytes) {
        best = std::move(packing);
        bestOrder = order;
        bestFit = fit;
      }
  // Local search. Equal arenas are accepted, so that it can walk along a plateau.
  uint64_t random = 1;
  int64_t rounds = std::min<int64_t>(20000, 40'000'000 / (int64_t(tensors.size()) * int64_t(tensors.size()) + 1));
  for (int64_t round = 0; round < rounds && best.bytes > bound; ++round) {
    Order order = bestOrder;
    perturb(order, tensors, best, random);
    if (Packing packing = placer.place(order, bestFit, best.bytes); packing.bytes <= best.bytes) {
      best = std::move(packing);
      bestOrder = std::move(order);
    }
  }
  return best;
}

} // namespace eyrie::stream
