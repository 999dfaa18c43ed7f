// Named tensors out of files of parameters, and into them.
#ifndef EYRIE_TOOLS_EYRIE_PARAMETER_SET_H_
#define EYRIE_TOOLS_EYRIE_PARAMETER_SET_H_

#include <eyrie/runtime.h>

#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tools/npy/npy.h"

namespace eyrie::cli {

struct Parameter {
  uint32_t type = 0;  // eyrie_type_t; 0: none, see `problem`
  std::string type_name;
  std::string problem;
  std::vector<int64_t> dims;
  npy::Span data;
  bool is_derived = false;
  uint32_t source_check = 0;
};

// The tensors of several files by name. Their memory is the files', mapped, or the set's own.
class ParameterSet {
 public:
  ParameterSet();
  ~ParameterSet();
  ParameterSet(const ParameterSet&) = delete;
  ParameterSet& operator=(const ParameterSet&) = delete;

  // Adds the tensors of a file in place of those of the same names. `verify`: checksums are compared. An .npz
  // is read, so that its arrays may be compressed or in Fortran's order; others are mapped. Returns the format's name.
  std::string Load(const std::string& path, bool verify);
  // Adds the array of an .npy file.
  void LoadArray(const std::string& name, const std::string& path);
  // A tensor of zeros that belongs to the set, in place of one of the same name.
  uint8_t* Make(const std::string& name, uint32_t type, const std::vector<int64_t>& dims);
  void Remove(const std::string& name) { parameters_.erase(name); }

  const std::map<std::string, Parameter>& parameters() const { return parameters_; }
  // Fails if there is none of that name.
  const Parameter& Get(const std::string& name) const;

 private:
  void LoadNpz(const std::string& path);
  void AddArray(const std::string& name, npy::Array array, const std::string& path);

  std::map<std::string, Parameter> parameters_;  // in the order of the names' bytes
  std::list<npy::Bytes> owned_;
  std::vector<eyrie_parameters_t*> files_;
  eyrie_runtime_t* runtime_ = nullptr;
};

// Fails if the tensor cannot be used as one.
void CheckUsable(const std::string& name, const Parameter& parameter);

// Adds X.lora_A.weight (r x in) and X.lora_B.weight (out x r) to X.weight: W + scale * B A, and removes them. Returns
// how many weights changed; fails if there is nothing to merge or shapes do not fit.
size_t MergeLora(ParameterSet* set, double scale);

// Writes the tensors to a file whose extension says the format (.eyp, .safetensors, .npz): whole or not at all.
void WriteParameters(const ParameterSet& set, const std::string& path);
// Fails if there is no such format.
void CheckOutputFormat(const std::string& path);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_PARAMETER_SET_H_
