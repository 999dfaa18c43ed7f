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
  // Results go into memory of the instance, which a former call may have given.
  memset(session.outputs, 0, session.info.result_count * sizeof(eyrie_tensor_t));
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
  for (int i = 0; i < options.plugin_count; ++i) Check(eyrie_runtime_add_plugin(session.runtime, options.plugins[i]));
  eyrie_module_options_t module_options = {};
  module_options.struct_size = sizeof(module_options);
  module_options.verify = options.verify_full ? EYRIE_VERIFY_FULL : EYRIE_VERIFY_LAZY;
  auto count = static_cast<size_t>(options.parameter_count);
  auto** files = static_cast<eyrie_parameters_t**>(calloc(count + 1, sizeof(eyrie_parameters_t*)));
  if (!files) Fail(kFailed, "not enough memory");
  for (size_t i = 0; i < count; ++i)
    Check(eyrie_parameters_open(session.runtime, options.parameters[i], nullptr, &files[i]));
  module_options.parameters = files;
  module_options.parameter_count = count;
  module_options.cpu = options.cpu;
  Check(eyrie_module_load_file(session.runtime, options.module, &module_options, &session.module));
  for (size_t i = 0; i < count; ++i) eyrie_parameters_destroy(files[i]);
  free(files);
  Check(eyrie_module_find(session.module, options.function, &session.function));
  Check(eyrie_module_function(session.module, session.function, &session.info));
  Check(eyrie_instance_create(session.module, nullptr, &session.instance));
  if (options.load_state) LoadStateFile(session.instance, options.load_state);
  eyrie_value_info_t state;
  eyrie_status_t none = eyrie_module_state(session.module, 0, &state);
  if (options.bench && !none) session.states = SaveStates(session.instance, &session.states_size);
  eyrie_status_free(none);
  session.inputs = static_cast<eyrie_tensor_t*>(calloc(session.info.argument_count + 1, sizeof(eyrie_tensor_t)));
  session.outputs = static_cast<eyrie_tensor_t*>(calloc(session.info.result_count + 1, sizeof(eyrie_tensor_t)));
  if (!session.inputs || !session.outputs) Fail(kFailed, "not enough memory");
  return session;
}

constexpr int64_t kWhole = -1, kLength = -2;
constexpr int64_t kMaxElements = 1 << 20;

// What "NAME=...", "NAME.3=..." or "NAME.len=..." speaks of: a value, or a part of a sequence.
struct Part {
  eyrie_value_info_t value;
  uint32_t index;
  int64_t element;   // or kWhole, kLength
  const char* rest;  // behind the '='
};

eyrie_value_info_t ValueOf(const Session& session, bool input, uint32_t index) {
  eyrie_value_info_t value;
  Check(input ? eyrie_module_argument(session.module, session.function, index, &value)
              : eyrie_module_result(session.module, session.function, index, &value));
  return value;
}

// The name of a value wins over that of an element.
Part FindPart(const Session& session, bool input, const char* text) {
  uint32_t count = input ? session.info.argument_count : session.info.result_count;
  Part part = {{}, 0, kWhole, nullptr};
  for (uint32_t i = 0; i < count; ++i) {
    eyrie_value_info_t value = ValueOf(session, input, i);
    size_t length = strlen(value.name);
    if (strncmp(text, value.name, length) != 0) continue;
    const char* at = text + length;
    if (*at == '=') return {value, i, kWhole, at + 1};
    if (!value.is_sequence || *at++ != '.') continue;
    char* end = const_cast<char*>(at);
    int64_t element = strncmp(at, "len=", 4) == 0 ? kLength : *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : kWhole;
    if (element == kLength) end += 3;
    if (element == kWhole || *end != '=') continue;
    if (element >= kMaxElements)
      Fail(kUsage, "'%.100s': no more than %d elements", text, static_cast<int>(kMaxElements));
    part = {value, i, element, end + 1};
  }
  if (part.rest) return part;
  Fail(kUsage, "the function '%s' has no %s named as in '%.200s'", session.info.name, input ? "input" : "output", text);
}

// Makes room for so many elements; those that are not given yet have no type.
void GrowSequence(eyrie_tensor_t* sequence, int64_t count) {
  *sequence = {sequence->data, sequence->size_bytes, EYRIE_SEQUENCE, 1, {sequence->dims[0]}};
  int64_t before = sequence->dims[0];
  if (count <= before) return;
  size_t bytes = static_cast<size_t>(count) * sizeof(eyrie_tensor_t);
  auto* elements = static_cast<eyrie_tensor_t*>(realloc(sequence->data, bytes));
  if (!elements) Fail(kFailed, "not enough memory");
  memset(elements + before, 0, static_cast<size_t>(count - before) * sizeof(eyrie_tensor_t));
  *sequence = {elements, bytes, EYRIE_SEQUENCE, 1, {count}};
}

void ReadPart(Session& session, const Part& part) {
  eyrie_tensor_t* tensor = &session.inputs[part.index];
  const char* name = part.value.name;
  if (!part.value.is_sequence) return ReadInput(part.rest, part.value, tensor);
  if (part.element == kWhole)
    Fail(kUsage, "input '%s' is a sequence: give its elements as %s.0=..., %s.1=..., or %s.len=0", name, name, name,
         name);
  if (part.element == kLength) {
    char* end;
    long long length = strtoll(part.rest, &end, 10);
    if (end == part.rest || *end || length < 0 || length > kMaxElements)
      Fail(kUsage, "%s.len: '%.100s' is not a number of elements", name, part.rest);
    if (length < tensor->dims[0])
      Fail(kUsage, "%s.len is %lld, but there is %s.%lld", name, length, name,
           static_cast<long long>(tensor->dims[0] - 1));
    return GrowSequence(tensor, length);
  }
  GrowSequence(tensor, part.element + 1);
  eyrie_tensor_t* element = static_cast<eyrie_tensor_t*>(tensor->data) + part.element;
  if (element->type) Fail(kUsage, "%s.%lld is given twice", name, static_cast<long long>(part.element));
  ReadInput(part.rest, part.value, element);
}

void ReadInputs(Session& session, const Options& options) {
  // Lengths last: they must agree with the elements.
  for (int lengths = 0; lengths < 2; ++lengths) {
    for (int i = 0; i < options.input_count; ++i) {
      Part part = FindPart(session, true, options.inputs[i]);
      if ((part.element == kLength) == (lengths != 0)) ReadPart(session, part);
    }
  }
  for (uint32_t i = 0; i < session.info.argument_count; ++i) {
    eyrie_value_info_t value = ValueOf(session, true, i);
    eyrie_tensor_t* input = &session.inputs[i];
    for (int64_t k = 0; input->type == EYRIE_SEQUENCE && k < input->dims[0]; ++k)
      if (!static_cast<eyrie_tensor_t*>(input->data)[k].type)
        Fail(kUsage, "input '%s' has %lld elements, but %s.%lld is missing", value.name,
             static_cast<long long>(input->dims[0]), value.name, static_cast<long long>(k));
    if (input->type || value.is_optional) continue;
    if (!options.bench)
      Fail(kUsage, "input '%s' is missing: give --input %s%s=@FILE.npy", value.name, value.name,
           value.is_sequence ? ".0" : "");
    MakeInput(value, input);
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

// Type, shape, and the first elements in a row.
void PrintTensor(const eyrie_tensor_t& tensor) {
  size_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i) {
    printf("%lldx", static_cast<long long>(tensor.dims[i]));
    count *= static_cast<size_t>(tensor.dims[i]);
  }
  printf("%s =", eyrie_type_name(tensor.type));
  for (size_t i = 0; i < count && i < 16 && eyrie_type_bits(tensor.type) >= 8; ++i) {
    if (tensor.type == EYRIE_STRING)
      PrintString(tensor, i);
    else
      printf(" %.7g", ElementAsDouble(tensor, i));
  }
  printf(count > 16 ? " ...\n" : "\n");
}

void PrintResult(const char* name, const eyrie_tensor_t& result) {
  printf("%s: ", name);
  if (result.type == EYRIE_NONE) {
    printf("no value\n");
    return;
  }
  if (result.type != EYRIE_SEQUENCE) return PrintTensor(result);
  printf("sequence of %lld\n", static_cast<long long>(result.dims[0]));
  for (int64_t i = 0; i < result.dims[0]; ++i) {
    printf("%s.%lld: ", name, static_cast<long long>(i));
    PrintTensor(static_cast<const eyrie_tensor_t*>(result.data)[i]);
  }
}

void WritePart(const Session& session, const Part& part) {
  const char* name = part.value.name;
  if (part.value.is_sequence && part.element == kWhole)
    Fail(kUsage, "output '%s' is a sequence: write its elements, %s.0=@FILE.npy, ...", name, name);
  eyrie_tensor_t result = session.outputs[part.index];
  if (result.type == EYRIE_NONE) Fail(kFailed, "the optional output '%s' has no value in this call", name);
  int64_t length = result.dims[0];
  if (part.element == kLength) {
    result = {&length, sizeof(length), EYRIE_I64, 0, {}};
  } else if (part.element != kWhole) {
    if (part.element >= length)
      Fail(kFailed, "there is no %s.%lld: the sequence has %lld elements", name, static_cast<long long>(part.element),
           static_cast<long long>(length));
    result = static_cast<const eyrie_tensor_t*>(result.data)[part.element];
  }
  WriteNpy(part.rest + 1, result);
}

int Run(Session& session, const Options& options) {
  for (int i = 0; i < options.output_count; ++i)
    if (*FindPart(session, false, options.outputs[i]).rest != '@')
      Fail(kUsage, "'%s': expected NAME=@FILE.npy", options.outputs[i]);
  Call(session);
  for (int i = 0; i < options.output_count; ++i) WritePart(session, FindPart(session, false, options.outputs[i]));
  for (uint32_t i = 0; options.output_count == 0 && i < session.info.result_count; ++i)
    PrintResult(ValueOf(session, false, i).name, session.outputs[i]);
  if (options.save_state) SaveStateFile(session.instance, options.save_state);
  return kSuccess;
}

void FreeInput(eyrie_tensor_t* input) {
  if (input->type == EYRIE_SEQUENCE)
    for (int64_t i = 0; i < input->dims[0]; ++i) free(static_cast<eyrie_tensor_t*>(input->data)[i].data);
  free(input->data);
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
  for (uint32_t i = 0; i < session.info.argument_count; ++i) FreeInput(&session.inputs[i]);
  free(session.inputs);
  free(session.outputs);
  free(session.states);
  free(options.inputs);
  free(options.outputs);
  free(options.parameters);
  free(options.plugins);
  return code;
}
