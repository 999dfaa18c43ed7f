// The compiler's C API (include/eyrie/compiler.h), loaded when it is first needed: the other commands neither pay for
// LLVM's start nor need it to be installed.
#ifndef EYRIE_TOOLS_EYRIE_COMPILER_LIBRARY_H_
#define EYRIE_TOOLS_EYRIE_COMPILER_LIBRARY_H_

#include <eyrie/compiler.h>

namespace eyrie::cli {

// The functions of the library, under their names without the prefix eyrie_.
struct CompilerLibrary {
  decltype(&eyrie_compiler_version) compiler_version;
  decltype(&eyrie_compiler_option) compiler_option;
  decltype(&eyrie_compiler_stage) compiler_stage;
  decltype(&eyrie_compiler_alternative) compiler_alternative;
  decltype(&eyrie_compile_create) compile_create;
  decltype(&eyrie_compile_destroy) compile_destroy;
  decltype(&eyrie_compile_set) compile_set;
  decltype(&eyrie_compile_check) compile_check;
  decltype(&eyrie_compile_on_progress) compile_on_progress;
  decltype(&eyrie_compile_add) compile_add;
  decltype(&eyrie_compile_add_expansion) compile_add_expansion;
  decltype(&eyrie_expansion_give) expansion_give;
  decltype(&eyrie_expansion_fail) expansion_fail;
  decltype(&eyrie_compile_run) compile_run;
  decltype(&eyrie_compile_estimate) compile_estimate;
  decltype(&eyrie_compile_message) compile_message;
  decltype(&eyrie_compile_report) compile_report;
};

// Looks in ../lib beside the program's folder, in the program's own folder, and where the system looks. Fails if there
// is no library.
CompilerLibrary LoadCompilerLibrary();

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_COMPILER_LIBRARY_H_
