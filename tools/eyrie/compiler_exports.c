/* The shared library consists of the compiler's rooms; CMake wants it to have a source of its own. */
typedef int eyrie_compiler_exports;
