// Plug-ins: shared libraries that add functions.
#include <dlfcn.h>

#include <cstring>

#include "runtime/session/caller_functions.h"

using namespace eyrie::rt;
using eyrie::rt::session::CallerFunctions;

namespace {

void Close(void* library) { dlclose(library); }

Status Register(eyrie_runtime* runtime, CallerFunctions& table, const char* path) {
  // A name without a slash would be looked for among the system's libraries.
  char here[4096];
  const char* file = path;
  if (!strchr(path, '/')) {
    if (strlen(path) > sizeof(here) - 3) return Error(EYRIE_INVALID_ARGUMENT, "its name is too long");
    memcpy(here, "./", 2);
    memcpy(here + 2, path, strlen(path) + 1);
    file = here;
  }
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char* reason = dlerror();
    return Error(EYRIE_NOT_FOUND, "%s", reason ? reason : "it cannot be loaded");
  }
  const auto* version = static_cast<const uint32_t*>(dlsym(library, "eyrie_plugin_version"));
  void* symbol = dlsym(library, "eyrie_plugin_register");
  Status status;
  if (!version || !symbol)
    status = Error(EYRIE_INVALID_ARGUMENT, "it is no plug-in: it has no '%s' (see EYRIE_PLUGIN in eyrie/runtime.h)",
                   version ? "eyrie_plugin_register" : "eyrie_plugin_version");
  else if (*version != EYRIE_PLUGIN_VERSION)
    status = Error(EYRIE_INCOMPATIBLE,
                   "it was built for version %u of plug-ins, this runtime takes version %d: build it again", *version,
                   EYRIE_PLUGIN_VERSION);
  else
    status = table.Keep(library, Close);
  if (!status.ok()) {
    dlclose(library);
    return status;
  }
  eyrie_status_t (*add)(eyrie_runtime*);
  memcpy(&add, &symbol, sizeof(add));
  return Status(add(runtime));
}

}  // namespace

eyrie_status_t eyrie_runtime_add_plugin(eyrie_runtime_t* runtime, const char* path) {
  if (!runtime || !path) return Error(EYRIE_INVALID_ARGUMENT, "no runtime, or no path").Release();
  if (Status status = runtime->CheckProcess(); !status.ok()) return status.Release();
  CallerFunctions* table = CallerFunctions::Of(*runtime);
  Status status = table ? Register(runtime, *table, path) : OutOfMemory();
  return Annotate(std::move(status), "plug-in '%.400s'", path).Release();
}
