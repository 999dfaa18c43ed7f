// Optional values as inputs and outputs.
#include <gtest/gtest.h>

#include <string>

#include "runtime/testing/sequences.h"

namespace eyrie::rt::testing {
namespace {

using abi::VmOp;

constexpr eyrie_tensor_t kNothing = {nullptr, 0, EYRIE_NONE, 0, {}};

Value OptionalTensor(std::string name, uint8_t type, std::vector<Dim> dims) { return {name, type, dims, 2, false}; }
Value AnyOptionalTensor(std::string name, uint8_t type) { return {name, type, {}, 2, true}; }
Value OptionalSequence(std::string name, uint8_t type, std::vector<Dim> dims) { return {name, type, dims, 3, false}; }

// y = the number of elements of the list that x is in the program.
Function LengthOf(const Value& x) {
  Function f;
  f.arguments = {x};
  f.results = {{"y", EYRIE_F32, {-1}}};
  f.Op(VmOp::kListArg, {0, 0}).Op(VmOp::kListSize, {0, 0}).Op(VmOp::kBufResult, {0, 0, 1, 0});
  f.Op(VmOp::kSubmitWait).Op(VmOp::kReturn);
  return f;
}

TEST(Optionals, TensorsPassThrough) {
  Session session(ModuleOf(Echo(AnyOptionalTensor("x", EYRIE_F32), AnyOptionalTensor("y", EYRIE_F32))));
  std::vector<float> x = {1, 2, 3};
  eyrie_tensor_t input = F32(x, {3}), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  EXPECT_EQ(output.type, static_cast<uint32_t>(EYRIE_F32));
  ASSERT_EQ(output.rank, 1u);
  EXPECT_EQ(output.dims[0], 3);
  EXPECT_NE(output.data, x.data());
  EXPECT_EQ(static_cast<float*>(output.data)[2], 3);
  output = {};
  ASSERT_OK(session.Call(&kNothing, 1, &output, 1));
  EXPECT_EQ(output.type, static_cast<uint32_t>(EYRIE_NONE));
  EXPECT_EQ(output.data, nullptr);
  EXPECT_EQ(output.size_bytes, 0u);
}

TEST(Optionals, SequencesPassThrough) {
  Session session(ModuleOf(Echo(OptionalSequence("x", EYRIE_F32, {-1, 2}), OptionalSequence("y", EYRIE_F32, {-1, 2}))));
  Floats x;
  for (int count : {0, 1, 2}) {
    eyrie_tensor_t input = x.Get(), output = {};
    ASSERT_OK(session.Call(&input, 1, &output, 1));
    EXPECT_EQ(output.type, static_cast<uint32_t>(EYRIE_SEQUENCE));
    ASSERT_EQ(output.dims[0], count);
    EXPECT_EQ(output.size_bytes, count * sizeof(eyrie_tensor_t));
    for (int i = 0; i < count; ++i) EXPECT_EQ(FloatAt(output, i, 3), static_cast<float>(i + 4));
    x.Add({0, 0, 0, static_cast<float>(count + 4)}, {2, 2});
  }
  eyrie_tensor_t output = {};
  ASSERT_OK(session.Call(&kNothing, 1, &output, 1));
  EXPECT_EQ(output.type, static_cast<uint32_t>(EYRIE_NONE));
}

TEST(Optionals, OfStrings) {
  Session session(ModuleOf(Echo(OptionalSequence("x", EYRIE_STRING, {-1}), OptionalSequence("y", EYRIE_STRING, {-1}))));
  std::vector<eyrie_string_t> words = {{"bird", 4}, {"", 0}};
  std::vector<eyrie_tensor_t> elements = {TensorOf(EYRIE_STRING, words, {2})};
  eyrie_tensor_t input = SequenceOf(elements), output = {};
  ASSERT_OK(session.Call(&input, 1, &output, 1));
  ASSERT_EQ(output.dims[0], 1);
  const auto& found = static_cast<const eyrie_string_t*>(At(output, 0).data)[0];
  EXPECT_EQ(std::string(found.data, found.size), "bird");
}

TEST(Optionals, AreListsInTheProgram) {
  Floats x;
  auto length = [&](const Value& value, const eyrie_tensor_t& input) -> int64_t {
    eyrie_tensor_t output = {};
    EXPECT_OK(Session(ModuleOf(LengthOf(value))).Call(&input, 1, &output, 1));
    return output.dims[0];
  };
  Value tensor = OptionalTensor("x", EYRIE_F32, {2}), sequence = OptionalSequence("x", EYRIE_F32, {2});
  EXPECT_EQ(length(tensor, kNothing), 0);
  EXPECT_EQ(length(sequence, kNothing), 0);
  EXPECT_EQ(length(sequence, x.Get()), 1);
  x.Add({1, 2}, {2});
  EXPECT_EQ(length(tensor, x.elements[0]), 1);
  EXPECT_EQ(length(sequence, x.Get()), 2);
}

TEST(Optionals, RefuseWrongInputs) {
  Session session(ModuleOf(Echo(OptionalTensor("x", EYRIE_F32, {-1, 3}), AnyOptionalTensor("y", EYRIE_F32))));
  std::vector<float> x(4);
  eyrie_tensor_t input = F32(x, {2, 2}), output = {};
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "input 0 'x': expected optional ?x3xf32, got 2x2xf32");
  Floats elements;
  input = elements.Get();
  EXPECT_STATUS(session.Call(&input, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "got a sequence");
  output.data = x.data();
  EXPECT_STATUS(session.Call(&kNothing, 1, &output, 1), EYRIE_INVALID_ARGUMENT,
                "output 0 'y' is optional: its data must be null");
  // A plain tensor must be there.
  output = {};
  Session plain(ModuleOf(Echo(AnySequence("x", EYRIE_F32), AnySequence("y", EYRIE_F32))));
  EXPECT_STATUS(plain.Call(&kNothing, 1, &output, 1), EYRIE_INVALID_ARGUMENT, "expected sequence of f32, got nothing");
}

TEST(Optionals, RefuseWrongResults) {
  Floats x;
  x.Add({1, 2}, {2});
  x.Add({1, 2}, {2});
  eyrie_tensor_t input = x.Get(), output = {};
  Value from = AnySequence("x", EYRIE_F32);
  EXPECT_STATUS(Session(ModuleOf(Echo(from, AnyOptionalTensor("y", EYRIE_F32)))).Call(&input, 1, &output, 1),
                EYRIE_FAILED_PRECONDITION, "result 0 'y', an optional tensor, is a list of 2");
  // The first element is only looked at as a mark.
  EXPECT_STATUS(Session(ModuleOf(Echo(from, OptionalSequence("y", EYRIE_F32, {3})))).Call(&input, 1, &output, 1),
                EYRIE_INVALID_ARGUMENT, "element 1: expected 3xf32, got 2xf32");
}

TEST(Optionals, Reflect) {
  Session session(ModuleOf(Echo(OptionalTensor("x", EYRIE_F32, {-1, 3}), OptionalSequence("y", EYRIE_F32, {-1}))));
  eyrie_value_info_t value;
  EXPECT_OK(Status(eyrie_module_argument(session.module, 0, 0, &value)));
  EXPECT_TRUE(value.is_optional && !value.is_sequence);
  EXPECT_EQ(value.rank, 2u);
  EXPECT_OK(Status(eyrie_module_result(session.module, 0, 0, &value)));
  EXPECT_TRUE(value.is_optional && value.is_sequence);
}

}  // namespace
}  // namespace eyrie::rt::testing
