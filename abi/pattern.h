// Regular expressions as module files hold them: a program of steps, each one 64-bit integer (the attribute "program"
// of the host function text.matches). It begins at step 0.
//
//   bits 0-7   what the step does    bits 8-15, 16-23   the lowest and the highest byte that it takes
//   bits 24-43 the next step         bits 44-63         the other next step of a split
#ifndef EYRIE_ABI_PATTERN_H_
#define EYRIE_ABI_PATTERN_H_

#include <cstdint>

namespace eyrie::abi {

enum class PatternOp : uint8_t {
  kByte = 0,          // takes one byte
  kMatch = 1,         // the text may end here
  kSplit = 2,         // goes on at both next steps
  kBegin = 3,         // goes on at the begin of the text
  kEnd = 4,           // at its end
  kLineBegin = 5,     // at its begin and behind '\n'
  kLineEnd = 6,       // at its end and before '\n'
  kWordBorder = 7,    // between a byte of [0-9A-Za-z_] and another, or none
  kNoWordBorder = 8,  // elsewhere
};

struct PatternStep {
  PatternOp op;
  uint8_t low, high;
  uint32_t next, other;
};

inline constexpr uint32_t kMaxPattern = 1u << 16;  // steps

constexpr int64_t EncodeStep(const PatternStep& step) {
  return static_cast<int64_t>(static_cast<uint64_t>(step.op) | uint64_t{step.low} << 8 | uint64_t{step.high} << 16 |
                              uint64_t{step.next} << 24 | uint64_t{step.other} << 44);
}

constexpr PatternStep DecodeStep(int64_t encoded) {
  auto bits = static_cast<uint64_t>(encoded);
  return {static_cast<PatternOp>(bits & 0xff), static_cast<uint8_t>(bits >> 8), static_cast<uint8_t>(bits >> 16),
          static_cast<uint32_t>(bits >> 24 & 0xfffff), static_cast<uint32_t>(bits >> 44)};
}

}  // namespace eyrie::abi

#endif  // EYRIE_ABI_PATTERN_H_
