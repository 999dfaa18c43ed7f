// The C interface of the compiler (include/eyrie/compiler.h) over the pipeline.
#include "compiler/pipeline/Pipeline.h"
#include "compiler/target/Target.h"
#include "eyrie/compiler.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"

#include <new>

using eyrie::pipeline::CompileOptions;
using llvm::StringRef;

struct eyrie_compile {
  CompileOptions options;
  std::vector<eyrie::pipeline::ModelFile> models;
  std::string message, report;
  eyrie_progress_t progress = nullptr;
  void *user = nullptr;
};

struct eyrie_expansion {
  eyrie::import::onnx::ExpandAnswer answer;
};

namespace {

/// Asks a callback of the C interface.
eyrie::import::onnx::ExpandAnswer ask(eyrie_expand_t expand, void *user, const eyrie::import::onnx::ExpandNode &node) {
  std::vector<eyrie_expand_input_t> inputs;
  std::vector<const eyrie_expand_input_t *> pointers;
  for (const auto &input : node.inputs)
    inputs.push_back({static_cast<eyrie_expand_kind_t>(input.kind), input.type,
                      input.dims ? static_cast<int32_t>(input.dims->size()) : -1,
                      input.dims ? input.dims->data() : nullptr, input.elements ? input.elements->data() : nullptr,
                      input.elements ? input.elements->size() : 0});
  for (const auto &input : inputs)
    pointers.push_back(&input);
  eyrie_expand_node_t asked{node.place.c_str(), node.message.data(), node.message.size(), node.opset,
                            node.version,       pointers.size(),     pointers.data()};
  eyrie_expansion expansion;
  expand(user, &asked, &expansion);
  return std::move(expansion.answer);
}

constexpr eyrie_option_info_t optionTable[] = {
#define EYRIE_COMPILE_OPTION(field, name, kind, letter, value, initial, help)                                          \
  {name, EYRIE_OPTION_##kind, letter, value, initial, help},
#include "compiler/pipeline/Options.def"
};

// One reader for each type of field: false, with what was expected, if `text` is not such a value.
bool readValue(StringRef text, std::string &value, std::string &) {
  value = text.str();
  return true;
}

bool readValue(StringRef text, int &value, std::string &expected) {
  expected = "0, 1, 2 or 3";
  return !text.getAsInteger(10, value) && value >= 0 && value <= 3;
}

bool readValue(StringRef text, unsigned &value, std::string &expected) {
  expected = "a number from 0 to 1024";
  return !text.getAsInteger(10, value) && value <= 1024;
}

bool readValue(StringRef text, std::vector<std::string> &list, std::string &expected) {
  expected = "a text";
  list.push_back(text.str());
  return !text.empty();
}

bool readValue(StringRef text, bool &value, std::string &expected) {
  expected = "true or false";
  value = text == "true";
  return value || text == "false";
}

bool readValue(StringRef text, eyrie::pipeline::ShapeOptions &shapes, std::string &expected) {
  return eyrie::pipeline::readShape(text, shapes, expected);
}

bool readValue(StringRef text, std::vector<std::pair<std::string, std::string>> &pairs, std::string &expected) {
  expected = "INPUT=OUTPUT, with at most one * on each side and on both or none";
  auto [input, output] = text.split('=');
  if (input.empty() || output.empty() || input.count('*') > 1 || input.count('*') != output.count('*'))
    return false;
  pairs.emplace_back(input.str(), output.str());
  return true;
}

bool readValue(StringRef text, std::vector<eyrie::import::onnx::HostOp> &ops, std::string &expected) {
  auto op = eyrie::import::onnx::parseHostOp(text);
  if (!op) {
    expected = "a signature as in 'my.domain::Op(f32[n, k], f32[k]) -> f32[n]': " + llvm::toString(op.takeError());
    return false;
  }
  ops.push_back(std::move(*op));
  return true;
}

std::string listNames(size_t count, llvm::function_ref<StringRef(size_t)> name) {
  std::string text;
  for (size_t i = 0; i < count; ++i)
    text += (i ? ", " : "") + name(i).str();
  return text;
}

// Checks what readers of single values cannot know.
bool checkStage(StringRef stage, std::string &expected) {
  auto stages = eyrie::pipeline::stages();
  for (const auto &known : stages)
    if (stage == known.name)
      return true;
  expected = "one of " + listNames(stages.size(), [&](size_t i) { return StringRef(stages[i].name); });
  return false;
}

} // namespace

extern "C" {

const char *eyrie_compiler_version(void) { return EYRIE_VERSION; }

const eyrie_option_info_t *eyrie_compiler_option(size_t index) {
  return index < std::size(optionTable) ? &optionTable[index] : nullptr;
}

const char *eyrie_compiler_alternative(const char *target, size_t index) {
  const eyrie::target::Target *found = eyrie::target::findTarget(target ? target : "");
  // Literals end with a zero byte.
  return found && index < found->alternatives().size() ? found->alternatives()[index].data() : nullptr;
}

const eyrie_stage_info_t *eyrie_compiler_stage(size_t index) {
  static const std::vector<eyrie_stage_info_t> table = [] {
    std::vector<eyrie_stage_info_t> rows;
    // The pipeline's table holds literals: their text ends with a zero byte.
    for (const auto &stage : eyrie::pipeline::stages())
      rows.push_back({StringRef(stage.name).data(), StringRef(stage.description).data()});
    return rows;
  }();
  return index < table.size() ? &table[index] : nullptr;
}

eyrie_compile_t *eyrie_compile_create(void) { return new (std::nothrow) eyrie_compile; }

void eyrie_compile_destroy(eyrie_compile_t *job) { delete job; }

eyrie_compile_result_t eyrie_compile_set(eyrie_compile_t *job, const char *option, const char *value) {
  job->message.clear();
  StringRef name = option, text = value;
  std::string expected;
  bool found = false, good = false;
#define EYRIE_COMPILE_OPTION(field, optionName, kind, letter, valueName, initial, help)                                \
  if (name == optionName) {                                                                                            \
    found = true;                                                                                                      \
    good = readValue(text, job->options.field, expected);                                                              \
  }
#include "compiler/pipeline/Options.def"
  if (!found) {
    job->message = llvm::formatv("there is no option '{0}'; the options are {1}", name,
                                 listNames(std::size(optionTable), [](size_t i) { return optionTable[i].name; }));
    return EYRIE_COMPILE_USAGE;
  }
  if (good && name == "stop-after" && !text.empty())
    good = checkStage(text, expected);
  if (good)
    return EYRIE_COMPILE_OK;
  job->message = llvm::formatv("option '{0}' cannot be '{1}': expected {2}", name, text, expected);
  return EYRIE_COMPILE_USAGE;
}

void eyrie_compile_on_progress(eyrie_compile_t *job, eyrie_progress_t progress, void *user) {
  job->progress = progress;
  job->user = user;
}

eyrie_compile_result_t eyrie_compile_check(eyrie_compile_t *job) {
  using namespace eyrie::target;
  job->message.clear();
  TargetOptions options;
  options.target = job->options.target;
  options.optLevel = job->options.optLevel;
  if (const Target *target = findTarget(options.target)) {
    optionsOfProcessors(*target, options, job->options.cpus, job->message);
    constexpr llvm::StringRef precisions[] = {"f32", "bf16", "f16"};
    if (job->message.empty() && !llvm::is_contained(precisions, job->options.precision))
      job->message = llvm::formatv("--precision: '{0}' is not one of {1}", job->options.precision,
                                   listNames(std::size(precisions), [&](size_t i) { return precisions[i]; }));
  } else {
    job->message = llvm::formatv("there is no target '{0}'; the targets are {1}", options.target,
                                 listNames(targets().size(), [](size_t i) { return targets()[i]->name(); }));
  }
  return job->message.empty() ? EYRIE_COMPILE_OK : EYRIE_COMPILE_USAGE;
}

eyrie_compile_result_t eyrie_compile_add(eyrie_compile_t *job, const char *model, const char *function) {
  job->message.clear();
  std::string name = function ? std::string(function) : eyrie::pipeline::functionNameOf(model);
  if (!eyrie::pipeline::isFunctionName(name)) {
    job->message = llvm::formatv("'{0}' cannot be the name of a function: expected letters, digits, '_', '-' and '.', "
                                 "the first a letter or '_'",
                                 name);
    return EYRIE_COMPILE_USAGE;
  }
  for (const auto &other : job->models)
    if (other.function == name) {
      job->message = llvm::formatv("'{0}' and '{1}' would both be the function '{2}': name one with NAME=FILE",
                                   other.path, model, name);
      return EYRIE_COMPILE_USAGE;
    }
  job->models.push_back({std::move(name), model});
  return EYRIE_COMPILE_OK;
}

void eyrie_expansion_give(eyrie_expansion_t *answer, const void *function, size_t size) {
  answer->answer.function = std::string(static_cast<const char *>(function), size);
}

void eyrie_expansion_fail(eyrie_expansion_t *answer, const char *text) { answer->answer.error = text; }

eyrie_compile_result_t eyrie_compile_add_expansion(eyrie_compile_t *job, const char *domain, const char *name,
                                                   eyrie_expand_t expand, void *user) {
  job->message.clear();
  StringRef plain = domain == StringRef("ai.onnx") ? "" : domain;
  if (StringRef(name).empty())
    job->message = "an expansion needs the name of an operator";
  for (const auto &other : job->options.expanders)
    if (other.domain == plain && other.name == name)
      job->message =
          llvm::formatv("the operator '{0}{1}{2}' has an expansion already", plain, plain.empty() ? "" : "::", name);
  if (!job->message.empty())
    return EYRIE_COMPILE_USAGE;
  job->options.expanders.push_back({plain.str(), name, [expand, user](const eyrie::import::onnx::ExpandNode &node) {
                                      return ask(expand, user, node);
                                    }});
  return EYRIE_COMPILE_OK;
}

/// The models of a run, `model` if it is not null.
static eyrie_compile_result_t begin(eyrie_compile_t *job, const char *model,
                                    std::vector<eyrie::pipeline::ModelFile> &models) {
  job->report.clear();
  if (eyrie_compile_check(job) != EYRIE_COMPILE_OK)
    return EYRIE_COMPILE_USAGE;
  models = job->models;
  if (model)
    models = {{"main", model}};
  if (models.empty()) {
    job->message = "no model is given";
    return EYRIE_COMPILE_USAGE;
  }
  for (const auto &each : models)
    if (llvm::sys::fs::is_directory(each.path)) {
      job->message = llvm::formatv("cannot read '{0}': it is a directory", each.path);
      return EYRIE_COMPILE_FAILED;
    }
  return EYRIE_COMPILE_OK;
}

static eyrie_compile_result_t end(eyrie_compile_t *job, bool good) {
  if (!good && job->message.empty())
    job->message = "the compiler failed without saying why: this is a bug of Eyrie";
  return good ? EYRIE_COMPILE_OK : EYRIE_COMPILE_FAILED;
}

eyrie_compile_result_t eyrie_compile_estimate(eyrie_compile_t *job, const char *model) {
  std::vector<eyrie::pipeline::ModelFile> models;
  if (eyrie_compile_result_t result = begin(job, model, models); result != EYRIE_COMPILE_OK)
    return result;
  return end(job, mlir::succeeded(eyrie::pipeline::estimateFiles(models, job->options, job->message, job->report)));
}

eyrie_compile_result_t eyrie_compile_run(eyrie_compile_t *job, const char *model, const char *output) {
  std::vector<eyrie::pipeline::ModelFile> models;
  if (eyrie_compile_result_t result = begin(job, model, models); result != EYRIE_COMPILE_OK)
    return result;
  const std::string &parameters = job->options.parameters;
  for (const std::string &path : job->options.functions)
    if (llvm::sys::fs::equivalent(path, output) ||
        (!parameters.empty() && llvm::sys::fs::equivalent(path, parameters))) {
      job->message = llvm::formatv("'{0}' is to be written, but is a file of functions", path);
      return EYRIE_COMPILE_FAILED;
    }
  for (const auto &each : models) {
    if (llvm::sys::fs::equivalent(each.path, output)) {
      job->message = llvm::formatv("the output '{0}' is the model itself", output);
      return EYRIE_COMPILE_FAILED;
    }
    if (!parameters.empty() && llvm::sys::fs::equivalent(each.path, parameters)) {
      job->message = llvm::formatv("the file of parameters '{0}' is the model itself", parameters);
      return EYRIE_COMPILE_FAILED;
    }
  }
  if (!parameters.empty() && (parameters == output || llvm::sys::fs::equivalent(parameters, output))) {
    job->message = llvm::formatv("the file of parameters '{0}' is the output itself", parameters);
    return EYRIE_COMPILE_FAILED;
  }
  if (job->progress)
    job->options.progress = [job](StringRef stage, unsigned index, unsigned count) {
      job->progress(job->user, stage.str().c_str(), index, count);
    };
  bool good = mlir::succeeded(eyrie::pipeline::compileFiles(models, output, job->options, job->message, job->report));
  return end(job, good);
}

const char *eyrie_compile_message(const eyrie_compile_t *job) { return job->message.c_str(); }

const char *eyrie_compile_report(const eyrie_compile_t *job) { return job->report.c_str(); }

} // extern "C"
