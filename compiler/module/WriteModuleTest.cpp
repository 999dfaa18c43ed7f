// From the module after `graph` to numbers: stream, vm and module together, run by the runtime.
#include "compiler/module/TestProgram.h"
#include "llvm/Support/FileSystem.h"

using namespace mlir;
using namespace eyrie;
using namespace eyrie::test;

namespace {

TEST(WriteModule, StaticShapesWithWeightsAndArena) {
  // The executable is on tensor<?xf32>; casts make the static program fit it.
  std::string text = R"(
graph.global @w = dense<0.5> : tensor<100xf32> : tensor<100xf32>
func.func @main(%x: tensor<100xf32> {eyrie.name = "x"}) -> (tensor<100xf32> {eyrie.name = "y"}) {
  %n = arith.constant 100 : index
  %w = graph.load_global @w : tensor<100xf32>
  %wd = tensor.cast %w : tensor<100xf32> to tensor<?xf32>
  %xd = tensor.cast %x : tensor<100xf32> to tensor<?xf32>
)";
  text += makeAdd("%0", "%xd", "%wd", "%n") + makeAdd("%1", "%0", "%0", "%n") + makeAdd("%2", "%1", "%0", "%n") +
          makeAdd("%3", "%2", "%xd", "%n") +
          "  %y = tensor.cast %3 : tensor<?xf32> to tensor<100xf32>\n  return %y : tensor<100xf32>\n}\n";
  Compiled compiled(text);
  Loaded loaded(compiled.write());
  ASSERT_TRUE(loaded.instance);
  std::vector<float> x(100), expected(100);
  for (int i = 0; i < 100; ++i) {
    x[i] = i;
    expected[i] = 3 * (i + 0.5f) + i;
  }
  EXPECT_EQ(loaded.call({asTensor(x)}, 1)[0], expected);
  EXPECT_EQ(loaded.call({asTensor(x)}, 1)[0], expected);
  eyrie_function_info_t info;
  ASSERT_EQ(take(eyrie_module_function(loaded.module, 0, &info)), "");
  EXPECT_EQ(info.arena_bytes, 3 * 448);
  EXPECT_EQ(info.total_bytes, 3 * 400);
  EXPECT_EQ(info.transient_count, 3u);
}

TEST(WriteModule, DynamicShapesAndRepeatedResults) {
  std::string text = R"(
func.func @main(%x: tensor<?xf32> {eyrie.dims = ["n"]}, %z: tensor<?xf32> {eyrie.dims = ["n"]})
    -> (tensor<?xf32> {eyrie.dims = ["n"]}, tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %n = tensor.dim %x, %c0 : tensor<?xf32>
)";
  text += makeAdd("%0", "%x", "%z", "%n") + makeAdd("%1", "%0", "%0", "%n") + makeAdd("%2", "%1", "%z", "%n") +
          makeAdd("%3", "%2", "%x", "%n") + "  return %3, %3, %x : tensor<?xf32>, tensor<?xf32>, tensor<?xf32>\n}\n";
  Compiled compiled(text);
  Loaded loaded(compiled.write());
  ASSERT_TRUE(loaded.instance);
  for (int n : {7, 1000, 64, 0, 1}) {
    std::vector<float> x(n), z(n), expected(n);
    for (int i = 0; i < n; ++i) {
      x[i] = i;
      z[i] = 1;
      expected[i] = 2 * (i + 1) + 1 + i;
    }
    auto results = loaded.call({asTensor(x), asTensor(z)}, 3);
    EXPECT_EQ(results[0], expected);
    EXPECT_EQ(results[1], expected);
    EXPECT_EQ(results[2], x);
  }
}

TEST(WriteModule, BranchesChooseByReadBackValue) {
  std::string text = R"(
func.func @main(%x: tensor<?xf32>, %flag: tensor<1xi32>) -> (tensor<?xf32>, tensor<?xf32>) {
  %c0 = arith.constant 0 : index
  %z = arith.constant 0 : i32
  %n = tensor.dim %x, %c0 : tensor<?xf32>
  %v = graph.read_scalar %flag[%c0] : tensor<1xi32> -> i32
  %c = arith.cmpi ne, %v, %z : i32
)";
  text += makeAdd("%0", "%x", "%x", "%n");
  text += "  %1:2 = scf.if %c -> (tensor<?xf32>, index) {\n    %c2 = arith.constant 2 : index\n";
  text += makeAdd("%a", "%0", "%x", "%n") + makeAdd("%b", "%a", "%0", "%n");
  text += "    scf.yield %b, %n : tensor<?xf32>, index\n  } else {\n";
  text += makeAdd("%a", "%0", "%0", "%n") + makeAdd("%b", "%a", "%a", "%n") + makeAdd("%e", "%b", "%a", "%n");
  text += "    scf.yield %e, %n : tensor<?xf32>, index\n  }\n";
  text += makeAdd("%r", "%1#0", "%x", "%1#1");
  text += "  return %r, %1#0 : tensor<?xf32>, tensor<?xf32>\n}\n";
  Compiled compiled(text);
  Loaded loaded(compiled.write());
  ASSERT_TRUE(loaded.instance);
  std::vector<float> x = {1, 2, 3};
  for (int flag : {0, 5, 0}) {
    eyrie_tensor_t in[2] = {}, out[2] = {};
    in[0] = {x.data(), 12, EYRIE_F32, 1, {3}};
    in[1] = {&flag, 4, EYRIE_I32, 1, {1}};
    ASSERT_EQ(take(eyrie_call(loaded.instance, 0, in, 2, out, 2, nullptr)), "");
    for (int i = 0; i < 3; ++i) {
      float branch = flag ? 5 * x[i] : 12 * x[i];
      EXPECT_EQ(static_cast<float *>(out[0].data)[i], branch + x[i]);
      EXPECT_EQ(static_cast<float *>(out[1].data)[i], branch);
    }
  }
}

TEST(WriteModule, IsDeterministic) {
  std::string text = "graph.global @w = dense<0.5> : tensor<7xf32> : tensor<7xf32>\n"
                     "func.func @main(%x: tensor<7xf32>) -> (tensor<7xf32>, tensor<7xf32>) {\n"
                     "  %w = graph.load_global @w : tensor<7xf32>\n"
                     "  return %x, %w : tensor<7xf32>, tensor<7xf32>\n}\n";
  std::string first = Compiled(text).write();
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, Compiled(text).write());
}

TEST(WriteModule, LeavesNothingBehindOnFailure) {
  std::string text = "func.func @main(%x: tensor<7xf32>) -> tensor<7xf32> {\n  return %x : tensor<7xf32>\n}\n";
  Compiled compiled(text);
  std::string message;
  ScopedDiagnosticHandler handler(&compiled.context, [&](Diagnostic &diagnostic) { message = diagnostic.str(); });
  EXPECT_TRUE(failed(module::writeModule(*compiled.module, StringRef("/dev/full"))));
  EXPECT_EQ(message, "cannot write '/dev/full': No space left on device");

  SmallString<128> folder, inside;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("eyrie-module-test", folder));
  EXPECT_TRUE(failed(module::writeModule(*compiled.module, StringRef(folder))));
  EXPECT_EQ(message, ("cannot write '" + folder + "': it is a directory").str());
  EXPECT_TRUE(failed(module::writeModule(*compiled.module, StringRef((folder + "/none/x.eyr").str()))));
  EXPECT_NE(message.find("No such file or directory"), std::string::npos);

  std::string path = (folder + "/100%.eyr").str();
  EXPECT_TRUE(succeeded(module::writeModule(*compiled.module, StringRef(path))));
  EXPECT_TRUE(succeeded(module::writeModule(*compiled.module, StringRef(path))));
  auto file = llvm::MemoryBuffer::getFile(path);
  EXPECT_EQ((*file)->getBuffer().str(), compiled.write());
  std::error_code error;
  int entries = 0;
  for (llvm::sys::fs::directory_iterator it(folder, error), end; it != end; it.increment(error))
    ++entries;
  EXPECT_EQ(entries, 1);
  llvm::sys::fs::remove(path);
  llvm::sys::fs::remove(folder);
}

TEST(WriteModule, ReportsWhatIsMissing) {
  Compiled compiled("func.func @main(%x: tensor<7xf32>) -> tensor<7xf32> {\n  return %x : tensor<7xf32>\n}\n");
  std::string message;
  ScopedDiagnosticHandler handler(&compiled.context, [&](Diagnostic &diagnostic) { message = diagnostic.str(); });
  for (auto executable : compiled.module->getOps<graph::ExecutableOp>())
    executable->removeAttr("variants");
  EXPECT_EQ(compiled.write(), "");
  EXPECT_EQ(message, "'graph.executable' op has no code: the target has not compiled it");
}

} // namespace
