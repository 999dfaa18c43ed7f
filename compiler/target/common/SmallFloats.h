// Floats of 8 and 4 bits as arithmetic on integers of 32 bits, of scalars and vectors.
#pragma once
#include "compiler/target/common/Expr.h"

namespace eyrie::target {

/// f8E4M3FN, f8E4M3FNUZ, f8E5M2, f8E5M2FNUZ, f8E8M0FNU, f4E2M1FN.
bool isTinyFloat(mlir::Type type);
/// The f32 of the number whose bits are `bits` (i32, above the type's width 0). Exact.
Expr tinyToF32(Expr bits, mlir::FloatType type);
/// The bits (i32) of the nearest number to `x` (f32), ties to even. What is too large becomes infinity, NaN where the
/// type has no infinity, the largest number where it has neither; NaN becomes NaN, or -0 where there is none.
Expr f32ToTiny(Expr x, mlir::FloatType type);
/// f64 to f32 such that rounding once more to a narrower type gives what one rounding would: inexact numbers get an odd
/// last bit (Boldo and Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to
/// odd", 2008).
Expr roundToOdd(Expr x);

} // namespace eyrie::target
