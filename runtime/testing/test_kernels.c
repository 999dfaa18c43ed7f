/* Kernels for the tests: freestanding, one element range of 64 for each workgroup along x. */
#include "abi/kernel.h"

void* memcpy(void* destination, const void* source, __SIZE_TYPE__ size);

#define EXPORT __attribute__((visibility("default")))

static int64_t end_of(int64_t begin, int64_t count) { return begin + 64 < count ? begin + 64 : count; }

EXPORT int32_t add(const eyrie_kernel_dispatch* d, uint32_t x, uint32_t y, uint32_t z, void* local) {
  (void)y, (void)z, (void)local;
  const float *a = d->bindings[0], *b = d->bindings[1];
  float* c = d->bindings[2];
  int64_t begin = (int64_t)x * 64;
  for (int64_t i = begin; i < end_of(begin, d->constants[0]); ++i) c[i] = a[i] + b[i];
  return 0;
}

EXPORT int32_t scale(const eyrie_kernel_dispatch* d, uint32_t x, uint32_t y, uint32_t z, void* local) {
  (void)y, (void)z, (void)local;
  const float *a = d->bindings[0], *w = d->bindings[1];
  float* c = d->bindings[2];
  int64_t begin = (int64_t)x * 64;
  for (int64_t i = begin; i < end_of(begin, d->constants[0]); ++i) c[i] = a[i] * w[i % 8];
  return 0;
}

/* Returns its constant as an error. */
EXPORT int32_t fail(const eyrie_kernel_dispatch* d, uint32_t x, uint32_t y, uint32_t z, void* local) {
  (void)x, (void)y, (void)z, (void)local;
  return (int32_t)d->constants[0];
}

/* Writes x + 1 to word x, through the local memory and an imported function. */
EXPORT int32_t use_local(const eyrie_kernel_dispatch* d, uint32_t x, uint32_t y, uint32_t z, void* local) {
  (void)y, (void)z;
  volatile uint32_t* scratch = local;
  for (int i = 0; i < 64; ++i) scratch[i] = x + 1;
  int64_t bytes = d->constants[0];
  memcpy((uint32_t*)d->bindings[0] + x, local, (__SIZE_TYPE__)bytes);
  return 0;
}

/* Does nothing: what is measured is everything around it. */
EXPORT int32_t empty(const eyrie_kernel_dispatch* d, uint32_t x, uint32_t y, uint32_t z, void* local) {
  (void)d, (void)x, (void)y, (void)z, (void)local;
  return 0;
}

/* Data with an address in it, so that the object has a relocation. */
static const char letters[] = "eyrie";
const char* const letter_table[] = {letters, letters + 1};

EXPORT int32_t relocated(const eyrie_kernel_dispatch* d, uint32_t x, uint32_t y, uint32_t z, void* local) {
  (void)y, (void)z, (void)local;
  *(char*)d->bindings[0] = *letter_table[d->constants[0] + x];
  return 0;
}
