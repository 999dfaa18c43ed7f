// The sanitizers' allocators end the program for impossible sizes unless told otherwise; the tests want an error.
extern "C" {
__attribute__((used, visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
__attribute__((used, visibility("default"))) const char* __tsan_default_options() {
  return "allocator_may_return_null=1";
}
}
