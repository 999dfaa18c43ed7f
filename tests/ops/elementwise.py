"""Element by element: unary, binary with broadcasting, choices and conversions."""
import numpy as np
from cases import SPECIAL, Family, Weight, bools, f16, f32, f64, ints

family = Family()
add, both = family.add, family.both
SCALAR, EMPTY, PRIME = (), (0, 3), (7, 13)

UNARY = {
    "Abs": 13, "Neg": 13, "Exp": 13, "Log": 13, "Sqrt": 13, "Reciprocal": 13, "Erf": 13, "Tanh": 13, "Sigmoid": 13,
    "Relu": 14, "Elu": 6, "Selu": 6, "Celu": 12, "HardSigmoid": 6, "HardSwish": 14, "LeakyRelu": 16, "Softplus": 1,
    "Softsign": 1, "Mish": 18, "ThresholdedRelu": 10, "Floor": 13, "Ceil": 13, "Round": 11, "Sign": 13, "Sin": 7, "Cos": 7,
    "Tan": 7, "Asin": 7, "Acos": 7, "Atan": 7, "Sinh": 9, "Cosh": 9, "Asinh": 9, "Acosh": 9, "Atanh": 9, "Identity": 16,
}
RANGE = {"Log": (0.01, 9), "Sqrt": (0, 9), "Asin": (-1, 1), "Acos": (-1, 1), "Acosh": (1, 9), "Atanh": (-0.99, 0.99),
         "Tan": (-1.4, 1.4)}
# What is exact or has a plain limit at NaN and the infinities.
SPECIAL_UNARY = ["Abs", "Neg", "Exp", "Log", "Sqrt", "Erf", "Tanh", "Sigmoid", "Relu", "Floor", "Ceil", "Round",
                 "HardSigmoid", "Identity", "Reciprocal"]

for op, since in UNARY.items():
    opset = max(since, 17)
    low, high = RANGE.get(op, (-6, 6))
    both(op, f32(*PRIME, low=low, high=high), name="prime", opset=opset)
    add(op, f32(low=low, high=high), name="scalar", opset=opset)
    add(op, f32(*EMPTY), name="empty", opset=opset)
for op in SPECIAL_UNARY:
    add(op, SPECIAL, name="special")
for op in ["Exp", "Tanh", "Sigmoid", "Erf", "Log"]:
    low, high = (1e-30, 80) if op == "Log" else (-90, 88)
    add(op, f32(1000, low=low, high=high), name="wide", tolerance=2e-6)
add("Floor", f32(3, 0), name="open_and_empty", dims=[["n", 0]])
add("Sinh", f16(19, 5), name="f16", tolerance=4e-3)

for op in ["Sqrt", "Exp", "Tanh", "Sigmoid", "Floor", "Abs", "Neg"]:
    add(op, np.abs(f64(3, 5)), name="f64", tolerance=1e-7)
    add(op, np.abs(f16(3, 5)), name="f16", tolerance=2e-3)
add("Abs", ints(3, 5), name="i64")
add("Abs", ints(3, 5, dtype=np.int8), name="i8")
add("Neg", ints(3, 5, dtype=np.int32), name="i32")
add("Sign", ints(3, 5, dtype=np.int32), name="i32")
add("Sign", ints(7, low=0, high=3, dtype=np.uint8), name="u8")
add("Relu", ints(7, dtype=np.int32), name="i32")
add("Elu", f32(5, 3), name="alpha", alpha=0.3)
add("Selu", f32(5, 3), name="attributes", alpha=1.2, gamma=0.9)
add("Celu", f32(5, 3), name="alpha", alpha=2.0)
add("HardSigmoid", f32(5, 3), name="attributes", alpha=0.5, beta=0.4)
add("LeakyRelu", f32(5, 3), name="alpha", alpha=0.2)
add("ThresholdedRelu", f32(5, 3), name="alpha", alpha=0.4)
for approximate in "none", "tanh":
    both("Gelu", f32(5, 7), name=approximate, opset=20, approximate=approximate)
add("IsNaN", SPECIAL)
add("IsInf", SPECIAL)
add("IsInf", SPECIAL, detect_negative=0)
add("IsInf", SPECIAL, detect_positive=0)
both("Not", bools(3, 5))
add("BitwiseNot", ints(7, dtype=np.int32), opset=18)
add("BitwiseNot", ints(7, low=0, high=200, dtype=np.uint8), opset=18)

PAIRS = [((7, 13), (7, 13)), ((7, 13), (13,)), ((7, 13), (7, 1)), ((3, 1, 5), (4, 1)), ((), (3, 5)), ((3, 5), ()),
         ((2, 3, 4), (1,)), ((0, 3), (3,)), ((1, 5), (5, 1)), ((2, 1, 3, 1), (1, 4, 1, 5))]
for op in ["Add", "Sub", "Mul", "Div"]:
    for a, b in PAIRS:
        add(op, f32(*a), f32(*b, low=0.5, high=2))
    for a, b in PAIRS[:4]:
        add(op, f32(*a), f32(*b, low=0.5, high=2), name=f"r{len(a)}{len(b)}_{b[-1]}", dynamic=True)
    add(op, f32(5, 3), Weight(f32(3, low=0.5, high=2)), name="weight")
    add(op, Weight(f32(5, 1)), f32(5, 3, low=0.5, high=2), name="weight_first")
    for dtype in np.int32, np.int64, np.int8, np.uint8:
        add(op, ints(5, 7, low=0 if dtype == np.uint8 else -50, high=100, dtype=dtype), ints(7, low=1, high=9, dtype=dtype),
            name=np.dtype(dtype).name)
    add(op, f64(3, 5), np.abs(f64(5)) + 0.5, name="f64", tolerance=1e-12)
    add(op, f16(3, 5), np.abs(f16(5)) + np.float16(0.5), name="f16", tolerance=2e-3)
    add(op, SPECIAL, SPECIAL[::-1].copy(), name="special")
add("Div", ints(40, low=-50, high=50, dtype=np.int32), Weight(np.array([-7], np.int32)), name="truncates")
add("Add", f32(4, 5), f32(4, 5), name="several_sizes", dims=[["n", 5], ["n", 5]],
    also=[[f32(n, 5), f32(n, 5)] for n in (1, 9, 0)])
add("Add", f32(4, 5), f32(4, 5), name="either_repeats", dims=[["a", 5], ["b", 5]],
    also=[[f32(a, 5), f32(b, 5)] for a, b in ((3, 1), (1, 3), (1, 1), (0, 1), (1, 0), (0, 0))])
add("Sum", f32(4, 5), f32(4, 5), f32(4, 5), name="any_repeats", dims=[["a", 5], ["b", "n"], ["c", "m"]],
    also=[[f32(1, 5), f32(3, 1), f32(1, 5)], [f32(1, 5), f32(1, 5), f32(2, 1)], [f32(1, 5), f32(1, 1), f32(0, 5)]])
add("Mul", f32(4, 5), f32(5), name="several_sizes", dims=[["n", "m"], ["m"]], also=[[f32(2, 11), f32(11)], [f32(1, 1), f32(1)]])

for a, b in PAIRS[:5]:
    add("Pow", f32(*a, low=0.1, high=3), f32(*b, low=-2, high=3))
for power in 0.0, 0.5, 1.0, 2.0, 3.0, -1.0, -0.5:
    add("Pow", f32(7, 5, low=0.1, high=3), Weight(np.array(power, np.float32)), name=f"by_{power}")
add("Pow", f32(7, 5), Weight(np.array(2, np.int64)), name="by_integer")
add("Pow", f32(7, 5), Weight(np.array(3, np.float32)), name="negative_base")
add("Pow", ints(7, 5, dtype=np.int32), ints(7, 5, low=0, high=4, dtype=np.int32), name="i32")
for a, b in [(7, 3), (-7, 3), (7, -3), (-7, -3)]:
    add("Mod", np.array([a, 0, a + 1], np.int32), np.array([b], np.int32))
    add("Mod", np.array([a, 0, a + 1], np.float32), np.array([b], np.float32), fmod=1)
add("Mod", ints(9, low=0, high=200, dtype=np.uint8), ints(9, low=1, high=20, dtype=np.uint8))
add("Mod", ints(3, 9), ints(9, low=1, high=20), dynamic=True, name="broadcast")

for op in ["Min", "Max", "Sum", "Mean"]:
    add(op, f32(3, 5), name="one")
    both(op, f32(3, 5), f32(5), name="two")
    add(op, f32(3, 1), f32(5), f32(3, 5), name="three")
for op in ["Min", "Max"]:
    add(op, ints(3, 5), ints(5), name="i64")
    add(op, ints(3, 5, low=0, high=250, dtype=np.uint8), ints(5, low=0, high=250, dtype=np.uint8), name="u8")
    add(op, np.float32([np.nan, 1, np.inf]), np.float32([1, np.nan, -np.inf]), name="nan")
for op in ["Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Equal"]:
    both(op, ints(3, 5, low=0, high=3).astype(np.float32), ints(5, low=0, high=3).astype(np.float32), name="f32")
    add(op, ints(3, 5, low=0, high=3), ints(3, 1, low=0, high=3), name="i64")
    add(op, ints(9, low=100, high=250, dtype=np.uint8), ints(9, low=100, high=250, dtype=np.uint8), name="u8")
    add(op, SPECIAL, SPECIAL[::-1].copy(), name="special")
add("Equal", bools(9), bools(9), name="bool")
for op in ["And", "Or", "Xor"]:
    both(op, bools(3, 5), bools(5))
for op in ["BitwiseAnd", "BitwiseOr", "BitwiseXor"]:
    add(op, ints(3, 5, dtype=np.int32), ints(5, dtype=np.int32), opset=18)
for direction in "LEFT", "RIGHT":
    add("BitShift", ints(9, low=0, high=255, dtype=np.uint8), ints(9, low=0, high=7, dtype=np.uint8), direction=direction)
    add("BitShift", ints(9, low=0, high=255, dtype=np.uint64), ints(9, low=0, high=40, dtype=np.uint64), direction=direction)
add("PRelu", f32(2, 3, 4), f32(3, 1))
add("PRelu", f32(2, 3, 4), Weight(f32(1, 3, 1)))

both("Where", bools(3, 5), f32(3, 5), f32(3, 5))
add("Where", bools(3, 1), f32(5), f32(), name="broadcast")
add("Where", bools(), f32(2, 3), f32(3), name="scalar_condition")
add("Where", bools(4, 5), ints(4, 5), ints(5), name="i64")
LOW, HIGH = np.array(-0.4, np.float32), np.array(0.7, np.float32)
both("Clip", f32(7, 5), Weight(LOW), Weight(HIGH), name="weights")
add("Clip", f32(7, 5), LOW, HIGH, name="inputs")
add("Clip", f32(7, 5), Weight(LOW), name="low")
add("Clip", f32(7, 5), None, Weight(HIGH), name="high")
add("Clip", f32(7, 5), name="neither")
add("Clip", f32(7, 5), Weight(HIGH), Weight(LOW), name="crossed")
add("Clip", f32(7, 5), name="attributes", opset=7, min=-0.4, max=0.7)
add("Clip", ints(9, dtype=np.int32), Weight(np.array(-3, np.int32)), Weight(np.array(4, np.int32)), name="i32")
add("Clip", SPECIAL, Weight(LOW), Weight(HIGH), name="special")

TYPES = {"f32": 1, "u8": 2, "i8": 3, "u16": 4, "i16": 5, "i32": 6, "i64": 7, "bool": 9, "f16": 10, "f64": 11, "u32": 12,
         "u64": 13}
FROM = {"f32": f32(11, low=0, high=100), "i32": ints(11, low=0, high=100, dtype=np.int32), "i64": ints(11, low=0, high=100),
        "u8": ints(11, low=0, high=100, dtype=np.uint8), "bool": bools(11), "f16": np.abs(f16(11)), "f64": np.abs(f64(11))}
for source, array in FROM.items():
    for target, code in TYPES.items():
        add("Cast", array, name=f"{source}_{target}", to=code, tolerance=1e-3)
add("Cast", np.float32([-2.7, -0.5, 0.5, 2.7, -100]), name="truncates", to=7)
add("Cast", SPECIAL, name="special_bool", to=9)
add("Cast", f32(3, 5), name="f32_i32", dynamic=True, to=6)
add("CastLike", f32(3, 5), ints(1, dtype=np.int32))
add("Dropout", f32(3, 5), name="inference")
add("Dropout", f32(3, 5), Weight(np.array(0.5, np.float32)), Weight(np.array(False)), name="flag")
