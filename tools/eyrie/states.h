// The states of an instance in files.
#ifndef EYRIE_TOOLS_EYRIE_STATES_H_
#define EYRIE_TOOLS_EYRIE_STATES_H_

#include <eyrie/runtime.h>

#include <string>

#include "tools/npy/bytes.h"

namespace eyrie::cli {

npy::Bytes SaveStates(eyrie_instance_t* instance);
void RestoreStates(eyrie_instance_t* instance, const npy::Bytes& states);

// `path` may begin with '@', as files of inputs do.
void LoadStateFile(eyrie_instance_t* instance, const std::string& path);
void SaveStateFile(eyrie_instance_t* instance, const std::string& path);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_STATES_H_
