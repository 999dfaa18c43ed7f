// How long stages and passes take.
#pragma once
#include "mlir/Pass/PassInstrumentation.h"
#include <chrono>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace eyrie::pipeline {

/// Collects times from all threads and prints them as a table.
class Timing {
public:
  void addStage(llvm::StringRef name, double seconds) { stages.push_back({name.str(), seconds}); }
  void addPass(llvm::StringRef name, double seconds) {
    std::lock_guard<std::mutex> lock(mutex);
    passes[name.str()] += seconds;
  }
  /// Stages in order, then the ten passes that took longest (summed over threads).
  std::string table() const;
  /// Reports the passes of a pass manager to this object.
  std::unique_ptr<mlir::PassInstrumentation> instrumentation();

private:
  std::mutex mutex;
  std::vector<std::pair<std::string, double>> stages;
  std::map<std::string, double> passes;
};

/// Seconds since its construction.
class Stopwatch {
public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }

private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
};

} // namespace eyrie::pipeline
