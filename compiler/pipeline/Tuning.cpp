#include "compiler/pipeline/Tuning.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"

using namespace eyrie;

std::shared_ptr<const target::Tuning> eyrie::pipeline::readTuning(llvm::StringRef path, const target::Target &target,
                                                                  std::string &error) {
  auto fail = [&](const std::string &text) {
    error = llvm::formatv("--tuning: '{0}' {1}", path, text);
    return nullptr;
  };
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer)
    return fail("cannot be read: " + buffer.getError().message());
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse((*buffer)->getBuffer());
  if (!parsed)
    return fail("is not JSON: " + llvm::toString(parsed.takeError()));
  const llvm::json::Object *file = parsed->getAsObject();
  const llvm::json::Object *kernels = file ? file->getObject("kernels") : nullptr;
  if (!kernels || file->getString("format") != "eyrie-tuning-1")
    return fail("is not a file of `eyrie tune`: expected \"format\": \"eyrie-tuning-1\" and \"kernels\"");
  auto tuning = std::make_shared<target::Tuning>();
  for (const auto &[name, value] : *kernels) {
    auto choice = value.getAsObject() ? value.getAsObject()->getString("choice") : std::nullopt;
    if (!choice)
      return fail(llvm::formatv("says no \"choice\" for the kernel '{0}'", name.str()));
    if (!llvm::is_contained(target.alternatives(), *choice))
      return fail(llvm::formatv("has the choice '{0}' for the kernel '{1}', which the target '{2}' does not know; tune "
                                "the model again",
                                *choice, name.str(), target.name()));
    (*tuning)[name.str()] = choice->str();
  }
  return tuning;
}
