#include "tools/eyrie/measure.h"

#include <algorithm>
#include <chrono>

#include "tools/eyrie/states.h"

namespace eyrie::cli {

using Clock = std::chrono::steady_clock;

Subject::Subject(const Module& module, const Function& function, const std::vector<Argument>& arguments,
                 const std::string& load_state, bool profile)
    : function_(function), outputs_(function.outputs.size()) {
  for (const Argument& argument : arguments) inputs_.push_back(argument.ToRuntime());
  eyrie_instance_options_t options = {};
  options.struct_size = sizeof(options);
  options.profile = profile;
  Check(eyrie_instance_create(module.get(), &options, &instance_), "");
  if (!load_state.empty()) LoadStateFile(instance_, load_state);
  if (!module.States().empty()) states_ = SaveStates(instance_);
}

Subject::~Subject() { eyrie_instance_destroy(instance_); }

double Subject::Call() {
  for (eyrie_tensor_t& output : outputs_) output = {};
  if (states_.size() > 0) RestoreStates(instance_, states_);
  Clock::time_point start = Clock::now();
  Check(
      eyrie_call(instance_, function_.index, inputs_.data(), inputs_.size(), outputs_.data(), outputs_.size(), nullptr),
      "");
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

Timing Measure(Subject* subject, double min_time) {
  constexpr size_t kMinRuns = 5, kMaxRuns = 100000;
  double budget = min_time * 1000;
  // The first calls allocate, fault pages in and wake the processor.
  for (double spent = 0; spent < budget / 10;) spent += std::max(subject->Call(), 1e-4);
  Timing timing;
  timing.ms.reserve(1000);
  for (double spent = 0; (spent < budget && timing.ms.size() < kMaxRuns) || timing.ms.size() < kMinRuns;) {
    timing.ms.push_back(subject->Call());
    spent += std::max(timing.ms.back(), 1e-4);
  }
  std::sort(timing.ms.begin(), timing.ms.end());
  return timing;
}

std::vector<ProfileRow> Profile(const Module& module, Subject* subject, double min_time) {
  double runs = 0;
  subject->Call();
  std::vector<ProfileRow> rows;
  for (double spent = 0; spent < min_time * 1000; ++runs) spent += std::max(subject->Call(), 1e-4);
  eyrie_export_info_t info = {};
  for (uint32_t i = 0;; ++i) {
    eyrie_status_t status = eyrie_module_export(module.get(), i, &info);
    eyrie_profile_t profile = {};
    if (status != nullptr) {
      eyrie_status_free(status);
      break;
    }
    Check(eyrie_instance_profile(subject->get(), i, &profile), "");
    if (profile.calls == 0) continue;
    const char* node = info.node_count > 0 ? eyrie_module_export_node(module.get(), i, 0) : nullptr;
    double calls = static_cast<double>(profile.calls) / (runs + 1);
    rows.push_back({info.symbol, node ? node : "", calls, static_cast<double>(profile.total_ns) / 1e6 / (runs + 1),
                    static_cast<double>(info.operations) * calls / 1e9});
  }
  std::sort(rows.begin(), rows.end(), [](const ProfileRow& a, const ProfileRow& b) { return a.ms > b.ms; });
  return rows;
}

}  // namespace eyrie::cli
