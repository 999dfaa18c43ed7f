// Calls whose right answers are known: a kind for each way in which a module uses the runtime. Without GoogleTest.
#ifndef EYRIE_RUNTIME_TESTING_CASES_H_
#define EYRIE_RUNTIME_TESTING_CASES_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "eyrie/runtime.h"
#include "runtime/testing/module_builder.h"

namespace eyrie::rt::testing {

// The inputs and outputs of one call.
class Case {
 public:
  virtual ~Case() = default;
  // Makes inputs, then Reset. Equal sizes give equal shapes; the seed changes the values.
  virtual void Prepare(uint32_t size, uint32_t seed) = 0;
  // Makes the outputs what a call wants to find. Does not allocate.
  virtual void Reset() = 0;
  // Whether the outputs are right, after a call that succeeded. Does not allocate.
  virtual bool IsRight() const = 0;
  // Whether the outputs stay when the instance runs its next call.
  virtual bool owns_outputs() const { return false; }

  std::vector<eyrie_tensor_t> inputs;
  eyrie_tensor_t output = {};
};

struct Kind {
  const char* name;
  Module (*module)();
  std::unique_ptr<Case> (*make)();
};

std::span<const Kind> Kinds();

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_CASES_H_
