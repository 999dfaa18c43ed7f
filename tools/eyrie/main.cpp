// `eyrie`: finds the subcommand and turns its failures into exit codes.
#include <signal.h>

#include <new>

#include "tools/eyrie/command.h"

namespace eyrie::cli {
namespace {

constexpr Command kCommands[] = {
    {"compile", "Compiles a model into a module", CompileMain},
    {"check", "Says whether a model will compile and what it will cost", CheckMain},
    {"run", "Calls a function of a module", RunMain},
    {"bench", "Measures how long a call takes", BenchMain},
    {"tune", "Measures what kernels could do otherwise, for `compile`", TuneMain},
    {"inspect", "Shows what is in a module", InspectMain},
    {"params", "Lists, converts and makes files of parameters", ParamsMain},
};

std::string Help() {
  std::string text =
      "Eyrie compiles trained models into modules of native code, and runs them.\n"
      "Usage: eyrie COMMAND [OPTIONS]\n\nCommands:\n";
  for (const Command& command : kCommands) {
    std::string name = command.name;
    text += "  " + name + std::string(12 - name.size(), ' ') + command.summary + "\n";
  }
  text +=
      "\nOptions:\n  -h,--help   Prints this help; `eyrie COMMAND --help` that of a command\n"
      "  --version   Prints the version\n"
      "\nExamples:\n"
      "  eyrie compile model.onnx -o model.eyr\n"
      "  eyrie check model.onnx\n"
      "  eyrie run model.eyr --input x=@x.npy\n"
      "  eyrie bench model.eyr --threads 1\n"
      "  eyrie inspect model.eyr\n"
      "  eyrie params list weights.safetensors\n"
      "\nExit codes: 0 all is well, 1 the model or the run failed, 2 the command line is wrong, 3 a bug of Eyrie.\n";
  return text;
}

std::string Names() {
  std::string text;
  for (const Command& command : kCommands) text += std::string(text.empty() ? "" : ", ") + command.name;
  return text;
}

int Dispatch(const std::vector<std::string>& arguments) {
  if (arguments.empty()) FailUsage("no command: expected one of " + Names() + "; see `eyrie --help`");
  const std::string& first = arguments[0];
  if (first == "--help" || first == "-h" || first == "help") return Print(Help()), kSuccess;
  if (first == "--version") return Print("eyrie " EYRIE_VERSION "\n"), kSuccess;
  for (const Command& command : kCommands)
    if (first == command.name) return command.main({arguments.begin() + 1, arguments.end()});
  FailUsage("there is no command '" + first.substr(0, 100) + "': expected one of " + Names());
}

}  // namespace
}  // namespace eyrie::cli

int main(int argc, char** argv) {
  using namespace eyrie::cli;
  // A closed pipe and a file at its size limit are errors of the write, not the end of the program.
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
  try {
    return Dispatch({argv + 1, argv + argc});
  } catch (const Failure& failure) {
    PrintError(failure.message);
    return failure.exit_code;
  } catch (const std::bad_alloc&) {
    PrintError("not enough memory");
    return kFailed;
  } catch (const std::length_error&) {
    PrintError("not enough memory");
    return kFailed;
  } catch (const std::exception& error) {
    PrintError(std::string("a bug of eyrie: ") + error.what());
    return kBug;
  }
}
