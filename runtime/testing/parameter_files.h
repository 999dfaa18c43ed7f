// Files of parameters for tests, written by hand.
#ifndef EYRIE_RUNTIME_TESTING_PARAMETER_FILES_H_
#define EYRIE_RUNTIME_TESTING_PARAMETER_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace eyrie::rt::testing {

struct NamedTensor {
  std::string name;
  uint8_t type;
  std::vector<int64_t> dims;
  std::string bytes;
  uint8_t flags = 0;
  uint32_t source_check = 0;
};

NamedTensor FloatTensor(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& values);

// `tensors` in the order of their names.
std::string WriteArchive(const std::vector<NamedTensor>& tensors);
// Sets the checksums of header and index again, so that a reader gets past them.
void ResealArchive(std::string& archive);
uint32_t ArchiveCrc(const NamedTensor& tensor);

// The header as given, then the data.
std::string WriteSafetensors(const std::string& header, const std::string& data);
std::string WriteSafetensors(const std::vector<NamedTensor>& tensors);  // f32
// Stored members; `descr` as NumPy writes it.
struct NpzOptions {
  std::string descr = "<f4", order = "False", suffix = ".npy";
  uint16_t method = 0;
  bool zip64 = false;
};
std::string WriteNpz(const std::vector<NamedTensor>& tensors, const NpzOptions& options = {});

// The parts of a gguf file.
struct GgufBuilder {
  std::string bytes = "GGUF";
  template <typename T>
  GgufBuilder& Add(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  GgufBuilder& Text(const std::string& text) {
    Add<uint64_t>(text.size());
    bytes += text;
    return *this;
  }
  GgufBuilder& Header(uint32_t version, uint64_t tensors, uint64_t pairs) {
    return Add(version).Add(tensors).Add(pairs);
  }
  // `dims` as stored: the fastest first.
  GgufBuilder& Row(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    Text(name).Add<uint32_t>(static_cast<uint32_t>(dims.size()));
    for (uint64_t dim : dims) Add(dim);
    return Add(type).Add(offset);
  }
  GgufBuilder& Pad(size_t alignment = 32) {
    while (bytes.size() % alignment) bytes += '\0';
    return *this;
  }
};
// Two tensors, f32 and q8_0, and keys of several types.
std::string WriteGguf();

// A file that is removed with the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& bytes);
  ~TemporaryFile();
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const char* path() const { return path_.c_str(); }

 private:
  std::string path_;
};

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_PARAMETER_FILES_H_
