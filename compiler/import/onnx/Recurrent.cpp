#include "compiler/import/onnx/Registry.h"
#include "compiler/import/onnx/Text.h"

using namespace mlir;
using namespace eyrie::ops;

namespace eyrie::import::onnx {

const NamedActivation *findActivation(StringRef name) {
  static const NamedActivation table[] = {
      {"Relu", Unary::Relu, {}, {}},
      {"Tanh", Unary::Tanh, {}, {}},
      {"Sigmoid", Unary::Sigmoid, {}, {}},
      {"LeakyRelu", Unary::LeakyRelu, 0.01, {}},
      {"ThresholdedRelu", Unary::ThresholdedRelu, 1.0, {}},
      {"HardSigmoid", Unary::HardSigmoid, 0.2, 0.5},
      {"Elu", Unary::Elu, 1.0, {}},
      {"Softsign", Unary::Softsign, {}, {}},
      {"Softplus", Unary::Softplus, {}, {}},
      {"HardSwish", Unary::HardSwish, {}, {}, false},
      {"Gelu", Unary::Gelu, {}, {}, false},
  };
  const auto *row = llvm::find_if(table, [&](const auto &r) { return name.equals_insensitive(r.name); });
  return row == std::end(table) ? nullptr : row;
}

namespace {

/// The activations by name with their defaults; alphas and betas are given in order to those that take them.
bool readActivations(OpNode &n, RecurrentAttrs &attrs) {
  SmallVector<double> alphas = n.numbers("activation_alpha"), betas = n.numbers("activation_beta");
  size_t nextAlpha = 0, nextBeta = 0;
  for (StringRef name : n.strings("activations")) {
    const NamedActivation *row = findActivation(name);
    if (!row || !row->inRecurrentLayers) {
      (void)n.unsupported("the activation " + quote(name) + " is not supported");
      return false;
    }
    RecurrentAttrs::Activation activation{row->kind, row->alpha.value_or(0), row->beta.value_or(0)};
    if (row->alpha && nextAlpha < alphas.size())
      activation.alpha = alphas[nextAlpha++];
    if (row->beta && nextBeta < betas.size())
      activation.beta = betas[nextBeta++];
    attrs.activations.push_back(activation);
  }
  return true;
}

template <Cell cell> Result recurrentCell(OpNode &n) {
  RecurrentAttrs attrs;
  attrs.direction = n.choice<Direction>(
      "direction", Direction::Forward,
      {{"forward", Direction::Forward}, {"reverse", Direction::Reverse}, {"bidirectional", Direction::Bidirectional}});
  attrs.hiddenSize = n.integer("hidden_size", 0);
  attrs.linearBeforeReset = n.flag("linear_before_reset", false);
  attrs.inputForget = n.flag("input_forget", false);
  attrs.batchFirst = n.flag("layout", false);
  if (n.has("clip"))
    attrs.clip = n.number("clip", 0);
  const Tensor &r = n.required(2);
  if (!attrs.hiddenSize && r.rank() == 3 && r.shape[2].isConstant())
    attrs.hiddenSize = r.shape[2].constant();
  if (!readActivations(n, attrs) || !n.isGood())
    return failure();
  bool isLstm = cell == Cell::Lstm;
  return ops::recurrent(n.b, cell, n.required(0), n.required(1), r, n.input(3), n.input(4), n.input(5),
                        isLstm ? n.input(6) : nullptr, isLstm ? n.input(7) : nullptr, attrs);
}

const OpRow rows[] = {
    {"GRU", {1, 3, 7, 14, 22}, 3, 6, recurrentCell<Cell::Gru>},
    {"LSTM", {1, 7, 14, 22}, 3, 8, recurrentCell<Cell::Lstm>},
    {"RNN", {1, 7, 14, 22}, 3, 6, recurrentCell<Cell::Rnn>},
};

} // namespace

ArrayRef<OpRow> recurrentOps() { return rows; }

} // namespace eyrie::import::onnx
