// All states of an instance as one piece of memory, which a module with the same states can take up again, whatever
// processor it was compiled for: tensors are in the model's order.
//
//   byte 0    "EYRIEST" and a zero
//   byte 8    uint32 version (1), uint32 CRC-32C of everything from byte 16 on
//   byte 16   uint64 number of states, then for each state, every part padded to 8 bytes:
//             uint32 element type, uint32 rank, uint64 length of the name, the name, int64 sizes, the data
#include <cstring>

#include "abi/crc32c.h"
#include "runtime/base/checked.h"
#include "runtime/base/shape.h"
#include "runtime/session/signature.h"
#include "runtime/session/states.h"

namespace eyrie::rt::session {
namespace {

constexpr char kMagic[8] = {'E', 'Y', 'R', 'I', 'E', 'S', 'T', 0};
constexpr uint32_t kVersion = 1;
constexpr size_t kHeader = 16;

constexpr size_t Padded(size_t bytes) { return (bytes + 7) / 8 * 8; }

// Writes what has room, and counts all.
class Writer {
 public:
  Writer(uint8_t* data, size_t capacity) : data_(data), capacity_(capacity) {}
  // A place for so many bytes, padded with zeros; null if there is no room.
  uint8_t* Place(size_t bytes) {
    size_t begin = at_, padded = Padded(bytes);
    at_ += padded;
    if (!data_ || at_ > capacity_) return nullptr;
    memset(data_ + begin + bytes, 0, padded - bytes);
    return data_ + begin;
  }
  void Put(const void* from, size_t bytes) {
    if (uint8_t* place = Place(bytes); place && bytes) memcpy(place, from, bytes);
  }
  size_t size() const { return at_; }

 private:
  uint8_t* data_;
  size_t capacity_, at_ = 0;
};

class Reader {
 public:
  Reader(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  // Null if so many bytes are not there.
  const uint8_t* Take(uint64_t bytes) {
    if (bytes > size_ - at_ || Padded(bytes) > size_ - at_) return nullptr;
    const uint8_t* place = data_ + at_;
    at_ += Padded(bytes);
    return place;
  }
  template <typename T>
  bool Get(T* value) {
    const uint8_t* place = Take(sizeof(T));
    if (place) memcpy(value, place, sizeof(T));
    return place;
  }
  bool at_end() const { return at_ == size_; }

 private:
  const uint8_t* data_;
  size_t size_, at_ = 0;
};

struct Kind {
  uint32_t type, rank;
};

}  // namespace

Status States::Save(uint8_t* data, size_t capacity, size_t* needed) const {
  Writer writer(data, capacity);
  uint8_t* header = writer.Place(kHeader);
  uint64_t number = count();
  writer.Put(&number, sizeof(number));
  for (uint32_t i = 0; i < count(); ++i) {
    const eyrie_value_info_t& info = Info(i);
    Kind kind = {info.type, info.rank};
    uint64_t name = strlen(info.name);
    eyrie_tensor_t tensor = {};
    EYRIE_RETURN_IF_ERROR(Get(i, tensor));
    writer.Put(&kind, sizeof(kind));
    writer.Put(&name, sizeof(name));
    writer.Put(info.name, name);
    writer.Put(tensor.dims, info.rank * sizeof(int64_t));
    tensor.data = writer.Place(tensor.size_bytes);
    if (tensor.data) EYRIE_RETURN_IF_ERROR(Get(i, tensor));
  }
  *needed = writer.size();
  if (!data) return {};
  if (writer.size() > capacity)
    return Error(EYRIE_INVALID_ARGUMENT, "the states take %zu bytes, the given memory has %zu", writer.size(),
                 capacity);
  uint32_t words[2] = {kVersion, abi::Crc32c(data + kHeader, writer.size() - kHeader)};
  memcpy(header, kMagic, sizeof(kMagic));
  memcpy(header + sizeof(kMagic), words, sizeof(words));
  return {};
}

static Status Cut() { return Error(EYRIE_DATA_LOSS, "the saved states are cut short"); }

static Status CheckHeader(const uint8_t* data, size_t size) {
  if (!data || size < kHeader || memcmp(data, kMagic, sizeof(kMagic)) != 0)
    return Error(EYRIE_INVALID_ARGUMENT, "these are not saved states");
  uint32_t words[2];
  memcpy(words, data + sizeof(kMagic), sizeof(words));
  if (words[0] != kVersion)
    return Error(EYRIE_INCOMPATIBLE, "states saved in version %u, expected %u", words[0], kVersion);
  if (words[1] != abi::Crc32c(data + kHeader, size - kHeader))
    return Error(EYRIE_DATA_LOSS, "the saved states are damaged: their checksum does not match");
  return {};
}

// Reads the next state, which must be the one that `info` describes; its data stays where it is.
static Status ReadState(Reader& reader, const eyrie_value_info_t& info, eyrie_tensor_t& tensor) {
  Kind kind = {};
  uint64_t name_size = 0;
  if (!reader.Get(&kind) || !reader.Get(&name_size)) return Cut();
  const uint8_t* name = reader.Take(name_size);
  if (!name) return Cut();
  if (name_size != strlen(info.name) || memcmp(name, info.name, name_size) != 0)
    return Error(EYRIE_INVALID_ARGUMENT, "a state was saved as '%.*s', expected '%.100s'",
                 static_cast<int>(name_size < 100 ? name_size : 100), reinterpret_cast<const char*>(name), info.name);
  const uint8_t* dims = kind.rank <= EYRIE_MAX_RANK ? reader.Take(kind.rank * sizeof(int64_t)) : nullptr;
  if (!dims) return Cut();
  tensor.type = kind.type;
  tensor.rank = kind.rank;
  memcpy(tensor.dims, dims, kind.rank * sizeof(int64_t));
  EYRIE_RETURN_IF_ERROR(
      Annotate(CheckShape(info, kind.type, {tensor.dims, kind.rank}), "saved state '%.100s'", info.name));
  EYRIE_ASSIGN_OR_RETURN(tensor.size_bytes, TensorBytes(kind.type, {tensor.dims, kind.rank}));
  tensor.data = const_cast<uint8_t*>(reader.Take(tensor.size_bytes));
  return tensor.data ? Status() : Cut();
}

Status States::Restore(const uint8_t* data, size_t size) {
  EYRIE_RETURN_IF_ERROR(CheckHeader(data, size));
  Reader reader(data + kHeader, size - kHeader);
  uint64_t number = 0;
  if (!reader.Get(&number)) return Cut();
  if (number != count())
    return Error(EYRIE_INVALID_ARGUMENT, "%llu states were saved, the module has %u",
                 static_cast<unsigned long long>(number), count());
  Status status;
  for (uint32_t i = 0; status.ok() && i < count(); ++i) {
    eyrie_tensor_t tensor = {};
    status = ReadState(reader, Info(i), tensor);
    if (status.ok()) status = Fill(i, tensor, slots_[i].next);
  }
  if (status.ok() && !reader.at_end()) status = Error(EYRIE_DATA_LOSS, "bytes behind the last of the saved states");
  if (status.ok())
    Commit();
  else
    Discard();
  return status;
}

}  // namespace eyrie::rt::session
