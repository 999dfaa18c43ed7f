// Status and Result: how the runtime reports failure. A Status is one pointer, null when all is well.
#ifndef EYRIE_RUNTIME_BASE_STATUS_H_
#define EYRIE_RUNTIME_BASE_STATUS_H_

#include <cstdarg>
#include <utility>

#include "eyrie/runtime.h"

namespace eyrie::rt {

// Owns an eyrie_status_t. Messages come from malloc, not from the caller's allocator; when even that fails, a static
// status says so.
class [[nodiscard]] Status {
 public:
  constexpr Status() = default;
  explicit Status(eyrie_status_t rep) : rep_(rep) {}
  Status(Status&& other) : rep_(std::exchange(other.rep_, nullptr)) {}
  Status& operator=(Status&& other) {
    std::swap(rep_, other.rep_);
    return *this;
  }
  ~Status() {
    if (rep_) eyrie_status_free(rep_);
  }

  bool ok() const { return rep_ == nullptr; }
  eyrie_code_t code() const { return eyrie_status_code(rep_); }
  const char* message() const { return eyrie_status_message(rep_); }
  eyrie_status_t Release() { return std::exchange(rep_, nullptr); }

 private:
  eyrie_status_t rep_ = nullptr;
};

// printf-style.
__attribute__((format(printf, 2, 3), cold)) Status Error(eyrie_code_t code, const char* format, ...);
__attribute__((cold)) Status ErrorV(eyrie_code_t code, const char* format, va_list args);
// The same status with "text: " before its message.
__attribute__((format(printf, 2, 3), cold)) Status Annotate(Status status, const char* format, ...);
// Without allocating.
Status OutOfMemory();

// A value or a status. T is default-constructible and movable.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(Status status) : status_(std::move(status)) {}
  Result(T value) : value_(std::move(value)) {}
  bool ok() const { return status_.ok(); }
  Status& status() { return status_; }
  T& value() { return value_; }

 private:
  Status status_;
  T value_{};
};

#define EYRIE_RETURN_IF_ERROR(expression)                                                           \
  do {                                                                                              \
    if (::eyrie::rt::Status eyrie_status_ = (expression); __builtin_expect(!eyrie_status_.ok(), 0)) \
      return eyrie_status_;                                                                         \
  } while (0)

#define EYRIE_CONCAT_(a, b) a##b
#define EYRIE_CONCAT(a, b) EYRIE_CONCAT_(a, b)
#define EYRIE_ASSIGN_OR_RETURN(declaration, expression)                                                              \
  auto EYRIE_CONCAT(eyrie_result_, __LINE__) = (expression);                                                         \
  if (!EYRIE_CONCAT(eyrie_result_, __LINE__).ok()) return std::move(EYRIE_CONCAT(eyrie_result_, __LINE__).status()); \
  declaration = std::move(EYRIE_CONCAT(eyrie_result_, __LINE__).value())

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_STATUS_H_
