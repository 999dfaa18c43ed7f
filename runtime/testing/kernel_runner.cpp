// Runs kernels that another process sends (kernel_job.h), with the runtime's own loader.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "abi/kernel.h"
#include "runtime/base/status.h"
#include "runtime/hal/drivers/cpu/cpu_features.h"
#include "runtime/hal/drivers/cpu/elf_loader.h"
#include "runtime/testing/kernel_job.h"

namespace eyrie::rt::testing {
namespace {

constexpr size_t kGuardBytes = 256;
constexpr uint8_t kGuard = 0xa5;

// Memory with guard bytes behind it.
class Memory {
 public:
  explicit Memory(uint64_t size) : size_(size) {
    bytes_ = static_cast<uint8_t*>(aligned_alloc(64, (size + kGuardBytes + 63) / 64 * 64));
    if (!bytes_) abort();
    memset(bytes_, kGuard, size + kGuardBytes);
  }
  Memory(const Memory&) = delete;
  ~Memory() { free(bytes_); }
  uint8_t* bytes() const { return bytes_; }
  uint64_t size() const { return size_; }
  bool IsIntact() const {
    for (size_t i = 0; i < kGuardBytes; ++i)
      if (bytes_[size_ + i] != kGuard) return false;
    return true;
  }

 private:
  uint64_t size_;
  uint8_t* bytes_;
};

bool Read(void* bytes, uint64_t size) { return fread(bytes, 1, size, stdin) == size; }
void Write(const void* bytes, uint64_t size) {
  if (fwrite(bytes, 1, size, stdout) != size) exit(1);
}

// What follows a job.
struct Request {
  bool ReadAll(const Job& job) {
    object.resize(job.object_bytes);
    symbol.resize(job.symbol_bytes);
    constants.resize(job.constant_count);
    std::vector<uint64_t> sizes(job.binding_count);
    if (!Read(object.data(), object.size()) || !Read(symbol.data(), symbol.size()) ||
        !Read(constants.data(), 8 * constants.size()) || !Read(sizes.data(), 8 * sizes.size()))
      return false;
    for (uint64_t size : sizes) {
      bindings.push_back(std::make_unique<Memory>(size));
      pointers.push_back(bindings.back()->bytes());
      if (!Read(bindings.back()->bytes(), size)) return false;
    }
    return true;
  }

  std::vector<uint8_t> object;
  std::string symbol;
  std::vector<int64_t> constants;
  std::vector<std::unique_ptr<Memory>> bindings;
  std::vector<void*> pointers;
};

Status Run(const Job& job, Request& request) {
  if (uint64_t missing = job.features & ~hal::cpu::HostFeatures())
    return Error(EYRIE_INCOMPATIBLE, "the processor lacks features %#llx", static_cast<unsigned long long>(missing));
  EYRIE_ASSIGN_OR_RETURN(hal::cpu::ElfImage image,
                         hal::cpu::ElfImage::Load(request.object.data(), request.object.size()));
  auto kernel = reinterpret_cast<eyrie_kernel>(image.FindFunction(request.symbol.c_str()));
  if (!kernel) return Error(EYRIE_NOT_FOUND, "the object has no such function");
  eyrie_kernel_dispatch dispatch = {};
  dispatch.bindings = request.pointers.data();
  dispatch.constants = request.constants.data();
  dispatch.binding_count = static_cast<uint32_t>(job.binding_count);
  dispatch.constant_count = static_cast<uint32_t>(job.constant_count);
  Memory local(job.local_bytes);
  uint32_t count[3];
  for (int i = 0; i < 3; ++i) dispatch.workgroup_count[i] = count[i] = static_cast<uint32_t>(job.workgroup_count[i]);
  // Backwards: an order that hides no dependence.
  for (uint32_t z = count[2]; z-- > 0;)
    for (uint32_t y = count[1]; y-- > 0;)
      for (uint32_t x = count[0]; x-- > 0;) {
        int32_t code = kernel(&dispatch, x, y, z, job.local_bytes ? local.bytes() : nullptr);
        if (code) return Error(EYRIE_INTERNAL, "the kernel returned %d", code);
      }
  if (!local.IsIntact()) return Error(EYRIE_INTERNAL, "the kernel wrote behind its local memory");
  for (size_t i = 0; i < request.bindings.size(); ++i)
    if (!request.bindings[i]->IsIntact()) return Error(EYRIE_INTERNAL, "the kernel wrote behind binding %zu", i);
  return {};
}

bool AnswerOne() {
  Job job;
  if (!Read(&job, sizeof(job))) return false;
  Request request;
  if (!request.ReadAll(job)) return false;
  Status status = Run(job, request);
  const char* text = status.ok() ? "" : status.message();
  Answer answer = {static_cast<uint64_t>(status.code()), strlen(text)};
  Write(&answer, sizeof(answer));
  Write(text, answer.text_bytes);
  if (status.ok())
    for (const auto& binding : request.bindings) Write(binding->bytes(), binding->size());
  fflush(stdout);
  return true;
}

}  // namespace
}  // namespace eyrie::rt::testing

int main() {
  eyrie::rt::testing::Greeting greeting = {eyrie::rt::hal::cpu::HostFeatures()};
  eyrie::rt::testing::Write(&greeting, sizeof(greeting));
  fflush(stdout);
  while (eyrie::rt::testing::AnswerOne()) {
  }
  return 0;
}
