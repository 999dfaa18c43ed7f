// What the files of eyrie-run share.
#ifndef EYRIE_TOOLS_EYRIE_RUN_EYRIE_RUN_H_
#define EYRIE_TOOLS_EYRIE_RUN_EYRIE_RUN_H_

#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "eyrie/runtime.h"

namespace eyrie::run {

enum ExitCode { kSuccess = 0, kFailed = 1, kUsage = 2 };

// Prints "eyrie-run: error: ..." and ends the program.
[[noreturn]] __attribute__((format(printf, 2, 3))) void Fail(int exit_code, const char* format, ...);
// Fails with the status's message if it is not null.
void Check(eyrie_status_t status);

struct Options {
  bool bench = false, json = false, verify_full = false;
  const char* module = nullptr;
  const char* function = "";
  const char* cpu = nullptr;
  const char *load_state = nullptr, *save_state = nullptr;
  uint32_t threads = 0;
  double min_time = 1.0;
  const char **inputs = nullptr, **outputs = nullptr;
  const char** parameters = nullptr;  // files
  const char** plugins = nullptr;     // files
  int input_count = 0, output_count = 0, parameter_count = 0, plugin_count = 0;
};

Options ParseArguments(int argc, char** argv);

// A module that is ready to be called, with its inputs.
struct Session {
  eyrie_runtime_t* runtime = nullptr;
  eyrie_module_t* module = nullptr;
  eyrie_instance_t* instance = nullptr;
  uint32_t function = 0;
  eyrie_function_info_t info = {};
  eyrie_tensor_t *inputs = nullptr, *outputs = nullptr;
  // What every call of a benchmark begins with; null if the module has no states.
  void* states = nullptr;
  size_t states_size = 0;
};

void Call(Session& session);
int Bench(Session& session, const Options& options);

// Fills in data, type and shape from "@file.npy" or "1x3xf32=0.5".
void ReadInput(const char* text, const eyrie_value_info_t& value, eyrie_tensor_t* tensor);
// A made-up input of zeros, or empty strings; open dimensions become 1. A sequence gets one element.
void MakeInput(const eyrie_value_info_t& value, eyrie_tensor_t* tensor);
void ReadNpy(const char* path, const eyrie_value_info_t& value, eyrie_tensor_t* tensor);
void WriteNpy(const char* path, const eyrie_tensor_t& tensor);
// A file that is written beside `path` and then renamed, so that it is whole or not there. A device or a pipe is
// written to as it is.
struct NewFile {
  const char* path;
  char* temporary;
  FILE* file;
  bool special;
};
NewFile Create(const char* path);
// `good`: all was written.
void Commit(NewFile file, bool good);

// The states of an instance as bytes to be freed; and from and to files.
void* SaveStates(eyrie_instance_t* instance, size_t* size);
void LoadStateFile(eyrie_instance_t* instance, const char* path);
void SaveStateFile(eyrie_instance_t* instance, const char* path);

// Zeroed memory for the tensor's shape, and `extra` bytes behind its elements.
void AllocateTensor(eyrie_tensor_t* tensor, size_t extra = 0);

// The elements of a string tensor from and to the data of an .npy file, where each has `width` code points.
void ReadStrings(const char* path, FILE* file, size_t width, eyrie_tensor_t* tensor);
size_t LongestString(const char* path, const eyrie_tensor_t& tensor);
bool WriteStrings(FILE* file, size_t width, const eyrie_tensor_t& tensor);
// Makes all elements the text, which must outlive the tensor.
void SetStrings(const char* text, eyrie_tensor_t* tensor);
void PrintString(const eyrie_tensor_t& tensor, size_t index);

}  // namespace eyrie::run

#endif  // EYRIE_TOOLS_EYRIE_RUN_EYRIE_RUN_H_
