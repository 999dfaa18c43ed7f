// Reading and writing .npy: little-endian, C order, types of eight bits and more.
#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/eyrie-run/eyrie_run.h"

namespace eyrie::run {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr size_t kMaxHeader = 65536;

// The text behind 'key': in the header, or null.
const char* FindKey(const char* header, const char* key) {
  const char* at = strstr(header, key);
  if (!at) return nullptr;
  at += strlen(key);
  while (*at == ' ' || *at == ':') ++at;
  return at;
}

}  // namespace

void ReadNpy(const char* path, const eyrie_value_info_t& value, eyrie_tensor_t* tensor) {
  FILE* file = fopen(path, "rbe");
  struct stat info;
  if (!file || fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode))
    Fail(kFailed, "%s: cannot be opened, or is not a file", path);
  unsigned char start[12] = {};
  if (fread(start, 1, 10, file) != 10 || memcmp(start, kMagic, 6) != 0 || start[6] < 1 || start[6] > 3)
    Fail(kFailed, "%s: not an .npy file of version 1 to 3", path);
  size_t length = start[8] | static_cast<size_t>(start[9]) << 8;
  if (start[6] > 1) {
    if (fread(start + 10, 1, 2, file) != 2) Fail(kFailed, "%s: the header is cut off", path);
    length |= static_cast<size_t>(start[10]) << 16 | static_cast<size_t>(start[11]) << 24;
  }
  static char header[kMaxHeader + 1];
  if (length > kMaxHeader || fread(header, 1, length, file) != length)
    Fail(kFailed, "%s: the header is cut off or too long", path);
  header[length] = '\0';
  const char *descr = FindKey(header, "'descr'"), *order = FindKey(header, "'fortran_order'"),
             *shape = FindKey(header, "'shape'");
  const char* expected = value.type == EYRIE_STRING ? "<U" : eyrie_type_npy(value.type);
  if (!descr || !order || !shape || *descr != '\'' || *shape != '(') Fail(kFailed, "%s: the header is malformed", path);
  if (strncmp(order, "False", 5) != 0) Fail(kFailed, "%s: Fortran order is not supported", path);
  if (!expected || eyrie_type_bits(value.type) < 8)
    Fail(kFailed, "input '%s': files of type %s are not supported here", value.name, eyrie_type_name(value.type));
  size_t width = strlen(expected);
  bool matches = strncmp(descr + 1, expected, width) == 0;
  char* end = const_cast<char*>(descr) + 1 + width;
  unsigned long characters = matches && value.type == EYRIE_STRING ? strtoul(end, &end, 10) : 0;
  if (!matches || *end != '\'')
    Fail(kFailed, "%s: input '%s' wants elements of type %s ('%s'), the file has '%.8s", path, value.name,
         eyrie_type_name(value.type), expected, descr + 1);
  tensor->type = value.type;
  for (const char* at = shape + 1; *at && *at != ')';) {
    char* end;
    long long size = strtoll(at, &end, 10);
    if (end == at || size < 0 || tensor->rank == EYRIE_MAX_RANK) Fail(kFailed, "%s: the shape is malformed", path);
    tensor->dims[tensor->rank++] = size;
    for (at = end; *at == ',' || *at == ' '; ++at) {
    }
  }
  size_t bytes;
  Check(eyrie_tensor_bytes(tensor->type, tensor->rank, tensor->dims, &bytes));
  if (value.type == EYRIE_STRING &&
      (characters > UINT32_MAX || __builtin_mul_overflow(bytes / sizeof(eyrie_string_t), 4 * characters, &bytes) ||
       (!bytes && !characters)))
    Fail(kFailed, "%s: strings of %lu characters in this shape are not supported", path, characters);
  if (static_cast<uint64_t>(info.st_size) < bytes)
    Fail(kFailed, "%s: its shape takes %zu bytes, the file has %lld", path, bytes,
         static_cast<long long>(info.st_size));
  if (value.type == EYRIE_STRING) {
    ReadStrings(path, file, characters, tensor);
    fclose(file);
    return;
  }
  AllocateTensor(tensor);
  if (fread(tensor->data, 1, bytes, file) != bytes) Fail(kFailed, "%s: the data is cut off", path);
  fclose(file);
}

void WriteNpy(const char* path, const eyrie_tensor_t& tensor) {
  if (eyrie_type_bits(tensor.type) < 8)
    Fail(kFailed, "%s: results of type %s cannot be written here", path, eyrie_type_name(tensor.type));
  char header[128 + EYRIE_MAX_RANK * 24];
  bool strings = tensor.type == EYRIE_STRING;
  size_t width = strings ? LongestString(path, tensor) : 0;
  char descr[32];
  if (strings)
    snprintf(descr, sizeof(descr), "<U%zu", width);
  else
    snprintf(descr, sizeof(descr), "%s", eyrie_type_npy(tensor.type));
  int length = snprintf(header + 10, sizeof(header) - 10, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
  for (uint32_t i = 0; i < tensor.rank; ++i)
    length += snprintf(header + 10 + length, sizeof(header) - 10 - static_cast<size_t>(length), "%lld,%s",
                       static_cast<long long>(tensor.dims[i]), i + 1 < tensor.rank ? " " : "");
  length += snprintf(header + 10 + length, sizeof(header) - 10 - static_cast<size_t>(length), "), }");
  while ((10 + length + 1) % 64) header[10 + length++] = ' ';
  header[10 + length++] = '\n';
  memcpy(header, kMagic, 6);
  header[6] = 1;
  header[7] = 0;
  header[8] = static_cast<char>(length & 0xff);
  header[9] = static_cast<char>(length >> 8);

  size_t bytes;
  Check(eyrie_tensor_bytes(tensor.type, tensor.rank, tensor.dims, &bytes));
  NewFile out = Create(path);
  auto header_bytes = static_cast<size_t>(10 + length);
  bool good = fwrite(header, 1, header_bytes, out.file) == header_bytes;
  Commit(out,
         good && (strings ? WriteStrings(out.file, width, tensor) : fwrite(tensor.data, 1, bytes, out.file) == bytes));
}

}  // namespace eyrie::run
