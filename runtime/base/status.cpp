#include "runtime/base/status.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

struct eyrie_status {
  eyrie_code_t code;
  bool is_static;
  const char* message;
};

namespace eyrie::rt {
namespace {

eyrie_status out_of_memory = {EYRIE_RESOURCE_EXHAUSTED, true, "out of memory"};

}  // namespace

Status OutOfMemory() { return Status(&out_of_memory); }

Status ErrorV(eyrie_code_t code, const char* format, va_list args) {
  va_list copy;
  va_copy(copy, args);
  int length = vsnprintf(nullptr, 0, format, copy);
  va_end(copy);
  if (length < 0) length = 0;
  auto* rep = static_cast<eyrie_status*>(malloc(sizeof(eyrie_status) + static_cast<size_t>(length) + 1));
  if (!rep) return OutOfMemory();
  char* text = reinterpret_cast<char*>(rep + 1);
  text[0] = '\0';
  vsnprintf(text, static_cast<size_t>(length) + 1, format, args);
  *rep = {code, false, text};
  return Status(rep);
}

Status Error(eyrie_code_t code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  Status status = ErrorV(code, format, args);
  va_end(args);
  return status;
}

Status Annotate(Status status, const char* format, ...) {
  if (status.ok()) return status;
  char prefix[512];
  va_list args;
  va_start(args, format);
  vsnprintf(prefix, sizeof(prefix), format, args);
  va_end(args);
  return Error(status.code(), "%s: %s", prefix, status.message());
}

}  // namespace eyrie::rt

extern "C" {

eyrie_code_t eyrie_status_code(eyrie_status_t status) { return status ? status->code : EYRIE_OK; }

const char* eyrie_status_message(eyrie_status_t status) { return status ? status->message : ""; }

void eyrie_status_free(eyrie_status_t status) {
  if (status && !status->is_static) free(status);
}

eyrie_status_t eyrie_status_create(eyrie_code_t code, const char* message) {
  unsigned number;  // which may be any: the caller may be written in C
  memcpy(&number, &code, sizeof(number));
  if (number == EYRIE_OK) return nullptr;
  return eyrie::rt::Error(number <= EYRIE_INCOMPATIBLE ? code : EYRIE_UNKNOWN, "%s", message ? message : "").Release();
}

const char* eyrie_code_name(eyrie_code_t code) {
  static const char* const names[] = {
      "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED", "INCOMPATIBLE"};
  auto index = static_cast<unsigned>(code);
  return index < sizeof(names) / sizeof(names[0]) ? names[index] : "UNKNOWN";
}

}  // extern "C"
