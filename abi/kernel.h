/* The calling convention between a kernel (a function of an executable) and the runtime.
 *
 * A dispatch runs `kernel` once for every workgroup (x, y, z) with 0 <= x < workgroup_count[0], and so on, in any
 * order and on any thread. Workgroups of one dispatch must not depend on each other.
 *
 * Plain C, no includes but the fixed-width integers: a kernel's producer may be anything. The layout below is frozen
 * for EYRIE_KERNEL_ABI_VERSION; new fields are appended and the version is raised. */
#ifndef EYRIE_ABI_KERNEL_H_
#define EYRIE_ABI_KERNEL_H_

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EYRIE_KERNEL_ABI_VERSION 1

/* On a 64-bit machine: bindings at byte 0, constants at 8, workgroup_count at 16, 20, 24, binding_count at 28,
 * constant_count at 32; 40 bytes in all. With pointers of 4 bytes: 0, 4, 8, 12, 16, 20, 24; 32 bytes in all. Everything
 * is read-only to the kernel except the bytes that the bindings of its results point to. */
typedef struct eyrie_kernel_dispatch {
  /* First byte of every tensor: the arguments first, then the results. Row-major, dense, little-endian.
   * Guaranteed alignment: that of the element type (64 bytes for everything in the arena and for weights; the
   * caller's own tensors have only the former, so kernels must use element-aligned accesses). A binding of zero
   * bytes points to a valid address that must not be read or written. */
  void* const* bindings;
  /* The index operands of the dispatch, in order. */
  const int64_t* constants;
  uint32_t workgroup_count[3];
  uint32_t binding_count;
  uint32_t constant_count;
  uint32_t reserved;
} eyrie_kernel_dispatch;

/* `local` points to the export's local_memory bytes (64-byte aligned, contents undefined, private to the thread while
 * the workgroup runs); it is null if the export asked for none. Returns 0, or an eyrie_kernel_error. */
typedef int32_t (*eyrie_kernel)(const eyrie_kernel_dispatch* dispatch, uint32_t workgroup_x, uint32_t workgroup_y,
                                uint32_t workgroup_z, void* local);

/* What a kernel may return. Any other value is reported as an internal error with its number. */
enum eyrie_kernel_error {
  EYRIE_KERNEL_OK = 0,
  EYRIE_KERNEL_INDEX_OUT_OF_RANGE = 1, /* an element of an index tensor is outside its range */
  EYRIE_KERNEL_DIVISION_BY_ZERO = 2,
  EYRIE_KERNEL_INVALID_VALUE = 3, /* any other data-dependent condition of the operation is broken */
};

/* The only symbols that an executable may import; the loader supplies them. */
#define EYRIE_KERNEL_IMPORTS(X) X(memcpy) X(memmove) X(memset)

#ifdef __cplusplus
}
#endif

#endif /* EYRIE_ABI_KERNEL_H_ */
