#include "tools/eyrie/precision.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "tools/eyrie/command.h"
#include "tools/eyrie/elements.h"
#include "tools/eyrie/inputs.h"
#include "tools/eyrie/measure.h"

namespace eyrie::cli {
namespace {

// A call that was made. The arguments outlive the subject.
struct Call {
  std::vector<Argument> arguments;
  std::unique_ptr<Subject> subject;
};

// With inputs of the first of some open sizes that the function takes. Fails as the first does if it takes none.
Call CallWithSomeSize(const Module& module, const Function& function, const std::vector<std::string>& inputs) {
  constexpr int64_t kOpenSizes[] = {8, 16, 32, 64, 128, 512, 1};
  std::string problem;
  for (int64_t size : kOpenSizes) {
    try {
      Call call{MakeInputs(function, inputs, {}, size), nullptr};
      call.subject = std::make_unique<Subject>(module, function, call.arguments, "", /*profile=*/false);
      call.subject->Call();
      return call;
    } catch (const Failure& failure) {
      if (problem.empty()) problem = failure.message;
    }
  }
  Fail(problem);
}

bool IsMeasured(const Value& output, const eyrie_tensor_t& tensor) {
  return !output.is_sequence && tensor.type != EYRIE_NONE && FamilyOf(tensor.type) != Family::kString &&
         FamilyOf(tensor.type) != Family::kComplex;
}

OutputError Compare(const std::string& name, const eyrie_tensor_t& narrow, const eyrie_tensor_t& reference) {
  if (ShapeOf(narrow) != ShapeOf(reference)) Fail("the shape of '" + name + "' is another");
  OutputError error;
  error.name = name;
  error.is_float = FamilyOf(reference.type) == Family::kFloat;
  const uint8_t *a = static_cast<const uint8_t*>(narrow.data), *b = static_cast<const uint8_t*>(reference.data);
  size_t count = CountOf(ShapeOf(reference)), differing = 0;
  double largest = 0, squares = 0;
  for (size_t i = 0; i < count; ++i) {
    if (!error.is_float) {
      differing += LoadBits(narrow.type, a, i) != LoadBits(reference.type, b, i);
      continue;
    }
    double x = LoadReal(narrow.type, a, i), y = LoadReal(reference.type, b, i);
    if (std::isfinite(y)) largest = std::max(largest, std::fabs(y));
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    double distance = std::isfinite(x) && std::isfinite(y) ? std::fabs(x - y) : INFINITY;
    error.largest = std::max(error.largest, distance);
    squares += distance * distance;
  }
  if (!error.is_float) {
    error.largest = count == 0 ? 0 : static_cast<double>(differing) / static_cast<double>(count);
  } else if (error.largest > 0) {
    error.largest /= largest;
    error.root_mean_square = std::sqrt(squares / static_cast<double>(count)) / largest;
  }
  return error;
}

}  // namespace

PrecisionReport MeasurePrecision(const ModuleFiles& narrow, const ModuleFiles& reference,
                                 const std::vector<std::string>& inputs) {
  PrecisionReport report;
  try {
    auto load = [](const ModuleFiles& files) {
      return std::make_unique<Module>(files.module, LoadOptions{.parameters = files.parameters});
    };
    std::unique_ptr<Module> modules[] = {load(narrow), load(reference)};
    eyrie_module_info_t info = {};
    eyrie_module_get_info(modules[0]->get(), &info);
    for (uint32_t index = 0; index < info.function_count; ++index) {
      Function function = modules[0]->At(index), same = modules[1]->Find(function.name);
      Call ours = CallWithSomeSize(*modules[0], function, inputs);
      Subject theirs(*modules[1], same, ours.arguments, "", /*profile=*/false);
      theirs.Call();
      for (size_t i = 0; i < function.outputs.size(); ++i) {
        std::string name = (info.function_count > 1 ? function.name + "." : "") + function.outputs[i].name;
        if (IsMeasured(function.outputs[i], theirs.outputs()[i]))
          report.outputs.push_back(Compare(name, ours.subject->outputs()[i], theirs.outputs()[i]));
      }
    }
  } catch (const Failure& failure) {
    report.outputs.clear();
    report.problem = failure.message;
  }
  return report;
}

}  // namespace eyrie::cli
