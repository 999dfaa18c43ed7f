// Numbers to text and back.
#include <locale.h>

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/session/host_functions.h"

namespace eyrie::rt::session {
namespace {

// The thread's locale says which character is the decimal point; here it is always '.'.
class PlainLocale {
 public:
  PlainLocale() : plain_(newlocale(LC_ALL_MASK, "C", nullptr)), before_(uselocale(plain_)) {}
  ~PlainLocale() {
    uselocale(before_);
    if (plain_) freelocale(plain_);
  }
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  locale_t plain_, before_;
};

float Parse(const char* text, char** end, float) { return strtof(text, end); }
double Parse(const char* text, char** end, double) { return strtod(text, end); }

// As few digits as give the number again.
template <typename T>
size_t PrintFloat(T value, char (&text)[40]) {
  if (value != value) return static_cast<size_t>(snprintf(text, sizeof(text), "NaN"));
  if (value - value != 0) return static_cast<size_t>(snprintf(text, sizeof(text), value > 0 ? "INF" : "-INF"));
  constexpr int kMost = sizeof(T) == 4 ? 9 : 17;
  int size = 0;
  for (int digits = kMost - 3; digits <= kMost; ++digits) {
    size = snprintf(text, sizeof(text), "%.*g", digits, static_cast<double>(value));
    if (Parse(text, nullptr, value) == value) break;
  }
  return static_cast<size_t>(size);
}
size_t Print(float value, char (&text)[40]) { return PrintFloat(value, text); }
size_t Print(double value, char (&text)[40]) { return PrintFloat(value, text); }
size_t Print(int64_t value, char (&text)[40]) {
  return static_cast<size_t>(snprintf(text, sizeof(text), "%lld", static_cast<long long>(value)));
}
size_t Print(uint64_t value, char (&text)[40]) {
  return static_cast<size_t>(snprintf(text, sizeof(text), "%llu", static_cast<unsigned long long>(value)));
}

template <typename T>
Status FromNumber(const HostCall& call) {
  PlainLocale locale;
  return call.ForEach([&](uint64_t i) -> Status {
    char text[40];
    size_t size = Print(call.inputs[0].Load<T>(i), text);
    EYRIE_RETURN_IF_ERROR(call.Write(0, i, text, size));
    return {};
  });
}

// Without the white space around it, in scratch memory, with a zero byte behind it. Decimal numbers, "inf", "infinity"
// and "nan" in any case are numbers; hexadecimal ones are not.
Status CopyNumber(const HostCall& call, eyrie_string_t text, const char** copy) {
  while (text.size && IsSpace(text.data[0])) ++text.data, --text.size;
  while (text.size && IsSpace(text.data[text.size - 1])) --text.size;
  for (size_t i = 0; i < text.size; ++i)
    if (!text.data[i] || text.data[i] == 'x' || text.data[i] == 'X' || text.data[i] == '(') text.size = 0;
  EYRIE_RETURN_IF_ERROR(call.scratch.Reserve(text.size + 1));
  if (text.size) memcpy(call.scratch.data(), text.data, text.size);
  call.scratch.data()[text.size] = 0;
  *copy = call.scratch.data();
  return {};
}

Status NoNumber(uint64_t i, const eyrie_string_t& text, const char* kind) {
  return Error(EYRIE_INVALID_ARGUMENT, "element %llu, '%.*s', is not %s", static_cast<unsigned long long>(i),
               static_cast<int>(text.size < 60 ? text.size : 60), text.data, kind);
}

template <typename T>
Status ToFloat(const HostCall& call) {
  PlainLocale locale;
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t text;
    const char* copy;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &text));
    EYRIE_RETURN_IF_ERROR(CopyNumber(call, text, &copy));
    char* end;
    T value = Parse(copy, &end, T());
    if (!*copy || *end) return NoNumber(i, text, "a number");
    call.outputs[0].Store(i, value);
    return {};
  });
}

// Decimal digits exactly; other numbers by what they are without their fraction.
template <typename T>
bool ParseInteger(const char* text, T* value) {
  constexpr bool kSigned = T(-1) < T(0);
  bool is_negative = *text == '-';
  const char* digits = text + (*text == '-' || *text == '+');
  T result = 0;
  for (const char* at = digits;; ++at) {
    if (!*at && at != digits) return *value = result, true;
    if (*at < '0' || *at > '9') break;
    T digit = static_cast<T>(*at - '0');
    if (__builtin_mul_overflow(result, T{10}, &result) ||
        (is_negative ? __builtin_sub_overflow(result, digit, &result) : __builtin_add_overflow(result, digit, &result)))
      return false;
  }
  char* end;
  double number = strtod(text, &end);
  // No number lies between -2^63 - 1 and -2^63.
  constexpr double kLimit = kSigned ? 0x1p63 : 0x1p64;
  if (!*text || *end || !(kSigned ? number >= -kLimit : number > -1.0) || !(number < kLimit)) return false;
  return *value = static_cast<T>(number), true;
}

// The attribute "bits" is the width of the integers that they become.
template <typename T>
Status ToInteger(const HostCall& call) {
  PlainLocale locale;
  const int64_t bits = IntegerOf(call.function, "bits", 64);
  return call.ForEach([&](uint64_t i) -> Status {
    eyrie_string_t text;
    const char* copy;
    EYRIE_RETURN_IF_ERROR(call.Read(0, i, &text));
    EYRIE_RETURN_IF_ERROR(CopyNumber(call, text, &copy));
    T value;
    bool fits = ParseInteger(copy, &value);
    if (fits && bits < 64) {
      int64_t above = static_cast<int64_t>(value) >> (T(-1) < T(0) ? bits - 1 : bits);
      fits = above == 0 || (T(-1) < T(0) && above == -1);
    }
    if (!fits) {
      char kind[40];
      snprintf(kind, sizeof(kind), "an integer of %d bits", static_cast<int>(bits));
      return NoNumber(i, text, kind);
    }
    call.outputs[0].Store(i, value);
    return {};
  });
}

Status CheckBits(const abi::fb::HostFunction& function) {
  int64_t bits = IntegerOf(function, "bits", 64);
  return bits >= 1 && bits <= 64 ? Status()
                                 : Error(EYRIE_INVALID_ARGUMENT, "integers of %lld bits", static_cast<long long>(bits));
}

constexpr BuiltIn kFunctions[] = {
    {"text.from_f32", "f>s", nullptr, FromNumber<float>},   {"text.from_f64", "d>s", nullptr, FromNumber<double>},
    {"text.from_i64", "i>s", nullptr, FromNumber<int64_t>}, {"text.from_u64", "u>s", nullptr, FromNumber<uint64_t>},
    {"text.to_f32", "s>f", nullptr, ToFloat<float>},        {"text.to_f64", "s>d", nullptr, ToFloat<double>},
    {"text.to_i64", "s>i", CheckBits, ToInteger<int64_t>},  {"text.to_u64", "s>u", CheckBits, ToInteger<uint64_t>},
};

}  // namespace

std::span<const BuiltIn> NumberFunctions() { return kFunctions; }

}  // namespace eyrie::rt::session
