#include "tools/eyrie/parameter_set.h"

#include <sys/stat.h>

#include <cstdio>
#include <cstring>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/module.h"
#include "tools/eyrie/tensor.h"
#include "tools/npy/file.h"
#include "tools/npy/zip.h"

namespace eyrie::cli {
namespace {

// The element type that NumPy has itself for the array; 0 if there is none.
uint32_t TypeOf(const npy::Array& array) {
  constexpr uint32_t kOwn[] = {EYRIE_F64, EYRIE_F32,  EYRIE_F16,       EYRIE_I64,       EYRIE_I32,
                               EYRIE_I16, EYRIE_I8,   EYRIE_U64,       EYRIE_U32,       EYRIE_U16,
                               EYRIE_U8,  EYRIE_BOOL, EYRIE_COMPLEX64, EYRIE_COMPLEX128};
  for (uint32_t type : kOwn)
    if (array.Descr() == eyrie_type_npy(type)) return type;
  return 0;
}

bool BeginsAsZip(const std::string& path) {
  struct stat info;
  // Opening a pipe would wait for its writer.
  if (stat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
  std::unique_ptr<FILE, int (*)(FILE*)> file(fopen(path.c_str(), "rb"), fclose);
  char magic[4];
  return file && fread(magic, 1, 4, file.get()) == 4 && std::memcmp(magic, "PK\3\4", 4) == 0;
}

}  // namespace

ParameterSet::ParameterSet() { Check(eyrie_runtime_create(nullptr, &runtime_), "cannot start the runtime: "); }

ParameterSet::~ParameterSet() {
  for (eyrie_parameters_t* file : files_) eyrie_parameters_destroy(file);
  eyrie_runtime_destroy(runtime_);
}

std::string ParameterSet::Load(const std::string& path, bool verify) {
  if (BeginsAsZip(path)) {
    LoadNpz(path);
    return "npz";
  }
  eyrie_parameters_options_t options = {};
  options.struct_size = sizeof(options);
  options.verify = verify ? EYRIE_VERIFY_FULL : EYRIE_VERIFY_LAZY;
  eyrie_parameters_t* file = nullptr;
  eyrie_status_t status = eyrie_parameters_open(runtime_, path.c_str(), &options, &file);
  // The runtime's own messages name the file already.
  bool is_named = status == nullptr || std::string(eyrie_status_message(status)).find(path) != std::string::npos;
  Check(status, is_named ? "" : "cannot read '" + path + "': ");
  files_.push_back(file);
  eyrie_parameter_info_t info;
  for (size_t i = 0; i < eyrie_parameters_count(file); ++i) {
    Check(eyrie_parameters_entry(file, i, &info), "");
    parameters_[info.name] = {info.type,
                              info.type_name,
                              info.problem ? info.problem : "",
                              {info.dims, info.dims + info.rank},
                              {static_cast<const uint8_t*>(info.data), static_cast<size_t>(info.size_bytes)},
                              info.is_derived != 0,
                              info.source_check};
  }
  return eyrie_parameters_format(file);
}

void ParameterSet::LoadNpz(const std::string& path) {
  std::string error;
  npy::Bytes bytes;
  npy::ZipReader archive;
  if (!npy::ReadFile(path, &bytes, &error)) Fail(error);
  if (!archive.Open({bytes.data(), bytes.size()}, &error)) Fail("'" + path + "': " + error);
  for (const npy::ZipEntry& entry : archive.entries()) {
    npy::Bytes member;
    npy::Array array;
    if (!archive.Extract(entry, &member, &error)) Fail("'" + path + "': " + error);
    if (!npy::ReadNpy({member.data(), member.size()}, &array, &error))
      Fail("'" + path + "': its entry '" + entry.name + "': " + error);
    std::string name = entry.name;
    if (name.size() > 4 && name.ends_with(".npy")) name.resize(name.size() - 4);
    AddArray(name, std::move(array), path);
  }
}

void ParameterSet::LoadArray(const std::string& name, const std::string& path) {
  std::string error;
  npy::Bytes bytes;
  npy::Array array;
  if (name.empty()) FailUsage("'=" + path + "': expected NAME=FILE.npy");
  if (!npy::ReadFile(path, &bytes, &error)) Fail(error);
  if (!npy::ReadNpy({bytes.data(), bytes.size()}, &array, &error)) Fail("cannot read '" + path + "': " + error);
  AddArray(name, std::move(array), path);
}

void ParameterSet::AddArray(const std::string& name, npy::Array array, const std::string& path) {
  uint32_t type = TypeOf(array);
  if (type == 0)
    Fail("'" + path + "': the array '" + name + "' has the dtype '" + array.Descr() + "', which is no element type");
  owned_.push_back(std::move(array.data));
  parameters_[name] = {type, eyrie_type_name(type), "", array.shape, {owned_.back().data(), owned_.back().size()}};
}

uint8_t* ParameterSet::Make(const std::string& name, uint32_t type, const std::vector<int64_t>& dims) {
  Tensor tensor = MakeTensor(type, dims);
  if (tensor.data.size() != 0) std::memset(tensor.data.data(), 0, tensor.data.size());
  owned_.push_back(std::move(tensor.data));
  parameters_[name] = {type, eyrie_type_name(type), "", dims, {owned_.back().data(), owned_.back().size()}};
  return owned_.back().data();
}

const Parameter& ParameterSet::Get(const std::string& name) const {
  auto found = parameters_.find(name);
  if (found != parameters_.end()) return found->second;
  std::string names;
  for (const auto& [known, parameter] : parameters_) {
    names += (names.empty() ? "" : ", ") + Printable(known);
    if (names.size() > 300) {
      names += ", ...";
      break;
    }
  }
  Fail("there is no tensor '" + name + "'; there are: " + names);
}

void CheckUsable(const std::string& name, const Parameter& parameter) {
  if (parameter.type == 0) Fail("the tensor '" + name + "' (" + parameter.type_name + ") " + parameter.problem);
}

size_t MergeLora(ParameterSet* set, double scale) {
  const std::string kA = ".lora_A.weight", kB = ".lora_B.weight", kPrefix = "base_model.model.";
  std::vector<std::string> names;
  for (const auto& [name, parameter] : set->parameters())
    if (name.ends_with(kA)) names.push_back(name.substr(0, name.size() - kA.size()));
  if (names.empty()) Fail("--merge-lora: no tensor has a name that ends with '" + kA + "'");
  for (const std::string& name : names) {
    const Parameter a = set->Get(name + kA), b = set->Get(name + kB);
    std::string target = name + ".weight";
    if (!set->parameters().contains(target) && name.starts_with(kPrefix)) target.erase(0, kPrefix.size());
    const Parameter w = set->Get(target);
    bool is_float = true;
    for (const Parameter* part : {&a, &b, &w}) {
      CheckUsable(name, *part);
      is_float = is_float && FamilyOf(part->type) == Family::kFloat && part->dims.size() == 2;
    }
    if (!is_float || a.dims[0] != b.dims[1] || w.dims[0] != b.dims[0] || w.dims[1] != a.dims[1])
      Fail("--merge-lora: '" + target + "' is " + TypeText(w.type, w.dims) + ", but B A would be that of " +
           TypeText(b.type, b.dims) + " and " + TypeText(a.type, a.dims) +
           ": expected floats, out x in, out x r and "
           "r x in");
    size_t rows = static_cast<size_t>(w.dims[0]), columns = static_cast<size_t>(w.dims[1]);
    size_t rank = static_cast<size_t>(a.dims[0]);
    uint8_t* sum = set->Make(target, w.type, w.dims);
    std::vector<double> row(columns);
    for (size_t i = 0; i < rows; ++i) {
      for (size_t j = 0; j < columns; ++j) row[j] = 0;
      for (size_t k = 0; k < rank; ++k) {
        double factor = scale * LoadReal(b.type, b.data.data, i * rank + k);
        for (size_t j = 0; j < columns; ++j) row[j] += factor * LoadReal(a.type, a.data.data, k * columns + j);
      }
      for (size_t j = 0; j < columns; ++j)
        if (!StoreReal(w.type, sum, i * columns + j, LoadReal(w.type, w.data.data, i * columns + j) + row[j]))
          Fail("--merge-lora: '" + target + "' cannot hold the sum");
    }
    set->Remove(name + kA);
    set->Remove(name + kB);
  }
  return names.size();
}

}  // namespace eyrie::cli
