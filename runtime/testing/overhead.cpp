// Prints what the runtime costs besides its kernels: eyrie_runtime_overhead [--threads N] [--check]. With --check it
// fails when a minimum is above its budget; pin it to one processor (taskset -c 0).
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "eyrie/runtime.h"
#include "runtime/base/thread.h"
#include "runtime/testing/module_builder.h"
#include "runtime/testing/tensors.h"

using namespace eyrie::rt;
using eyrie::abi::VmOp;

namespace {

constexpr uint32_t kDispatches = 1000;

testing::Module EmptyFunction() {
  testing::Module module = testing::AddScaleModule();
  testing::Function f;
  f.Op(VmOp::kReturn);
  module.functions = {f};
  return module;
}

// Dispatches with 3 bindings and a constant each, after the constants that a real program would load for them.
testing::Module ManyDispatches(uint32_t workgroups) {
  testing::Module module = testing::AddScaleModule();
  testing::Function f;
  f.Const(0, 0).Const(1, workgroups).Const(2, 1).Const(3, 64).Op(VmOp::kBufArena, {0, 3}).Op(VmOp::kBufWeights, {1});
  for (uint32_t i = 0; i < kDispatches; ++i) {
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

struct Measurement {
  const char* what;
  testing::Module module;
  uint32_t calls;    // that are timed together
  uint32_t divisor;  // the number is for each of so many parts of a call
  double budget_ns;  // 0: none
  bool has_tensors = false;
};

// Whether the budget is kept.
bool Measure(eyrie_runtime_t* runtime, const Measurement& measurement) {
  auto bytes = measurement.module.Build();
  eyrie_module_t* module;
  eyrie_instance_t* instance;
  Check(eyrie_module_load_memory(runtime, bytes.data(), bytes.size(), nullptr, &module));
  Check(eyrie_instance_create(module, nullptr, &instance));
  std::vector<float> a(8, 1), b(8, 2);
  eyrie_tensor_t inputs[2] = {testing::F32(a, {1, 8}), testing::F32(b, {1, 8})}, output = {};
  size_t input_count = measurement.has_tensors ? 2 : 0, output_count = measurement.has_tensors ? 1 : 0;
  std::vector<double> times;
  for (int round = 0; round < 2000; ++round) {
    uint64_t begin = NowNs();
    for (uint32_t i = 0; i < measurement.calls; ++i) {
      output.data = nullptr;
      Check(eyrie_call(instance, 0, inputs, input_count, &output, output_count, nullptr));
    }
    times.push_back(static_cast<double>(NowNs() - begin) / measurement.calls / measurement.divisor);
  }
  std::sort(times.begin(), times.end());
  printf("%-44s %8.1f ns at best, %8.1f in the middle", measurement.what, times[0], times[times.size() / 2]);
  if (measurement.budget_ns > 0) printf(" (budget %.0f)", measurement.budget_ns);
  printf("\n");
  eyrie_instance_destroy(instance);
  eyrie_module_destroy(module);
  return measurement.budget_ns == 0 || times[0] <= measurement.budget_ns;
}

}  // namespace

int main(int argc, char** argv) {
  eyrie_runtime_options_t options = {};
  options.struct_size = sizeof(options);
  bool check = false;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--check") == 0)
      check = true;
    else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
      options.threads = static_cast<uint32_t>(atoi(argv[++i]));
  }
  eyrie_runtime_t* runtime;
  Check(eyrie_runtime_create(&options, &runtime));
  bool single = options.threads < 2;
  bool good = Measure(runtime, {"a call of an empty function", EmptyFunction(), 64, 1, single ? 200.0 : 0});
  good &= Measure(runtime, {"a call with 3 tensors and 2 dispatches", testing::AddScaleModule(), 64, 1, 0, true});
  good &= Measure(
      runtime, {"a dispatch of 1 workgroup in a chain of 1000", ManyDispatches(1), 1, kDispatches, single ? 150.0 : 0});
  good &= Measure(runtime, {"a dispatch of 4 workgroups", ManyDispatches(4), 1, kDispatches, 0});
  eyrie_runtime_destroy(runtime);
  return check && !good ? 1 : 0;
}
