"""Random choices that a seed repeats: sizes, shapes, values, axes; and the table of operators that cases are drawn for."""
import numpy as np
from cases import Case, Weight

FLOATS = [np.float32, np.float64, np.float16]
INTEGERS = [np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64]
NUMBERS = [*FLOATS, *INTEGERS]
# Beside 0 and 1: primes, and sizes at and around those of vectors.
SIZES = [2, 3, 4, 5, 7, 8, 9, 11, 13, 15, 16, 17, 19, 23, 31, 32, 33]
MOST_ELEMENTS = 4096

# Operator -> a function that draws one case of it.
OPERATORS = {}


def operator(*names, opsets=(13, 17, 21)):
    """Registers a function of (draw, operator) that returns a Case, for operators that have one signature."""
    def register(function):
        for name in names:
            assert name not in OPERATORS, f"{name} is there twice"
            OPERATORS[name] = (function, opsets)
        return function
    return register


class Draw:
    """One stream of random choices; `opset` is that of the model which the cases will be part of."""

    def __init__(self, random: np.random.Generator, opset: int):
        self.random, self.opset = random, opset

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self.random.integers(low, high + 1))

    def choice(self, options):
        return options[self.integer(0, len(options) - 1)]

    def size(self, zero=True) -> int:
        if zero and self.chance(0.03):
            return 0
        return 1 if self.chance(0.2) else self.choice(SIZES)

    def shape(self, least=0, most=4, zero=True) -> list:
        rank = self.integer(least, most)
        return self.limited([self.size(zero) for _ in range(rank)])

    def limited(self, shape: list) -> list:
        """The shape with sizes made smaller until it has few enough elements."""
        shape = list(shape)
        while np.prod(shape, dtype=np.int64) > MOST_ELEMENTS:
            shape[int(np.argmax(shape))] //= 2
        return shape

    def broadcast(self, shape: list) -> list:
        """A shape that broadcasts to `shape`."""
        part = shape[self.integer(0, len(shape)):] if self.chance(0.4) else shape
        return [1 if self.chance(0.25) else n for n in part]

    def operands(self, count=2, most=4) -> list:
        """Shapes that broadcast together."""
        whole = self.shape(0, most)
        return [whole if self.chance(0.4) else self.broadcast(whole) for _ in range(count)]

    def axis(self, rank: int) -> int:
        return self.integer(-rank, rank - 1)

    def axes(self, rank: int, least=0) -> list:
        """Different axes in any order, some of them negative."""
        chosen = self.random.permutation(rank)[:self.integer(min(least, rank), rank)]
        return [int(axis) - (rank if self.chance(0.3) else 0) for axis in chosen]

    def values(self, shape, dtype=np.float32, low=-4.0, high=4.0) -> np.ndarray:
        """Any numbers of the range (integers: within what the type has)."""
        dtype = np.dtype(dtype)
        if dtype.kind == "b":
            return self.random.integers(0, 2, shape).astype(bool)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            return self.random.integers(max(int(low), limits.min), min(int(high), limits.max), shape, dtype=dtype,
                                        endpoint=True)
        return self.random.uniform(low, high, shape).astype(dtype)

    def eighths(self, shape, dtype=np.float32) -> np.ndarray:
        """Multiples of 1/8 from -2 to 2, of which sums and products are exact in any order."""
        dtype = np.dtype(dtype)
        return self.values(shape, dtype) if dtype.kind != "f" else (self.values(shape, np.int32, -16, 16) / 8).astype(dtype)

    def with_specials(self, array: np.ndarray) -> np.ndarray:
        """Now and then with some infinities, NaNs and negative zeros among the numbers."""
        if array.dtype.kind == "f" and array.size and self.chance(0.3):
            array = array.copy()
            for value in (np.nan, np.inf, -np.inf, -0.0):
                array.flat[self.integer(0, array.size - 1)] = value
        return array

    def case(self, op: str, *inputs, tolerance=1e-5, outputs=1, static=(), **attributes) -> Case:
        """A case, its sizes open or not. `static`: the inputs whose sizes the model has to know."""
        kinds = {np.asarray(getattr(x, "array", x)).dtype for x in inputs if x is not None}
        if np.dtype(np.float16) in kinds:
            tolerance = max(tolerance, 4e-3)
        dims = None
        if self.chance(0.4):
            # Equal sizes by the same symbol; 0 and 1, which may be broadcast, by number.
            dims = [[f"d{n}" if n > 1 and i not in static else n for n in np.shape(x)]
                    for i, x in enumerate(inputs) if x is not None and not isinstance(x, Weight)]
        return Case("", op, list(inputs), attributes, outputs, self.opset, dims=dims, tolerance=tolerance)
