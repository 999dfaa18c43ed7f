// A module file opened through the C API, with failures as Failure.
#ifndef EYRIE_TOOLS_EYRIE_MODULE_H_
#define EYRIE_TOOLS_EYRIE_MODULE_H_

#include <eyrie/runtime.h>

#include <string>
#include <vector>

namespace eyrie::cli {

// Fails with the status's message behind `context`, and frees the status; does nothing if all is well.
void Check(eyrie_status_t status, const std::string& context);

// An input or an output of a function, or an element of one.
struct Value {
  std::string name;
  uint32_t type;
  std::vector<eyrie_dim_t> dims;
  bool is_sequence = false;              // type and dimensions are those of every element
  bool any_rank = false;                 // nothing is known of the shape; `dims` is empty
  bool is_optional = false;              // may be missing
  std::vector<std::string> labels = {};  // of the indices along the last dimension; often none
};

// Element `index` of a sequence: "name.3", a tensor.
Value ElementOf(const Value& sequence, uint64_t index);

// "batchx3x224x224xf32", "f32 of any rank", "sequence of ?x3xf32", "sequence of f32" or "optional f32"
std::string TypeText(const Value& value);
std::string TypeText(uint32_t type, const std::vector<int64_t>& shape);
// "a, b, c", of many the first ones; empty if there are none.
std::string LabelsText(const std::vector<std::string>& labels);

struct Function {
  uint32_t index;
  std::string name;
  std::vector<Value> inputs, outputs;
};

struct LoadOptions {
  uint32_t threads = 1;
  bool inspect_only = false;  // nothing is loaded that this machine would have to be able to run
  bool low_latency = false;
  std::string cpu = {};  // one of the processors that the module was compiled for, whose code is taken; empty: the best
  // Files; the last that has a tensor gives it. A text may be several with commas between.
  std::vector<std::string> parameters = {};
  // Shared libraries that add functions to the runtime.
  std::vector<std::string> plugins = {};
};

class Module {
 public:
  Module(const std::string& path, const LoadOptions& load);
  ~Module() { Close(); }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // The function of that name; the only one, or `main`, for an empty name.
  Function Find(const std::string& name) const;
  Function At(uint32_t index) const;
  // What an instance keeps from call to call.
  std::vector<Value> States() const;
  // What is outside the module, or could be.
  struct Parameter {
    Value value;
    uint64_t size_bytes;
    bool is_derived, is_fixed;
    std::vector<std::string> sources;
  };
  std::vector<Parameter> Parameters() const;
  const std::string& path() const { return path_; }
  eyrie_module_t* get() const { return module_; }
  eyrie_runtime_t* runtime() const { return runtime_; }

 private:
  void Close();
  void OpenParameters(const std::vector<std::string>& paths);

  std::string path_;
  std::vector<eyrie_parameters_t*> files_;
  eyrie_runtime_t* runtime_ = nullptr;
  eyrie_module_t* module_ = nullptr;
};

// Checks the value of `--threads`; 0 stands for as many as the process may use.
uint32_t ThreadCount(int64_t flag);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_MODULE_H_
