// One step of an optimiser, the operations of ai.onnx.preview.training. Their operands are a learning rate, the number
// of steps done, and then one after the other the lists of tensors to optimise, of their gradients, and of what is
// remembered of earlier steps; their results are the new tensors and what is to be remembered.
#include "compiler/import/onnx/Registry.h"

using namespace mlir;
using eyrie::ops::Binary;
using eyrie::ops::Unary;

namespace eyrie::import::onnx {
namespace {

/// Arithmetic that goes on after an error and remembers that there was one.
class Formula {
public:
  Formula(OpNode &n, Type type) : b(n.b), type(type) {}

  Tensor add(const Tensor &x, const Tensor &y) { return binary(Binary::Add, x, y); }
  Tensor sub(const Tensor &x, const Tensor &y) { return binary(Binary::Sub, x, y); }
  Tensor mul(const Tensor &x, const Tensor &y) { return binary(Binary::Mul, x, y); }
  Tensor div(const Tensor &x, const Tensor &y) { return binary(Binary::Div, x, y); }
  Tensor pow(const Tensor &x, const Tensor &y) { return binary(Binary::Pow, x, y); }
  Tensor sqrt(const Tensor &x) { return keep(ops::unary(b, Unary::Sqrt, x), x); }
  Tensor number(double value) { return b.splat({}, type, value); }
  Tensor ifPositive(const Tensor &x, const Tensor &yes, const Tensor &no) {
    return keep(ops::where(b, binary(Binary::Greater, x, number(0)), yes, no), yes);
  }
  /// `x`, one number, in the type of the tensors.
  Tensor scalar(const Tensor &x) { return b.reshape(keep(ops::cast(b, x, type, false), x), {}); }

  bool isGood = true;

private:
  Tensor binary(Binary kind, const Tensor &x, const Tensor &y) { return keep(ops::binary(b, kind, x, y), x); }
  Tensor keep(FailureOr<Tensor> t, const Tensor &otherwise) {
    isGood &= succeeded(t);
    return succeeded(t) ? *t : otherwise;
  }

  ops::Builder &b;
  Type type;
};

/// A tensor with its gradient and up to two tensors that are remembered.
struct Parameter {
  Tensor x, gradient, first, second;
};

/// Calls `step` for each of the tensors and lines its results up as the node does. `kept`: how many are remembered of
/// each.
Result optimise(OpNode &n, size_t kept,
                llvm::function_ref<Parameter(Formula &f, Tensor rate, Tensor steps, const Parameter &p)> step) {
  size_t lists = 2 + kept, count = n.numInputs() - 2;
  if (count == 0 || count % lists != 0)
    return n.fail("has " + llvm::Twine(n.numInputs()) + " inputs, expected two and then " + llvm::Twine(lists) +
                  " for each tensor");
  count /= lists;
  if (n.node.outputs.size() > count * (lists - 1))
    return n.fail("has " + llvm::Twine(n.node.outputs.size()) + " outputs, expected " +
                  llvm::Twine(count * (lists - 1)));
  for (size_t i : {0, 1})
    if (!n.required(i).numElements().is(1))
      return n.fail("input " + llvm::Twine(i) + " must be one number, found " + n.required(i).str());
  SmallVector<Tensor> results(count * (lists - 1));
  for (size_t i = 0; i < count; ++i) {
    auto nth = [&](size_t list) -> const Tensor & { return n.required(2 + list * count + i); };
    Parameter p{nth(0), nth(1), nth(2), kept > 1 ? nth(3) : Tensor()};
    if (!p.x.isFloat())
      return n.fail("input " + llvm::Twine(2 + i) + " must have a floating-point type, found " + p.x.str());
    for (size_t list = 1; list < lists; ++list)
      if (nth(list).elementType != p.x.elementType || nth(list).rank() != p.x.rank())
        return n.fail("input " + llvm::Twine(2 + list * count + i) + " is " + nth(list).str() + ", but belongs to " +
                      p.x.str());
    Formula f(n, p.x.elementType);
    Parameter next = step(f, f.scalar(n.required(0)), f.scalar(n.required(1)), p);
    if (!f.isGood || !n.isGood())
      return failure();
    results[i] = next.x;
    results[count + i] = next.first;
    if (kept > 1)
      results[2 * count + i] = next.second;
  }
  return results;
}

/// Duchi, Hazan, Singer: Adaptive Subgradient Methods for Online Learning and Stochastic Optimization, 2011.
Result adagrad(OpNode &n) {
  double norm = n.number("norm_coefficient", 0), decay = n.number("decay_factor", 0),
         epsilon = n.number("epsilon", 1e-6f);
  return optimise(n, 1, [&](Formula &f, Tensor rate, Tensor steps, const Parameter &p) {
    Tensor r = f.div(rate, f.add(f.number(1), f.mul(steps, f.number(decay))));
    Tensor g = f.add(f.mul(f.number(norm), p.x), p.gradient);
    Tensor squares = f.add(p.first, f.mul(g, g));
    Tensor x = f.sub(p.x, f.div(f.mul(r, g), f.add(f.sqrt(squares), f.number(epsilon))));
    return Parameter{x, {}, squares, {}};
  });
}

/// Kingma, Ba: Adam, a Method for Stochastic Optimization, 2015.
Result adam(OpNode &n) {
  double norm = n.number("norm_coefficient", 0), normPost = n.number("norm_coefficient_post", 0);
  double alpha = n.number("alpha", 0.9f), beta = n.number("beta", 0.999f), epsilon = n.number("epsilon", 1e-6f);
  return optimise(n, 2, [&](Formula &f, Tensor rate, Tensor steps, const Parameter &p) {
    Tensor g = f.add(f.mul(f.number(norm), p.x), p.gradient);
    Tensor mean = f.add(f.mul(f.number(alpha), p.first), f.mul(f.number(1 - alpha), g));
    Tensor squares = f.add(f.mul(f.number(beta), p.second), f.mul(f.number(1 - beta), f.mul(g, g)));
    auto rest = [&](double share) { return f.sub(f.number(1), f.pow(f.number(share), steps)); };
    Tensor adjusted = f.div(f.mul(rate, f.sqrt(rest(beta))), rest(alpha));
    Tensor r = f.ifPositive(steps, adjusted, rate);
    Tensor x = f.sub(p.x, f.div(f.mul(r, mean), f.add(f.sqrt(squares), f.number(epsilon))));
    return Parameter{f.mul(f.number(1 - normPost), x), {}, mean, squares};
  });
}

Result momentum(OpNode &n) {
  for (StringRef name : {"alpha", "beta", "mode", "norm_coefficient"})
    if (!n.has(name))
      return n.fail("attribute '" + name + "' is missing");
  double norm = n.number("norm_coefficient", 0), alpha = n.number("alpha", 0), beta = n.number("beta", 0);
  bool isNesterov = n.choice<bool>("mode", false, {{"standard", false}, {"nesterov", true}});
  return optimise(n, 1, [&](Formula &f, Tensor rate, Tensor steps, const Parameter &p) {
    Tensor g = f.add(f.mul(f.number(norm), p.x), p.gradient);
    Tensor share = f.ifPositive(steps, f.number(beta), f.number(1));
    Tensor v = f.add(f.mul(f.number(alpha), p.first), f.mul(share, g));
    Tensor direction = isNesterov ? f.add(g, f.mul(f.number(alpha), v)) : v;
    return Parameter{f.sub(p.x, f.mul(rate, direction)), {}, v, {}};
  });
}

const OpRow rows[] = {
    {"ai.onnx.preview.training::Adagrad", {1}, 5, kAnyNumber, adagrad},
    {"ai.onnx.preview.training::Adam", {1}, 6, kAnyNumber, adam},
    {"ai.onnx.preview.training::Momentum", {1}, 5, kAnyNumber, momentum},
};

} // namespace

ArrayRef<OpRow> trainingOps() { return rows; }

} // namespace eyrie::import::onnx
