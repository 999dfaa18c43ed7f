// Symbolic dimensions: integers that are known numbers or polynomials over symbols, in a normal form, so that equal
// expressions compare equal. Shape inference and integer shape arithmetic of the operation library run on them.
#pragma once
#include "mlir/IR/Builders.h"
#include "mlir/IR/Value.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace eyrie::ops {

class DimContext;
struct DimNode;

/// An integer: a constant, or a hash-consed polynomial with integer coefficients over atoms (symbols, floor divisions,
/// minima, maxima, sizes of broadcasts) that a DimContext owns. A handle: copy it freely; valid as long as its context.
/// Arithmetic is exact where the normal form allows it; overflow of constants wraps (dims are checked by their users).
class Dim {
public:
  Dim(int64_t value = 0) : value(value) {}
  explicit Dim(const DimNode &node) : node(&node) {}

  bool isConstant() const { return !node; }
  bool isSymbolic() const { return node; }
  /// The value; only for constants.
  int64_t constant() const {
    assert(!node && "a symbolic dimension has no constant value");
    return value;
  }
  std::optional<int64_t> asConstant() const { return node ? std::nullopt : std::optional<int64_t>(value); }
  bool is(int64_t v) const { return !node && value == v; }
  const DimNode *getNode() const { return node; }
  /// Size as MLIR's types hold it: the constant or ShapedType::kDynamic.
  int64_t typeSize() const;
  /// "3", "batch", "2*batch + 1", "floordiv(n, 2)".
  std::string str() const;

  /// Equal as expressions: true means surely equal, false means nothing (see isEqual).
  friend bool operator==(const Dim &a, const Dim &b) { return a.node == b.node && (a.node || a.value == b.value); }
  friend bool operator!=(const Dim &a, const Dim &b) { return !(a == b); }
  friend Dim operator+(Dim a, Dim b);
  friend Dim operator-(Dim a, Dim b);
  friend Dim operator*(Dim a, Dim b);
  Dim operator-() const { return Dim(-1) * *this; }
  Dim &operator+=(Dim b) { return *this = *this + b; }
  Dim &operator*=(Dim b) { return *this = *this * b; }

private:
  const DimNode *node = nullptr;
  int64_t value = 0;
};

/// Rounds to minus infinity; the divisor must not be zero (a constant zero divisor gives 0).
Dim floorDiv(Dim a, Dim b);
/// a / b when it is exact as polynomials.
std::optional<Dim> divideExactly(Dim a, Dim b);
Dim ceilDiv(Dim a, Dim b);
/// a - b * floorDiv(a, b): has the sign of b.
Dim floorMod(Dim a, Dim b);
Dim min(Dim a, Dim b);
Dim max(Dim a, Dim b);
/// What two sizes that are equal, or of which one is 1, become together: the other one then (0 beside 1 is 0).
Dim broadcastSize(Dim a, Dim b);
Dim product(llvm::ArrayRef<Dim> dims);

/// The largest number that `a` is known never to be below (from the bounds of its symbols), if there is one.
std::optional<int64_t> lowerBound(Dim a);
/// Surely equal, surely different, or unknown.
std::optional<bool> isEqual(Dim a, Dim b);
/// The dimensions of one size in numpy's broadcasting: `size` may turn out to be 1 while `out` is not.
bool mayBeRepeated(Dim size, Dim out);
/// A size that may as well be 1 at run time: a symbol, or what such sizes became in a broadcast before.
bool isOpenSize(Dim a);
/// Surely a < b, surely not, or unknown.
std::optional<bool> isLess(Dim a, Dim b);

/// One factor of a polynomial.
struct DimAtom {
  enum class Kind { Symbol, FloorDiv, Min, Max, Broadcast };
  Kind kind;
  unsigned id;
  std::string name;             // Symbol
  mlir::Value value;            // Symbol: the index that holds it at run time; may be set later
  std::optional<int64_t> lower; // never below
  Dim a, b;                     // the others
};

/// A polynomial: sum of coefficient * product of atoms (ids sorted, repeated for powers), terms sorted by their atoms.
struct DimNode {
  struct Term {
    int64_t coefficient;
    llvm::SmallVector<unsigned, 2> atoms;
  };
  DimContext *context;
  std::vector<Term> terms;
  mutable bool isSize = false; // of a tensor that is always made: never below 0
};

/// Owns symbols and expressions of one function. Not thread-safe. Does not own IR.
class DimContext {
public:
  DimContext() = default;
  DimContext(const DimContext &) = delete;

  /// The symbol `name`, made on first use. Model inputs' dimensions are at least 0; pass a different `lower` when more
  /// is known, or nullopt for an integer of any sign.
  Dim symbol(llvm::StringRef name, std::optional<int64_t> lower = 0);
  /// A symbol of its own for a value that is known only at run time (type index).
  Dim opaque(mlir::Value value, llvm::StringRef hint = "v", std::optional<int64_t> lower = std::nullopt);
  /// Says which index value holds the symbol `dim` (must be a plain symbol) at run time.
  void setValue(Dim dim, mlir::Value value);

  /// Index value of `dim` at the builder's insertion point. Every symbol in it must have a value that dominates it.
  mlir::Value materialize(mlir::OpBuilder &b, mlir::Location loc, Dim dim);
  mlir::OpFoldResult materializeFold(mlir::OpBuilder &b, mlir::Location loc, Dim dim);

  /// Says that `dim` is a dimension of a tensor that is there whenever the function runs: it is never below 0,
  /// whatever its formula says.
  void setSize(Dim dim);

  struct Assumption {
    Dim a, b;
    std::string place; // the node of the model that needs it
  };
  /// Records that the model is only right when a == b at run time (e.g. broadcasting of two different symbols).
  void assumeEqual(Dim a, Dim b);
  llvm::ArrayRef<Assumption> getAssumptions() const { return assumptions; }
  /// The same for a == b, or one of them 1: sizes that are broadcast together and known only at run time.
  void assumeBroadcast(Dim a, Dim b);
  llvm::ArrayRef<Assumption> getBroadcastAssumptions() const { return broadcastAssumptions; }
  /// The node that is being imported, for assumptions. Returns the one before.
  std::string exchangePlace(std::string place) { return std::exchange(this->place, std::move(place)); }
  /// Forgets what was assumed since: for what is imported on trial.
  std::pair<size_t, size_t> countAssumptions() const { return {assumptions.size(), broadcastAssumptions.size()}; }
  void forgetAssumptions(std::pair<size_t, size_t> since) {
    assumptions.erase(assumptions.begin() + since.first, assumptions.end());
    broadcastAssumptions.erase(broadcastAssumptions.begin() + since.second, broadcastAssumptions.end());
  }

  // For the arithmetic on Dim.
  const DimAtom &getAtom(unsigned id) const { return *atoms[id]; }
  Dim atom(DimAtom::Kind kind, Dim a, Dim b);
  Dim fromTerms(std::vector<DimNode::Term> terms);

private:
  class Materializer;
  std::vector<std::unique_ptr<DimAtom>> atoms;
  std::map<std::string, unsigned> atomIds;
  std::map<std::string, std::unique_ptr<DimNode>> nodes;
  void add(std::vector<Assumption> &assumptions, Dim a, Dim b);
  std::vector<Assumption> assumptions, broadcastAssumptions;
  std::string place;
};

} // namespace eyrie::ops
