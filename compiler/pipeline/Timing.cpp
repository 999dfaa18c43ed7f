#include "compiler/pipeline/Timing.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FormatVariadic.h"

using namespace eyrie::pipeline;

namespace {
struct Instrumentation : mlir::PassInstrumentation {
  explicit Instrumentation(Timing &timing) : timing(timing) {}
  void runBeforePass(mlir::Pass *pass, mlir::Operation *op) override {
    std::lock_guard<std::mutex> lock(mutex);
    running[{pass, op}] = Stopwatch();
  }
  void runAfterPass(mlir::Pass *pass, mlir::Operation *op) override {
    double seconds;
    {
      std::lock_guard<std::mutex> lock(mutex);
      auto found = running.find({pass, op});
      if (found == running.end())
        return;
      seconds = found->second.seconds();
      running.erase(found);
    }
    llvm::StringRef name = pass->getArgument();
    // A pass manager that runs others would count their time twice.
    if (!name.empty())
      timing.addPass(name, seconds);
  }
  Timing &timing;
  std::mutex mutex;
  std::map<std::pair<mlir::Pass *, mlir::Operation *>, Stopwatch> running;
};
} // namespace

std::unique_ptr<mlir::PassInstrumentation> Timing::instrumentation() {
  return std::make_unique<Instrumentation>(*this);
}

std::string Timing::table() const {
  std::string text = "stage                              ms\n";
  for (auto &[name, seconds] : stages)
    text += llvm::formatv("{0,-34} {1,9:F1}\n", name, seconds * 1e3).str();
  std::vector<std::pair<double, std::string>> slowest;
  for (auto &[name, seconds] : passes)
    slowest.push_back({seconds, name});
  llvm::sort(slowest, std::greater<>());
  text += "slowest passes (all threads)\n";
  for (auto &[seconds, name] : llvm::ArrayRef(slowest).take_front(10))
    text += llvm::formatv("  {0,-32} {1,9:F1}\n", name, seconds * 1e3).str();
  return text;
}
