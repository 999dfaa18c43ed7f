// As much JSON as the header of a safetensors file has, read without building a tree and without recursion: the reader
// asks for what it expects next.
#ifndef EYRIE_RUNTIME_PARAMETERS_JSON_H_
#define EYRIE_RUNTIME_PARAMETERS_JSON_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "runtime/base/status.h"

namespace eyrie::rt::parameters {

class JsonReader {
 public:
  explicit JsonReader(std::span<const uint8_t> text) : text_(text) {}

  // The next character that is not space, if it is this one, is taken.
  bool Take(char c);
  Status Expect(char c);
  Status ExpectEnd();
  // Goes through the members of an object or array whose opening bracket has been taken: false when `close` has been
  // taken. `*first` is true at first.
  Result<bool> Next(char close, bool* first);
  // A string without zero characters, as UTF-8. `*size` gets its length; longer ones than `capacity` are an error.
  Status String(char* memory, size_t capacity, size_t* size);
  // A string of any length, of which nothing is wanted.
  Status SkipString();
  // A number that counts something: no sign, fraction or exponent.
  Status Count(int64_t* value);
  // "at byte N of the header: expected ..., found ...".
  Status Fail(const char* expected) const;

 private:
  void SkipSpace();
  Status Escape(uint32_t* code);
  Status Hex(uint32_t* code);
  // One character of a string, decoded; 0 at its end.
  Status Character(uint32_t* code);

  std::span<const uint8_t> text_;
  size_t at_ = 0;
};

}  // namespace eyrie::rt::parameters

#endif  // EYRIE_RUNTIME_PARAMETERS_JSON_H_
