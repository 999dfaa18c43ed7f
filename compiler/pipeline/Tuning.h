// What `eyrie tune` found out, as a file:
//   {"format": "eyrie-tuning-1", "kernels": {"conv_3": {"choice": "rows=8", ...}, ...}}
#pragma once
#include "compiler/target/Target.h"

namespace eyrie::pipeline {

/// Null with `error` if the file cannot be read, or has choices that the target does not know.
std::shared_ptr<const target::Tuning> readTuning(llvm::StringRef path, const target::Target &target,
                                                 std::string &error);

} // namespace eyrie::pipeline
