// A thin C++ wrapper of compiler.h: ownership, strings and exceptions of callbacks, nothing else. See there for the
// contracts.
#ifndef EYRIE_COMPILER_HPP_
#define EYRIE_COMPILER_HPP_

#include <eyrie/compiler.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace eyrie {

/// A serialised FunctionProto for the node; nothing leaves the node to others. What it throws becomes the error.
using Expand = std::function<std::optional<std::string>(const eyrie_expand_node_t& node)>;

class Compile {
 public:
  Compile() : job_(eyrie_compile_create()) {}
  ~Compile() { eyrie_compile_destroy(job_); }
  Compile(const Compile&) = delete;
  Compile& operator=(const Compile&) = delete;

  eyrie_compile_result_t Set(const std::string& option, const std::string& value) {
    return eyrie_compile_set(job_, option.c_str(), value.c_str());
  }
  eyrie_compile_result_t Run(const std::string& model, const std::string& output) {
    return eyrie_compile_run(job_, model.c_str(), output.c_str());
  }
  eyrie_compile_result_t Add(const std::string& model, const std::string& function) {
    return eyrie_compile_add(job_, model.c_str(), function.c_str());
  }
  eyrie_compile_result_t Estimate(const std::string& model) { return eyrie_compile_estimate(job_, model.c_str()); }
  eyrie_compile_result_t AddExpansion(const std::string& domain, const std::string& name, Expand expand) {
    expansions_.push_back(std::make_unique<Expand>(std::move(expand)));
    return eyrie_compile_add_expansion(job_, domain.c_str(), name.c_str(), CallExpand, expansions_.back().get());
  }
  std::string Message() const { return eyrie_compile_message(job_); }
  std::string Report() const { return eyrie_compile_report(job_); }
  eyrie_compile_t* job() { return job_; }

  static std::vector<eyrie_stage_info_t> Stages() {
    std::vector<eyrie_stage_info_t> stages;
    while (const eyrie_stage_info_t* stage = eyrie_compiler_stage(stages.size())) stages.push_back(*stage);
    return stages;
  }

 private:
  // No exception may cross the C interface.
  static void CallExpand(void* user, const eyrie_expand_node_t* node, eyrie_expansion_t* answer) noexcept {
#ifdef __cpp_exceptions
    try {
      Answer(*static_cast<Expand*>(user), *node, answer);
    } catch (const std::exception& error) {
      eyrie_expansion_fail(answer, error.what());
    } catch (...) {
      eyrie_expansion_fail(answer, "an exception that is no std::exception");
    }
#else
    Answer(*static_cast<Expand*>(user), *node, answer);
#endif
  }
  static void Answer(const Expand& expand, const eyrie_expand_node_t& node, eyrie_expansion_t* answer) {
    if (std::optional<std::string> function = expand(node))
      eyrie_expansion_give(answer, function->data(), function->size());
  }

  eyrie_compile_t* job_;
  std::vector<std::unique_ptr<Expand>> expansions_;
};

}  // namespace eyrie

#endif  // EYRIE_COMPILER_HPP_
