// Which code of an executable is loaded, where a module has some for several processors.
#include <cstring>

#include "runtime/base/text.h"
#include "runtime/module/metadata.h"
#include "runtime/session/module.h"

using namespace eyrie::rt;
using eyrie::rt::module::CountOf;
using eyrie::rt::module::TextOf;
namespace fb = eyrie::abi::fb;

Status eyrie_module::FindCpu() {
  if (!options.cpu || !*options.cpu) return {};
  const auto* list = file.metadata().processors();
  char names[400];
  Text text(names, sizeof(names));
  for (uint32_t i = 0; i < CountOf(list); ++i) {
    if (strcmp(TextOf(list->Get(i)->name()), options.cpu) == 0) {
      cpu_ = list->Get(i);
      return {};
    }
    text.Print(i ? ", %s" : "%s", TextOf(list->Get(i)->name()));
  }
  return Error(EYRIE_NOT_FOUND, "the module was not compiled for the processor '%.100s', but for: %s", options.cpu,
               names);
}

session::Code eyrie_module::CodeOf(const fb::Executable& executable, uint32_t variant) const {
  if (variant >= CountOf(executable.variants()))
    return {TextOf(executable.format()), executable.features(), executable.offset(), executable.size()};
  const fb::Variant& item = *executable.variants()->Get(variant);
  return {TextOf(item.format() ? item.format() : executable.format()), item.features(), item.offset(), item.size()};
}

bool eyrie_module::Fits(const session::Code& code) const {
  if (!cpu_) return runtime->device->CanRun(code.format, code.features);
  return strcmp(code.format, TextOf(cpu_->format())) == 0 && (code.features & ~cpu_->features()) == 0;
}

// If nothing fits it is the executable's own: it asks the least, and the device says what is missing.
uint32_t eyrie_module::ChooseVariant(const fb::Executable& executable) const {
  uint32_t variant = 0;
  while (variant < CountOf(executable.variants()) && !Fits(CodeOf(executable, variant))) ++variant;
  return variant;
}
