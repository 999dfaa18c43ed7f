// Files out that appear whole or not at all, and states in files.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/eyrie-run/eyrie_run.h"

namespace eyrie::run {

NewFile Create(const char* path) {
  struct stat info;
  bool special = stat(path, &info) == 0 && !S_ISREG(info.st_mode);
  char* temporary = static_cast<char*>(malloc(strlen(path) + 32));
  if (!temporary) Fail(kFailed, "not enough memory");
  sprintf(temporary, special ? "%s" : "%s.%ld.part", path, static_cast<long>(getpid()));
  FILE* file = fopen(temporary, "wbe");
  if (!file) Fail(kFailed, "%s: cannot be created", path);
  return {path, temporary, file, special};
}

void Commit(NewFile out, bool good) {
  good = good && fflush(out.file) == 0 && (out.special || fsync(fileno(out.file)) == 0);
  good = fclose(out.file) == 0 && good;
  if (good && !out.special) good = rename(out.temporary, out.path) == 0;
  if (!good) {
    if (!out.special) unlink(out.temporary);
    Fail(kFailed, "%s: cannot be written", out.path);
  }
  free(out.temporary);
}

void* SaveStates(eyrie_instance_t* instance, size_t* size) {
  Check(eyrie_state_save(instance, nullptr, 0, size));
  void* bytes = malloc(*size);
  if (!bytes) Fail(kFailed, "not enough memory for states of %zu bytes", *size);
  Check(eyrie_state_save(instance, bytes, *size, size));
  return bytes;
}

void LoadStateFile(eyrie_instance_t* instance, const char* path) {
  FILE* file = fopen(path, "rbe");
  struct stat info;
  if (!file || fstat(fileno(file), &info) != 0 || !S_ISREG(info.st_mode))
    Fail(kFailed, "%s: not a file that can be read", path);
  auto size = static_cast<size_t>(info.st_size);
  void* bytes = malloc(size + 1);
  if (!bytes) Fail(kFailed, "not enough memory for states of %zu bytes", size);
  if (fread(bytes, 1, size, file) != size) Fail(kFailed, "%s: cannot be read", path);
  fclose(file);
  if (eyrie_status_t status = eyrie_state_restore(instance, bytes, size))
    Fail(kFailed, "%s: %s", path, eyrie_status_message(status));
  free(bytes);
}

void SaveStateFile(eyrie_instance_t* instance, const char* path) {
  size_t size;
  void* bytes = SaveStates(instance, &size);
  NewFile out = Create(path);
  Commit(out, fwrite(bytes, 1, size, out.file) == size);
  free(bytes);
}

}  // namespace eyrie::run
