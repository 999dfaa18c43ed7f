#include "compiler/stream/Stream.h"
#include "mlir/IR/DialectImplementation.h"

using namespace mlir;
using namespace eyrie::stream;

#include "compiler/stream/StreamDialect.cpp.inc"
#include "compiler/stream/StreamEnums.cpp.inc"
#define GET_TYPEDEF_CLASSES
#include "compiler/stream/StreamTypes.cpp.inc"

void StreamDialect::initialize() {
  addTypes<
#define GET_TYPEDEF_LIST
#include "compiler/stream/StreamTypes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "compiler/stream/StreamOps.cpp.inc"
      >();
}

//===- pack ---------------------------------------------------------------------------------------------------------===

LogicalResult PackOp::verify() {
  size_t count = getSizes().size();
  if (getOffsets().size() != count || getFirst().size() != count || getLast().size() != count)
    return emitOpError("C1: expected ") << count << " offsets, first and last steps, found " << getOffsets().size()
                                        << ", " << getFirst().size() << " and " << getLast().size();
  return success();
}

//===- dispatch -----------------------------------------------------------------------------------------------------===

using Operands = SmallVectorImpl<OpAsmParser::UnresolvedOperand>;

static ParseResult parseBindingList(OpAsmParser &parser, Operands &resources, Operands &offsets, Operands &lengths) {
  return parser.parseCommaSeparatedList(OpAsmParser::Delimiter::Paren, [&]() -> ParseResult {
    return failure(parser.parseOperand(resources.emplace_back()) || parser.parseLSquare() ||
                   parser.parseOperand(offsets.emplace_back()) || parser.parseKeyword("for") ||
                   parser.parseOperand(lengths.emplace_back()) || parser.parseRSquare());
  });
}

/// ins(%a[%offset for %length], ...) outs(...) : types
static ParseResult parseBindings(OpAsmParser &parser, Operands &resources, SmallVectorImpl<Type> &types,
                                 Operands &offsets, Operands &lengths, IntegerAttr &reads) {
  if (parser.parseKeyword("ins") || parseBindingList(parser, resources, offsets, lengths))
    return failure();
  reads = parser.getBuilder().getI64IntegerAttr(resources.size());
  if (parser.parseKeyword("outs") || parseBindingList(parser, resources, offsets, lengths))
    return failure();
  if (resources.empty())
    return success();
  return failure(parser.parseColon() || parser.parseTypeList(types));
}

static void printBindings(OpAsmPrinter &p, Operation *, OperandRange resources, TypeRange types, OperandRange offsets,
                          OperandRange lengths, IntegerAttr reads) {
  auto print = [&](unsigned begin, unsigned end) {
    llvm::interleaveComma(llvm::seq(begin, end), p,
                          [&](unsigned i) { p << resources[i] << "[" << offsets[i] << " for " << lengths[i] << "]"; });
  };
  p << "ins(";
  print(0, reads.getInt());
  p << ") outs(";
  print(reads.getInt(), resources.size());
  p << ")";
  if (!resources.empty())
    p << " : " << types;
}

#define GET_OP_CLASSES
#include "compiler/stream/StreamOps.cpp.inc"

LogicalResult DispatchOp::verify() {
  size_t n = getResources().size();
  if (getOffsets().size() != n || getLengths().size() != n)
    return emitOpError("C1: has ") << n << " resources, " << getOffsets().size() << " offsets and "
                                   << getLengths().size() << " lengths";
  if (getReads() > n)
    return emitOpError("C2: reads ") << getReads() << " of " << n << " bindings";
  if (!getWorkgroups().empty() && getWorkgroups().size() != 3)
    return emitOpError("C3: has ") << getWorkgroups().size() << " workgroup counts, expected none or 3";
  return success();
}

LogicalResult HostCallOp::verify() {
  size_t n = getResources().size(), sizes = 0;
  for (int64_t rank : getRanks())
    sizes += rank;
  if (getOffsets().size() != n || getLengths().size() != n || getTypes().size() != n || getRanks().size() != n ||
      getSizes().size() != sizes)
    return emitOpError("C1: has ") << n << " resources, " << getOffsets().size() << " offsets, " << getLengths().size()
                                   << " lengths, " << getTypes().size() << " types, " << getRanks().size()
                                   << " ranks and " << getSizes().size() << " sizes, of " << sizes;
  return success();
}

int64_t eyrie::stream::getStoredBits(Type type) {
  if (type.isInteger(1))
    return 8;
  if (auto complex = dyn_cast<ComplexType>(type))
    return 2 * getStoredBits(complex.getElementType());
  if (!type.isIntOrFloat())
    return 0;
  unsigned bits = type.getIntOrFloatBitWidth();
  return llvm::is_contained({2u, 4u, 8u, 16u, 32u, 64u}, bits) ? bits : 0;
}

void eyrie::stream::registerStreamDialect(DialectRegistry &registry) { registry.insert<StreamDialect>(); }
