// Prints the speed of single kernels on one core: eyrie-contraction-bench [cpu[;cpu]...] [part of a case's name].
// Of several processors the first is measured, with weights packed for all of them.
// The best of many runs, in the thread's own time, so that what else runs on the machine disturbs little.
#include "compiler/target/cpu/contraction/test/Cases.h"
#include "compiler/target/test/Harness.h"
#include <ctime>

using namespace eyrie::target;
using namespace eyrie::target::cpu::test;
using eyrie::target::test::Buffer;
using eyrie::target::test::Program;

static double now() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
  TargetOptions options;
  std::vector<TargetOptions> processors;
  for (llvm::StringRef cpu : llvm::split(llvm::StringRef(argc > 1 ? argv[1] : "native"), ';')) {
    options.cpu = cpu.str();
    processors.push_back(options);
  }
  options = processors.front();
  printf("%-50s %8s %10s %11s %9s\n", "case", "GFLOPS", "ms", "workgroups", "compile");
  for (const Case &testCase : benchmarkCases()) {
    if (argc > 2 && testCase.name.find(argv[2]) == std::string::npos)
      continue;
    std::string error;
    auto program = Program::compile(executableText(testCase, processors), options, error);
    if (!program) {
      fprintf(stderr, "%s: %s\n", testCase.name.c_str(), error.c_str());
      return 1;
    }
    auto &kernel = *program->kernels[0];
    std::vector<Buffer> buffers;
    std::vector<void *> bindings;
    for (const auto &type : bindingTypes(kernel, testCase.indices)) {
      buffers.emplace_back(type.elements() * type.elementBytes());
      memset(buffers.back().data(), 0, buffers.back().size()); // no denormals
      bindings.push_back(buffers.back().data());
    }
    auto count = eyrie::target::test::evaluate(kernel.workgroups, testCase.indices);
    Buffer local(std::max<int64_t>(kernel.localBytes, 64));
    eyrie_kernel_dispatch dispatch = {};
    dispatch.bindings = bindings.data();
    dispatch.constants = testCase.indices.data();
    for (int i = 0; i < 3; ++i)
      dispatch.workgroup_count[i] = count[i];
    double best = 1e9, total = 0;
    for (int runs = 0; total < 0.4 && (runs < 3 || runs < 1000); ++runs) {
      double start = now();
      for (int64_t z = 0; z < count[2]; ++z)
        for (int64_t y = 0; y < count[1]; ++y)
          for (int64_t x = 0; x < count[0]; ++x)
            kernel.entry(&dispatch, x, y, z, local.data());
      double seconds = now() - start;
      best = std::min(best, seconds);
      total += seconds;
    }
    printf("%-50s %8.1f %10.3f %11ld %6.0f ms\n", testCase.name.c_str(), testCase.flops / best * 1e-9, best * 1e3,
           long(count[0] * count[1] * count[2]), program->seconds * 1e3);
    fflush(stdout);
  }
}
