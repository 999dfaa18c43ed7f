// Functions that keep state.
#ifndef EYRIE_RUNTIME_TESTING_STATES_H_
#define EYRIE_RUNTIME_TESTING_STATES_H_

#include "runtime/testing/functions.h"

namespace eyrie::rt::testing {

// The state `past`, 2 x ? in the model and ? x 2 in memory, grows by the rows of x: ? x 2. y = all rows so far. Fails,
// after everything is stored, if x has 7 rows.
inline Module CacheModule() {
  using abi::VmOp;
  Function f;
  f.arguments = {{"x", EYRIE_F32, {-1, 2}}};
  f.results = {{"y", EYRIE_F32, {-1, 2}}};
  f.states = {0};
  // r0 = rows so far, r1 = rows of x, r2 = rows then, r4, r5, r6: bytes of each, r7 = 0, r8 = 2
  f.Op(VmOp::kGlobalDim, {0, 0, 0}).Op(VmOp::kArgDim, {1, 0, 0}).Op(VmOp::kAdd, {2, 0, 1}).Const(3, 8).Const(8, 2);
  f.Op(VmOp::kMul, {4, 0, 3}).Op(VmOp::kMul, {5, 1, 3}).Op(VmOp::kMul, {6, 2, 3});
  f.Op(VmOp::kGlobalBuf, {0, 0}).Op(VmOp::kBufExtend, {1, 0, 6, 4}).Op(VmOp::kBufArg, {2, 0});
  f.Op(VmOp::kCopy, {2, 7, 1, 4, 5}).Op(VmOp::kBarrier);
  f.Op(VmOp::kBufResult, {3, 0, 2, 2, 8}).Op(VmOp::kCopy, {1, 7, 3, 7, 6});
  f.Op(VmOp::kGlobalStore, {0, 1, 2, 2, 8}).Op(VmOp::kSubmitWait);
  f.Const(9, 7).Op(VmOp::kCmpNe, {10, 1, 9}).Op(VmOp::kAssert, {10, EYRIE_INVALID_ARGUMENT, 0}).Op(VmOp::kReturn);
  Module module = ModuleOf(f);
  module.strings = {"seven rows"};
  module.states = {{{"past", EYRIE_F32, {2, -1}}, {1, 0}}};
  return module;
}

// y = the states a and b, one behind the other; both become x. All of them 8 floats.
inline Module TwinsModule() {
  using abi::VmOp;
  Function f;
  f.arguments = {{"x", EYRIE_F32, {8}}};
  f.results = {{"y", EYRIE_F32, {16}}};
  f.states = {0, 1};
  f.Const(0, 0).Const(1, 32).Const(2, 8).Const(3, 16).Op(VmOp::kBufArg, {0, 0}).Op(VmOp::kBufResult, {1, 0, 1, 3});
  f.Op(VmOp::kGlobalBuf, {2, 0}).Op(VmOp::kCopy, {2, 0, 1, 0, 1});
  f.Op(VmOp::kGlobalBuf, {2, 1}).Op(VmOp::kCopy, {2, 0, 1, 1, 1});
  for (uint32_t state : {0u, 1u}) {
    f.Op(VmOp::kBufBlock, {3, 1}).Op(VmOp::kCopy, {0, 0, 3, 0, 1}).Op(VmOp::kGlobalStore, {state, 3, 1, 2});
    f.Op(VmOp::kSubmitWait);
  }
  f.Op(VmOp::kReturn);
  Module module = ModuleOf(f);
  module.states = {{{"a", EYRIE_F32, {8}}, {}}, {{"b", EYRIE_F32, {8}}, {}}};
  return module;
}

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_STATES_H_
