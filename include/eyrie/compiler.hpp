// A thin C++ wrapper of compiler.h: ownership and strings, nothing else. See there for the contracts.
#ifndef EYRIE_COMPILER_HPP_
#define EYRIE_COMPILER_HPP_

#include <eyrie/compiler.h>

#include <string>
#include <vector>

namespace eyrie {

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
  std::string Message() const { return eyrie_compile_message(job_); }
  std::string Report() const { return eyrie_compile_report(job_); }
  eyrie_compile_t* job() { return job_; }

  static std::vector<eyrie_stage_info_t> Stages() {
    std::vector<eyrie_stage_info_t> stages;
    while (const eyrie_stage_info_t* stage = eyrie_compiler_stage(stages.size())) stages.push_back(*stage);
    return stages;
  }

 private:
  eyrie_compile_t* job_;
};

}  // namespace eyrie

#endif  // EYRIE_COMPILER_HPP_
