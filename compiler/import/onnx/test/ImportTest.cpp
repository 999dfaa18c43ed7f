#include "compiler/import/onnx/Import.h"
#include "compiler/import/onnx/test/ModelBytes.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <gtest/gtest.h>
#include <unistd.h>

using namespace eyrie::import::onnx;
using namespace eyrie::import::onnx::test;

namespace {

class OnnxImport : public testing::Test {
protected:
  void SetUp() override { ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("onnx", folder)); }
  void TearDown() override { llvm::sys::fs::remove_directories(folder); }

  std::string write(const std::string &name, const std::string &content) {
    std::string path = (folder + "/" + name).str();
    std::error_code error;
    llvm::raw_fd_ostream(path, error) << content;
    EXPECT_FALSE(error);
    return path;
  }

  /// The text of the module, or "error: ..." with all diagnostics.
  std::string import(const std::string &content, const ImportOptions &options = {}) {
    mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
    std::string text;
    llvm::raw_string_ostream os(text);
    mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &d) { os << "error: " << d << "\n"; });
    auto module = importOnnx(context, write("model.onnx", content), options);
    EXPECT_EQ(mlir::succeeded(module), text.empty()) << text;
    if (mlir::succeeded(module))
      (*module)->print(os);
    return text;
  }

  /// Expects the diagnostics to name all of `parts`.
  void refuse(const std::string &content, std::initializer_list<const char *> parts) {
    std::string text = import(content);
    EXPECT_EQ(text.rfind("error: ", 0), 0u) << text;
    for (const char *part : parts)
      EXPECT_NE(text.find(part), std::string::npos) << "expected '" << part << "' in: " << text;
  }

  void accept(const std::string &content, std::initializer_list<const char *> parts,
              const ImportOptions &options = {}) {
    std::string text = import(content, options);
    EXPECT_EQ(text.find("error: "), std::string::npos) << text;
    for (const char *part : parts)
      EXPECT_NE(text.find(part), std::string::npos) << "expected '" << part << "' in: " << text;
  }

  llvm::SmallString<128> folder;
};

const std::string kX = input("x", {"2", "3"}), kY = output("y");

TEST_F(OnnxImport, signature_has_names_and_symbols) {
  accept(model(node("Relu", {"x"}, {"y"}) + input("x", {"batch", "3"}) + kY),
         {"eyrie.dims = [\"batch\", \"\"]", "eyrie.name = \"x\"", "eyrie.name = \"y\"", "tensor<?x3xf32>"});
}

TEST_F(OnnxImport, open_dimensions_stay_apart) {
  std::string text = import(model(node("Relu", {"x"}, {"y"}) + input("x", {"?", "-1"}) + kY));
  EXPECT_NE(text.find("eyrie.dims = [\"\", \"\"]"), std::string::npos) << text;
}

TEST_F(OnnxImport, shape_option_fixes_a_symbol_everywhere) {
  ImportOptions options;
  options.shapes.push_back({"x", {5, 3}});
  accept(model(node("Add", {"x", "z"}, {"y"}) + input("x", {"n", "3"}) + input("z", {"n", "3"}) + kY),
         {"%arg1: tensor<5x3xf32>"}, options);
}

TEST_F(OnnxImport, wrong_shape_option_is_refused) {
  ImportOptions options;
  options.shapes = {{"x", {2}}, {"nobody", {1}}, {"z", {7, 3}}};
  std::string text = import(model(node("Add", {"x", "z"}, {"y"}) + kX + input("z", {"2", "3"}) + kY), options);
  for (const char *part : {"--shape x=2", "2 dimensions", "no such input", "'x', 'z'", "fixes the sizes 2x3"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(OnnxImport, shape_arithmetic_folds) {
  // Reshape to [dim 0, -1] computed by Shape, Gather, Concat.
  std::string graph = node("Shape", {"x"}, {"s"}) + node("Gather", {"s", "zero"}, {"n"}) +
                      node("Concat", {"n", "rest"}, {"t"}, intAttribute("axis", 0)) +
                      node("Reshape", {"x", "t"}, {"y"}) + initializer("zero", {1}, 7, integers({0})) +
                      initializer("rest", {1}, 7, integers({-1})) + input("x", {"n", "2", "3"}) + kY;
  accept(model(graph), {"-> tensor<?x6xf32>"});
}

TEST_F(OnnxImport, weight_is_a_resource_and_unused_weight_is_not_read) {
  std::string graph = node("Add", {"x", "w"}, {"y"}) + initializer("w", {2, 3}, 1, floats(6)) +
                      initializer("broken", {100}, 1, "") + kX + kY;
  accept(model(graph), {"graph.global @w = dense_resource<w> : tensor<2x3xf32>", "graph.load_global @w"});
}

TEST_F(OnnxImport, what_sizes_must_be_is_checked) {
  std::string graph = node("MatMul", {"x", "w"}, {"y"}) + initializer("w", {3, 4}, 1, floats(12)) + kY;
  accept(model(graph + input("x", {"2", "n"})), {"cf.assert", "n must equal 3"});
  // Two inputs get one name instead, which the runtime checks.
  graph = node("MatMul", {"x", "z"}, {"y"}) + input("x", {"2", "n"}) + input("z", {"m", "4"}) + kY;
  accept(model(graph), {"eyrie.dims = [\"\", \"m\"]", "eyrie.dims = [\"m\", \"\"]"});
}

TEST_F(OnnxImport, nodes_may_come_in_any_order) {
  accept(model(node("Relu", {"a"}, {"y"}) + node("Abs", {"x"}, {"a"}) + kX + kY), {"math.absf"});
}

TEST_F(OnnxImport, known_condition_takes_one_branch) {
  std::string thenGraph = node("Relu", {"x"}, {"t"}) + output("t"),
              elseGraph = node("Nonsense", {"x"}, {"e"}) + output("e");
  std::string graph =
      node("If", {"c"}, {"y"}, graphAttribute("then_branch", thenGraph) + graphAttribute("else_branch", elseGraph)) +
      initializer("c", {}, 9, std::string(1, '\1')) + kX + kY;
  std::string text = import(model(graph));
  EXPECT_EQ(text.find("scf.if"), std::string::npos) << text;
}

TEST_F(OnnxImport, unknown_condition_becomes_a_branch) {
  std::string thenGraph = node("Relu", {"x"}, {"t"}) + output("t"), elseGraph = node("Abs", {"x"}, {"e"}) + output("e");
  std::string attributes = graphAttribute("then_branch", thenGraph) + graphAttribute("else_branch", elseGraph);
  accept(model(node("If", {"c"}, {"y"}, attributes) + input("c", {"1"}, 9) + kX + kY), {"graph.read_scalar", "scf.if"});
}

TEST_F(OnnxImport, function_is_inlined_with_its_attributes) {
  std::string reference = bytes(5, bytes(1, "axis") + number(20, 2) + bytes(21, "where"));
  std::string function =
      bytes(25, bytes(1, "f") + bytes(4, "a") + bytes(5, "b") + bytes(6, "where") + bytes(10, "my") +
                    node("Flatten", {"a"}, {"b"}, reference, "flat", "", 7) + bytes(9, number(2, 17)));
  accept(
      model(node("f", {"x"}, {"y"}, intAttribute("where", 0), "call", "my") + kX + kY, 17, opset(1, "my") + function),
      {"tensor<1x6xf32>"});
}

TEST_F(OnnxImport, all_unsupported_nodes_are_listed) {
  refuse(model(node("Gradient", {"x"}, {"a"}, "", "first") + node("Relu", {"a"}, {"b"}) +
               node("Gizmo", {"b"}, {"y"}, "", "second", "com.example") + kX + kY),
         {"2 nodes are not supported", "Gradient (opset 17)", "'first'", "com.example::Gizmo", "'second'"});
}

TEST_F(OnnxImport, damaged_files) {
  std::string whole = model(node("Relu", {"x"}, {"y"}) + kX + kY);
  refuse("", {"empty"});
  refuse("This is not a model.", {"not a whole ONNX model"});
  for (size_t size = 1; size < whole.size(); ++size)
    EXPECT_EQ(import(whole.substr(0, size)).rfind("error: ", 0), 0u) << size;
  for (size_t i = 0; i < whole.size() * 8; ++i) {
    std::string flipped = whole;
    flipped[i / 8] ^= 1 << (i % 8);
    import(flipped); // a module or an error, never a crash
  }
}

TEST_F(OnnxImport, files_that_are_none) {
  mlir::MLIRContext context;
  std::string text;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &d) { text += d.str() + "\n"; });
  EXPECT_TRUE(mlir::failed(importOnnx(context, folder)));
  EXPECT_TRUE(mlir::failed(importOnnx(context, "/dev/zero")));
  EXPECT_TRUE(mlir::failed(importOnnx(context, (folder + "/absent.onnx").str())));
  for (const char *part : {"is a directory", "not a regular file", "No such file"})
    EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST_F(OnnxImport, versions) {
  std::string graph = node("Relu", {"x"}, {"y"}) + kX + kY;
  refuse(model(graph, 99999), {"operator set 99999", "1 to"});
  refuse(model(graph, 0), {"operator set 0", "1 to"});
  refuse(number(1, 9999) + opset(17) + bytes(7, graph), {"IR version 9999"});
  refuse(number(1, 8) + bytes(7, graph), {"operator set"});
  refuse(number(1, 8) + opset(17), {"no graph"});
}

TEST_F(OnnxImport, broken_graphs) {
  refuse(model(node("Add", {"x", "b"}, {"a"}, "", "one") + node("Relu", {"a"}, {"b"}, "", "two") +
               node("Relu", {"b"}, {"y"}) + kX + kY),
         {"cycle", "'one'", "'two'"});
  refuse(model(node("Relu", {"nowhere"}, {"y"}, "", "n") + kX + kY), {"'n' (Relu)", "'nowhere'"});
  refuse(model(node("Relu", {"x"}, {"z"}) + kX + kY), {"output 'y'"});
  refuse(model(node("Relu", {"x"}, {"y"}) + node("Abs", {"x"}, {"y"}, "", "n") + kX + kY), {"'n'", "'y'"});
  refuse(model(node("Relu", {"x"}, {"y"}) + kX + kX + kY), {"input 'x'", "twice"});
  refuse(model(node("Relu", {"x"}, {"x"}) + kX + output("x")), {"cycle"});
  refuse(model(node("Relu", {"x"}, {"y"}) + input("x", {"-5"}) + kY), {"'x'", "-5"});
  refuse(model(node("Relu", {"x"}, {"y"}) + input("x", {"4611686018427387904", "4"}) + kY), {"'x'", "elements"});
  refuse(model(node("Relu", {"x"}, {"y"}) + input("x", {"2"}, 14) + kY), {"'x'", "complex64"});
  refuse(model(node("Relu", {"x"}, {"y"}, "", "n") + input("x", {"2"}, 8) + kY),
         {"'n' (Relu)", "input 0 is string[2], expected numbers"});
}

TEST_F(OnnxImport, wrong_nodes) {
  refuse(model(node("Softmax", {"x"}, {"y"}, stringAttribute("axis", "last"), "n") + kX + kY),
         {"'n' (Softmax)", "'axis'", "an integer", "a string"});
  refuse(model(node("Softmax", {"x"}, {"y"}, intAttribute("axis", 5), "n") + kX + kY), {"'n'", "5"});
  refuse(model(node("MatMul", {"x"}, {"y"}, "", "n") + kX + kY), {"'n'", "input 1 is missing"});
  refuse(model(node("Relu", {"x", "x"}, {"y"}, "", "n") + kX + kY), {"'n'", "2 inputs"});
  refuse(model(node("Cast", {"x"}, {"y"}, intAttribute("to", 99), "n") + kX + kY), {"'n'", "99"});
  refuse(model(node("ConstantOfShape", {"s"}, {"y"}, "", "n") + kX + kY +
               initializer("s", {2}, 7, integers({int64_t(1) << 40, int64_t(1) << 40}))),
         {"'n'"});
}

TEST_F(OnnxImport, wrong_weights) {
  auto with = [](const std::string &weight) { return model(node("Add", {"x", "w"}, {"y"}) + weight + kX + kY); };
  refuse(with(initializer("w", {2, 3}, 1, floats(5))), {"'w'", "20 bytes", "24"});
  refuse(with(initializer("w", {2, 3}, 1, floats(7))), {"'w'", "28 bytes"});
  refuse(with(initializer("w", {-2, 3}, 1, floats(6))), {"'w'", "negative"});
  refuse(with(initializer("w", {int64_t(1) << 62, 8}, 1, "")), {"'w'", "elements"});
  refuse(with(initializer("w", {2, 3}, 77, floats(6))), {"'w'", "77"});
  refuse(with(initializer("w", {2, 3}, 1, floats(6)) + initializer("w", {2, 3}, 1, floats(6))), {"'w'", "twice"});
  refuse(with(bytes(5, tensor("w", {2, 3}, 1, floats(6)) + bytes(4, floats(6)))), {"'w'", "at once"});
}

TEST_F(OnnxImport, typed_data_is_decoded) {
  std::string typed = number(1, 2) + number(1, 3) + number(2, 1) + bytes(8, "w") + bytes(4, floats(6, 0, 0));
  accept(model(node("Add", {"x", "w"}, {"y"}) + bytes(5, typed) + kX + kY), {"arith.addf"});
}

TEST_F(OnnxImport, external_data_stays_in_the_folder) {
  write("data.bin", std::string(64, '\0'));
  auto with = [](const std::string &location, const std::string &offset) {
    auto entry = [](const std::string &key, const std::string &text) {
      return bytes(13, bytes(1, key) + bytes(2, text));
    };
    std::string weight = number(1, 2) + number(1, 3) + number(2, 1) + bytes(8, "w") + number(14, 1) +
                         entry("location", location) + entry("offset", offset) + entry("length", "24");
    return model(node("Add", {"x", "w"}, {"y"}) + bytes(5, weight) + kX + kY);
  };
  accept(with("data.bin", "32"), {"arith.addf"});
  refuse(with("data.bin", "48"), {"'data.bin'", "64 bytes"});
  refuse(with("data.bin", "-8"), {"offset"});
  refuse(with("data.bin", "9223372036854775808"), {"offset"});
  refuse(with("../data.bin", "0"), {"out of the model's folder"});
  refuse(with("/etc/passwd", "0"), {"absolute"});
  refuse(with("absent.bin", "0"), {"'absent.bin'"});
  refuse(with(".", "0"), {"directory"});
  ASSERT_EQ(symlink("data.bin", (folder + "/link.bin").str().c_str()), 0);
  refuse(with("link.bin", "0"), {"symbolic link"});
  ASSERT_EQ(link((folder + "/data.bin").str().c_str(), (folder + "/hard.bin").str().c_str()), 0);
  refuse(with("hard.bin", "0"), {"hard link"});
}

TEST_F(OnnxImport, functions_that_never_end) {
  auto function = [](const std::string &name, const std::string &body) {
    return bytes(25, bytes(1, name) + bytes(4, "a") + bytes(5, "b") + bytes(10, "my") + body + bytes(9, number(2, 17)));
  };
  auto call = [](const char *name, const char *from, const char *to) {
    return node(name, {from}, {to}, "", "", "my", 7);
  };
  std::string graph = node("f", {"x"}, {"y"}, "", "n", "my") + kX + kY;
  refuse(model(graph, 17, opset(1, "my") + function("f", call("f", "a", "b"))), {"calls itself"});
  std::string doubling = opset(1, "my") + function("f", node("Relu", {"a"}, {"b"}, "", "", "", 7));
  for (int i = 0; i < 40; ++i) {
    std::string below = i ? "f" + std::to_string(i - 1) : "f";
    doubling += function("f" + std::to_string(i), call(below.c_str(), "a", "c") + call(below.c_str(), "c", "b"));
  }
  refuse(model(node("f39", {"x"}, {"y"}, "", "n", "my") + kX + kY, 17, doubling), {"too large"});
}

/// A FunctionProto "my::f" of one node.
std::string functionOf(const std::string &body) {
  return bytes(1, "f") + bytes(4, "a") + bytes(5, "b") + bytes(10, "my") + body + bytes(9, number(2, 17));
}
const std::string kCall =
    model(node("f", {"x"}, {"y"}, intAttribute("where", 0), "n", "my") + kX + kY, 17, opset(1, "my"));

TEST_F(OnnxImport, damaged_libraries_of_functions) {
  std::string flatten =
      node("Flatten", {"a"}, {"b"}, bytes(5, bytes(1, "axis") + number(20, 2) + bytes(21, "where")), "flat", "", 7);
  ImportOptions options;
  auto importWith = [&](const std::string &library) {
    options.functions = {write("library.onnx", library)};
    return import(kCall, options);
  };
  for (const std::string &whole : {functionOf(flatten), number(1, 8) + bytes(25, functionOf(flatten))}) {
    EXPECT_NE(importWith(whole).find("tensor<1x6xf32>"), std::string::npos);
    for (size_t size = 0; size < whole.size(); ++size)
      importWith(whole.substr(0, size)); // a module or an error, never a crash
    for (size_t i = 0; i < whole.size() * 8; i += 5) {
      std::string flipped = whole;
      flipped[i / 8] ^= 1 << (i % 8);
      importWith(flipped);
    }
  }
}

TEST_F(OnnxImport, a_callback_expands_what_nobody_else_does) {
  ImportOptions options;
  ExpandAnswer answer;
  ExpandNode seen;
  options.expanders.push_back({"my", "f", [&](const ExpandNode &asked) {
                                 seen = asked;
                                 return answer;
                               }});
  EXPECT_NE(import(kCall, options).find("my::f"), std::string::npos); // it leaves the node to others
  ASSERT_EQ(seen.inputs.size(), 1u);
  EXPECT_EQ(seen.inputs[0].type, 1);
  EXPECT_EQ(seen.inputs[0].dims, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(seen.place, "n");
  EXPECT_EQ(seen.version, 1);
  answer.function = functionOf(node("Relu", {"a"}, {"b"}, "", "", "", 7));
  EXPECT_NE(import(kCall, options).find("arith.maximumf"), std::string::npos);
  for (size_t size = 0; size < answer.function->size(); ++size) {
    std::string whole = std::exchange(*answer.function, answer.function->substr(0, size));
    import(kCall, options); // a module or an error, never a crash
    answer.function = whole;
  }
  answer.error = "out of order";
  EXPECT_NE(import(kCall, options).find("node 'n' (f): its expansion failed: out of order"), std::string::npos);
}

TEST_F(OnnxImport, nesting_is_bounded) {
  std::string graph = node("Relu", {"x"}, {"y"}) + kY;
  for (int i = 0; i < 3000; ++i)
    graph = node("If", {"c"}, {"y"}, graphAttribute("then_branch", graph)) + kY;
  refuse(model(graph + kX), {"nested deeper"});
}

} // namespace
