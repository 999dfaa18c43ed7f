#include "tools/eyrie/compiler_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <string>

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

constexpr char kName[] = "libeyrie-compiler.so";

std::string ProgramFolder() {
  std::string path(4096, '\0');
  ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  path.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return path.substr(0, path.rfind('/') + 1);
}

template <typename Function>
void Bind(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  if (*function == nullptr) Fail(std::string(kName) + " is of another version: it lacks " + name);
}

}  // namespace

CompilerLibrary LoadCompilerLibrary() {
  std::string folder = ProgramFolder();
  void* library = nullptr;
  std::string reason;
  for (const std::string& path : {folder + "../lib/" + kName, folder + kName, std::string(kName)}) {
    // Of a library that is there, but cannot be loaded, the reason is worth telling.
    bool exists = access(path.c_str(), F_OK) == 0;
    if (library == nullptr) library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr && (exists || reason.empty())) reason = dlerror();
    if (library != nullptr) break;
  }
  if (library == nullptr) Fail("the compiler is not installed: " + reason);
  CompilerLibrary api = {};
#define EYRIE_BIND(name) Bind(library, "eyrie_" #name, &api.name)
  EYRIE_BIND(compiler_version);
  EYRIE_BIND(compiler_option);
  EYRIE_BIND(compiler_stage);
  EYRIE_BIND(compiler_alternative);
  EYRIE_BIND(compile_create);
  EYRIE_BIND(compile_destroy);
  EYRIE_BIND(compile_set);
  EYRIE_BIND(compile_check);
  EYRIE_BIND(compile_on_progress);
  EYRIE_BIND(compile_add);
  EYRIE_BIND(compile_add_expansion);
  EYRIE_BIND(expansion_give);
  EYRIE_BIND(expansion_fail);
  EYRIE_BIND(compile_run);
  EYRIE_BIND(compile_estimate);
  EYRIE_BIND(compile_message);
  EYRIE_BIND(compile_report);
#undef EYRIE_BIND
  return api;
}

}  // namespace eyrie::cli
