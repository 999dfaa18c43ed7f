// Elementary functions as branch-free arithmetic on f32 or f64 scalars and vectors: relative error below 3.5e-7 in f32
// and about 1e-14 in f64; infinities, NaN and signed zeros as in C. The f32 forms of the frequent functions are their
// own, those of the others are computed in f64.
#pragma once
#include "compiler/target/common/Expr.h"

namespace eyrie::target {

Expr expOf(Expr x);
Expr logOf(Expr x);
Expr tanhOf(Expr x);
Expr erfOf(Expr x);

/// The following take f64.
Expr erfcOf(Expr x);
Expr expm1Of(Expr x);
Expr log1pOf(Expr x);
Expr sinOf(Expr x);
Expr cosOf(Expr x);
Expr atanOf(Expr x);
Expr atan2Of(Expr y, Expr x);
Expr powOf(Expr x, Expr y);
Expr cbrtOf(Expr x);

} // namespace eyrie::target
