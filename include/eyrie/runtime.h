/* Eyrie's runtime: loads compiled modules (.eyr) and calls their functions. A stable C interface.
 *
 * Threads: a runtime, a module and a fence may be used from many threads at once. An instance runs one call at a time;
 * a second call while one runs is refused. Nothing here is global; a runtime starts no threads but those it is asked
 * for. After fork() the child must not use what was made before: functions that can fail refuse, destroying leaves the
 * memory. It may make a runtime of its own.
 * Errors: functions that can fail return a status: null means all is well; otherwise the caller frees it.
 * Option structures begin with their size, so that they can grow: set `struct_size = sizeof(...)`, zero the rest.
 * A null options pointer means the defaults. Strings are UTF-8 and end with a zero byte; strings and arrays that are
 * handed out live as long as the object that they were asked of. */
#ifndef EYRIE_RUNTIME_H_
#define EYRIE_RUNTIME_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define EYRIE_API
#else
#define EYRIE_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Status -------------------------------------------------------------------------------------------------- */

typedef enum eyrie_code {
  EYRIE_OK = 0,
  EYRIE_CANCELLED = 1,
  EYRIE_UNKNOWN = 2,
  EYRIE_INVALID_ARGUMENT = 3,
  EYRIE_DEADLINE_EXCEEDED = 4,
  EYRIE_NOT_FOUND = 5,
  EYRIE_ALREADY_EXISTS = 6,
  EYRIE_PERMISSION_DENIED = 7,
  EYRIE_RESOURCE_EXHAUSTED = 8,
  EYRIE_FAILED_PRECONDITION = 9,
  EYRIE_ABORTED = 10,
  EYRIE_OUT_OF_RANGE = 11,
  EYRIE_UNIMPLEMENTED = 12,
  EYRIE_INTERNAL = 13,
  EYRIE_UNAVAILABLE = 14,
  EYRIE_DATA_LOSS = 15,
  EYRIE_UNAUTHENTICATED = 16,
  EYRIE_INCOMPATIBLE = 17
} eyrie_code_t;

typedef struct eyrie_status* eyrie_status_t;

EYRIE_API eyrie_code_t eyrie_status_code(eyrie_status_t status); /* EYRIE_OK for null */
EYRIE_API const char* eyrie_status_message(eyrie_status_t status);
EYRIE_API const char* eyrie_code_name(eyrie_code_t code); /* "INVALID_ARGUMENT", ... */
EYRIE_API void eyrie_status_free(eyrie_status_t status);  /* null is fine */
/* A status of the caller's own, for functions that a module calls (below). The text is copied. EYRIE_OK gives null; a
 * code that is none of these becomes EYRIE_UNKNOWN. */
EYRIE_API eyrie_status_t eyrie_status_create(eyrie_code_t code, const char* message);

/* ---- Element types: the numbers and names of abi/element_types.def -------------------------------------------- */

typedef enum eyrie_type {
  EYRIE_NONE = 0, /* no value: an optional input that is not given, an optional output that is not there */
  EYRIE_F64 = 1,
  EYRIE_F32 = 2,
  EYRIE_F16 = 3,
  EYRIE_BF16 = 4,
  EYRIE_F8E4M3FN = 5,
  EYRIE_F8E4M3FNUZ = 6,
  EYRIE_F8E5M2 = 7,
  EYRIE_F8E5M2FNUZ = 8,
  EYRIE_F8E8M0FNU = 9,
  EYRIE_F4E2M1FN = 10,
  EYRIE_I64 = 16,
  EYRIE_I32 = 17,
  EYRIE_I16 = 18,
  EYRIE_I8 = 19,
  EYRIE_I4 = 20,
  EYRIE_I2 = 21,
  EYRIE_U64 = 24,
  EYRIE_U32 = 25,
  EYRIE_U16 = 26,
  EYRIE_U8 = 27,
  EYRIE_U4 = 28,
  EYRIE_U2 = 29,
  EYRIE_BOOL = 32,
  EYRIE_COMPLEX64 = 40,
  EYRIE_COMPLEX128 = 41,
  EYRIE_STRING = 48,
  EYRIE_SEQUENCE = 64 /* not an element type: see eyrie_tensor_t */
} eyrie_type_t;

EYRIE_API const char* eyrie_type_name(uint32_t type);      /* "f32"; null if there is no such type */
EYRIE_API const char* eyrie_type_npy(uint32_t type);       /* "<f4": the dtype under which it travels in .npy files */
EYRIE_API uint32_t eyrie_type_bits(uint32_t type);         /* bits of an element in memory; below 8 they are packed */
EYRIE_API uint32_t eyrie_type_from_name(const char* name); /* 0 if there is no such type */

/* ---- Runtime -------------------------------------------------------------------------------------------------- */

/* The caller's allocator. All three may be called from several threads at once. `alignment` is a power of two. */
typedef struct eyrie_allocator {
  void* user;
  void* (*allocate)(void* user, size_t size, size_t alignment); /* null: no memory */
  void (*release)(void* user, void* memory, size_t size, size_t alignment);
} eyrie_allocator_t;

/* The caller's threads. `submit` has `work(argument)` called once, soon, by any thread, and must not fail; it may be
 * called from several threads at once. The runtime never has more than `concurrency` items (0: 1) under way, and
 * destroying it waits for them: a thread of the executor may do so only while another is free to run them. The same
 * holds for eyrie_fence_wait; eyrie_call and eyrie_instance_destroy never need another thread. */
typedef struct eyrie_executor {
  void* user;
  void (*submit)(void* user, void (*work)(void* argument), void* argument);
  uint32_t concurrency;
} eyrie_executor_t;

/* As many threads as the process may use: its affinity mask and the processor quota of its control group. Workers take
 * one processor of each core first, fast cores before slow ones, and the memory node of the thread that creates the
 * runtime before others; they may run on all processors of the kind and node of theirs. */
#define EYRIE_THREADS_AUTO UINT32_MAX

typedef struct eyrie_runtime_options {
  size_t struct_size;
  eyrie_allocator_t allocator; /* zero: malloc and free */
  uint32_t threads;            /* 0 or 1: everything runs in the caller's thread; n: the caller and n - 1 workers */
  uint32_t spin_us;            /* how long an idle worker spins before it sleeps; 0: at most 50 microseconds */
  eyrie_executor_t executor;   /* if its `submit` is set: no thread is started, `threads` is not looked at */
  /* Idle workers, and threads in eyrie_fence_wait, spin for ever instead of sleeping: every call begins at once, and
   * every thread takes a whole processor all the time. `spin_us` is not looked at. */
  int low_latency;
} eyrie_runtime_options_t;

typedef struct eyrie_runtime eyrie_runtime_t;

typedef struct eyrie_runtime_stats {
  uint64_t allocations; /* calls of the allocator so far */
  uint64_t bytes;       /* allocated now */
  uint64_t peak_bytes;
  uint32_t threads; /* that run kernels: the caller and the workers that could be started */
} eyrie_runtime_stats_t;

EYRIE_API eyrie_status_t eyrie_runtime_create(const eyrie_runtime_options_t* options, eyrie_runtime_t** runtime);
EYRIE_API void eyrie_runtime_destroy(eyrie_runtime_t* runtime); /* after its modules */
EYRIE_API void eyrie_runtime_get_stats(eyrie_runtime_t* runtime, eyrie_runtime_stats_t* stats);
EYRIE_API const char* eyrie_version(void);

/* ---- Parameters ------------------------------------------------------------------------------------------------ */

typedef enum eyrie_verify {
  EYRIE_VERIFY_LAZY = 0, /* weights are checked once, before the first call; all else when loading */
  EYRIE_VERIFY_FULL = 1, /* everything when loading */
  EYRIE_VERIFY_OFF = 2   /* weights are never checked; all else when loading */
} eyrie_verify_t;

typedef struct eyrie_parameters_options {
  size_t struct_size;
  eyrie_verify_t verify; /* FULL: all checksums of the tensors are compared here; else when a module uses a tensor */
  int in_memory;         /* the file is read instead of mapped: it may be changed in place afterwards */
} eyrie_parameters_options_t;

/* A file of named tensors outside modules: safetensors, gguf, .npz (stored, not compressed) or Eyrie's archive .eyp. It
 * is mapped: it must not be changed in place while the object lives (replacing it is fine), and all who map it share
 * its memory. May be used from many threads at once. */
typedef struct eyrie_parameters eyrie_parameters_t;

typedef struct eyrie_parameter_info {
  const char* name;
  uint32_t type;         /* eyrie_type_t; 0: none of them, see `problem` */
  const char* type_name; /* "f32"; or what the file's format calls it */
  const char* problem;   /* why it cannot be used as a tensor ("is quantised ..."); null: it can */
  uint32_t rank;
  const int64_t* dims; /* row-major */
  uint64_t offset, size_bytes;
  const void* data;
  int is_derived; /* of an archive: a module computed it from other tensors, whose checksums `source_check` sums up */
  uint32_t source_check;
} eyrie_parameter_info_t;

EYRIE_API eyrie_status_t eyrie_parameters_open(eyrie_runtime_t* runtime, const char* path,
                                               const eyrie_parameters_options_t* options,
                                               eyrie_parameters_t** parameters);
/* Modules that use the file keep it. Null is fine. */
EYRIE_API void eyrie_parameters_destroy(eyrie_parameters_t* parameters);
EYRIE_API const char* eyrie_parameters_format(const eyrie_parameters_t* parameters); /* "safetensors" */
/* Tensors are numbered from 0 in the order of their names' bytes. */
EYRIE_API size_t eyrie_parameters_count(const eyrie_parameters_t* parameters);
EYRIE_API eyrie_status_t eyrie_parameters_entry(const eyrie_parameters_t* parameters, size_t index,
                                                eyrie_parameter_info_t* info);
EYRIE_API eyrie_status_t eyrie_parameters_find(const eyrie_parameters_t* parameters, const char* name, size_t* index);
/* Compares all tensors with their checksums, as far as the format has any (.eyp and .npz do). */
EYRIE_API eyrie_status_t eyrie_parameters_verify(eyrie_parameters_t* parameters);

/* ---- Module --------------------------------------------------------------------------------------------------- */

typedef struct eyrie_module_options {
  size_t struct_size;
  eyrie_verify_t verify;
  int inspect_only;         /* executables are not loaded, so that a module for another machine can be looked at */
  uint64_t max_arena_bytes; /* limit for the transient memory of a call, and for derived parameters; 0: 1 TiB */
  /* Where the module's parameters are looked for: the last file that has a name gives it, so that a file with a few
   * tensors lies over those before it. The module keeps them; they must be of the same runtime. */
  eyrie_parameters_t* const* parameters;
  size_t parameter_count;
  /* A processor that the module was compiled for, by its name (eyrie_module_cpu): the code that it would get is loaded,
   * as far as this one can run it. Null: the best code that this processor can run. */
  const char* cpu;
} eyrie_module_options_t;

typedef struct eyrie_module eyrie_module_t;

/* The file is mapped: it must not be changed in place while the module lives (replacing it is fine). */
EYRIE_API eyrie_status_t eyrie_module_load_file(eyrie_runtime_t* runtime, const char* path,
                                                const eyrie_module_options_t* options, eyrie_module_t** module);
/* The memory is the caller's and must outlive the module; it is copied if not aligned to 64 bytes. */
EYRIE_API eyrie_status_t eyrie_module_load_memory(eyrie_runtime_t* runtime, const void* data, size_t size,
                                                  const eyrie_module_options_t* options, eyrie_module_t** module);
EYRIE_API void eyrie_module_destroy(eyrie_module_t* module); /* after its instances */
/* Checks the weights now, if that has not been done yet. */
EYRIE_API eyrie_status_t eyrie_module_verify(eyrie_module_t* module);

/* Reflection. Indices count from 0; out-of-range ones give NOT_FOUND. */
typedef struct eyrie_module_info {
  const char *producer, *target, *source;
  uint32_t format_major, format_minor;
  uint64_t file_size;
  uint32_t section_count, function_count, executable_count;
  uint32_t internal_count; /* functions behind the others: they can be looked at, but not called */
} eyrie_module_info_t;

typedef struct eyrie_section_info {
  uint32_t kind;
  const char* name;
  uint64_t offset, size;
  uint32_t alignment, crc;
} eyrie_section_info_t;

typedef struct eyrie_function_info {
  const char* name;
  uint32_t argument_count, result_count;
  uint32_t int_registers, buffer_registers, code_words, block_count;
  /* The memory plan; -1: known only at run time. */
  int64_t arena_bytes; /* of the packed arena */
  int64_t total_bytes; /* of all transients, had none shared memory */
  int64_t lower_bound; /* the most bytes in use at one time: no arena is smaller */
  uint32_t transient_count;
  /* No call takes a larger arena, whatever sizes it has that the ranges of its symbols allow (`--shape batch=1..64`):
   * so much memory of the caller's is enough for all of them, besides the states. -1: there is no bound. */
  int64_t upper_bound;
} eyrie_function_info_t;

typedef struct eyrie_dim {
  int64_t size;       /* -1: known only at run time */
  const char* symbol; /* null if it has no name; equal names must have equal sizes */
} eyrie_dim_t;

typedef struct eyrie_value_info {
  const char* name;
  uint32_t type;
  uint32_t rank;
  const eyrie_dim_t* dims;
  int is_sequence; /* a sequence of tensors; type, rank and dims are those of every element */
  int any_rank;    /* elements of the sequence, or the optional tensor, may have any rank; `rank` is 0 */
  int is_optional; /* may be missing: see eyrie_tensor_t */
  /* What the indices along the last dimension are, as the classes of a classifier's scores: texts, each ended by a zero
   * byte, and an empty one behind the last. Often none. */
  const char* labels;
} eyrie_value_info_t;

/* What a module needs from files of parameters, with the tensors of the model that are part of its code. */
typedef struct eyrie_module_parameter {
  eyrie_value_info_t value; /* the tensor to be given: name, type and shape */
  uint64_t size_bytes;
  int is_derived;        /* not given: the module computes it from others when it is loaded */
  int is_fixed;          /* part of the code: a file may have it, but not with other values */
  uint32_t source_count; /* of a derived one */
} eyrie_module_parameter_t;

EYRIE_API eyrie_status_t eyrie_module_parameter(const eyrie_module_t* module, uint32_t index,
                                                eyrie_module_parameter_t* info);
/* Of what it is derived: the index of another parameter. */
EYRIE_API eyrie_status_t eyrie_module_parameter_source(const eyrie_module_t* module, uint32_t index, uint32_t source,
                                                       uint32_t* parameter);
/* The name of the file that the compiler wrote the parameters to, without its folder; empty if it wrote none. */
EYRIE_API const char* eyrie_module_archive(const eyrie_module_t* module);

typedef struct eyrie_transient_info {
  const char* name;
  int64_t offset, size; /* -1: known only at run time */
  uint32_t first_use, last_use;
} eyrie_transient_info_t;

/* A kernel's code; where it has several variants, that of the one which is loaded, or would be. */
typedef struct eyrie_executable_info {
  const char *name, *format;
  uint64_t features; /* bits: see eyrie_feature_name */
  uint64_t size;
  uint32_t export_count, first_export;
  uint32_t variant_count; /* at least 1 */
} eyrie_executable_info_t;

/* Code of an executable for some processors. The first that fits is loaded. */
typedef struct eyrie_variant_info {
  const char* format;
  uint64_t features;
  uint64_t offset, size; /* in the section `objects`; equal code of two variants lies there once */
  int is_taken;          /* this one is loaded, or would be; of no variant if none fits */
} eyrie_variant_info_t;

/* A processor that the module was compiled for. */
typedef struct eyrie_cpu_info {
  const char *name, *format;
  uint64_t features;
  int is_usable; /* this processor has all that it has */
} eyrie_cpu_info_t;

typedef struct eyrie_export_info {
  const char* symbol;
  uint32_t executable, binding_count, constant_count, local_memory, node_count;
  /* Arithmetic ones on elements that a dispatch makes; a multiplication and an addition are two. 0 if it depends on
   * open sizes. */
  uint64_t operations;
} eyrie_export_info_t;

EYRIE_API void eyrie_module_get_info(const eyrie_module_t* module, eyrie_module_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_section(const eyrie_module_t* module, uint32_t index, eyrie_section_info_t* info);
/* An empty name finds the only function, or `main`. The message lists the names that there are. */
EYRIE_API eyrie_status_t eyrie_module_find(const eyrie_module_t* module, const char* name, uint32_t* function);
EYRIE_API eyrie_status_t eyrie_module_function(const eyrie_module_t* module, uint32_t function,
                                               eyrie_function_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_argument(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                               eyrie_value_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_result(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                             eyrie_value_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_transient(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                                eyrie_transient_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_executable(const eyrie_module_t* module, uint32_t index,
                                                 eyrie_executable_info_t* info);
/* The variants of an executable, and the processors that the compiler was given, both best first. */
EYRIE_API eyrie_status_t eyrie_module_variant(const eyrie_module_t* module, uint32_t executable, uint32_t index,
                                              eyrie_variant_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_cpu(const eyrie_module_t* module, uint32_t index, eyrie_cpu_info_t* info);
/* The name of a processor feature, as LLVM calls it; null if the format has none of this number. */
EYRIE_API const char* eyrie_feature_name(const char* format, uint32_t bit);
EYRIE_API eyrie_status_t eyrie_module_export(const eyrie_module_t* module, uint32_t index, eyrie_export_info_t* info);
EYRIE_API const char* eyrie_module_export_node(const eyrie_module_t* module, uint32_t index, uint32_t node);
/* Writes the function's bytecode as text, zero-terminated, cut at `capacity`; `needed` gets the whole size with the
 * zero. */
EYRIE_API eyrie_status_t eyrie_module_disassemble(const eyrie_module_t* module, uint32_t function, char* text,
                                                  size_t capacity, size_t* needed);

/* ---- Calls ---------------------------------------------------------------------------------------------------- */

#define EYRIE_MAX_RANK 32

/* An element of a string tensor: any bytes. Those of outputs are the instance's, until its next call. */
typedef struct eyrie_string {
  const char* data;
  size_t size;
} eyrie_string_t;

/* A dense, row-major tensor. The data must be aligned to its element type; that of a string tensor is an array of
 * eyrie_string_t. A sequence has the type EYRIE_SEQUENCE, rank 1, and an array of dims[0] eyrie_tensor_t as its data;
 * as an output it must come with null data, and its elements are the instance's memory, which several may share.
 * An optional value that is missing has the type EYRIE_NONE, and nothing else of it is looked at; as an output it must
 * come with null data, too. */
typedef struct eyrie_tensor {
  void* data;
  size_t size_bytes; /* may be larger than the shape needs */
  uint32_t type;     /* eyrie_type_t */
  uint32_t rank;
  int64_t dims[EYRIE_MAX_RANK];
} eyrie_tensor_t;

typedef struct eyrie_instance eyrie_instance_t;

#define EYRIE_ARENA_ALIGNMENT 64

typedef struct eyrie_instance_options {
  size_t struct_size;
  int profile; /* measures every dispatch: see eyrie_instance_profile */
  /* The caller's memory for transients and states, aligned to EYRIE_ARENA_ALIGNMENT bytes, for this instance alone
   * while it lives. The instance then allocates none: what has no room fails with RESOURCE_EXHAUSTED and says how much
   * would do. eyrie_function_info_t tells how much a function takes whose sizes are known or bounded, `arena_needed`
   * for the others how much the calls so far would have needed. Outputs without memory of the caller's still get some
   * of the instance's. Null: the instance allocates. */
  void* arena;
  size_t arena_size;
} eyrie_instance_options_t;

typedef struct eyrie_call_options {
  size_t struct_size;
  uint64_t timeout_ns; /* 0: none. Looked at between dispatches and at backward jumps */
} eyrie_call_options_t;

typedef struct eyrie_instance_stats {
  uint64_t calls;
  uint64_t arena_bytes;  /* held for transients */
  uint64_t result_bytes; /* held for results */
  uint64_t dispatches;   /* of the last call */
  uint64_t state_bytes;  /* held for states */
  uint64_t moved_bytes;  /* of states that were copied because they outgrew their memory, in all calls */
  uint64_t arena_needed; /* the most memory for transients and states at one time, in failed calls too */
} eyrie_instance_stats_t;

typedef struct eyrie_profile {
  uint64_t calls;
  uint64_t total_ns;
} eyrie_profile_t;

/* What a call needs besides the module: memory for transients and results, the recorded commands. */
EYRIE_API eyrie_status_t eyrie_instance_create(eyrie_module_t* module, const eyrie_instance_options_t* options,
                                               eyrie_instance_t** instance);
/* Cancels the asynchronous calls that have not ended, and waits for them; those that have not begun end in here. */
EYRIE_API void eyrie_instance_destroy(eyrie_instance_t* instance);
/* Calls a function. Every input is checked against the signature before anything runs. An output whose `data` is null
 * gets memory of the instance, valid until the instance's next call; otherwise its `data` and `size_bytes` are used
 * and must be large enough. Type, rank and dims of outputs are filled in on success; on failure no output field is
 * changed, but the memory of the caller's outputs may be partly written. Inputs and outputs must not overlap.
 * After the first call with given shapes a call does not allocate. */
EYRIE_API eyrie_status_t eyrie_call(eyrie_instance_t* instance, uint32_t function, const eyrie_tensor_t* inputs,
                                    size_t input_count, eyrie_tensor_t* outputs, size_t output_count,
                                    const eyrie_call_options_t* options);
/* From any thread: the running call and those that are queued end soon with CANCELLED; if there are none, nothing
 * happens. */
EYRIE_API void eyrie_instance_cancel(eyrie_instance_t* instance);
EYRIE_API void eyrie_instance_get_stats(const eyrie_instance_t* instance, eyrie_instance_stats_t* stats);
/* Time of an export's dispatches since the instance was made (with the option `profile`). */
EYRIE_API eyrie_status_t eyrie_instance_profile(const eyrie_instance_t* instance, uint32_t export_index,
                                                eyrie_profile_t* profile);

/* ---- State ----------------------------------------------------------------------------------------------------- */

/* Tensors that an instance keeps from call to call (a cache, a recurrent state): inputs and outputs of the model that
 * were paired when it was compiled. They begin as zeros; a dimension whose size is known only at run time begins as 0.
 * A call that fails leaves them as they were, but for one that the model changes element by element (ScatterND into
 * it), of which it may have changed some. The functions below are refused with FAILED_PRECONDITION while the instance
 * runs a call. Shapes and data are in the model's order. */
EYRIE_API eyrie_status_t eyrie_module_state(const eyrie_module_t* module, uint32_t index, eyrie_value_info_t* info);
/* Fills in type, rank and dims; copies to `data` if it is not null, else says in `size_bytes` how much it takes. */
EYRIE_API eyrie_status_t eyrie_state_get(eyrie_instance_t* instance, uint32_t index, eyrie_tensor_t* tensor);
EYRIE_API eyrie_status_t eyrie_state_set(eyrie_instance_t* instance, uint32_t index, const eyrie_tensor_t* tensor);
/* All of them begin again. */
EYRIE_API eyrie_status_t eyrie_state_reset(eyrie_instance_t* instance);
/* Memory for a state of these sizes: up to them it grows in place. Its value does not change. */
EYRIE_API eyrie_status_t eyrie_state_reserve(eyrie_instance_t* instance, uint32_t index, const int64_t* dims);
/* All states as bytes with a checksum, for an instance of a module with the same states, on any machine. `needed` gets
 * how many there are; with null `data` nothing else is done. */
EYRIE_API eyrie_status_t eyrie_state_save(eyrie_instance_t* instance, void* data, size_t capacity, size_t* needed);
/* All states change, or none. */
EYRIE_API eyrie_status_t eyrie_state_restore(eyrie_instance_t* instance, const void* data, size_t size);

/* ---- Asynchronous calls ---------------------------------------------------------------------------------------- */

/* A timeline: a 64-bit value that only grows. It has failed once a call that should signal it fails, or the caller says
 * so; a failed fence stays so, and gives everyone who waits the first failure's code and message. All functions may be
 * called from any thread. */
typedef struct eyrie_fence eyrie_fence_t;

typedef struct eyrie_fence_point {
  eyrie_fence_t* fence;
  uint64_t value;
} eyrie_fence_point_t;

#define EYRIE_MAX_WAITS 8

EYRIE_API eyrie_status_t eyrie_fence_create(eyrie_runtime_t* runtime, uint64_t value, eyrie_fence_t** fence);
EYRIE_API void eyrie_fence_retain(eyrie_fence_t* fence);
EYRIE_API void eyrie_fence_release(eyrie_fence_t* fence); /* null is fine */
/* `value` must be larger than the present one; 2^64-1 is not a value. */
EYRIE_API eyrie_status_t eyrie_fence_signal(eyrie_fence_t* fence, uint64_t value);
EYRIE_API eyrie_status_t eyrie_fence_fail(eyrie_fence_t* fence, eyrie_code_t code, const char* message);
/* Null when the fence has reached `value`; its failure; or DEADLINE_EXCEEDED after `timeout_ns` (0: at once;
 * UINT64_MAX: never). In a runtime without threads and executor, queued calls that are ready run in here. */
EYRIE_API eyrie_status_t eyrie_fence_wait(eyrie_fence_t* fence, uint64_t value, uint64_t timeout_ns);
/* The present value, or the failure. */
EYRIE_API eyrie_status_t eyrie_fence_query(eyrie_fence_t* fence, uint64_t* value);

/* Queues a call and returns. It runs on the runtime's threads when the instance's earlier calls have ended and all its
 * waits (at most EYRIE_MAX_WAITS, fences of the same runtime) are reached; then `signal` is signalled. What goes wrong
 * with the call, a wait that failed included, fails the fence of `signal`; later calls of the instance run all the
 * same, unless they wait for it. A fence that is signalled by several calls needs growing values. Until then the caller
 * keeps `inputs`, `outputs` and their memory; `waits` and `options` are copied. The memory of an output that the
 * instance owns is valid until the instance's next call begins. The timeout counts from here. A call that waits is
 * given up within 100 ms of its deadline while any thread is in eyrie_fence_wait, else when one of its runtime's fences
 * moves. After warm-up this does not allocate. */
EYRIE_API eyrie_status_t eyrie_call_async(eyrie_instance_t* instance, uint32_t function, const eyrie_tensor_t* inputs,
                                          size_t input_count, eyrie_tensor_t* outputs, size_t output_count,
                                          const eyrie_call_options_t* options, const eyrie_fence_point_t* waits,
                                          size_t wait_count, eyrie_fence_point_t signal);

/* ---- Functions of the caller ------------------------------------------------------------------------------------ */

/* An operator of a model may be computed by the caller: `eyrie compile --host-op 'my.domain::Op(f32[n]) -> f32[n]'`
 * makes the module call a function of that name, which is added to the runtime before the module is loaded. See
 * docs/how-to/own-operators.md. */

/* An attribute of the model's node. At most one of the three is not null; none for an empty list. */
typedef struct eyrie_attribute {
  const char* name;
  size_t count; /* elements of a list, or 1 */
  int is_list;
  const int64_t* integers;
  const double* numbers;
  const void* strings; /* for eyrie_attribute_string */
} eyrie_attribute_t;

/* A string of an attribute: any bytes, with a zero byte behind them; {null, 0} if there is no such one. */
EYRIE_API eyrie_string_t eyrie_attribute_string(const eyrie_attribute_t* attribute, size_t index);

/* One call. Everything in here is valid until the function returns, and no longer. */
typedef struct eyrie_host_call {
  size_t struct_size;
  const char* name; /* "my.domain::Op" */
  uint32_t input_count, output_count;
  /* Inputs are only read. Of outputs everything is given: the function fills the memory at `data`, all of it, and
   * nothing else. Inputs and outputs do not overlap; inputs may be one tensor several times. No tensor is a sequence
   * or holds strings. Booleans are bytes of 0 or 1; elements of fewer than 8 bits are packed, the first in the lowest
   * bits. Types and ranks are those that the module was compiled for: look at them, as a module may come from anywhere.
   */
  const eyrie_tensor_t* inputs;
  const eyrie_tensor_t* outputs;
  /* The function's number in the module, for eyrie_module_host_attribute. */
  const eyrie_module_t* module;
  uint32_t function;
  const void* state; /* the runtime's */
} eyrie_host_call_t;

/* Computes the outputs from the inputs and attributes, and nothing else: a call whose outputs nobody needs may be left
 * out, and equal calls may become one. Returns null, or a status of eyrie_status_create, which the runtime frees: the
 * module's call then fails with its code and its message behind the names of node and function.
 *
 * It runs in the thread of eyrie_call (of eyrie_call_async: a thread of the runtime or its executor), while the call
 * waits. Calls of several instances call it from several threads at once; `user` is shared by them.
 * In it the caller may use anything but what the running call holds: its own instance refuses calls with
 * FAILED_PRECONDITION, and neither the instance nor its module or runtime may be destroyed. It must not wait for a
 * fence that the running call is to signal. It must return: no exception and no longjmp may leave it. */
typedef eyrie_status_t (*eyrie_host_function_t)(void* user, const eyrie_host_call_t* call);

/* Adds a function under a name like "my.domain::Op". Names without "::" are the runtime's own; one that is taken gives
 * ALREADY_EXISTS. It cannot be removed: modules that are loaded from now on find it. From any thread.
 * `release` may be null; it is called with `user` when the runtime and all that holds it (modules, fences) are gone,
 * but not if this fails. */
EYRIE_API eyrie_status_t eyrie_runtime_add_function(eyrie_runtime_t* runtime, const char* name,
                                                    eyrie_host_function_t function, void* user,
                                                    void (*release)(void* user));

/* The node's attribute of this name; 0 if it has none. */
EYRIE_API int eyrie_host_call_attribute(const eyrie_host_call_t* call, const char* name, eyrie_attribute_t* attribute);
/* Its first element as one of these; `initial` if there is no such attribute, or it is of another kind. */
EYRIE_API int64_t eyrie_host_call_integer(const eyrie_host_call_t* call, const char* name, int64_t initial);
EYRIE_API double eyrie_host_call_number(const eyrie_host_call_t* call, const char* name, double initial);
EYRIE_API const char* eyrie_host_call_string(const eyrie_host_call_t* call, const char* name, const char* initial);
/* Null while the call should go on; CANCELLED or DEADLINE_EXCEEDED when it should not: a function that takes long asks
 * now and then, and returns what it gets. The runtime asks before and after every function. */
EYRIE_API eyrie_status_t eyrie_host_call_check_stop(const eyrie_host_call_t* call);

/* What a module calls. */
typedef struct eyrie_host_function_info {
  const char* name;
  uint32_t input_count, output_count;
  const uint8_t *types, *ranks; /* of inputs, then of outputs */
  uint32_t attribute_count;
  int is_built_in;  /* a function of the runtime's own */
  const char* node; /* the first node of the model that needs it; null: not known */
} eyrie_host_function_info_t;

EYRIE_API eyrie_status_t eyrie_module_host_function(const eyrie_module_t* module, uint32_t index,
                                                    eyrie_host_function_info_t* info);
EYRIE_API eyrie_status_t eyrie_module_host_attribute(const eyrie_module_t* module, uint32_t function, uint32_t index,
                                                     eyrie_attribute_t* attribute);

/* A plug-in is a shared library that adds functions to a runtime: it defines what EYRIE_PLUGIN begins,
 *
 *   EYRIE_PLUGIN(runtime) { return eyrie_runtime_add_function(runtime, "my.domain::Op", compute, NULL, NULL); }
 *
 * and finds the functions of this header in the program that loads it. */
#define EYRIE_PLUGIN_VERSION 1
#define EYRIE_PLUGIN(runtime)                                 \
  const uint32_t eyrie_plugin_version = EYRIE_PLUGIN_VERSION; \
  eyrie_status_t eyrie_plugin_register(eyrie_runtime_t* runtime)
extern EYRIE_API const uint32_t eyrie_plugin_version;
EYRIE_API eyrie_status_t eyrie_plugin_register(eyrie_runtime_t* runtime);

/* Loads a plug-in from a file and lets it add its functions. INCOMPATIBLE if it was built for another version. The
 * library stays loaded as long as the runtime and what holds it; functions that it added before it failed stay too. */
EYRIE_API eyrie_status_t eyrie_runtime_add_plugin(eyrie_runtime_t* runtime, const char* path);

/* Bytes that a tensor of this type and shape takes; OUT_OF_RANGE if that is not a sane number. */
EYRIE_API eyrie_status_t eyrie_tensor_bytes(uint32_t type, uint32_t rank, const int64_t* dims, size_t* bytes);

#ifdef __cplusplus
}
#endif

#endif /* EYRIE_RUNTIME_H_ */
