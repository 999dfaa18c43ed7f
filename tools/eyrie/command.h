// What the subcommands share: how they fail, how they parse their flags and how they print.
//
// Standard output is data, standard error is talk. Exit codes: see ExitCode.
#ifndef EYRIE_TOOLS_EYRIE_COMMAND_H_
#define EYRIE_TOOLS_EYRIE_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace eyrie::cli {

enum ExitCode {
  kSuccess = 0,
  kFailed = 1,  // the model, the module or the run failed
  kUsage = 2,   // the command line is wrong
  kBug = 3,     // Eyrie itself is wrong
};

// Ends the command: main prints the message, one `eyrie: error: ` for each of its lines, and exits with the code.
struct Failure {
  int exit_code;
  std::string message;
};

[[noreturn]] void Fail(std::string message);
[[noreturn]] void FailUsage(std::string message);

// One row for each subcommand, in the order of the help.
struct Command {
  const char* name;
  const char* summary;
  int (*main)(const std::vector<std::string>& arguments);
};

int CompileMain(const std::vector<std::string>& arguments);
int CheckMain(const std::vector<std::string>& arguments);
int RunMain(const std::vector<std::string>& arguments);
int BenchMain(const std::vector<std::string>& arguments);
int TuneMain(const std::vector<std::string>& arguments);
int InspectMain(const std::vector<std::string>& arguments);
int ParamsMain(const std::vector<std::string>& arguments);

// Makes the parser of a subcommand: the name in its usage line, its description, and examples, one a line.
void DescribeCommand(CLI::App* app, const char* name, const char* description, const char* examples);
// Adds an option that may be given many times, one value each.
void AddRepeated(CLI::App* app, const std::string& flag, std::vector<std::string>* values, const char* value_name,
                 const char* help);
// Adds `--parameters`.
void AddParameterFiles(CLI::App* app, std::vector<std::string>* files);
// Adds `--cpu`.
void AddCpu(CLI::App* app, std::string* cpu);
// Adds `--threads`.
void AddThreads(CLI::App* app, int64_t* threads);
// Adds `--plugin`.
void AddPlugins(CLI::App* app, std::vector<std::string>* files);
// Parses the arguments. True if help was asked for and has been printed, so that the command has nothing to do.
[[nodiscard]] bool Parse(CLI::App* app, const std::vector<std::string>& arguments);

// Writes to standard output; fails with exit code 1 if not all of it can be written.
void Print(const std::string& text);
void PrintError(const std::string& message);
// Text without control characters and of bounded length: for names and messages that come out of files.
std::string Printable(const std::string& text);
// "12.3 MB"
std::string SizeText(uint64_t bytes);

}  // namespace eyrie::cli

#endif  // EYRIE_TOOLS_EYRIE_COMMAND_H_
