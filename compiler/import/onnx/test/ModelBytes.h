// Writes the messages of ONNX files byte by byte, right or wrong, for tests.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>

namespace eyrie::import::onnx::test {

inline std::string varint(uint64_t value) {
  std::string bytes;
  for (; value > 127; value >>= 7)
    bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}
inline std::string number(unsigned field, uint64_t value) { return varint(field << 3) + varint(value); }
inline std::string bytes(unsigned field, const std::string &content) {
  return varint(field << 3 | 2) + varint(content.size()) + content;
}

inline std::string intAttribute(const std::string &name, int64_t value) {
  return bytes(5, bytes(1, name) + number(3, value) + number(20, 2));
}
inline std::string stringAttribute(const std::string &name, const std::string &value) {
  return bytes(5, bytes(1, name) + bytes(4, value) + number(20, 3));
}
inline std::string graphAttribute(const std::string &name, const std::string &graph) {
  return bytes(5, bytes(1, name) + bytes(6, graph) + number(20, 5));
}

/// One node inside a graph (field 1) or, with `field` 7, inside a function.
inline std::string node(const std::string &op, std::initializer_list<const char *> inputs,
                        std::initializer_list<const char *> outputs, const std::string &attributes = "",
                        const std::string &name = "", const std::string &domain = "", unsigned field = 1) {
  std::string content;
  for (const char *input : inputs)
    content += bytes(1, input);
  for (const char *output : outputs)
    content += bytes(2, output);
  return bytes(field, content + bytes(3, name) + bytes(4, op) + attributes + (domain.empty() ? "" : bytes(7, domain)));
}

/// A dimension: a name when it begins with a letter, else a number.
inline std::string dimension(const std::string &dim) {
  return bytes(1, isalpha(dim[0]) || dim == "?" ? bytes(2, dim) : number(1, std::stoll(dim)));
}
/// `field` 11: an input, 12: an output. `type`: 1 f32, 7 i64, 9 bool.
inline std::string value(unsigned field, const std::string &name, std::initializer_list<const char *> dims,
                         int type = 1) {
  std::string shape;
  for (const char *dim : dims)
    shape += dimension(dim);
  return bytes(field, bytes(1, name) + bytes(2, bytes(1, number(1, type) + bytes(2, shape))));
}
inline std::string input(const std::string &name, std::initializer_list<const char *> dims, int type = 1) {
  return value(11, name, dims, type);
}
inline std::string output(const std::string &name) { return bytes(12, bytes(1, name)); }

/// A tensor message with raw data.
inline std::string tensor(const std::string &name, std::initializer_list<int64_t> dims, int type,
                          const std::string &raw) {
  std::string content;
  for (int64_t dim : dims)
    content += number(1, dim);
  return content + number(2, type) + bytes(8, name) + bytes(9, raw);
}
inline std::string initializer(const std::string &name, std::initializer_list<int64_t> dims, int type,
                               const std::string &raw) {
  return bytes(5, tensor(name, dims, type, raw));
}
inline std::string integers(std::initializer_list<int64_t> values) {
  return std::string(reinterpret_cast<const char *>(values.begin()), values.size() * sizeof(int64_t));
}
inline std::string floats(size_t count, float first = 0, float step = 1) {
  std::string raw;
  for (size_t i = 0; i < count; ++i) {
    float element = first + step * i;
    raw.append(reinterpret_cast<const char *>(&element), sizeof(element));
  }
  return raw;
}

inline std::string opset(int64_t version, const std::string &domain = "") {
  return bytes(8, bytes(1, domain) + number(2, version));
}
inline std::string model(const std::string &graph, int64_t version = 17, const std::string &more = "") {
  return number(1, 8) + opset(version) + bytes(7, graph) + more;
}

} // namespace eyrie::import::onnx::test
