// What the unit tests of the command line share.
#ifndef EYRIE_TOOLS_EYRIE_TESTING_ERRORS_H_
#define EYRIE_TOOLS_EYRIE_TESTING_ERRORS_H_

#include <string>

#include "tools/eyrie/command.h"

namespace eyrie::cli {

// The message with which `work` fails.
template <typename Work>
std::string ErrorOf(Work work) {
  try {
    work();
  } catch (const Failure& failure) {
    return failure.message;
  }
  return "no failure";
}

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_TESTING_ERRORS_H_
