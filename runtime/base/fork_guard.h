// Tells whether this is still the process that made an object: a child of fork() has its memory, but not its threads.
#ifndef EYRIE_RUNTIME_BASE_FORK_GUARD_H_
#define EYRIE_RUNTIME_BASE_FORK_GUARD_H_

#include <sys/types.h>

namespace eyrie::rt {

class ForkGuard {
 public:
  ForkGuard();
  ~ForkGuard();
  ForkGuard(const ForkGuard&) = delete;
  bool IsSameProcess() const;

 private:
  // A page that the system empties in a child, so that looking costs one load; null where it cannot do that.
  volatile char* mark_ = nullptr;
  pid_t pid_;
};

}  // namespace eyrie::rt

#endif  // EYRIE_RUNTIME_BASE_FORK_GUARD_H_
