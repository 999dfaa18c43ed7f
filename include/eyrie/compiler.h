/* Eyrie's compiler: turns a model into a module file (.eyr). A stable C interface.
 *
 * A compile job is made, its options are set by name, and it is run. The options are a table that can be asked for, so
 * that a caller needs no new version for a new option.
 * Threads: jobs are independent of each other; one job is used by one thread at a time. A run starts threads of its own
 * (option "jobs") and joins them before it returns.
 * Errors: functions that can fail return a result; the job then holds a text for the person who has the model. Strings
 * that are handed out live until the next call with the same job; those of the tables live for ever. */
#ifndef EYRIE_COMPILER_H_
#define EYRIE_COMPILER_H_

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define EYRIE_COMPILER_API
#else
#define EYRIE_COMPILER_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The numbers are the command line's exit codes. */
typedef enum eyrie_compile_result {
  EYRIE_COMPILE_OK = 0,
  EYRIE_COMPILE_FAILED = 1, /* the model cannot be compiled, or a file cannot be read or written */
  EYRIE_COMPILE_USAGE = 2   /* an option does not exist or has a wrong value */
} eyrie_compile_result_t;

typedef enum eyrie_option_kind {
  EYRIE_OPTION_STRING = 0,
  EYRIE_OPTION_LEVEL = 1, /* 0 to 3 */
  EYRIE_OPTION_COUNT = 2, /* a number from 0 */
  EYRIE_OPTION_FLAG = 3,  /* "true" or "false" */
  EYRIE_OPTION_SHAPE = 4, /* "NAME=1x3x224x224" and more, see its help; may be set many times */
  EYRIE_OPTION_PAIR = 5,  /* "NAME=NAME"; may be set many times */
  EYRIE_OPTION_LIST = 6   /* text; may be set many times */
} eyrie_option_kind_t;

typedef struct eyrie_option_info {
  const char* name; /* "stop-after" */
  eyrie_option_kind_t kind;
  char letter;               /* of the command line's short form; 0: it has none */
  const char* value_name;    /* "STAGE" */
  const char* default_value; /* may be empty */
  const char* help;          /* one sentence */
} eyrie_option_info_t;

typedef struct eyrie_stage_info {
  const char* name;
  const char* description;
} eyrie_stage_info_t;

EYRIE_COMPILER_API const char* eyrie_compiler_version(void);
/* The table of options, and the stages that a model passes, in order. An index past the end gives null. */
EYRIE_COMPILER_API const eyrie_option_info_t* eyrie_compiler_option(size_t index);
EYRIE_COMPILER_API const eyrie_stage_info_t* eyrie_compiler_stage(size_t index);
/* What kernels of a target may choose otherwise, as files of --tuning say it ("rows=8"). Null past the end, and if
   there is no such target. */
EYRIE_COMPILER_API const char* eyrie_compiler_alternative(const char* target, size_t index);

typedef struct eyrie_compile eyrie_compile_t;

/* Null if there is no memory. */
EYRIE_COMPILER_API eyrie_compile_t* eyrie_compile_create(void);
EYRIE_COMPILER_API void eyrie_compile_destroy(eyrie_compile_t* job); /* null is fine */
EYRIE_COMPILER_API eyrie_compile_result_t eyrie_compile_set(eyrie_compile_t* job, const char* option,
                                                            const char* value);
/* Called at the beginning of every stage, in the thread of the run. `index` counts from 0. */
typedef void (*eyrie_progress_t)(void* user, const char* stage, size_t index, size_t count);
EYRIE_COMPILER_API void eyrie_compile_on_progress(eyrie_compile_t* job, eyrie_progress_t progress, void* user);

/* Operators of the caller: expansions into operators that the compiler knows. */
typedef enum eyrie_expand_kind {
  EYRIE_EXPAND_ABSENT = 0, /* an optional input that the node does not have */
  EYRIE_EXPAND_TENSOR = 1,
  EYRIE_EXPAND_SEQUENCE = 2,
  EYRIE_EXPAND_OPTIONAL = 3
} eyrie_expand_kind_t;
/* What is known of an input of a node. Later versions add fields at the end. */
typedef struct eyrie_expand_input {
  eyrie_expand_kind_t kind;
  int32_t type;        /* of the elements, as ONNX's TensorProto.DataType; 0: unknown */
  int32_t rank;        /* of the tensor or of a sequence's elements; -1: unknown */
  const int64_t* dims; /* -1: known only at run time */
  const void* data;    /* the elements, as TensorProto.raw_data, if all are known and they are few; else null */
  size_t size_bytes;
} eyrie_expand_input_t;
/* A node that is to be expanded. It and all in it live until the callback returns. Later versions add fields at the
 * end. */
typedef struct eyrie_expand_node {
  const char* place; /* the node's name, behind those of the nodes in whose expansions it is: "block/act" */
  const void* node;  /* a serialised NodeProto; attributes that refer to those of a function have their values */
  size_t node_size;
  int64_t opset;   /* the version of ONNX's default domain that is in force at the node */
  int64_t version; /* that of the operator's domain; 0: the model names none */
  size_t input_count;
  const eyrie_expand_input_t* const* inputs; /* as many as the node has */
} eyrie_expand_node_t;
typedef struct eyrie_expansion eyrie_expansion_t; /* the answer of a callback */

/* Called during eyrie_compile_run and eyrie_compile_estimate, in their thread, once or many times for each node of the
 * operator (a branch or the body of a loop is read on trial); it must not call functions of the job. It answers with
 * one of the two functions below, the same for the same node. If it calls none, the node is taken as if there were no
 * callback. Within what a callback gives, its operator means what it means without the callback. */
typedef void (*eyrie_expand_t)(void* user, const eyrie_expand_node_t* node, eyrie_expansion_t* answer);
/* A serialised FunctionProto that does what the node does, with the node's inputs and outputs in order. It is copied.
 * Its name does not matter; operator sets that it does not name are those at the node. */
EYRIE_COMPILER_API void eyrie_expansion_give(eyrie_expansion_t* answer, const void* function, size_t size);
/* The compilation fails with this text, in an error that names the node. It is copied. */
EYRIE_COMPILER_API void eyrie_expansion_fail(eyrie_expansion_t* answer, const char* text);
/* Asks `expand` for every node of an operator (`domain` is "" for ONNX's default domain), also if the compiler or the
 * model defines it. An operator can have one callback. `user` must live as long as the job. */
EYRIE_COMPILER_API eyrie_compile_result_t eyrie_compile_add_expansion(eyrie_compile_t* job, const char* domain,
                                                                      const char* name, eyrie_expand_t expand,
                                                                      void* user);

/* Do the options fit together (does the target exist, does it know the processor)? eyrie_compile_run asks this too. */
EYRIE_COMPILER_API eyrie_compile_result_t eyrie_compile_check(eyrie_compile_t* job);
/* Makes a model one of the module's functions, which share their weights, and the states that have one name. `function`
 * may be null: the name is then that of the file without its ending. */
EYRIE_COMPILER_API eyrie_compile_result_t eyrie_compile_add(eyrie_compile_t* job, const char* model,
                                                            const char* function);
/* Compiles the model, as the function "main", or those that were added if `model` is null, and writes the module. The
 * output appears whole or not at all: an older file of that name stays if the run fails. */
EYRIE_COMPILER_API eyrie_compile_result_t eyrie_compile_run(eyrie_compile_t* job, const char* model,
                                                            const char* output);
/* Reads the model or models as eyrie_compile_run does, and says whether they can be compiled and what they will cost,
 * within seconds: the report is then JSON, with `parameters` (tensors, elements, bytes) and `functions` (name, inputs,
 * outputs, operations, input_bytes, output_bytes, transient_bytes, has_open_sizes, has_loops). Open sizes count as 1,
 * those of which a range was given as its end (if the model can have it), which `largest_sizes` tells by their names.
 */
EYRIE_COMPILER_API eyrie_compile_result_t eyrie_compile_estimate(eyrie_compile_t* job, const char* model);
/* What went wrong, one error a line; after a good run, warnings; often empty. */
EYRIE_COMPILER_API const char* eyrie_compile_message(const eyrie_compile_t* job);
/* The table of stages and slowest passes, if the option "time" is set; of an estimate, the JSON; otherwise empty. */
EYRIE_COMPILER_API const char* eyrie_compile_report(const eyrie_compile_t* job);

#ifdef __cplusplus
}
#endif

#endif /* EYRIE_COMPILER_H_ */
