// Functions and modules that several tests use.
#ifndef EYRIE_RUNTIME_TESTING_FUNCTIONS_H_
#define EYRIE_RUNTIME_TESTING_FUNCTIONS_H_

#include <string>

#include "eyrie/runtime.h"
#include "runtime/testing/module_builder.h"

namespace eyrie::rt::testing {

inline Value Sequence(std::string name, uint8_t type, std::vector<Dim> dims) { return {name, type, dims, 1, false}; }
inline Value AnySequence(std::string name, uint8_t type) { return {name, type, {}, 1, true}; }

inline Module ModuleOf(const Function& function) {
  Module module = AddScaleModule();
  module.texts = {"cat", "dog"};
  module.functions = {function};
  return module;
}

// y = x
inline Function Echo(const Value& from, const Value& to) {
  Function f;
  f.arguments = {from};
  f.results = {to};
  f.Op(abi::VmOp::kListArg, {0, 0})
      .Op(abi::VmOp::kListResult, {0, 0})
      .Op(abi::VmOp::kSubmitWait)
      .Op(abi::VmOp::kReturn);
  return f;
}

// y = the rows of x, each in a block of its own.
inline Function Rows() {
  Function f;
  f.arguments = {{"x", EYRIE_F32, {-1, 3}}};
  f.results = {Sequence("y", EYRIE_F32, {3})};
  // r0 = n, r1 = row, r2 = bytes of a row, r3 = 1, r4 = 3, r5 = offset, r7 = 0
  f.Op(abi::VmOp::kArgDim, {0, 0, 0})
      .Const(2, 12)
      .Const(3, 1)
      .Const(4, 3)
      .Op(abi::VmOp::kBufArg, {0, 0})
      .Op(abi::VmOp::kBr, {1});
  f.Block().Op(abi::VmOp::kCmpLtS, {6, 1, 0}).Op(abi::VmOp::kCondBr, {6, 2, 3});
  f.Block().Op(abi::VmOp::kBufBlock, {1, 2}).Op(abi::VmOp::kMul, {5, 1, 2}).Op(abi::VmOp::kCopy, {0, 5, 1, 7, 2});
  f.Op(abi::VmOp::kListInsert, {0, 0, 1, EYRIE_F32, 1, 7, 1, 4}).Op(abi::VmOp::kAdd, {1, 1, 3}).Op(abi::VmOp::kBr, {1});
  f.Block().Op(abi::VmOp::kListResult, {0, 0}).Op(abi::VmOp::kSubmitWait).Op(abi::VmOp::kReturn);
  return f;
}

// y = x + k b, in k steps with a block each; k is the size of c. x, b, y: tensor<n x 8 x f32>.
inline Function Steps() {
  using abi::VmOp;
  Function f;
  f.arguments = {{"x", EYRIE_F32, {Dim::Symbol(0), 8}}, {"b", EYRIE_F32, {Dim::Symbol(0), 8}}, {"c", EYRIE_F32, {-1}}};
  f.results = {{"y", EYRIE_F32, {Dim::Symbol(0), 8}}};
  // r0 = n, r1 = 8, r2 = elements, r3 = bytes, r4 = 0, r5 = 1, r7 = workgroups of 64 elements, r8 = k, r9 = step
  f.Op(VmOp::kArgDim, {0, 0, 0}).Const(1, 8).Op(VmOp::kMul, {2, 0, 1}).Const(5, 1).Const(6, 4);
  f.Op(VmOp::kMul, {3, 2, 6}).Const(6, 64).Op(VmOp::kDivCeil, {7, 2, 6}).Op(VmOp::kArgDim, {8, 2, 0});
  f.Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufArg, {1, 1}).Op(VmOp::kBufMov, {2, 0});
  f.Op(VmOp::kBufResult, {4, 0, 2, 0, 1}).Op(VmOp::kBr, {1});
  f.Block().Op(VmOp::kCmpLtS, {10, 9, 8}).Op(VmOp::kCondBr, {10, 2, 3});
  f.Block().Op(VmOp::kBufBlock, {3, 3});
  f.Op(VmOp::kDispatch, {0, 7, 5, 5, 1, 2, 3, 2, 4, 3, 1, 4, 3, 3, 4, 3}).Op(VmOp::kBarrier);
  f.Op(VmOp::kBufMov, {2, 3}).Op(VmOp::kBufDrop, {3}).Op(VmOp::kAdd, {9, 9, 5}).Op(VmOp::kBr, {1});
  f.Block().Op(VmOp::kCopy, {2, 4, 4, 4, 3}).Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  return f;
}

// Dispatches of 64 workgroups, one after the other, without end.
inline Function Endless() {
  using abi::VmOp;
  Function f;
  f.Const(0, 64).Const(1, 1).Op(VmOp::kBr, {1});
  f.Block().Op(VmOp::kDispatch, {4, 0, 1, 1, 0, 0}).Op(VmOp::kBarrier).Op(VmOp::kDispatch, {4, 0, 1, 1, 0, 0});
  f.Op(VmOp::kSubmitWait).Op(VmOp::kBr, {1});
  return f;
}

// y = x, of any length; x and y may have different types.
inline Module EchoModule(uint8_t from = EYRIE_STRING, uint8_t to = EYRIE_STRING) {
  using abi::VmOp;
  Module module;
  module.symbols = {"n"};
  module.texts = {"cat", "dog", std::string("a\0b", 3)};
  Function f;
  f.arguments = {{"x", from, {Dim::Symbol(0)}}};
  f.results = {{"y", to, {Dim::Symbol(0)}}};
  f.Op(VmOp::kArgDim, {0, 0, 0}).Const(1, 8).Op(VmOp::kMul, {1, 1, 0}).Const(2, 0);
  f.Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufResult, {1, 0, 1, 0}).Op(VmOp::kCopy, {0, 2, 1, 2, 1});
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_FUNCTIONS_H_
