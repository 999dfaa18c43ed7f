// Loops that compute every element of a kernel's results from its arguments.
//
//   %max = reduce(%x), %sum = reduce(exp(%x - %max))        for i in the workgroup's rows:
//   %r = exp(%x - %max) / %sum                        ──►     max = for j: …;  sum = for j: …
//                                                             for j: r[i, j] = exp(x[i, j] - max) / sum
//
// No tensor is stored in between. A reduction is computed in the outermost loop that fixes all of its coordinates.
// Neighbouring loops that every access walks as one are merged, so that inner loops are long; inner loops are then
// left to LLVM's vectoriser. The outermost two loops are shared out among workgroups of about kWorkgroupCost elements.
#include "compiler/target/cpu/LowerKernel.h"
#include "compiler/target/cpu/contraction/Moves.h"
#include "compiler/target/cpu/loops/Values.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallSet.h"

using namespace mlir;
using namespace eyrie::target::cpu;

namespace {
constexpr int64_t kWorkgroupCost = 16384;
constexpr int64_t kMaxWorkgroups = 512;
// A cache set holds 8 lines or more: rows at a stride that is a power of two all fall into one.
constexpr int64_t kTransposeTile = 8;

/// Loop variables that run as one loop, outermost first.
using LoopGroup = SmallVector<unsigned, 2>;

class Emitter {
public:
  Emitter(Program &program, const CpuTargetModel &model)
      : program(program), model(model), kernel(program.kernel), b(kernel.bodyBuilder()), loc(kernel.func.getLoc()) {}

  void emit() {
    // What all loops use comes before this anchor, the loops after it.
    entry.setInsertionPoint(arith::ConstantIndexOp::create(b, loc, 0));
    for (Statement &statement : program.statements)
      plans.push_back(planOf(statement));
    for (Plan &plan : plans)
      emitStatement(plan);
    kernel.setWorkgroups({counts(0, 1), counts(1, 1)});
  }

private:
  struct SharedLoop {
    LoopGroup outer;                          // the loop that workgroups share
    SmallVector<SmallVector<unsigned>> inner; // the nests of loops inside it
  };
  struct Plan {
    Statement *statement;
    SmallVector<LoopGroup> groups;
    SmallVector<std::pair<Node *, unsigned>> reductions; // and the number of loops around each
    SmallVector<SharedLoop> shared;                      // at most two
  };

  // --- scalars of the tensor function, in the kernel (site 0) and in the workgroup function (site 1)

  Value scalar(Value value, unsigned site = 0) {
    if (Value known = scalars[site].lookupOrNull(value))
      return known;
    if (auto arg = dyn_cast<BlockArgument>(value)) {
      unsigned k = arg.getArgNumber() - kernel.numArguments();
      return site ? kernel.workgroupsConstant(k) : kernel.constant(k);
    }
    Operation *op = value.getDefiningOp();
    OpBuilder &at = site ? workgroups : entry;
    if (auto dim = dyn_cast<tensor::DimOp>(op)) {
      OpFoldResult size = program.sizeOf(dim.getSource(), *dim.getConstantIndex());
      Value result = index(size, site);
      scalars[site].map(value, result);
      return result;
    }
    IRMapping mapping;
    for (Value operand : op->getOperands())
      mapping.map(operand, scalar(operand, site));
    Operation *copy = at.clone(*op, mapping);
    scalars[site].map(op->getResults(), copy->getResults());
    return scalars[site].lookup(value);
  }

  Value index(OpFoldResult value, unsigned site = 0) {
    if (auto dynamic = dyn_cast<Value>(value))
      return scalar(dynamic, site);
    return arith::ConstantIndexOp::create(site ? workgroups : entry, loc, *getConstantIntValue(value));
  }

  Value product(ArrayRef<unsigned> vars, unsigned site = 0) {
    OpBuilder &at = site ? workgroups : entry;
    Value total = arith::ConstantIndexOp::create(at, loc, 1);
    for (unsigned v : vars)
      total = at.createOrFold<arith::MulIOp>(loc, total, index(program.sizes[v], site));
    return total;
  }

  // --- which loops run as one

  /// Calls back with every node that the statement computes.
  static void forEachNode(Node *node, llvm::DenseSet<Node *> &seen, llvm::function_ref<void(Node *)> callback) {
    if (!node || !seen.insert(node).second)
      return;
    for (NodeResult operand : node->operands)
      forEachNode(operand.node, seen, callback);
    callback(node);
  }

  bool sameSize(OpFoldResult a, OpFoldResult b) { return a && b && isEqualConstantIntOrValue(a, b); }
  bool isZero(OpFoldResult size) { return size && isZeroInteger(size); }

  /// May `outer` and `inner`, neighbouring loops, be one loop as far as this access is concerned?
  bool walksAsOne(const Point &point, llvm::function_ref<OpFoldResult(unsigned)> sizeOf, unsigned outer,
                  unsigned inner) {
    auto isVar = [](AffineExpr expr, unsigned v) {
      auto dim = dyn_cast<AffineDimExpr>(expr);
      return dim && dim.getPosition() == v;
    };
    for (unsigned i = 0; i < point.size(); ++i) {
      bool usesOuter = point[i].isFunctionOfDim(outer), usesInner = point[i].isFunctionOfDim(inner);
      if (!usesOuter && !usesInner)
        continue;
      if (!isVar(point[i], outer) || i + 1 == point.size() || !isVar(point[i + 1], inner) ||
          !sameSize(sizeOf(i + 1), program.sizes[inner]))
        return false;
      // Of 0 and an open size no type of a buffer has the product.
      if (isZero(sizeOf(i)) || isZero(sizeOf(i + 1)))
        return false;
      ++i; // both are dealt with
    }
    return true;
  }

  bool mergeable(const Statement &statement, unsigned outer, unsigned inner) {
    for (const Statement::Store &store : statement.stores) {
      auto size = [&](unsigned i) { return bindingSize(kernel.numArguments() + store.result, i); };
      if (!walksAsOne(store.point, size, outer, inner))
        return false;
    }
    bool fits = true;
    llvm::DenseSet<Node *> seen;
    for (const Statement::Store &store : statement.stores)
      forEachNode(store.value.node, seen, [&](Node *node) {
        auto uses = [&](AffineExpr expr) { return expr.isFunctionOfDim(outer) || expr.isFunctionOfDim(inner); };
        if (node->kind == Node::Kind::Load)
          fits &= walksAsOne(node->point, [&](unsigned i) { return bindingSize(node->binding, i); }, outer, inner);
        if (node->kind == Node::Kind::Guarded)
          fits &= llvm::none_of(node->conditions, uses);
        if (node->generic)
          node->generic.getBody()->walk([&](linalg::IndexOp op) { fits &= !uses(node->dims[op.getDim()]); });
      });
    return fits;
  }

  OpFoldResult bindingSize(unsigned binding, unsigned dim) { return program.bindingSize(binding, dim); }

  SmallVector<LoopGroup> groupLoops(const Statement &statement, ArrayRef<unsigned> vars) {
    SmallVector<LoopGroup> groups;
    for (unsigned v : vars) {
      if (!groups.empty() && mergeable(statement, groups.back().back(), v))
        groups.back().push_back(v);
      else
        groups.push_back({v});
    }
    return groups;
  }

  void enter(ArrayRef<LoopGroup> groups) {
    for (const LoopGroup &group : groups)
      for (unsigned v : group)
        groupOf[v] = {group.front(), static_cast<unsigned>(group.size())};
  }

  // --- addresses

  Value apply(AffineExpr expr) {
    SmallVector<OpFoldResult> operands;
    unsigned numDims = program.sizes.size();
    Value zero;
    for (unsigned v = 0; v < numDims; ++v) {
      Value value = vars.lookup(v);
      if (!value) {
        if (!zero)
          zero = arith::ConstantIndexOp::create(entry, loc, 0);
        value = zero;
      }
      operands.push_back(value);
    }
    for (Value symbol : program.symbols)
      operands.push_back(scalar(symbol));
    auto map = AffineMap::get(numDims, program.symbols.size(), expr);
    return getValueOrCreateConstantIndexOp(b, loc, affine::makeComposedFoldedAffineApply(b, loc, map, operands));
  }

  /// The binding with merged dimensions, and the indices into it.
  std::pair<Value, SmallVector<Value>> address(unsigned binding, const Point &point) {
    SmallVector<ReassociationIndices> reassociation;
    SmallVector<Value> indices;
    for (unsigned i = 0; i < point.size();) {
      unsigned count = 1;
      auto dim = dyn_cast<AffineDimExpr>(point[i]);
      if (dim)
        if (auto group = groupOf.find(dim.getPosition());
            group != groupOf.end() && group->second.first == dim.getPosition())
          count = group->second.second;
      indices.push_back(dim ? vars.lookup(dim.getPosition()) : apply(point[i]));
      if (!indices.back())
        indices.back() = apply(point[i]);
      ReassociationIndices dims;
      for (unsigned k = 0; k < count; ++k)
        dims.push_back(i + k);
      reassociation.push_back(dims);
      i += count;
    }
    Value memory = kernel.binding(binding);
    if (reassociation.size() == point.size())
      return {memory, indices};
    Value &view = views[{binding, ArrayAttr::get(b.getContext(), llvm::map_to_vector(reassociation, [&](auto &dims) {
                                                   return Attribute(b.getI64ArrayAttr(dims));
                                                 }))}];
    if (!view)
      view = memref::CollapseShapeOp::create(entry, loc, memory, reassociation);
    return {view, indices};
  }

  // --- values

  Value evaluate(NodeResult result) {
    Node *node = result.node;
    if (auto known = reduced.find(node); known != reduced.end())
      return known->second[result.number];
    switch (node->kind) {
    case Node::Kind::Scalar:
      return scalar(node->scalar);
    case Node::Kind::Load: {
      auto [memory, indices] = address(node->binding, node->point);
      return memref::LoadOp::create(b, loc, memory, indices);
    }
    case Node::Kind::Guarded: {
      Value condition;
      Value zero = arith::ConstantIndexOp::create(entry, loc, 0);
      for (AffineExpr expr : node->conditions) {
        Value holds = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sge, apply(expr), zero);
        condition = condition ? Value(arith::AndIOp::create(b, loc, condition, holds)) : holds;
      }
      auto branch = scf::IfOp::create(b, loc, TypeRange{typeOf(result)}, condition, /*withElseRegion=*/true);
      OpBuilder saved = b;
      for (unsigned i = 0; i < 2; ++i) {
        b.setInsertionPointToEnd(i == 0 ? branch.thenBlock() : branch.elseBlock());
        Value value = evaluate(node->operands[i]);
        scf::YieldOp::create(b, loc, value);
      }
      b = saved;
      return branch.getResult(0);
    }
    case Node::Kind::Body: {
      // Once per block: values of one block belong to one iteration.
      if (auto known = bodies.find({node, b.getInsertionBlock()}); known != bodies.end())
        return known->second[result.number];
      SmallVector<Value> operands;
      for (NodeResult operand : node->operands)
        operands.push_back(operand.node ? evaluate(operand) : Value());
      SmallVector<Value> values = inlineBody(node, operands);
      bodies[{node, b.getInsertionBlock()}] = values;
      return values[result.number];
    }
    case Node::Kind::Reduction:
      return reduce(node)[result.number];
    }
    llvm_unreachable("unknown kind of node");
  }

  Type typeOf(NodeResult result) {
    Node *node = result.node;
    switch (node->kind) {
    case Node::Kind::Scalar:
      return node->scalar.getType();
    case Node::Kind::Load:
      return cast<MemRefType>(kernel.binding(node->binding).getType()).getElementType();
    case Node::Kind::Guarded:
      return typeOf(node->operands[0]);
    default:
      return getElementTypeOrSelf(node->generic->getResult(result.number).getType());
    }
  }

  /// Clones the body of a node's generic; `operands` may have gaps where the body does not look.
  SmallVector<Value> inlineBody(Node *node, ArrayRef<Value> operands) {
    Block *body = node->generic.getBody();
    IRMapping mapping;
    for (auto [arg, operand] : llvm::zip(body->getArguments(), operands))
      if (operand)
        mapping.map(arg, operand);
    // Scalars from outside.
    body->walk([&](Operation *op) {
      for (Value operand : op->getOperands())
        if (!node->generic->isAncestor(operand.getParentBlock()->getParentOp()) && !isa<TensorType>(operand.getType()))
          mapping.map(operand, scalar(operand));
    });
    SmallVector<Operation *> copies;
    for (Operation &op : body->without_terminator())
      copies.push_back(b.clone(op, mapping));
    SmallVector<Value> results;
    for (Value yielded : body->getTerminator()->getOperands())
      results.push_back(mapping.lookup(yielded));
    // Operations that refer to the loops or to tensors.
    SmallVector<Operation *> special;
    for (Operation *copy : copies)
      copy->walk([&](Operation *op) {
        if (isa<linalg::IndexOp, tensor::ExtractOp>(op))
          special.push_back(op);
      });
    OpBuilder saved = b;
    for (Operation *op : special) {
      b.setInsertionPoint(op);
      Value value;
      if (auto index = dyn_cast<linalg::IndexOp>(op)) {
        value = apply(node->dims[index.getDim()]);
      } else {
        auto extract = cast<tensor::ExtractOp>(op);
        unsigned binding = cast<BlockArgument>(extract.getTensor()).getArgNumber();
        value = memref::LoadOp::create(b, loc, kernel.binding(binding), extract.getIndices());
      }
      for (Value &result : results)
        if (result == op->getResult(0))
          result = value;
      op->getResult(0).replaceAllUsesWith(value);
      op->erase();
    }
    b = saved;
    return results;
  }

  /// The loops of a reduction at the current point. The results hold wherever the point's coordinates are fixed.
  SmallVector<Value> reduce(Node *node) {
    unsigned numInputs = node->generic.getNumDpsInputs();
    SmallVector<Value> values;
    for (NodeResult init : ArrayRef(node->operands).drop_front(numInputs))
      values.push_back(evaluate(init));
    SmallVector<LoopGroup> groups = groupLoops(*current, node->reductionVars);
    enter(groups);
    OpBuilder saved = b;
    SmallVector<scf::ForOp> loops;
    Value zero = arith::ConstantIndexOp::create(entry, loc, 0), one = arith::ConstantIndexOp::create(entry, loc, 1);
    ValueRange carried = values;
    for (const LoopGroup &group : groups) {
      auto loop = scf::ForOp::create(b, loc, zero, product(group), one, carried);
      if (!loops.empty())
        scf::YieldOp::create(b, loc, loop.getResults());
      loops.push_back(loop);
      vars[group.front()] = loop.getInductionVar();
      carried = loop.getRegionIterArgs();
      b.setInsertionPointToEnd(loop.getBody());
    }
    SmallVector<Value> operands;
    for (NodeResult input : ArrayRef(node->operands).take_front(numInputs))
      operands.push_back(input.node ? evaluate(input) : Value());
    llvm::append_range(operands, carried);
    SmallVector<Value> next = inlineBody(node, operands);
    for (Value value : carried)
      allowReassociation(value);
    scf::YieldOp::create(b, loc, next);
    b = saved;
    return SmallVector<Value>(loops.front().getResults());
  }

  /// Sums and products may be computed in any order.
  static void allowReassociation(Value accumulator) {
    for (Operation *user : accumulator.getUsers())
      if (isa<arith::AddFOp, arith::MulFOp>(user))
        user->setAttr("fastmath",
                      arith::FastMathFlagsAttr::get(user->getContext(),
                                                    arith::FastMathFlags::reassoc | arith::FastMathFlags::contract));
  }

  // --- loops

  /// Does a node depend on a loop variable, other than through reductions' own?
  static bool dependsOn(Node *node, unsigned v) {
    auto uses = [&](AffineExpr expr) { return expr && expr.isFunctionOfDim(v); };
    return llvm::any_of(node->point, uses) || llvm::any_of(node->dims, uses) || llvm::any_of(node->conditions, uses);
  }

  /// The number of loops that have to be open before a reduction can be computed.
  unsigned levelOf(Node *reduction, ArrayRef<LoopGroup> groups) {
    unsigned level = 0;
    llvm::DenseSet<Node *> seen;
    forEachNode(reduction, seen, [&](Node *node) {
      for (auto [i, group] : llvm::enumerate(groups))
        for (unsigned v : group)
          if (dependsOn(node, v))
            level = std::max<unsigned>(level, i + 1);
    });
    return level;
  }

  /// The reductions that can be computed ahead of the innermost loop: those whose coordinates the loops fix.
  void collectReductions(Node *node, Plan &plan, llvm::DenseSet<Node *> &seen) {
    // A guarded value may be out of range where the guard does not hold.
    if (!node || node->kind == Node::Kind::Guarded || !seen.insert(node).second)
      return;
    for (NodeResult operand : node->operands)
      collectReductions(operand.node, plan, seen);
    if (node->kind != Node::Kind::Reduction)
      return;
    llvm::SmallSet<unsigned, 8> bound(plan.statement->vars.begin(), plan.statement->vars.end());
    llvm::DenseSet<Node *> inside;
    forEachNode(node, inside, [&](Node *inner) { bound.insert_range(inner->reductionVars); });
    for (unsigned v = 0; v < program.sizes.size(); ++v)
      if (!bound.contains(v) && llvm::any_of(inside, [&](Node *inner) { return dependsOn(inner, v); }))
        return;
    plan.reductions.push_back({node, levelOf(node, plan.groups)});
  }

  Plan planOf(Statement &statement) {
    Plan plan;
    plan.statement = &statement;
    plan.groups = groupLoops(statement, statement.vars);
    llvm::DenseSet<Node *> seen;
    for (const Statement::Store &store : statement.stores)
      collectReductions(store.value.node, plan, seen);
    unsigned shared = std::min<size_t>(plan.groups.size(), 2);
    for (auto [node, level] : plan.reductions)
      shared = std::min(shared, level); // sharing a loop inside a reduction's level would repeat the reduction
    for (unsigned i = 0; i < shared; ++i) {
      SharedLoop loop;
      loop.outer = plan.groups[i];
      loop.inner.emplace_back();
      for (const LoopGroup &group : ArrayRef(plan.groups).drop_front(i + 1))
        llvm::append_range(loop.inner.back(), group);
      for (auto [node, level] : plan.reductions) {
        loop.inner.emplace_back(node->reductionVars.begin(), node->reductionVars.end());
        for (unsigned k = i + 1; k < level; ++k)
          llvm::append_range(loop.inner.back(), plan.groups[k]);
      }
      plan.shared.push_back(std::move(loop));
    }
    return plan;
  }

  /// The loop along which an operand lies contiguous while the innermost loop strides through it: the two are then
  /// walked in tiles that stay in the cache.
  std::optional<unsigned> findTransposedLoop(const Plan &plan) {
    if (!plan.reductions.empty() || plan.groups.size() < 2)
      return std::nullopt;
    unsigned inner = plan.groups.back().front();
    std::optional<unsigned> found;
    llvm::DenseSet<Node *> seen;
    for (const Statement::Store &store : plan.statement->stores)
      forEachNode(store.value.node, seen, [&](Node *node) {
        if (node->kind != Node::Kind::Load || node->point.empty() || node->point.back().isFunctionOfDim(inner) ||
            llvm::none_of(node->point, [&](AffineExpr expr) { return expr.isFunctionOfDim(inner); }))
          return;
        for (unsigned level = 0; level + 1 < plan.groups.size(); ++level)
          if (node->point.back().isFunctionOfDim(plan.groups[level].back()))
            found = level;
      });
    return found;
  }

  /// What a body that only yields an operand copies.
  static NodeResult copied(NodeResult result) {
    while (result.node->kind == Node::Kind::Body) {
      auto yielded =
          dyn_cast<BlockArgument>(result.node->generic.getBody()->getTerminator()->getOperand(result.number));
      if (!yielded || yielded.getOwner() != result.node->generic.getBody())
        break;
      result = result.node->operands[yielded.getArgNumber()];
    }
    return result;
  }

  /// Lanes of the vectors, as many as a block has rows, by which a statement copies that does nothing but transpose; 0
  /// for any other.
  int64_t lanesOfBlock(const Plan &plan, unsigned tiled) {
    const Statement::Store &store = plan.statement->stores.front();
    Node *node = copied(store.value).node;
    // The last coordinate, and no other.
    auto isLast = [](const Point &point, unsigned v) {
      return !point.empty() && isa<AffineDimExpr>(point.back()) && point.back().isFunctionOfDim(v) &&
             llvm::none_of(ArrayRef(point).drop_back(), [&](AffineExpr expr) { return expr.isFunctionOfDim(v); });
    };
    unsigned inner = plan.groups.back().back(), outer = plan.groups[tiled].back();
    if (plan.statement->stores.size() > 1 || node->kind != Node::Kind::Load || !isLast(store.point, inner) ||
        !isLast(node->point, outer))
      return 0;
    Type element = typeOf(store.value);
    bool moves = (isa<FloatType>(element) || isa<IntegerType>(element)) && element.getIntOrFloatBitWidth() >= 8;
    // Where a vector is several registers, they shuffle slowly.
    if (!moves || !model.vectorBits || model.vectorBits != model.registerBits)
      return 0;
    constexpr int64_t most = 16;
    int64_t lanes = std::min(model.lanes(element.getIntOrFloatBitWidth()), most);
    return lanes >= 4 ? lanes : 0;
  }

  /// A part of a loop of elements: from `begin` on `size` of them, but not beyond `end`.
  struct Part {
    unsigned variable;
    Value begin, end, size;
  };
  Value endOf(const Part &part) {
    return arith::MinSIOp::create(b, loc, arith::AddIOp::create(b, loc, part.begin, part.size), part.end);
  }

  /// A tile of two loops, of which the first walks what is read and the second what is written: whole blocks by
  /// vectors.
  void emitTransposedTile(int64_t lanes, ArrayRef<Part> tile) {
    const Statement::Store &store = current->stores.front();
    const Node *source = copied(store.value).node;
    auto constant = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(entry, loc, value); };
    SmallVector<Part> blocks;
    for (const Part &part : tile) {
      Value step = constant(lanes), end = endOf(part);
      auto loop = scf::ForOp::create(b, loc, part.begin, end, step);
      blocks.push_back({part.variable, loop.getInductionVar(), end, step});
      b.setInsertionPointToStart(loop.getBody());
    }
    auto fits = [&](const Part &block) -> Value {
      Value blockEnd = arith::AddIOp::create(b, loc, block.begin, block.size);
      return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::sle, blockEnd, block.end);
    };
    Value isWhole = arith::AndIOp::create(b, loc, fits(blocks[0]), fits(blocks[1]));
    auto branch = scf::IfOp::create(b, loc, isWhole, /*withElseRegion=*/true);
    auto moveTo = [&](const Part &block, int64_t offset) {
      vars[block.variable] = arith::AddIOp::create(b, loc, block.begin, constant(offset));
    };

    b.setInsertionPointToStart(branch.thenBlock());
    auto type = VectorType::get({lanes}, typeOf(store.value));
    SmallVector<Value> rows;
    moveTo(blocks[0], 0);
    for (int64_t i = 0; i < lanes; ++i) {
      moveTo(blocks[1], i);
      auto [memory, indices] = address(source->binding, source->point);
      rows.push_back(vector::LoadOp::create(b, loc, type, memory, indices));
    }
    rows = transposeVectors(b, loc, rows);
    moveTo(blocks[1], 0);
    for (int64_t i = 0; i < lanes; ++i) {
      moveTo(blocks[0], i);
      auto [memory, indices] = address(kernel.numArguments() + store.result, store.point);
      vector::StoreOp::create(b, loc, rows[i], memory, indices);
    }

    b.setInsertionPointToStart(branch.elseBlock());
    emitElements(blocks);
  }

  void emitStatement(Plan &plan) {
    current = plan.statement;
    groupOf.clear();
    vars.clear();
    enter(plan.groups);
    OpBuilder saved = b;
    Value zero = arith::ConstantIndexOp::create(entry, loc, 0), one = arith::ConstantIndexOp::create(entry, loc, 1);
    // A dimension of the grid that these loops do not share: its first workgroup does all.
    for (unsigned d = plan.shared.size(); d < 2; ++d)
      if (llvm::any_of(plans, [&](Plan &other) { return other.shared.size() > d; })) {
        Value first = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, kernel.workgroupId(d), zero);
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, first, /*withElseRegion=*/false).thenBlock());
      }
    std::optional<unsigned> tiled = findTransposedLoop(plan);
    int64_t blockLanes = tiled ? lanesOfBlock(plan, *tiled) : 0;
    // Whole lines of the cache are read and written, if by vectors.
    int64_t tileSize = kTransposeTile;
    if (blockLanes)
      tileSize = std::max<int64_t>(blockLanes, 512 / typeOf(current->stores[0].value).getIntOrFloatBitWidth());
    SmallVector<Part> tile;
    SmallVector<unsigned> levels = llvm::to_vector(llvm::seq<unsigned>(0, plan.groups.size() + 1));
    if (blockLanes && *tiled + 2 == plan.groups.size())
      std::swap(levels[*tiled], levels[*tiled + 1]);
    for (unsigned level : levels) {
      for (auto [node, at] : plan.reductions)
        if (at == level)
          reduced[node] = reduce(node);
      if (level == plan.groups.size())
        break;
      const LoopGroup &group = plan.groups[level];
      Value size = product(group), begin = zero, end = size;
      bool isTiled = tiled && (level == *tiled || level + 1 == plan.groups.size());
      if (level < plan.shared.size())
        std::tie(begin, end) = shareOf(size, level, isTiled ? tileSize : 1);
      Value step = isTiled ? arith::ConstantIndexOp::create(entry, loc, tileSize).getResult() : one;
      auto loop = scf::ForOp::create(b, loc, begin, end, step);
      vars[group.front()] = loop.getInductionVar();
      b.setInsertionPointToStart(loop.getBody());
      if (isTiled)
        tile.push_back({group.front(), loop.getInductionVar(), end, step});
    }
    if (blockLanes) {
      if (tile[0].variable == plan.groups.back().front())
        std::swap(tile[0], tile[1]);
      emitTransposedTile(blockLanes, tile);
    } else {
      emitElements(tile);
    }
    reduced.clear();
    bodies.clear();
    b = saved;
  }

  /// What is stored at each point; `parts`: of the loops that come in parts.
  void emitElements(ArrayRef<Part> parts) {
    Value one = arith::ConstantIndexOp::create(entry, loc, 1);
    for (const Part &part : parts) {
      auto loop = scf::ForOp::create(b, loc, part.begin, endOf(part), one);
      vars[part.variable] = loop.getInductionVar();
      b.setInsertionPointToStart(loop.getBody());
    }
    for (const Statement::Store &store : current->stores) {
      Value value = evaluate(store.value);
      auto [memory, indices] = address(kernel.numArguments() + store.result, store.point);
      memref::StoreOp::create(b, loc, value, memory, indices);
    }
  }

  /// The workgroup's part of `size` iterations: [id * chunk, (id + 1) * chunk), where chunk is ceil(size / count) or
  /// the multiple of `unit` above it.
  std::pair<Value, Value> shareOf(Value size, unsigned dimension, int64_t unit) {
    Value count = counts(dimension, 0);
    Value chunk = arith::CeilDivSIOp::create(entry, loc, size, count);
    if (unit > 1) {
      Value whole = arith::ConstantIndexOp::create(entry, loc, unit);
      chunk = arith::MulIOp::create(entry, loc, arith::CeilDivSIOp::create(entry, loc, chunk, whole), whole);
    }
    Value begin = arith::MulIOp::create(entry, loc, kernel.workgroupId(dimension), chunk);
    Value end = arith::AddIOp::create(entry, loc, begin, chunk);
    begin = arith::MinSIOp::create(entry, loc, begin, size);
    return {begin, arith::MinSIOp::create(entry, loc, end, size)};
  }

  /// The number of workgroups along a dimension of the grid, as a value of the kernel (site 0) or of the workgroup
  /// function (site 1): the most that any statement wants.
  Value counts(unsigned dimension, unsigned site) {
    if (Value known = countValues[site][dimension])
      return known;
    OpBuilder &at = site ? workgroups : entry;
    auto constant = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(at, loc, value); };
    Value count = constant(1);
    for (Plan &plan : plans) {
      if (plan.shared.size() <= dimension)
        continue;
      Value size = product(plan.shared[dimension].outer, site), cost = constant(1);
      for (auto &nest : plan.shared[dimension].inner)
        cost = arith::AddIOp::create(at, loc, cost, product(nest, site));
      Value chunk = arith::CeilDivSIOp::create(at, loc, constant(kWorkgroupCost), cost);
      Value wanted = arith::CeilDivSIOp::create(at, loc, size, chunk);
      wanted = arith::MinSIOp::create(at, loc, wanted, constant(kMaxWorkgroups));
      count = arith::MaxSIOp::create(at, loc, count, wanted);
    }
    return countValues[site][dimension] = count;
  }

  Program &program;
  const CpuTargetModel &model;
  Kernel &kernel;
  OpBuilder b, entry{b}, workgroups{kernel.workgroupsBuilder()};
  Location loc;
  IRMapping scalars[2];
  Value countValues[2][2];
  Statement *current = nullptr;
  llvm::DenseMap<unsigned, Value> vars;
  llvm::DenseMap<unsigned, std::pair<unsigned, unsigned>> groupOf; // variable -> first of its group, size of it
  llvm::DenseMap<std::pair<unsigned, Attribute>, Value> views;
  llvm::DenseMap<Node *, SmallVector<Value>> reduced;
  llvm::DenseMap<std::pair<Node *, Block *>, SmallVector<Value>> bodies;
  SmallVector<Plan> plans;
};

/// A division by a sum that a loop computed, for each element of a row, becomes a product with its reciprocal.
void divideOncePerRow(func::FuncOp func) {
  SmallVector<arith::DivFOp> divisions;
  func.walk([&](arith::DivFOp op) {
    auto sum = op.getRhs().getDefiningOp<scf::ForOp>();
    auto loop = op->getParentOfType<scf::ForOp>();
    if (sum && loop && sum->getBlock() == loop->getBlock() && op->getBlock() == loop.getBody())
      divisions.push_back(op);
  });
  for (arith::DivFOp op : divisions) {
    OpBuilder b(op->getParentOfType<scf::ForOp>());
    Type type = op.getType();
    Value one = arith::ConstantOp::create(b, op.getLoc(), b.getFloatAttr(type, 1.0));
    Value reciprocal = arith::DivFOp::create(b, op.getLoc(), one, op.getRhs());
    b.setInsertionPoint(op);
    op.replaceAllUsesWith(arith::MulFOp::create(b, op.getLoc(), op.getLhs(), reciprocal).getResult());
    op.erase();
  }
}

/// Bodies may read tensors only if these are arguments.
LogicalResult checkBodies(Kernel &kernel, std::string &reason) {
  WalkResult walk = kernel.tensorFunc.walk([&](Operation *op) {
    if (!op->getParentOfType<linalg::GenericOp>())
      return WalkResult::advance();
    for (Value operand : op->getOperands())
      if (isa<TensorType>(operand.getType()) && !(isa<tensor::ExtractOp>(op) && isa<BlockArgument>(operand))) {
        reason = "a body reads a tensor that is no argument";
        return WalkResult::interrupt();
      }
    return WalkResult::advance();
  });
  return failure(walk.wasInterrupted());
}
} // namespace

LogicalResult eyrie::target::cpu::lowerToLoops(Kernel &kernel, const CpuTargetModel &model, std::string &reason) {
  if (failed(checkBodies(kernel, reason)))
    return failure();
  Program program(kernel);
  if (failed(program.read(reason)))
    return failure();
  Emitter(program, model).emit();
  divideOncePerRow(kernel.func);
  return success();
}
