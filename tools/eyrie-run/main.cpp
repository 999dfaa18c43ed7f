// eyrie-run: calls and times modules.
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/eyrie-run/eyrie_run.h"

namespace eyrie::run {

void Fail(int exit_code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  fflush(stdout);
  fputs("eyrie-run: error: ", stderr);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
  va_end(args);
  exit(exit_code);
}

void Check(eyrie_status_t status) {
  if (status) Fail(kFailed, "%s", eyrie_status_message(status));
}

void Call(Session& session) {
  Check(eyrie_call(session.instance, session.function, session.inputs, session.info.argument_count, session.outputs,
                   session.info.result_count, nullptr));
}

namespace {

Session Open(const Options& options) {
  Session session;
  eyrie_runtime_options_t runtime_options = {};
  runtime_options.struct_size = sizeof(runtime_options);
  runtime_options.threads = options.threads;
  Check(eyrie_runtime_create(&runtime_options, &session.runtime));
  eyrie_module_options_t module_options = {};
  module_options.struct_size = sizeof(module_options);
  module_options.verify = options.verify_full ? EYRIE_VERIFY_FULL : EYRIE_VERIFY_LAZY;
  Check(eyrie_module_load_file(session.runtime, options.module, &module_options, &session.module));
  Check(eyrie_module_find(session.module, options.function, &session.function));
  Check(eyrie_module_function(session.module, session.function, &session.info));
  Check(eyrie_instance_create(session.module, nullptr, &session.instance));
  session.inputs = static_cast<eyrie_tensor_t*>(calloc(session.info.argument_count + 1, sizeof(eyrie_tensor_t)));
  session.outputs = static_cast<eyrie_tensor_t*>(calloc(session.info.result_count + 1, sizeof(eyrie_tensor_t)));
  if (!session.inputs || !session.outputs) Fail(kFailed, "not enough memory");
  return session;
}

// The index of the value that "NAME=..." begins with.
uint32_t FindName(const Session& session, bool input, const char* text) {
  uint32_t count = input ? session.info.argument_count : session.info.result_count;
  for (uint32_t i = 0; i < count; ++i) {
    eyrie_value_info_t value;
    Check(input ? eyrie_module_argument(session.module, session.function, i, &value)
                : eyrie_module_result(session.module, session.function, i, &value));
    size_t length = strlen(value.name);
    if (strncmp(text, value.name, length) == 0 && text[length] == '=') return i;
  }
  Fail(kUsage, "the function '%s' has no %s named as in '%s'", session.info.name, input ? "input" : "output", text);
}

void ReadInputs(Session& session, const Options& options) {
  for (int i = 0; i < options.input_count; ++i) {
    uint32_t index = FindName(session, true, options.inputs[i]);
    eyrie_value_info_t value;
    Check(eyrie_module_argument(session.module, session.function, index, &value));
    ReadInput(options.inputs[i] + strlen(value.name) + 1, value, &session.inputs[index]);
  }
  for (uint32_t i = 0; i < session.info.argument_count; ++i) {
    if (session.inputs[i].data) continue;
    eyrie_value_info_t value;
    Check(eyrie_module_argument(session.module, session.function, i, &value));
    if (!options.bench) Fail(kUsage, "input '%s' is missing: give --input %s=@FILE.npy", value.name, value.name);
    MakeInput(value, &session.inputs[i]);
  }
}

double ElementAsDouble(const eyrie_tensor_t& tensor, size_t i) {
  switch (tensor.type) {
    case EYRIE_F64:
      return static_cast<const double*>(tensor.data)[i];
    case EYRIE_F32:
      return static_cast<const float*>(tensor.data)[i];
    case EYRIE_I64:
      return static_cast<double>(static_cast<const int64_t*>(tensor.data)[i]);
    case EYRIE_I32:
      return static_cast<const int32_t*>(tensor.data)[i];
    case EYRIE_I16:
      return static_cast<const int16_t*>(tensor.data)[i];
    case EYRIE_I8:
      return static_cast<const int8_t*>(tensor.data)[i];
    case EYRIE_U32:
      return static_cast<const uint32_t*>(tensor.data)[i];
    case EYRIE_U16:
    case EYRIE_BF16:
    case EYRIE_F16:
      return static_cast<const uint16_t*>(tensor.data)[i];
    default:
      return static_cast<const uint8_t*>(tensor.data)[i];
  }
}

// Name, type, shape, and the first elements in a row.
void PrintTensor(const char* name, const eyrie_tensor_t& tensor) {
  printf("%s: ", name);
  size_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    printf("%lldx", static_cast<long long>(tensor.dims[i]));
    count *= static_cast<size_t>(tensor.dims[i]);
  }
  printf("%s =", eyrie_type_name(tensor.type));
  if (eyrie_type_bits(tensor.type) >= 8)
    for (size_t i = 0; i < count && i < 16; ++i) printf(" %.7g", ElementAsDouble(tensor, i));
  printf(count > 16 ? " ...\n" : "\n");
}

int Run(Session& session, const Options& options) {
  Call(session);
  for (int i = 0; i < options.output_count; ++i) {
    uint32_t index = FindName(session, false, options.outputs[i]);
    const char* path = strrchr(options.outputs[i], '@');
    if (!path) Fail(kUsage, "'%s': expected NAME=@FILE.npy", options.outputs[i]);
    WriteNpy(path + 1, session.outputs[index]);
  }
  for (uint32_t i = 0; options.output_count == 0 && i < session.info.result_count; ++i) {
    eyrie_value_info_t value;
    Check(eyrie_module_result(session.module, session.function, i, &value));
    PrintTensor(value.name, session.outputs[i]);
  }
  return kSuccess;
}

}  // namespace
}  // namespace eyrie::run

int main(int argc, char** argv) {
  using namespace eyrie::run;
  Options options = ParseArguments(argc, argv);
  Session session = Open(options);
  ReadInputs(session, options);
  int code = options.bench ? Bench(session, options) : Run(session, options);
  if (fflush(stdout) != 0 || ferror(stdout)) Fail(kFailed, "cannot write to the standard output");
  eyrie_instance_destroy(session.instance);
  eyrie_module_destroy(session.module);
  eyrie_runtime_destroy(session.runtime);
  for (uint32_t i = 0; i < session.info.argument_count; ++i) free(session.inputs[i].data);
  free(session.inputs);
  free(session.outputs);
  free(options.inputs);
  free(options.outputs);
  return code;
}
