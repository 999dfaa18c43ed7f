#include "runtime/base/fork_guard.h"

#include <sys/mman.h>
#include <unistd.h>

namespace eyrie::rt {

ForkGuard::ForkGuard() : pid_(getpid()) {
#if defined(MADV_WIPEONFORK)
  void* page = mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  if (madvise(page, 1, MADV_WIPEONFORK) != 0) {
    munmap(page, 1);
    return;
  }
  mark_ = static_cast<volatile char*>(page);
  *mark_ = 1;
#endif
}

ForkGuard::~ForkGuard() {
  if (mark_) munmap(const_cast<char*>(mark_), 1);
}

bool ForkGuard::IsSameProcess() const { return mark_ ? *mark_ != 0 : getpid() == pid_; }

}  // namespace eyrie::rt
