#include "tools/eyrie/inputs.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tools/eyrie/elements.h"
#include "tools/eyrie/testing/errors.h"

namespace eyrie::cli {
namespace {

Function Make(std::vector<Value> inputs) { return {0, "main", std::move(inputs), {}}; }

const eyrie_dim_t kOpen = {-1, nullptr};
const Value kSequence = {"s", EYRIE_F32, {kOpen, {2, nullptr}}, true, false};
const Value kAnyRank = {"s", EYRIE_F32, {}, true, true};
const Value kStrings = {"t", EYRIE_STRING, {kOpen}};

std::string At(const Tensor& tensor, size_t index) { return ElementText(tensor.type, tensor.data.data(), index); }

TEST(Inputs, ElementsOfASequence) {
  std::vector<Argument> arguments = ReadInputs(Make({kSequence}), {"s.1=3x2xf32=0.5", "s.0=1x2xf32=1,2"});
  ASSERT_EQ(arguments.size(), 1u);
  ASSERT_TRUE(arguments[0].is_sequence());
  eyrie_tensor_t sequence = arguments[0].ToRuntime();
  EXPECT_EQ(sequence.type, static_cast<uint32_t>(EYRIE_SEQUENCE));
  EXPECT_EQ(sequence.rank, 1u);
  ASSERT_EQ(sequence.dims[0], 2);
  std::vector<eyrie_tensor_t> elements = ElementsOf(sequence);
  EXPECT_EQ(ShapeOf(elements[0]), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(ShapeOf(elements[1]), (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(At(arguments[0].tensors()[0], 1), "2");
}

TEST(Inputs, EmptySequence) {
  std::vector<Argument> arguments = ReadInputs(Make({kAnyRank}), {"s.len=0"});
  EXPECT_EQ(arguments[0].ToRuntime().dims[0], 0);
  EXPECT_EQ(arguments[0].ToRuntime().type, static_cast<uint32_t>(EYRIE_SEQUENCE));
}

TEST(Inputs, ATensorWithADotInItsName) {
  std::vector<Argument> arguments = ReadInputs(Make({kAnyRank, {"s.0", EYRIE_I64, {}}}), {"s.len=0", "s.0=i64=3"});
  EXPECT_FALSE(arguments[1].is_sequence());
  EXPECT_EQ(At(arguments[1].tensors()[0], 0), "3");
}

TEST(Inputs, WrongSequences) {
  Function function = Make({kSequence});
  auto error = [&](const std::vector<std::string>& inputs) { return ErrorOf([&] { ReadInputs(function, inputs); }); };
  EXPECT_EQ(error({}), "inputs are missing: 's' sequence of ?x2xf32; give each part as --input s.0=@FILE.npy");
  EXPECT_EQ(
      error({"s=1x2xf32=0"}),
      "the input 's' is a sequence of ?x2xf32: give its elements as 's.0', 's.1', ..., or 's.len' = 0 if it is empty");
  EXPECT_EQ(error({"s.0=1x3xf32=0"}), "input 's.0': expected ?x2xf32, found 1x3xf32 in --input");
  EXPECT_EQ(error({"s.0=1x2xi64=0"}), "input 's.0': expected ?x2xf32, found 1x2xi64 in --input");
  EXPECT_EQ(error({"s.1=1x2xf32=0"}), "the sequence 's' has 2 elements, of which there is no 's.0'");
  EXPECT_EQ(error({"s.len=2", "s.0=1x2xf32=0"}), "the sequence 's' has 2 elements, of which there is no 's.1'");
  EXPECT_EQ(error({"s.len=-1"}), "--input s.len=-1: expected the number of elements or @FILE.npy");
  EXPECT_EQ(error({"s.0=1x2xf32=0", "s.0=1x2xf32=0"}), "--input 's.0' is given twice");
  EXPECT_EQ(ErrorOf([] { ReadInputs(Make({kAnyRank}), {"s.0=i64=1"}); }),
            "input 's.0': expected f32 of any rank, found i64 in --input");
}

TEST(Inputs, MadeUpStrings) {
  auto text = [](const std::string& input) {
    std::vector<Argument> arguments = ReadInputs(Make({kStrings}), {"t=" + input});
    const Tensor& tensor = arguments[0].tensors()[0];
    std::string result;
    for (size_t i = 0; i < tensor.count(); ++i) result += At(tensor, i);
    return result;
  };
  EXPECT_EQ(text("2xstring=a,b=c"), "\"a\"\"b=c\"");
  EXPECT_EQ(text("3xstring=a"), "\"a\"\"a\"\"a\"");
  EXPECT_EQ(text("3xstring=,a\\,b,\\\\"), "\"\"\"a,b\"\"\\\\\"");
  EXPECT_EQ(text("0xstring="), "");
  EXPECT_EQ(ErrorOf([&] { text("2xstring=a,b,c"); }),
            "--input t=2xstring=a,b,c: there are 3 values for 2 elements; expected @FILE.npy or, as an example, "
            "1x3xf32=0.5");
}

TEST(Inputs, WhatBenchMakesUp) {
  EXPECT_EQ(
      ErrorOf([] { MakeInputs(Make({kSequence}), {}, {}); }),
      "input 's' is a sequence of ?x2xf32: give the shape of an element, as in --shape s=1x3x224x224, or the input "
      "itself with --input");
  EXPECT_EQ(ErrorOf([] { MakeInputs(Make({kAnyRank}), {}, {}); }),
            "input 's' is a sequence of f32: give the shape of an element, as in --shape s=1x3x224x224, or the input "
            "itself with --input");
  EXPECT_EQ(ErrorOf([] { MakeInputs(Make({kSequence}), {}, {"s.0=1x2"}); }),
            "--shape s.0=1x2: expected the name of an input, 's'");
  std::vector<Argument> arguments = MakeInputs(Make({kSequence, kStrings}), {}, {"s=4x2", "t=3"});
  ASSERT_EQ(arguments[0].tensors().size(), 1u);
  EXPECT_EQ(arguments[0].tensors()[0].shape, (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(At(arguments[1].tensors()[0], 2), "\"\"");
  Value rows = {"a", EYRIE_F32, {{-1, "n"}, {3, nullptr}}, false, false};
  Value columns = {"b", EYRIE_F32, {{-1, "m"}, {-1, "n"}}, false, false};
  arguments = MakeInputs(Make({rows, columns}), {}, {"n=5", "m=0"});
  EXPECT_EQ(arguments[0].tensors()[0].shape, (std::vector<int64_t>{5, 3}));
  EXPECT_EQ(arguments[1].tensors()[0].shape, (std::vector<int64_t>{0, 5}));
  auto error = [&](const std::vector<std::string>& shapes) {
    return ErrorOf([&] { MakeInputs(Make({rows, columns}), {}, shapes); });
  };
  EXPECT_EQ(error({"n=2x3"}), "--shape n=2x3: '2x3' is not a size");
  EXPECT_EQ(error({"n=-1"}), "--shape n=-1: '-1' is not a size");
  EXPECT_EQ(error({"n=5", "n=6"}), "--shape n=6: the size of 'n' is given twice");
  EXPECT_EQ(error({"a=5x3", "a=6x3"}), "--shape a=6x3: the shape of 'a' is given twice");
  EXPECT_EQ(error({"a=5x3", "n=6"}), "input 'a': its dimension 'n' is 5, but 6 elsewhere");
  Value alike = {"n", EYRIE_F32, {{-1, "n"}}, false, false};
  EXPECT_EQ(ErrorOf([&] { MakeInputs(Make({alike}), {}, {}); }),
            "input 'n' is nxf32: give its shape, as in --shape n=1x3x224x224, or the input itself with --input");
  EXPECT_EQ(error({"k=1"}), "--shape: there is no 'k'; there is 'a' nx3xf32, 'b' mxnxf32");
  EXPECT_EQ(error({"n=5"}),
            "input 'b' is mxnxf32: give its shape, as in --shape b=1x3x224x224, --shape m=8, or the input itself with "
            "--input");
  Value known = {"s", EYRIE_F32, {{2, nullptr}}, true, false};
  EXPECT_EQ(MakeInputs(Make({known}), {}, {})[0].ToRuntime().dims[0], 1);
}

}  // namespace
}  // namespace eyrie::cli
