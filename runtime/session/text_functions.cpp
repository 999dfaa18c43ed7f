// Strings to strings.
#include <cstring>

#include "abi/letter_case.h"
#include "runtime/module/metadata.h"
#include "runtime/session/host_functions.h"

namespace eyrie::rt::session {
namespace {

using module::CountOf;

Status Concat(const HostCall& call) {
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t a, b;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &a));
    EYRIE_RETURN_IF_ERROR(call.Read(1, i, &b));
    if (b.size > SIZE_MAX - a.size) return OutOfMemory();
    EYRIE_RETURN_IF_ERROR(call.scratch.Reserve(a.size + b.size));
    // Of empty strings the data may be null.
    if (a.size) memcpy(call.scratch.data(), a.data, a.size);
    if (b.size) memcpy(call.scratch.data() + a.size, b.data, b.size);
    EYRIE_RETURN_IF_ERROR(call.Write(0, i, call.scratch.data(), a.size + b.size));
    return {};
  });
}

// ---- Case

Status ChangeCaseOfAll(const HostCall& call, bool to_upper) {
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t text;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &text));
    EYRIE_RETURN_IF_ERROR(call.scratch.Reserve(text.size * 2));
    size_t size = abi::ChangeCase(text.data, text.size, to_upper, call.scratch.data());
    EYRIE_RETURN_IF_ERROR(call.Write(0, i, call.scratch.data(), size));
    return {};
  });
}

Status Lower(const HostCall& call) { return ChangeCaseOfAll(call, false); }
Status Upper(const HostCall& call) { return ChangeCaseOfAll(call, true); }

// ---- Split

// Takes text apart at a separator, or where there is none at white space, at most `most` times.
class Splitter {
 public:
  Splitter(const abi::fb::HostFunction& function, const eyrie_string_t& text)
      : at_(text.data), end_(text.data + text.size), left_(IntegerOf(function, "maxsplit", -1)), more_(text.size) {
    const abi::fb::HostAttribute* attribute = FindAttribute(function, "delimiter");
    if (attribute && CountOf(attribute->strings())) {
      separator_ = attribute->strings()->Get(0)->c_str();
      size_ = attribute->strings()->Get(0)->size();
    }
  }
  bool Next(eyrie_string_t* part) { return size_ ? NextBySeparator(part) : NextBySpace(part); }

 private:
  bool NextBySeparator(eyrie_string_t* part) {
    if (!more_) return false;
    const char* found = nullptr;
    if (left_ != 0) found = static_cast<const char*>(memmem(at_, static_cast<size_t>(end_ - at_), separator_, size_));
    *part = {at_, static_cast<size_t>((found ? found : end_) - at_)};
    more_ = found;
    if (found) at_ = found + size_;
    if (left_ > 0) --left_;
    return true;
  }
  bool NextBySpace(eyrie_string_t* part) {
    while (at_ < end_ && IsSpace(*at_)) ++at_;
    if (at_ == end_) return false;
    const char* stop = at_;
    if (left_ == 0) {
      stop = end_;
    } else {
      while (stop < end_ && !IsSpace(*stop)) ++stop;
      if (left_ > 0) --left_;
    }
    *part = {at_, static_cast<size_t>(stop - at_)};
    at_ = stop;
    return true;
  }

  const char *at_, *end_;
  const char* separator_ = nullptr;
  size_t size_ = 0;
  int64_t left_;
  bool more_;
};

// How many parts each string has.
Status SplitCount(const HostCall& call) {
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t text, part;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &text));
    int64_t count = 0;
    for (Splitter splitter(call.function, text); splitter.Next(&part);) ++count;
    call.outputs[0].Store(i, count);
    return {};
  });
}

// The parts along a new last dimension, empty strings behind them.
Status Split(const HostCall& call) {
  const auto width = static_cast<uint64_t>(call.outputs[0].dims.back());
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t text, part;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &text));
    Splitter splitter(call.function, text);
    for (uint64_t k = 0; k < width; ++k) {
      bool has_part = splitter.Next(&part);
      EYRIE_RETURN_IF_ERROR(call.Write(0, i * width + k, part.data, has_part ? part.size : 0));
    }
    return {};
  });
}

constexpr BuiltIn kFunctions[] = {
    {"text.concat", "ss>s", nullptr, Concat}, {"text.lower", "s>s", nullptr, Lower},
    {"text.split", "s>s+", nullptr, Split},   {"text.split_count", "s>i", nullptr, SplitCount},
    {"text.upper", "s>s", nullptr, Upper},
};

}  // namespace

std::span<const BuiltIn> TextFunctions() { return kFunctions; }

}  // namespace eyrie::rt::session
