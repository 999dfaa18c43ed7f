// Whether strings match a regular expression, which the compiler has made a program of.
//
// The program is a nondeterministic automaton over bytes (Ken Thompson, "Regular expression search algorithm", 1968).
// All its states are followed at once, so that time is at most the length of the text times that of the program.
#include "abi/pattern.h"
#include "runtime/module/metadata.h"
#include "runtime/session/host_functions.h"

namespace eyrie::rt::session {
namespace {

using abi::PatternOp;
using module::CountOf;

std::span<const int64_t> ProgramOf(const abi::fb::HostFunction& function) {
  const abi::fb::HostAttribute* attribute = FindAttribute(function, "program");
  if (!attribute || !attribute->integers()) return {};
  return {attribute->integers()->data(), attribute->integers()->size()};
}

Status CheckProgram(const abi::fb::HostFunction& function) {
  std::span<const int64_t> program = ProgramOf(function);
  if (program.empty() || program.size() > abi::kMaxPattern)
    return Error(EYRIE_INVALID_ARGUMENT, "a pattern of %zu steps, limit %u", program.size(), abi::kMaxPattern);
  for (size_t i = 0; i < program.size(); ++i) {
    abi::PatternStep step = abi::DecodeStep(program[i]);
    if (step.op > PatternOp::kNoWordBorder || step.next >= program.size() || step.other >= program.size())
      return Error(EYRIE_INVALID_ARGUMENT, "step %zu of the pattern is unknown, or leads out of it", i);
  }
  return {};
}

bool IsWord(int byte) {
  return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
}

// The states that have been reached, each once. Four arrays of as many numbers as the program has steps.
class Matcher {
 public:
  Matcher(std::span<const int64_t> program, uint32_t* memory)
      : program_(program),
        seen_(memory),
        now_(memory + program.size()),
        next_(now_ + program.size()),
        stack_(next_ + program.size()) {
    for (size_t i = 0; i < program.size(); ++i) seen_[i] = 0;
  }

  Status Match(const eyrie_string_t& text, const hal::Stop& stop, bool* matches) {
    auto byte = [&](size_t i) { return i < text.size ? static_cast<unsigned char>(text.data[i]) : -1; };
    bool is_end = Begin(0, -1, byte(0), now_, now_count_);
    for (size_t i = 0; i < text.size && now_count_; ++i) {
      if (i % 65536 == 65535) EYRIE_RETURN_IF_ERROR(stop.Check());
      const int here = byte(i);
      NextMark();
      next_count_ = 0;
      is_end = false;
      for (uint32_t k = 0; k < now_count_; ++k) {
        abi::PatternStep step = abi::DecodeStep(program_[now_[k]]);
        if (here >= step.low && here <= step.high) is_end |= Follow(step.next, here, byte(i + 1), next_, next_count_);
      }
      uint32_t* old = now_;
      now_ = next_;
      next_ = old;
      now_count_ = next_count_;
      if (i + 1 < text.size) is_end = false;
    }
    *matches = is_end;
    return {};
  }

 private:
  void NextMark() {
    if (++mark_) return;
    for (size_t i = 0; i < program_.size(); ++i) seen_[i] = 0;
    mark_ = 1;
  }

  bool Begin(uint32_t state, int before, int behind, uint32_t* list, uint32_t& count) {
    NextMark();
    count = 0;
    bool is_end = Follow(state, before, behind, list, count);
    return is_end && behind < 0;
  }

  // Adds the states that read a byte, which are reached from `state` without one; true if the end is reached.
  bool Follow(uint32_t state, int before, int behind, uint32_t* list, uint32_t& count) {
    uint32_t depth = 0;
    bool is_end = false;
    auto push = [&](uint32_t s) {
      if (seen_[s] == mark_) return;
      seen_[s] = mark_;
      stack_[depth++] = s;
    };
    push(state);
    while (depth) {
      uint32_t at = stack_[--depth];
      abi::PatternStep step = abi::DecodeStep(program_[at]);
      bool is_border = IsWord(before) != IsWord(behind);
      switch (step.op) {
        case PatternOp::kByte:
          list[count++] = at;
          break;
        case PatternOp::kMatch:
          is_end = true;
          break;
        case PatternOp::kSplit:
          push(step.other);
          push(step.next);
          break;
        case PatternOp::kBegin:
          if (before < 0) push(step.next);
          break;
        case PatternOp::kEnd:
          if (behind < 0) push(step.next);
          break;
        case PatternOp::kLineBegin:
          if (before < 0 || before == '\n') push(step.next);
          break;
        case PatternOp::kLineEnd:
          if (behind < 0 || behind == '\n') push(step.next);
          break;
        case PatternOp::kWordBorder:
          if (is_border) push(step.next);
          break;
        case PatternOp::kNoWordBorder:
          if (!is_border) push(step.next);
          break;
      }
    }
    return is_end;
  }

  std::span<const int64_t> program_;
  uint32_t *seen_, *now_, *next_, *stack_;
  uint32_t now_count_ = 0, next_count_ = 0;
  uint32_t mark_ = 0;
};

Status FullMatch(const HostCall& call) {
  std::span<const int64_t> program = ProgramOf(call.function);
  EYRIE_RETURN_IF_ERROR(call.scratch.Reserve(program.size() * 4 * sizeof(uint32_t) + alignof(uint32_t)));
  auto address = reinterpret_cast<uintptr_t>(call.scratch.data());
  auto* memory = reinterpret_cast<uint32_t*>((address + 3) / 4 * 4);
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t text;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &text));
    bool matches;
    EYRIE_RETURN_IF_ERROR(Matcher(program, memory).Match(text, call.stop, &matches));
    call.outputs[0].Store<uint8_t>(i, matches);
    return {};
  });
}

constexpr BuiltIn kFunctions[] = {{"text.matches", "s>b", CheckProgram, FullMatch}};

}  // namespace

std::span<const BuiltIn> PatternFunctions() { return kFunctions; }

}  // namespace eyrie::rt::session
