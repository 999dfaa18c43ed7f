// Calls of a function, and of its dispatches, against the clock.
#ifndef EYRIE_TOOLS_EYRIE_MEASURE_H_
#define EYRIE_TOOLS_EYRIE_MEASURE_H_

#include <string>
#include <vector>

#include "tools/eyrie/tensor.h"

namespace eyrie::cli {

// A function with its inputs, ready to be called again and again. Every call begins with the same states.
class Subject {
 public:
  // `load_state`: the file of the states; empty: new ones. `module`, `function` and `arguments` outlive the subject.
  Subject(const Module& module, const Function& function, const std::vector<Argument>& arguments,
          const std::string& load_state, bool profile);
  ~Subject();
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;

  // Milliseconds of one call.
  double Call();
  // Of the last call; they belong to the instance.
  const std::vector<eyrie_tensor_t>& outputs() const { return outputs_; }
  eyrie_instance_t* get() const { return instance_; }

 private:
  const Function& function_;
  std::vector<eyrie_tensor_t> inputs_, outputs_;
  npy::Bytes states_;
  eyrie_instance_t* instance_ = nullptr;
};

struct Timing {
  std::vector<double> ms;  // ascending
  double Quantile(double q) const { return ms[static_cast<size_t>(q * static_cast<double>(ms.size() - 1) + 0.5)]; }
};

// Of calls for `min_time` seconds, after a tenth of that to warm up.
Timing Measure(Subject* subject, double min_time);

struct ProfileRow {
  std::string name;
  std::string nodes;
  double calls, ms;   // of one call of the function
  double operations;  // likewise, in 1e9; 0 if they are not known
  double Gflops() const { return ms > 0 ? operations * 1e3 / ms : 0; }
};

// Time of every dispatch, from a subject of its own: measuring costs time. The slowest come first.
std::vector<ProfileRow> Profile(const Module& module, Subject* subject, double min_time);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_MEASURE_H_
