// The command line, and inputs given on it.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tools/eyrie-run/eyrie_run.h"

namespace eyrie::run {
namespace {

constexpr char kHelp[] =
    "Runs modules made by `eyrie compile`.\n"
    "Usage: eyrie-run run|bench MODULE [OPTIONS]\n\n"
    "  --input NAME=@FILE.npy      an input from a file\n"
    "  --input NAME=1x3xf32=0.5    a made-up input, all elements the same\n"
    "  --output NAME=@FILE.npy     writes a result (run); all results are printed without it\n"
    "                              (elements of sequences: NAME.0, NAME.1, ..., their number: NAME.len)\n"
    "  --parameters FILE           a file with weights; may be repeated, the last that has a tensor gives it\n"
    "  --plugin LIB.so             a library with functions that the module calls; may be repeated\n"
    "  --load-state FILE           begins with the states that --save-state wrote\n"
    "  --save-state FILE           writes the states after the call (run)\n"
    "  --cpu NAME                  takes the code for this one of the module's processors, not the best\n"
    "  --function NAME             the function to call, if there are several\n"
    "  --threads N                 threads that run kernels (default 1)\n"
    "  --verify                    checks all of the file when it is loaded\n"
    "  --min-time S                seconds to measure for (bench, default 1)\n"
    "  --json                      prints one line of JSON (bench)\n\n"
    "Examples:\n"
    "  eyrie-run run model.eyr --input x=@x.npy --output y=@y.npy\n"
    "  eyrie-run bench model.eyr --threads 2 --json\n";

double ParseNumber(const char* flag, const char* text, double least, double most) {
  char* end;
  double value = strtod(text, &end);
  if (end == text || *end || !(value >= least && value <= most))
    Fail(kUsage, "%s: '%s' is not a number from %g to %g", flag, text, least, most);
  return value;
}

void SetElements(eyrie_tensor_t* tensor, size_t bytes, double value) {
  uint32_t width = eyrie_type_bits(tensor->type) / 8;
  size_t count = width ? bytes / width : 0;
  auto* out = static_cast<char*>(tensor->data);
  for (size_t i = 0; i < count; ++i, out += width) {
    float single = static_cast<float>(value);
    auto whole = static_cast<int64_t>(value);
    switch (tensor->type) {
      case EYRIE_F64:
        memcpy(out, &value, 8);
        break;
      case EYRIE_F32:
        memcpy(out, &single, 4);
        break;
      case EYRIE_I64:
      case EYRIE_I32:
      case EYRIE_I16:
      case EYRIE_I8:
      case EYRIE_U64:
      case EYRIE_U32:
      case EYRIE_U16:
      case EYRIE_U8:
      case EYRIE_BOOL:
        memcpy(out, &whole, width);
        break;
      default:
        Fail(kUsage, "made-up values of type %s are not supported: use a file", eyrie_type_name(tensor->type));
    }
  }
}

}  // namespace

Options ParseArguments(int argc, char** argv) {
  Options options;
  if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    fputs(kHelp, stdout);
    exit(kSuccess);
  }
  if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
    printf("eyrie-run %s\n", eyrie_version());
    exit(kSuccess);
  }
  if (argc < 2 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "bench") != 0))
    Fail(kUsage, "expected run or bench; see eyrie-run --help");
  options.bench = strcmp(argv[1], "bench") == 0;
  options.inputs = static_cast<const char**>(calloc(static_cast<size_t>(argc), sizeof(char*)));
  options.outputs = static_cast<const char**>(calloc(static_cast<size_t>(argc), sizeof(char*)));
  options.parameters = static_cast<const char**>(calloc(static_cast<size_t>(argc), sizeof(char*)));
  options.plugins = static_cast<const char**>(calloc(static_cast<size_t>(argc), sizeof(char*)));
  if (!options.inputs || !options.outputs || !options.parameters || !options.plugins)
    Fail(kFailed, "not enough memory");
  for (int i = 2; i < argc; ++i) {
    const char* flag = argv[i];
    if (flag[0] != '-') {
      if (options.module) Fail(kUsage, "two modules given: '%s' and '%s'", options.module, flag);
      options.module = flag;
      continue;
    }
    if (strcmp(flag, "--help") == 0 || strcmp(flag, "-h") == 0) {
      fputs(kHelp, stdout);
      exit(kSuccess);
    }
    if (strcmp(flag, "--json") == 0) {
      options.json = true;
      continue;
    }
    if (strcmp(flag, "--verify") == 0) {
      options.verify_full = true;
      continue;
    }
    // All others have a value: --flag VALUE or --flag=VALUE.
    const char* equals = strchr(flag, '=');
    size_t length = equals ? static_cast<size_t>(equals - flag) : strlen(flag);
    auto is = [&](const char* name) { return strlen(name) == length && strncmp(flag, name, length) == 0; };
    if (!is("--input") && !is("--output") && !is("--parameters") && !is("--plugin") && !is("--load-state") &&
        !is("--save-state") && !is("--cpu") && !is("--function") && !is("--threads") && !is("--min-time"))
      Fail(kUsage, "unknown option '%.100s'; see eyrie-run --help", flag);
    const char* value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : nullptr;
    if (!value) Fail(kUsage, "%s needs a value", flag);
    if (is("--input"))
      options.inputs[options.input_count++] = value;
    else if (is("--output"))
      options.outputs[options.output_count++] = value;
    else if (is("--parameters"))
      options.parameters[options.parameter_count++] = value;
    else if (is("--plugin"))
      options.plugins[options.plugin_count++] = value;
    else if (is("--load-state"))
      options.load_state = value;
    else if (is("--save-state"))
      options.save_state = value;
    else if (is("--cpu"))
      options.cpu = value;
    else if (is("--function"))
      options.function = value;
    else if (is("--threads"))
      options.threads = static_cast<uint32_t>(ParseNumber("--threads", value, 0, 1024));
    else
      options.min_time = ParseNumber("--min-time", value, 0, 3600);
  }
  if (!options.module) Fail(kUsage, "no module given; see eyrie-run --help");
  return options;
}

void AllocateTensor(eyrie_tensor_t* tensor, size_t extra) {
  Check(eyrie_tensor_bytes(tensor->type, tensor->rank, tensor->dims, &tensor->size_bytes));
  size_t bytes;
  if (__builtin_add_overflow(tensor->size_bytes, extra, &bytes) || bytes > PTRDIFF_MAX - 64 ||
      posix_memalign(&tensor->data, 64, bytes + 64) != 0)
    Fail(kFailed, "not enough memory for a tensor of %zu bytes", tensor->size_bytes);
  memset(tensor->data, 0, bytes);
}

void MakeInput(const eyrie_value_info_t& value, eyrie_tensor_t* tensor) {
  if (value.is_sequence) {
    eyrie_value_info_t element = value;
    element.is_sequence = element.is_optional = 0;
    auto* elements = static_cast<eyrie_tensor_t*>(calloc(1, sizeof(eyrie_tensor_t)));
    if (!elements) Fail(kFailed, "not enough memory");
    MakeInput(element, elements);
    *tensor = {elements, sizeof(eyrie_tensor_t), EYRIE_SEQUENCE, 1, {1}};
    return;
  }
  tensor->type = value.type;
  tensor->rank = value.rank;
  for (uint32_t i = 0; i < value.rank; ++i) tensor->dims[i] = value.dims[i].size >= 0 ? value.dims[i].size : 1;
  AllocateTensor(tensor);
}

void ReadInput(const char* text, const eyrie_value_info_t& value, eyrie_tensor_t* tensor) {
  if (*text == '@') return ReadNpy(text + 1, value, tensor);
  const char* at = text;
  while (*at >= '0' && *at <= '9') {
    char* end;
    long long size = strtoll(at, &end, 10);
    if (*end != 'x' || tensor->rank == EYRIE_MAX_RANK)
      Fail(kUsage, "input '%s': '%.100s' is not a shape and type as in 1x3xf32=0.5", value.name, text);
    tensor->dims[tensor->rank++] = size;
    at = end + 1;
  }
  const char* equals = strchr(at, '=');
  char type[16] = {};
  if (!equals || equals - at >= static_cast<ptrdiff_t>(sizeof(type)))
    Fail(kUsage, "input '%s': '%.100s' is not of the form 1x3xf32=0.5 or @FILE.npy", value.name, text);
  memcpy(type, at, static_cast<size_t>(equals - at));
  tensor->type = eyrie_type_from_name(type);
  if (!tensor->type) Fail(kUsage, "input '%s': there is no element type '%s'", value.name, type);
  if (tensor->type == EYRIE_STRING) {
    AllocateTensor(tensor);
    return SetStrings(equals + 1, tensor);
  }
  double number = ParseNumber(value.name, equals + 1, -1e300, 1e300);
  AllocateTensor(tensor);
  SetElements(tensor, tensor->size_bytes, number);
}

}  // namespace eyrie::run
