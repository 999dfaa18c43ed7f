// The functions that the caller added to a runtime.
#ifndef EYRIE_RUNTIME_SESSION_CALLER_FUNCTIONS_H_
#define EYRIE_RUNTIME_SESSION_CALLER_FUNCTIONS_H_

#include "runtime/base/thread.h"
#include "runtime/session/host_calls.h"
#include "runtime/session/runtime.h"

namespace eyrie::rt::session {

// Grows until the runtime goes.
class CallerFunctions final : public FunctionTable {
 public:
  // The runtime's, made if it has none yet; null: no memory. Thread-safe.
  static CallerFunctions* Of(eyrie_runtime& runtime);

  explicit CallerFunctions(Allocator& allocator) : allocator_(allocator) {}
  Status Add(const char* name, eyrie_host_function_t function, void* user, void (*release)(void* user));
  // Closes the library of a plug-in when the functions are gone. It is not the table's if this fails.
  Status Keep(void* library, void (*close)(void* library));
  const CallerFunction* Find(const char* name) override;
  void Destroy() override;

 private:
  struct Library {
    void* handle;
    void (*close)(void* handle);
    Library* before;
  };
  const CallerFunction* FindLocked(const char* name) const;

  Allocator& allocator_;
  Mutex mutex_;
  CallerFunction* last_ = nullptr;
  Library* last_library_ = nullptr;
};

}  // namespace eyrie::rt::session

#endif  // EYRIE_RUNTIME_SESSION_CALLER_FUNCTIONS_H_
