// How fast a processor multiplies and adds at best.
#pragma once

namespace eyrie::cli {

// Operations of f32 in a second on one core, in 1e9; a multiplication and an addition are two. Measured: a few
// milliseconds of multiply-adds on the widest vectors that the processor has.
double PeakGflops();

}  // namespace eyrie::cli
