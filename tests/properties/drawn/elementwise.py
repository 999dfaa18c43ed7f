"""Operators that compute each element by itself."""
import numpy as np
from draw import FLOATS, INTEGERS, NUMBERS, operator

# Operator -> the range of its arguments.
UNARY = {"Abs": (-9, 9), "Acos": (-1, 1), "Acosh": (1, 50), "Asin": (-1, 1), "Asinh": (-50, 50), "Atan": (-50, 50),
         "Atanh": (-0.99, 0.99), "Ceil": (-9, 9), "Cos": (-50, 50), "Cosh": (-5, 5), "Erf": (-4, 4), "Exp": (-9, 9),
         "Floor": (-9, 9), "HardSwish": (-9, 9), "Log": (0.01, 99), "Neg": (-9, 9), "Reciprocal": (0.1, 9),
         "Relu": (-9, 9), "Round": (-9, 9), "Sigmoid": (-20, 20), "Sign": (-9, 9), "Sin": (-50, 50), "Sinh": (-5, 5),
         "Softplus": (-20, 20), "Softsign": (-9, 9), "Sqrt": (0, 99), "Tan": (-1.4, 1.4), "Tanh": (-9, 9),
         "Mish": (-9, 9), "Gelu": (-9, 9)}
NEWER = {"Mish": (18, 22), "Gelu": (20, 21), "HardSwish": (14, 22)}
# Nothing special comes in: what infinities give there, runtimes do not agree on.
PLAIN = {"Acos", "Acosh", "Asin", "Atanh", "Gelu", "Sign", "Cos", "Sin", "Tan"}


def unary(draw, op):
    integral = INTEGERS[:4] if op in ("Abs", "Neg", "Sign") and draw.chance(0.3) else None
    x = draw.values(draw.shape(), draw.choice(integral or FLOATS), *UNARY[op])
    if op == "Round":
        x = np.round(x * 2).astype(x.dtype) / 2  # halves go to the even side
    attributes = {"approximate": draw.choice(["none", "tanh"])} if op == "Gelu" else {}
    return draw.case(op, x if op in PLAIN else draw.with_specials(x), **attributes)


for name in UNARY:
    operator(name, opsets=NEWER.get(name, (13, 17, 22)))(unary)

# Operator -> attributes, each with the range that it is drawn from.
WITH_ATTRIBUTES = {"Celu": {"alpha": (0.1, 3)}, "Elu": {"alpha": (-1, 3)}, "HardSigmoid": {"alpha": (0, 1), "beta": (0, 1)},
                   "LeakyRelu": {"alpha": (-1, 1)}, "Selu": {"alpha": (0, 2), "gamma": (0, 2)},
                   "Shrink": {"lambd": (0, 2), "bias": (-1, 1)}, "ThresholdedRelu": {"alpha": (-1, 3)}}


@operator(*WITH_ATTRIBUTES)
def activation(draw, op):
    dtype = np.float32 if op == "Celu" else draw.choice(FLOATS)
    given = {name: draw.random.uniform(*limits) for name, limits in WITH_ATTRIBUTES[op].items() if draw.chance(0.7)}
    return draw.case(op, draw.values(draw.shape(), dtype, -6, 6), **given)


@operator("Add", "Sub", "Mul", "Div")
def arithmetic(draw, op):
    dtype = draw.choice(NUMBERS)
    a, b = draw.operands()
    right = draw.values(b, dtype, -9, 9)
    if op == "Div":
        right = np.where(np.abs(right) < 0.1, np.ones_like(right), right)
    return draw.case(op, draw.values(a, dtype, -90, 90), right)


@operator("Mod")
def mod(draw, op):
    dtype = draw.choice(NUMBERS)
    a, b = draw.operands()
    right = draw.values(b, dtype, -9, 9)
    right = np.where(np.abs(right) < 1, np.ones_like(right), right)
    fmod = 1 if np.dtype(dtype).kind == "f" else draw.integer(0, 1)
    left = draw.values(a, dtype, -90, 90)
    if fmod and left.dtype.kind == "f":  # quotients near an integer would jump
        left, right = np.round(left), np.round(right)
    return draw.case(op, left, right, fmod=fmod)


@operator("Pow")
def power(draw, op):
    a, b = draw.operands()
    if draw.chance(0.3):
        dtype = draw.choice([np.int32, np.int64])
        return draw.case(op, draw.values(a, dtype, -5, 5), draw.values(b, draw.choice([np.int32, np.int64, np.float32]), 0, 5).round())
    dtype = draw.choice(FLOATS)
    if draw.chance(0.5):
        return draw.case(op, draw.values(a, dtype, -3, 3), draw.values(b, draw.choice([np.int64, np.float32]), -3, 3).round(), tolerance=1e-4)
    return draw.case(op, draw.values(a, dtype, 0.1, 5), draw.values(b, dtype, -2, 2), tolerance=1e-4)


@operator("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", opsets=(16, 19, 21))
def comparison(draw, op):
    dtype = draw.choice([*NUMBERS, bool] if op == "Equal" else NUMBERS)
    return draw.case(op, *(draw.with_specials(draw.values(shape, dtype, -3, 3).round() if dtype != bool else draw.values(shape, dtype))
                           for shape in draw.operands()))


@operator("And", "Or", "Xor")
def logical(draw, op):
    return draw.case(op, *(draw.values(shape, bool) for shape in draw.operands()))


@operator("Not")
def negation(draw, op):
    return draw.case(op, draw.values(draw.shape(), bool))


@operator("BitwiseAnd", "BitwiseOr", "BitwiseXor", opsets=(18, 21))
def bitwise(draw, op):
    dtype = draw.choice(INTEGERS)
    return draw.case(op, *(draw.values(shape, dtype, -2**62, 2**62) for shape in draw.operands()))


@operator("BitwiseNot", opsets=(18, 21))
def bitwise_not(draw, op):
    return draw.case(op, draw.values(draw.shape(), draw.choice(INTEGERS), -2**62, 2**62))


@operator("BitShift")
def bit_shift(draw, op):
    dtype = draw.choice([np.uint8, np.uint16, np.uint32, np.uint64])
    a, b = draw.operands()
    return draw.case(op, draw.values(a, dtype, 0, 2**62), draw.values(b, dtype, 0, 7), direction=draw.choice(["LEFT", "RIGHT"]))


@operator("Max", "Min", "Sum", "Mean")
def variadic(draw, op):
    dtype = draw.choice(NUMBERS if op in ("Max", "Min") else [np.float32, np.float64])
    arrays = [draw.values(shape, dtype) for shape in draw.operands(draw.integer(1, 4))]
    return draw.case(op, *(map(draw.with_specials, arrays) if op in ("Max", "Min") else arrays))


@operator("Where")
def where(draw, op):
    dtype = draw.choice([*NUMBERS, bool])
    condition, a, b = draw.operands(3)
    return draw.case(op, draw.values(condition, bool), *(draw.with_specials(draw.values(shape, dtype)) for shape in (a, b)))


@operator("Clip")
def clip(draw, op):
    dtype = draw.choice(NUMBERS)
    low, high = (np.array(value, dtype) if draw.chance(0.8) else None for value in (1, 3))
    return draw.case(op, draw.with_specials(draw.values(draw.shape(), dtype, -6, 6)), low, high)


@operator("PRelu")
def prelu(draw, op):
    shape = draw.shape()
    dtype = draw.choice([np.float32, np.float64])
    return draw.case(op, draw.values(shape, dtype), draw.values(draw.broadcast(shape), dtype))


@operator("IsNaN")
def is_nan(draw, op):
    return draw.case(op, draw.with_specials(draw.values(draw.shape(), draw.choice(FLOATS))))


@operator("IsInf")
def is_inf(draw, op):
    signs = {name: draw.integer(0, 1) for name in ("detect_negative", "detect_positive")}
    return draw.case(op, draw.with_specials(draw.values(draw.shape(), draw.choice([np.float32, np.float64]))), **signs)


@operator("Cast")
def cast(draw, op):
    from onnx import helper
    source, target = draw.choice([*NUMBERS, bool]), draw.choice([*NUMBERS, bool])
    # Within every type's range: what lies outside is not defined.
    x = draw.values(draw.shape(), source, 0 if np.dtype(target).kind == "u" else -100, 100)
    return draw.case(op, x, to=helper.np_dtype_to_tensor_dtype(np.dtype(target)))


@operator("Dropout", "Identity")
def unchanged(draw, op):
    return draw.case(op, draw.values(draw.shape(), draw.choice(FLOATS)))
