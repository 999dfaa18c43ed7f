#include "tools/eyrie/states.h"

#include "tools/eyrie/command.h"
#include "tools/eyrie/module.h"
#include "tools/npy/file.h"

namespace eyrie::cli {
namespace {

std::string PathOf(const std::string& text) { return text.substr(!text.empty() && text[0] == '@'); }

}  // namespace

npy::Bytes SaveStates(eyrie_instance_t* instance) {
  size_t size = 0;
  Check(eyrie_state_save(instance, nullptr, 0, &size), "");
  npy::Bytes bytes;
  if (!npy::Bytes::Allocate(size, &bytes)) Fail("not enough memory for states of " + SizeText(size));
  Check(eyrie_state_save(instance, bytes.data(), bytes.size(), &size), "");
  return bytes;
}

void RestoreStates(eyrie_instance_t* instance, const npy::Bytes& states) {
  Check(eyrie_state_restore(instance, states.data(), states.size()), "");
}

void LoadStateFile(eyrie_instance_t* instance, const std::string& path) {
  npy::Bytes bytes;
  std::string error;
  if (!npy::ReadFile(PathOf(path), &bytes, &error)) Fail(error);
  Check(eyrie_state_restore(instance, bytes.data(), bytes.size()), "'" + PathOf(path) + "': ");
}

void SaveStateFile(eyrie_instance_t* instance, const std::string& path) {
  npy::Bytes bytes = SaveStates(instance);
  npy::OutputFile file;
  if (!file.Open(PathOf(path)) || !file.Write(bytes.data(), bytes.size()) || !file.Commit()) Fail(file.error());
}

}  // namespace eyrie::cli
