// Recurrent layers: one product of the whole input with the weights, then per step a product of the state with the
// recurrent weights and elementwise gates. A few steps are unrolled, and a gate is read from the tensor of all steps'
// gates by constants in the operand's map; many steps, or a number known only at run time, are a loop.
#include "compiler/ops/Loop.h"
#include "compiler/ops/Scalar.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

namespace eyrie::ops {

namespace {

using Activation = RecurrentAttrs::Activation;

/// Up to this many steps are unrolled.
constexpr int64_t kMaxUnrolled = 8;

/// One direction of one layer.
class Layer {
public:
  Layer(Builder &b, Cell cell, const RecurrentAttrs &attrs, int64_t direction, Dim steps, Dim batch, Type type)
      : b(b), cell(cell), attrs(attrs), direction(direction), hidden(attrs.hiddenSize), steps(steps), batch(batch),
        type(type) {
    int64_t perCell = cell == Cell::Lstm ? 3 : cell == Cell::Gru ? 2 : 1;
    activations = {{Unary::Sigmoid}, {Unary::Tanh}, {Unary::Tanh}};
    if (cell == Cell::Rnn)
      activations = {{Unary::Tanh}};
    if (!attrs.activations.empty())
      activations.assign(attrs.activations.begin() + direction * perCell,
                         attrs.activations.begin() + (direction + 1) * perCell);
  }

  /// The part of a [D, ...] operand for this direction, without that dimension.
  Tensor part(const Tensor &t) {
    Dims offsets(t.rank(), Dim(0)), sizes = t.shape;
    offsets[0] = direction, sizes[0] = 1;
    Tensor slice = b.extract(t, offsets, sizes, SmallVector<int64_t>(t.rank(), 1));
    return b.reshape(slice, ArrayRef(t.shape).drop_front());
  }

  void setOperands(const Tensor &x, const Tensor &w, const Tensor &r, const Tensor *bias, const Tensor *lengths,
                   const Tensor *h0, const Tensor *c0, const Tensor *peephole);
  void run();

  Tensor y; // [T, N, H]
  Tensor h, c;

private:
  int64_t gates() const { return cell == Cell::Lstm ? 4 : cell == Cell::Gru ? 3 : 1; }
  Dim timeOf(Dim step) const {
    bool isReverse = direction == 1 || attrs.direction == Direction::Reverse;
    return isReverse ? steps - Dim(1) - step : step;
  }
  void unroll();
  void loop();
  /// One step: new `h` and `c`; the output [N, H].
  Tensor step(Dim time);
  Tensor zeros() { return b.splat({batch, Dim(hidden)}, type, 0); }

  /// state [N, H] times rows [first, first + count) of gates of the recurrent weights: [N, count, H].
  Tensor recurrentProduct(const Tensor &state, int64_t first, int64_t count) {
    Tensor rows = b.extract(recurrent, {first * hidden, 0}, {count * hidden, hidden}, {1, 1});
    Tensor product = contract(b, {batch, Dim(count * hidden)}, projection(b, 3, {0, 1}), {2}, state,
                              projection(b, 3, {0, 2}), rows, projection(b, 3, {1, 2}));
    return b.reshape(product, {batch, count, hidden});
  }

  // How the loops (n, h) of an elementwise step read its operands.
  AffineMap map(ArrayRef<AffineExpr> exprs) { return AffineMap::get(2, 0, exprs, b.builder.getContext()); }
  AffineExpr dim(unsigned i) { return b.builder.getAffineDimExpr(i); }
  AffineExpr number(int64_t v) { return b.builder.getAffineConstantExpr(v); }
  AffineMap stateMap() { return map({dim(0), dim(1)}); }
  AffineMap gateMap(int64_t gate) { return map({dim(0), number(gate), dim(1)}); }
  /// The input's part of a gate at the time of this step.
  std::pair<Tensor, AffineMap> input(int64_t gate) {
    if (now.isConstant())
      return {projected, map({number(now.constant()), dim(0), number(gate), dim(1)})};
    return {row, gateMap(gate)};
  }
  AffineMap vectorMap(int64_t row) { return map({number(row), dim(1)}); }

  Tensor elementwiseStep(ArrayRef<std::pair<Tensor, AffineMap>> operands,
                         llvm::function_ref<Value(const Scalar &, ValueRange)> body) {
    SmallVector<Tensor> tensors;
    SmallVector<AffineMap> maps;
    for (const auto &[t, m] : operands)
      tensors.push_back(t), maps.push_back(m);
    Type wide = computeType(type);
    return b.map({batch, Dim(hidden)}, type, tensors, maps, [&](OpBuilder &builder, Location loc, ValueRange args) {
      Scalar s{builder, loc};
      SmallVector<Value> widened;
      for (Value arg : args)
        widened.push_back(isa<FloatType>(arg.getType()) ? scalarCast(s, arg, false, wide, false) : arg);
      return scalarCast(s, body(s, widened), false, type, false);
    });
  }
  Value activate(const Scalar &s, unsigned which, Value x) {
    if (attrs.clip)
      x = s.max(s.min(x, s.like(x, *attrs.clip)), s.like(x, -*attrs.clip));
    const Activation &a = activations[which];
    return scalarUnary(s, a.kind, x, a.alpha, a.beta);
  }
  /// Past its length a sequence keeps its state.
  Tensor keepWhenDone(const Tensor &next, const Tensor &before, bool isOutput = false) {
    if (!hasLengths)
      return next;
    Value time = b.index(now);
    return elementwiseStep({{next, stateMap()}, {before, stateMap()}, {lengths, map({dim(0)})}},
                           [&](const Scalar &s, ValueRange args) {
                             Value turn = arith::IndexCastOp::create(s.b, s.loc, args[2].getType(), time);
                             Value isRunning = s.cmp(arith::CmpIPredicate::slt, turn, args[2]);
                             return s.select(isRunning, args[0], isOutput ? s.like(args[0], 0) : args[1]);
                           });
  }

  void stepRnn();
  void stepGru();
  void stepLstm();

  Builder &b;
  Cell cell;
  const RecurrentAttrs &attrs;
  int64_t direction, hidden;
  Dim steps, batch;
  Dim now; // the time of this step
  Type type;
  SmallVector<Activation> activations;
  Tensor projected; // [T, N, G, H]: input times weights plus biases
  Tensor row;       // in a loop: [N, G, H] of it
  Tensor recurrent; // [G*H, H]
  Tensor resetBias; // [1, H], gru with linearBeforeReset
  Tensor peepholes; // [3, H]
  Tensor lengths;
  bool hasLengths = false, hasPeepholes = false, hasResetBias = false;
};

void Layer::setOperands(const Tensor &x, const Tensor &w, const Tensor &r, const Tensor *bias, const Tensor *lengthsIn,
                        const Tensor *h0, const Tensor *c0, const Tensor *peephole) {
  int64_t g = gates();
  recurrent = part(r);
  Tensor weights = part(w);
  Dims flat{steps, batch, g * hidden};
  projected = contract(b, flat, projection(b, 4, {0, 1, 2}), {3}, x, projection(b, 4, {0, 1, 3}), weights,
                       projection(b, 4, {2, 3}));
  if (bias) {
    // [2, G, H]: of the input and of the state.
    Tensor both = b.reshape(part(*bias), {2, g, hidden});
    bool isApart = cell == Cell::Gru && attrs.linearBeforeReset;
    auto rowMap = [&](int64_t row) {
      return AffineMap::get(2, 0, {number(row), dim(0), dim(1)}, b.builder.getContext());
    };
    Tensor sum = b.map({g, hidden}, type, {both, both}, {rowMap(0), rowMap(1)},
                       [&](OpBuilder &builder, Location loc, ValueRange args) -> Value {
                         Scalar s{builder, loc};
                         if (!isApart)
                           return s.add(args[0], args[1]);
                         Value isReset = s.cmp(arith::CmpIPredicate::eq, s.op<linalg::IndexOp>(0), s.index(2));
                         return s.add(args[0], s.select(isReset, s.like(args[1], 0), args[1]));
                       });
    if (isApart) {
      resetBias = b.reshape(b.extract(both, {1, 2, 0}, {1, 1, hidden}, {1, 1, 1}), {1, hidden});
      hasResetBias = true;
    }
    projected = elementwise(b, flat, type, {projected, b.reshape(sum, {g * hidden})}, false,
                            [](const Scalar &s, ValueRange args) { return s.add(args[0], args[1]); });
  }
  projected = b.reshape(projected, {steps, batch, g, hidden});
  if (lengthsIn)
    lengths = *lengthsIn, hasLengths = true;
  h = h0 ? part(*h0) : zeros();
  if (cell == Cell::Lstm)
    c = c0 ? part(*c0) : zeros();
  if (peephole)
    peepholes = b.reshape(part(*peephole), {3, hidden}), hasPeepholes = true;
}

void Layer::stepRnn() {
  Tensor product = recurrentProduct(h, 0, 1);
  Tensor next = elementwiseStep({input(0), {product, gateMap(0)}}, [&](const Scalar &s, ValueRange args) {
    return activate(s, 0, s.add(args[0], args[1]));
  });
  h = keepWhenDone(next, h);
}

void Layer::stepGru() {
  bool isLinear = attrs.linearBeforeReset;
  Tensor product = recurrentProduct(h, 0, isLinear ? 3 : 2);
  auto gate = [&](int64_t i) {
    return elementwiseStep({input(i), {product, gateMap(i)}},
                           [&](const Scalar &s, ValueRange args) { return activate(s, 0, s.add(args[0], args[1])); });
  };
  Tensor update = gate(0), reset = gate(1), next;
  auto mix = [&](const Scalar &s, Value candidate, Value z, Value before) {
    return s.add(s.mul(s.sub(s.like(z, 1), z), candidate), s.mul(z, before));
  };
  if (isLinear) {
    SmallVector<std::pair<Tensor, AffineMap>> operands{
        input(2), {product, gateMap(2)}, {reset, stateMap()}, {update, stateMap()}, {h, stateMap()}};
    if (hasResetBias)
      operands.push_back({resetBias, vectorMap(0)});
    next = elementwiseStep(operands, [&](const Scalar &s, ValueRange args) {
      Value state = hasResetBias ? s.add(args[1], args[5]) : args[1];
      return mix(s, activate(s, 1, s.add(args[0], s.mul(args[2], state))), args[3], args[4]);
    });
  } else {
    Tensor kept = elementwiseStep({{reset, stateMap()}, {h, stateMap()}},
                                  [](const Scalar &s, ValueRange args) { return s.mul(args[0], args[1]); });
    Tensor state = recurrentProduct(kept, 2, 1);
    next = elementwiseStep({input(2), {state, gateMap(0)}, {update, stateMap()}, {h, stateMap()}},
                           [&](const Scalar &s, ValueRange args) {
                             return mix(s, activate(s, 1, s.add(args[0], args[1])), args[2], args[3]);
                           });
  }
  h = keepWhenDone(next, h);
}

/// Gates in ONNX's order: input, output, forget, cell; peepholes: input, output, forget.
void Layer::stepLstm() {
  Tensor product = recurrentProduct(h, 0, 4);
  SmallVector<std::pair<Tensor, AffineMap>> operands;
  for (int64_t gate : {0, 2, 3}) {
    operands.push_back(input(gate));
    operands.push_back({product, gateMap(gate)});
  }
  operands.push_back({c, stateMap()});
  if (hasPeepholes)
    operands.append({{peepholes, vectorMap(0)}, {peepholes, vectorMap(2)}});
  Tensor nextC = elementwiseStep(operands, [&](const Scalar &s, ValueRange args) {
    Value before = args[6], in = s.add(args[0], args[1]), forget = s.add(args[2], args[3]);
    if (hasPeepholes) {
      in = s.add(in, s.mul(args[7], before));
      forget = s.add(forget, s.mul(args[8], before));
    }
    in = activate(s, 0, in);
    forget = attrs.inputForget ? s.sub(s.like(in, 1), in) : activate(s, 0, forget);
    Value candidate = activate(s, 1, s.add(args[4], args[5]));
    return s.add(s.mul(forget, before), s.mul(in, candidate));
  });
  nextC = keepWhenDone(nextC, c);
  operands = {input(1), {product, gateMap(1)}, {nextC, stateMap()}};
  if (hasPeepholes)
    operands.push_back({peepholes, vectorMap(1)});
  Tensor nextH = elementwiseStep(operands, [&](const Scalar &s, ValueRange args) {
    Value out = s.add(args[0], args[1]);
    if (hasPeepholes)
      out = s.add(out, s.mul(args[3], args[2]));
    const Activation &last = activations[2];
    return s.mul(activate(s, 0, out), scalarUnary(s, last.kind, args[2], last.alpha, last.beta));
  });
  h = keepWhenDone(nextH, h);
  c = nextC;
}

Tensor Layer::step(Dim time) {
  now = time;
  if (cell == Cell::Rnn)
    stepRnn();
  else if (cell == Cell::Gru)
    stepGru();
  else
    stepLstm();
  return keepWhenDone(h, h, /*isOutput=*/true);
}

void Layer::unroll() {
  SmallVector<Tensor> rows(steps.constant());
  for (int64_t i = 0; i < steps.constant(); ++i) {
    Dim time = timeOf(i);
    rows[time.constant()] = b.reshape(step(time), {1, batch, hidden});
  }
  auto all = steps.is(0) ? FailureOr<Tensor>(b.splat({0, batch, hidden}, type, 0)) : concat(b, rows, 0);
  assert(succeeded(all) && "the outputs of all steps have one shape");
  y = *all;
}

void Layer::loop() {
  SmallVector<Tensor> inits{b.empty({steps, batch, hidden}, type), h};
  if (cell == Cell::Lstm)
    inits.push_back(c);
  auto last = countedLoop(b, steps, inits, [&](Dim turn, ArrayRef<Tensor> carried) {
    h = carried[1];
    if (cell == Cell::Lstm)
      c = carried[2];
    Dim time = timeOf(turn);
    row = rowOf(b, projected, time);
    Tensor output = step(time);
    SmallVector<Tensor> next{withRow(b, carried[0], output, time), h};
    if (cell == Cell::Lstm)
      next.push_back(c);
    return next;
  });
  y = last[0], h = last[1];
  if (cell == Cell::Lstm)
    c = last[2];
}

void Layer::run() {
  if (steps.isConstant() && steps.constant() <= kMaxUnrolled)
    unroll();
  else
    loop();
}

} // namespace

/// Lets `t`, unless it is null, have the given shape, or reports that it has another one.
static LogicalResult conform(Builder &b, Tensor *t, ArrayRef<Dim> shape, const Tensor &x, llvm::StringRef name) {
  if (!t)
    return success();
  Tensor expected = x;
  expected.shape = Dims(shape);
  bool matches = t->elementType == x.elementType && t->rank() == static_cast<int64_t>(shape.size());
  for (size_t i = 0; matches && i < shape.size(); ++i)
    matches = isEqual(t->shape[i], shape[i]) != std::optional<bool>(false);
  if (!matches)
    return b.error() << name << " must be " << expected.str() << ", found " << t->str();
  *t = b.reshape(*t, shape);
  return success();
}

/// [N, D, ...] and [D, N, ...] exchanged.
static Tensor swapFirst(Builder &b, const Tensor &t) {
  SmallVector<int64_t> permutation = llvm::to_vector(llvm::seq<int64_t>(0, t.rank()));
  std::swap(permutation[0], permutation[1]);
  return b.transpose(t, permutation);
}

FailureOr<SmallVector<Tensor>> recurrent(Builder &b, Cell cell, const Tensor &xIn, const Tensor &wIn, const Tensor &rIn,
                                         const Tensor *biasIn, const Tensor *lengths, const Tensor *h0In,
                                         const Tensor *c0In, const Tensor *peepholeIn, const RecurrentAttrs &attrs) {
  if (!xIn.isFloat() || xIn.rank() != 3)
    return b.error() << "a recurrent layer needs a floating-point input of rank 3, found " << xIn.str();
  Tensor x = attrs.batchFirst ? swapFirst(b, xIn) : xIn;
  int64_t hidden = attrs.hiddenSize;
  int64_t directions = attrs.direction == Direction::Bidirectional ? 2 : 1;
  int64_t gates = cell == Cell::Lstm ? 4 : cell == Cell::Gru ? 3 : 1;
  int64_t perCell = cell == Cell::Lstm ? 3 : cell == Cell::Gru ? 2 : 1;
  Dim steps = x.shape[0], batch = x.shape[1], d = directions, rows = gates * hidden;
  if (hidden < 1)
    return b.error() << "hidden_size must be positive, found " << hidden;
  if (!attrs.activations.empty() && static_cast<int64_t>(attrs.activations.size()) != perCell * directions)
    return b.error() << "expected " << perCell * directions << " activations, found " << attrs.activations.size();
  Tensor w = wIn, r = rIn, given[4];
  auto copy = [&](unsigned i, const Tensor *t) -> Tensor * { return t ? &(given[i] = *t) : nullptr; };
  Tensor *bias = copy(0, biasIn), *h0 = copy(1, h0In), *c0 = copy(2, c0In), *peephole = copy(3, peepholeIn);
  for (Tensor *state : {h0, c0})
    if (state && attrs.batchFirst)
      *state = swapFirst(b, *state);
  if (failed(conform(b, &w, {d, rows, x.shape[2]}, x, "W")) || failed(conform(b, &r, {d, rows, hidden}, x, "R")) ||
      failed(conform(b, bias, {d, rows * Dim(2)}, x, "B")) ||
      failed(conform(b, h0, {d, batch, hidden}, x, "initial_h")) ||
      failed(conform(b, c0, {d, batch, hidden}, x, "initial_c")) ||
      failed(conform(b, peephole, {d, hidden * 3}, x, "P")))
    return failure();
  if (lengths && (!lengths->isInteger() || lengths->rank() != 1))
    return b.error() << "sequence_lens must be a vector of integers, found " << lengths->str();
  // Lengths that are all the whole sequence are no restriction.
  bool areWhole = lengths && lengths->contents && llvm::all_of(*lengths->contents, [&](Dim n) { return n == steps; });

  SmallVector<Tensor> perDirection, lastH, lastC;
  for (int64_t i = 0; i < directions; ++i) {
    Layer layer(b, cell, attrs, i, steps, batch, x.elementType);
    layer.setOperands(x, w, r, bias, areWhole ? nullptr : lengths, h0, c0, peephole);
    layer.run();
    perDirection.push_back(b.reshape(layer.y, {steps, 1, batch, hidden}));
    lastH.push_back(b.reshape(layer.h, {1, batch, hidden}));
    if (cell == Cell::Lstm)
      lastC.push_back(b.reshape(layer.c, {1, batch, hidden}));
  }
  auto y = concat(b, perDirection, 1), yH = concat(b, lastH, 0);
  if (failed(y) || failed(yH))
    return failure();
  SmallVector<Tensor> results{*y, *yH};
  if (cell == Cell::Lstm) {
    auto yC = concat(b, lastC, 0);
    if (failed(yC))
      return failure();
    results.push_back(*yC);
  }
  if (attrs.batchFirst) {
    results[0] = b.transpose(results[0], {2, 0, 1, 3});
    for (Tensor &state : llvm::MutableArrayRef(results).drop_front())
      state = swapFirst(b, state);
  }
  return results;
}

} // namespace eyrie::ops
