// Times the cases of a file: eyrie-target-bench FILE.mlir [CPU] [FILTER]. For each case, with the first of its
// `test.constants`: compile time, workgroups, microseconds per run (best of many, one thread), and nanoseconds per
// element of the largest binding. With EYRIE_BENCH_ASM=PREFIX, leaves the code in PREFIX<name>.so.
#include "compiler/target/test/Harness.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include <chrono>
#include <cstdio>

using namespace eyrie::target;
using namespace eyrie::target::test;

int main(int argc, char **argv) {
  if (argc < 2)
    return fprintf(stderr, "usage: %s FILE.mlir [CPU] [FILTER]\n", argv[0]), 2;
  auto buffer = llvm::MemoryBuffer::getFile(argv[1]);
  if (!buffer)
    return fprintf(stderr, "cannot read %s\n", argv[1]), 1;
  TargetOptions options;
  options.cpu = argc > 2 ? argv[2] : "native";
  llvm::SmallVector<llvm::StringRef> parts;
  (*buffer)->getBuffer().split(parts, "// -----");
  for (llvm::StringRef part : parts) {
    llvm::StringRef name =
        part.split("func.func @").second.take_while([](char c) { return c == '_' || llvm::isAlnum(c); });
    if (argc > 3 && !name.contains(argv[3]))
      continue;
    std::string error;
    auto program = Program::compile(("graph.executable @" + name + " {\n" + part + "\n}\n").str(), options, error);
    if (!program) {
      printf("%-24s %s\n", name.str().c_str(), error.c_str());
      continue;
    }
    Kernel &kernel = *program->kernels[0];
    std::vector<int64_t> constants;
    if (auto list = kernel.tensorFunc->getAttrOfType<mlir::ArrayAttr>("test.constants"))
      for (mlir::Attribute value : llvm::cast<mlir::ArrayAttr>(list[0]))
        constants.push_back(llvm::cast<mlir::IntegerAttr>(value).getInt());
    auto types = bindingTypes(kernel, constants);
    std::vector<Buffer> buffers;
    std::vector<void *> pointers;
    size_t elements = 0;
    for (auto &type : types) {
      buffers.emplace_back(type.elements() * type.elementBytes());
      std::memset(buffers.back().data(), 0, buffers.back().size());
      pointers.push_back(buffers.back().data());
      elements = std::max(elements, type.elements());
    }
    std::vector<int64_t> count = evaluate(kernel.workgroups, constants);
    Buffer local(std::max<int64_t>(kernel.localBytes, 64));
    eyrie_kernel_dispatch dispatch = {};
    dispatch.bindings = pointers.data();
    dispatch.constants = constants.data();
    for (int i = 0; i < 3; ++i)
      dispatch.workgroup_count[i] = count[i];
    double best = 1e30;
    for (int repeat = 0; repeat < 40; ++repeat) {
      auto start = std::chrono::steady_clock::now();
      for (int64_t z = 0; z < count[2]; ++z)
        for (int64_t y = 0; y < count[1]; ++y)
          for (int64_t x = 0; x < count[0]; ++x)
            kernel.entry(&dispatch, x, y, z, local.data());
      best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    }
    printf("%-24s compile %6.1f ms  workgroups %5ld  %10.2f us  %8.3f ns/element\n", name.str().c_str(),
           program->seconds * 1e3, long(count[0] * count[1] * count[2]), best * 1e6, best * 1e9 / elements);
  }
  return 0;
}
