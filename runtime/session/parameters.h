// A file of parameters that modules share.
#ifndef EYRIE_RUNTIME_SESSION_PARAMETERS_H_
#define EYRIE_RUNTIME_SESSION_PARAMETERS_H_

#include <atomic>

#include "runtime/parameters/parameter_file.h"
#include "runtime/session/runtime.h"

struct eyrie_parameters {
  explicit eyrie_parameters(eyrie_runtime* runtime)
      : runtime(runtime), file(runtime->allocator), verified_(runtime->allocator) {
    runtime->Retain();
  }
  void Retain() { references.fetch_add(1, std::memory_order_relaxed); }
  void Release();

  eyrie::rt::Status Open(const char* path, const eyrie_parameters_options_t& options);
  // Compares tensors with their checksums, each once. Thread-safe.
  eyrie::rt::Status Verify(size_t index);
  eyrie::rt::Status VerifyAll();

  eyrie_runtime* runtime;
  std::atomic<uint32_t> references{1};  // the caller's, and one for each module
  eyrie::rt::parameters::ParameterFile file;
  const char* path() const { return path_; }

 private:
  char path_[400] = "";  // for messages
  eyrie::rt::Array<uint8_t> verified_;
};

#endif  // EYRIE_RUNTIME_SESSION_PARAMETERS_H_
