// Prints what a dispatch costs besides its kernel: eyrie_runtime_overhead [threads].
#include <cstdio>
#include <cstdlib>

#include "eyrie/runtime.h"
#include "runtime/base/thread.h"
#include "runtime/testing/module_builder.h"

using namespace eyrie::rt;
using eyrie::abi::VmOp;

namespace {

// 1000 dispatches with 3 bindings and a constant each, after the constants that a real program would load for them.
testing::Module ManyDispatches(uint32_t workgroups) {
  testing::Module module = testing::AddScaleModule();
  testing::Function f;
  f.Const(0, 0).Const(1, workgroups).Const(2, 1).Const(3, 64).Op(VmOp::kBufArena, {0, 3}).Op(VmOp::kBufWeights, {1});
  for (int i = 0; i < 1000; ++i) {
    f.Const(4, 0).Const(5, 32);
    f.Op(VmOp::kDispatch, {0, 1, 2, 2, 1, 0, 3, 0, 4, 5, 1, 4, 5, 0, 4, 5}).Op(VmOp::kBarrier);
  }
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

void Check(eyrie_status_t status) {
  if (!status) return;
  fprintf(stderr, "%s\n", eyrie_status_message(status));
  exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  options.threads = argc > 1 ? static_cast<uint32_t>(atoi(argv[1])) : 0;
  eyrie_runtime_t* runtime;
  Check(eyrie_runtime_create(&options, &runtime));
  for (uint32_t workgroups : {1u, 4u}) {
    auto bytes = ManyDispatches(workgroups).Build();
    eyrie_module_t* module;
    eyrie_instance_t* instance;
    Check(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module));
    Check(eyrie_instance_create(module, nullptr, &instance));
    uint64_t best = ~uint64_t{0};
    for (int i = 0; i < 200; ++i) {
      uint64_t begin = NowNs();
      Check(eyrie_call(instance, 0, nullptr, 0, nullptr, 0, nullptr));
      uint64_t time = NowNs() - begin;
      best = time < best ? time : best;
    }
    printf("%u workgroups: %.1f ns per dispatch\n", workgroups, static_cast<double>(best) / 1000);
    eyrie_instance_destroy(instance);
    eyrie_module_destroy(module);
  }
  eyrie_runtime_destroy(runtime);
  return 0;
}
