#include "compiler/ops/Dim.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace eyrie::ops {

using Term = DimNode::Term;

static int64_t wrapMul(int64_t a, int64_t b) { return static_cast<int64_t>(uint64_t(a) * uint64_t(b)); }
static int64_t wrapAdd(int64_t a, int64_t b) { return static_cast<int64_t>(uint64_t(a) + uint64_t(b)); }
static int64_t floorDivide(int64_t a, int64_t b) {
  if (b == 0)
    return 0;
  if (b == -1)
    return wrapMul(a, -1);
  int64_t q = a / b;
  return a % b != 0 && ((a < 0) != (b < 0)) ? q - 1 : q;
}

/// Higher degrees first, then by atoms: an order that multiplication keeps, as the long division below needs.
static bool isBefore(const Term &x, const Term &y) {
  if (x.atoms.size() != y.atoms.size())
    return x.atoms.size() > y.atoms.size();
  return std::lexicographical_compare(x.atoms.begin(), x.atoms.end(), y.atoms.begin(), y.atoms.end());
}

static std::vector<Term> termsOf(Dim d) {
  if (d.isSymbolic())
    return d.getNode()->terms;
  if (d.constant() == 0)
    return {};
  return {Term{d.constant(), {}}};
}

static DimContext *contextOf(Dim a, Dim b = 0) {
  if (a.isSymbolic())
    return a.getNode()->context;
  return b.isSymbolic() ? b.getNode()->context : nullptr;
}

int64_t Dim::typeSize() const { return node ? ShapedType::kDynamic : value; }

Dim operator+(Dim a, Dim b) {
  if (a.isConstant() && b.isConstant())
    return wrapAdd(a.constant(), b.constant());
  std::vector<Term> terms = termsOf(a);
  llvm::append_range(terms, termsOf(b));
  return contextOf(a, b)->fromTerms(std::move(terms));
}

Dim operator-(Dim a, Dim b) { return a + Dim(-1) * b; }

Dim operator*(Dim a, Dim b) {
  if (a.isConstant() && b.isConstant())
    return wrapMul(a.constant(), b.constant());
  std::vector<Term> terms;
  for (const Term &x : termsOf(a))
    for (const Term &y : termsOf(b)) {
      Term term{wrapMul(x.coefficient, y.coefficient), x.atoms};
      term.atoms.append(y.atoms.begin(), y.atoms.end());
      llvm::sort(term.atoms);
      terms.push_back(std::move(term));
    }
  return contextOf(a, b)->fromTerms(std::move(terms));
}

/// x / y when it is a monomial with an integer coefficient.
static std::optional<Term> divideTerm(const Term &x, const Term &y) {
  if (x.coefficient % y.coefficient != 0)
    return std::nullopt;
  Term quotient{x.coefficient / y.coefficient, x.atoms};
  for (unsigned atom : y.atoms) {
    auto *it = llvm::find(quotient.atoms, atom);
    if (it == quotient.atoms.end())
      return std::nullopt;
    quotient.atoms.erase(it);
  }
  return quotient;
}

// Polynomial long division.
std::optional<Dim> divideExactly(Dim a, Dim b) {
  if (a.isConstant() && b.isConstant())
    return !b.is(0) && a.constant() % b.constant() == 0 ? std::optional(floorDiv(a, b)) : std::nullopt;
  DimContext *context = contextOf(a, b);
  std::vector<Term> divisor = termsOf(b);
  if (divisor.empty() || divisor.front().coefficient == 0)
    return std::nullopt;
  Dim quotient = 0;
  for (int step = 0; step < 32; ++step) {
    std::vector<Term> rest = termsOf(a);
    if (rest.empty())
      return quotient;
    std::optional<Term> term = divideTerm(rest.front(), divisor.front());
    if (!term)
      return std::nullopt;
    Dim part = context->fromTerms({*term});
    quotient += part;
    a = a - part * b;
  }
  return std::nullopt;
}

/// For a constant divisor c > 0: a = c * q + r with every coefficient of r in [0, c).
static Dim floorDivByConstant(Dim a, int64_t c) {
  DimContext *context = a.getNode()->context;
  std::vector<Term> quotient, rest;
  for (const Term &term : a.getNode()->terms) {
    int64_t q = floorDivide(term.coefficient, c);
    quotient.push_back({q, term.atoms});
    rest.push_back({term.coefficient - q * c, term.atoms});
  }
  Dim whole = context->fromTerms(quotient), part = context->fromTerms(rest);
  if (part.isConstant())
    return whole;
  // floor((floor(x / d) + k) / c) = floor((x + k * d) / (d * c))
  const auto &terms = part.getNode()->terms;
  if (terms.front().coefficient == 1 && terms.front().atoms.size() == 1 &&
      (terms.size() == 1 || (terms.size() == 2 && terms[1].atoms.empty()))) {
    const DimAtom &atom = context->getAtom(terms.front().atoms.front());
    int64_t k = terms.size() == 2 ? terms[1].coefficient : 0;
    if (atom.kind == DimAtom::Kind::FloorDiv && atom.b.isConstant() && atom.b.constant() > 0)
      return whole + floorDiv(atom.a + Dim(k) * atom.b, atom.b * Dim(c));
  }
  return whole + context->atom(DimAtom::Kind::FloorDiv, part, c);
}

Dim floorDiv(Dim a, Dim b) {
  if (a.isConstant() && b.isConstant())
    return floorDivide(a.constant(), b.constant());
  if (a.is(0) || b.is(0))
    return 0;
  if (b.is(1))
    return a;
  if (a == b)
    return 1;
  if (b.isConstant())
    return b.constant() < 0 ? floorDivByConstant(-a, -b.constant()) : floorDivByConstant(a, b.constant());
  if (auto exact = divideExactly(a, b))
    return *exact;
  return contextOf(a, b)->atom(DimAtom::Kind::FloorDiv, a, b);
}

Dim ceilDiv(Dim a, Dim b) {
  bool isPositive = lowerBound(b).value_or(-1) >= 0;
  return isPositive ? floorDiv(a + b - 1, b) : -floorDiv(-a, b);
}
Dim floorMod(Dim a, Dim b) { return a - b * floorDiv(a, b); }

Dim min(Dim a, Dim b) {
  if (auto less = isLess(a, b))
    return *less ? a : b;
  if (auto less = isLess(b, a))
    return *less ? b : a;
  return contextOf(a, b)->atom(DimAtom::Kind::Min, a, b);
}

Dim max(Dim a, Dim b) {
  if (auto less = isLess(a, b))
    return *less ? b : a;
  if (auto less = isLess(b, a))
    return *less ? a : b;
  return contextOf(a, b)->atom(DimAtom::Kind::Max, a, b);
}

Dim broadcastSize(Dim a, Dim b) {
  if (a == b || b.is(1))
    return a;
  return a.is(1) ? b : contextOf(a, b)->atom(DimAtom::Kind::Broadcast, a, b);
}

Dim product(llvm::ArrayRef<Dim> dims) {
  Dim result = 1;
  for (Dim d : dims)
    result *= d;
  return result;
}

static std::optional<int64_t> lowerBoundOfAtom(DimAtom::Kind kind, Dim x, Dim y) {
  std::optional<int64_t> a = lowerBound(x), b = lowerBound(y);
  switch (kind) {
  case DimAtom::Kind::Symbol:
    return std::nullopt;
  case DimAtom::Kind::FloorDiv:
    if (!a)
      return std::nullopt;
    if (y.isConstant())
      return y.constant() > 0 ? std::optional(floorDivide(*a, y.constant())) : std::nullopt;
    return *a >= 0 && b && *b >= 0 ? std::optional<int64_t>(0) : std::nullopt;
  case DimAtom::Kind::Min:
  case DimAtom::Kind::Broadcast:
    return a && b ? std::optional(std::min(*a, *b)) : std::nullopt;
  case DimAtom::Kind::Max:
    return a && b ? std::optional(std::max(*a, *b)) : a ? a : b;
  }
  return std::nullopt;
}

static std::optional<int64_t> lowerBoundOfTerms(Dim a) {
  int64_t bound = 0;
  for (const Term &term : a.getNode()->terms) {
    int64_t least = term.coefficient;
    if (term.coefficient < 0 && !term.atoms.empty())
      return std::nullopt;
    for (unsigned id : term.atoms) {
      std::optional<int64_t> lower = a.getNode()->context->getAtom(id).lower;
      if (!lower || *lower < 0 || llvm::MulOverflow(least, *lower, least))
        // A single atom of either sign still has a bound.
        if (!lower || term.atoms.size() != 1 || llvm::MulOverflow(term.coefficient, *lower, least))
          return std::nullopt;
    }
    if (llvm::AddOverflow(bound, least, bound))
      return std::nullopt;
  }
  return bound;
}

std::optional<int64_t> lowerBound(Dim a) {
  if (a.isConstant())
    return a.constant();
  std::optional<int64_t> bound = lowerBoundOfTerms(a);
  return a.getNode()->isSize ? std::max<int64_t>(bound.value_or(0), 0) : bound;
}

std::optional<bool> isEqual(Dim a, Dim b) {
  if (a == b)
    return true;
  Dim difference = a - b;
  if (difference.isConstant())
    return difference.is(0);
  if (auto low = lowerBound(difference); low && *low > 0)
    return false;
  if (auto low = lowerBound(-difference); low && *low > 0)
    return false;
  return std::nullopt;
}

std::optional<bool> isLess(Dim a, Dim b) {
  Dim difference = b - a;
  if (difference.isConstant())
    return difference.constant() > 0;
  if (auto low = lowerBound(difference); low && *low > 0)
    return true;
  if (auto low = lowerBound(-difference); low && *low >= 0)
    return false;
  return std::nullopt;
}

static const DimAtom *singleAtom(Dim a) {
  if (a.isConstant() || a.getNode()->terms.size() != 1)
    return nullptr;
  const Term &term = a.getNode()->terms.front();
  return term.coefficient == 1 && term.atoms.size() == 1 ? &a.getNode()->context->getAtom(term.atoms[0]) : nullptr;
}

bool isOpenSize(Dim a) {
  const DimAtom *atom = singleAtom(a);
  return atom && (atom->kind == DimAtom::Kind::Symbol ||
                  (atom->kind == DimAtom::Kind::Broadcast && isOpenSize(atom->a) && isOpenSize(atom->b)));
}

bool mayBeRepeated(Dim size, Dim out) {
  if (size == out || !isOpenSize(size) || lowerBound(size).value_or(0) > 1)
    return false;
  if (out.isConstant())
    return true;
  const DimAtom *atom = singleAtom(out);
  return atom && atom->kind == DimAtom::Kind::Broadcast &&
         (atom->a == size || atom->b == size || mayBeRepeated(size, atom->a) || mayBeRepeated(size, atom->b));
}

namespace {
/// The text of a size. Sizes made of sizes share their parts and would be written again and again: what comes after
/// `kMaxText` characters is left out, and not walked.
class DimWriter {
public:
  std::string text;

  void write(Dim dim) {
    if (dim.isConstant()) {
      text += std::to_string(dim.constant());
      return;
    }
    bool isFirst = true;
    for (const Term &term : dim.getNode()->terms) {
      if (isFull())
        return;
      write(term, *dim.getNode()->context, isFirst);
      isFirst = false;
    }
  }

private:
  static constexpr size_t kMaxText = 200;

  bool isFull() {
    if (text.size() <= kMaxText)
      return false;
    if (!llvm::StringRef(text).ends_with("..."))
      text += "...";
    return true;
  }

  void write(const Term &term, const DimContext &context, bool isFirst) {
    if (!isFirst)
      text += term.coefficient < 0 ? " - " : " + ";
    else if (term.coefficient < 0)
      text += "-";
    int64_t size = term.coefficient < 0 ? wrapMul(term.coefficient, -1) : term.coefficient;
    llvm::StringRef separator;
    if (size != 1 || term.atoms.empty()) {
      text += std::to_string(size);
      separator = "*";
    }
    for (unsigned id : term.atoms) {
      if (isFull())
        return;
      text += separator;
      write(context.getAtom(id));
      separator = "*";
    }
  }

  void write(const DimAtom &atom) {
    static constexpr llvm::StringLiteral names[] = {"", "floordiv(", "min(", "max(", "broadcast("};
    if (atom.kind == DimAtom::Kind::Symbol) {
      text += atom.name;
      return;
    }
    text += names[static_cast<int>(atom.kind)];
    write(atom.a);
    if (isFull())
      return;
    text += ", ";
    write(atom.b);
    text += isFull() ? "" : ")";
  }
};
} // namespace

std::string Dim::str() const {
  DimWriter writer;
  writer.write(*this);
  return std::move(writer.text);
}

//===- context ------------------------------------------------------------------------------------------------------===

static std::string keyOf(Dim d) {
  return d.isConstant() ? std::to_string(d.constant()) : "p" + std::to_string(reinterpret_cast<uintptr_t>(d.getNode()));
}

Dim DimContext::fromTerms(std::vector<Term> terms) {
  llvm::sort(terms, isBefore);
  std::vector<Term> merged;
  for (Term &term : terms) {
    if (!merged.empty() && merged.back().atoms == term.atoms)
      merged.back().coefficient = wrapAdd(merged.back().coefficient, term.coefficient);
    else
      merged.push_back(std::move(term));
  }
  llvm::erase_if(merged, [](const Term &term) { return term.coefficient == 0; });
  if (merged.empty())
    return 0;
  if (merged.size() == 1 && merged.front().atoms.empty())
    return merged.front().coefficient;
  std::string key;
  for (const Term &term : merged) {
    key += std::to_string(term.coefficient);
    for (unsigned id : term.atoms)
      key += "*" + std::to_string(id);
    key += "+";
  }
  std::unique_ptr<DimNode> &node = nodes[key];
  if (!node)
    node = std::make_unique<DimNode>(DimNode{this, std::move(merged), false});
  return Dim(*node);
}

Dim DimContext::atom(DimAtom::Kind kind, Dim a, Dim b) {
  std::string x = keyOf(a), y = keyOf(b);
  bool isCommutative = kind != DimAtom::Kind::FloorDiv;
  if (isCommutative && atomIds.count(std::to_string(static_cast<int>(kind)) + ":" + y + "," + x))
    std::swap(x, y), std::swap(a, b);
  std::string key = std::to_string(static_cast<int>(kind)) + ":" + x + "," + y;
  auto [it, isNew] = atomIds.try_emplace(key, atoms.size());
  if (isNew)
    atoms.push_back(std::make_unique<DimAtom>(DimAtom{kind, it->second, "", {}, lowerBoundOfAtom(kind, a, b), a, b}));
  return fromTerms({Term{1, {it->second}}});
}

Dim DimContext::symbol(llvm::StringRef name, std::optional<int64_t> lower) {
  auto [it, isNew] = atomIds.try_emplace("s:" + name.str(), atoms.size());
  if (isNew)
    atoms.push_back(
        std::make_unique<DimAtom>(DimAtom{DimAtom::Kind::Symbol, it->second, name.str(), {}, lower, {}, {}}));
  return fromTerms({Term{1, {it->second}}});
}

Dim DimContext::opaque(Value value, llvm::StringRef hint, std::optional<int64_t> lower) {
  Dim dim = symbol(("%" + hint + std::to_string(atoms.size())).str(), lower);
  setValue(dim, value);
  return dim;
}

void DimContext::setValue(Dim dim, Value value) {
  assert(dim.isSymbolic() && dim.getNode()->terms.size() == 1 && dim.getNode()->terms[0].atoms.size() == 1);
  DimAtom &atom = *atoms[dim.getNode()->terms[0].atoms[0]];
  assert(atom.kind == DimAtom::Kind::Symbol && "only a plain symbol can be given a value");
  atom.value = value;
}

void DimContext::setSize(Dim dim) {
  if (dim.isConstant())
    return;
  const std::vector<Term> &terms = dim.getNode()->terms;
  dim.getNode()->isSize = true;
  if (terms.size() != 1 || terms[0].atoms.size() != 1 || terms[0].coefficient < 0)
    return;
  std::optional<int64_t> &lower = atoms[terms[0].atoms[0]]->lower;
  lower = std::max<int64_t>(lower.value_or(0), 0);
}

void DimContext::add(std::vector<Assumption> &known, Dim a, Dim b) {
  auto isSame = [&](const Assumption &other) {
    return (other.a == a && other.b == b) || (other.a == b && other.b == a);
  };
  if (a != b && llvm::none_of(known, isSame))
    known.push_back({a, b, place});
}
void DimContext::assumeEqual(Dim a, Dim b) { add(assumptions, a, b); }
void DimContext::assumeBroadcast(Dim a, Dim b) { add(broadcastAssumptions, a, b); }

/// The operations of one expression. Its parts share parts, again and again where sizes are made of sizes: each is
/// written once.
class DimContext::Materializer {
public:
  Materializer(const DimContext &context, OpBuilder &b, Location loc) : context(context), b(b), loc(loc) {}

  Value write(Dim dim) {
    if (dim.isConstant())
      return arith::ConstantIndexOp::create(b, loc, dim.constant());
    Value sum;
    for (const Term &term : dim.getNode()->terms) {
      Value part = writeTerm(term);
      sum = sum ? Value(arith::AddIOp::create(b, loc, sum, part)) : part;
    }
    return sum;
  }

private:
  Value writeTerm(const Term &term) {
    Value product;
    for (unsigned id : term.atoms) {
      Value factor = writeAtom(id);
      product = product ? Value(arith::MulIOp::create(b, loc, product, factor)) : factor;
    }
    if (product && term.coefficient == 1)
      return product;
    Value c = arith::ConstantIndexOp::create(b, loc, term.coefficient);
    return product ? Value(arith::MulIOp::create(b, loc, product, c)) : c;
  }

  Value writeAtom(unsigned id) {
    if (Value known = written.lookup(id))
      return known;
    Value value = createAtom(context.getAtom(id));
    written[id] = value;
    return value;
  }

  Value createAtom(const DimAtom &atom) {
    if (atom.kind == DimAtom::Kind::Symbol) {
      assert(atom.value && "a symbol is used before it has a value");
      return atom.value;
    }
    Value x = write(atom.a), y = write(atom.b);
    if (atom.kind == DimAtom::Kind::Min)
      return arith::MinSIOp::create(b, loc, x, y);
    if (atom.kind == DimAtom::Kind::Max)
      return arith::MaxSIOp::create(b, loc, x, y);
    if (atom.kind == DimAtom::Kind::Broadcast) {
      Value one = arith::ConstantIndexOp::create(b, loc, 1);
      Value isOne = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, x, one);
      return arith::SelectOp::create(b, loc, isOne, y, x);
    }
    if (lowerBound(atom.a).value_or(-1) >= 0 && lowerBound(atom.b).value_or(-1) >= 0)
      return arith::DivSIOp::create(b, loc, x, y);
    return arith::FloorDivSIOp::create(b, loc, x, y);
  }

  const DimContext &context;
  OpBuilder &b;
  Location loc;
  llvm::DenseMap<unsigned, Value> written;
};

Value DimContext::materialize(OpBuilder &b, Location loc, Dim dim) { return Materializer(*this, b, loc).write(dim); }

OpFoldResult DimContext::materializeFold(OpBuilder &b, Location loc, Dim dim) {
  if (dim.isConstant())
    return b.getIndexAttr(dim.constant());
  return materialize(b, loc, dim);
}

} // namespace eyrie::ops
