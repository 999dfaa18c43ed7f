#include "tools/eyrie/command.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace eyrie::cli {

void Fail(std::string message) { throw Failure{kFailed, std::move(message)}; }

void FailUsage(std::string message) { throw Failure{kUsage, std::move(message)}; }

void DescribeCommand(CLI::App* app, const char* name, const char* description, const char* examples) {
  app->name(std::string("eyrie ") + name);
  app->description(description);
  app->footer(std::string("Examples:\n") + examples);
  app->get_formatter()->column_width(32);
  app->get_formatter()->label("TEXT", "");
  app->set_help_flag("-h,--help", "Prints this help");
}

void AddRepeated(CLI::App* app, const std::string& flag, std::vector<std::string>* values, const char* value_name,
                 const char* help) {
  app->add_option(flag, *values, help)->allow_extra_args(false)->type_name(value_name);
}

void AddParameterFiles(CLI::App* app, std::vector<std::string>* files) {
  AddRepeated(app, "--parameters", files, "FILE[,FILE]...",
              "Files with the module's weights (.eyp, .safetensors, .gguf, .npz); the last that has a tensor gives it");
}

void AddCpu(CLI::App* app, std::string* cpu) {
  app->add_option("--cpu", *cpu,
                  "Takes the code that this processor, one of those that the module was compiled for (eyrie inspect "
                  "lists them), would get; otherwise the best that this machine can run")
      ->type_name("NAME");
}

void AddThreads(CLI::App* app, int64_t* threads) {
  app->add_option("--threads", *threads, "Threads to run on; 0 takes all processors")
      ->type_name("N")
      ->capture_default_str();
}

void AddPlugins(CLI::App* app, std::vector<std::string>* files) {
  AddRepeated(app, "--plugin", files, "LIB.so",
              "A shared library with functions that the module calls (compiled with --host-op)");
}

bool Parse(CLI::App* app, const std::vector<std::string>& arguments) {
  // CLI11 takes the arguments from the back.
  std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
  try {
    app->parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    Print(app->help());
    return true;
  } catch (const CLI::ParseError& error) {
    FailUsage(std::string(error.what()) + "; see `" + app->get_name() + " --help`");
  }
  return false;
}

void Print(const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    ssize_t written = write(STDOUT_FILENO, text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail(std::string("cannot write to standard output: ") + std::strerror(errno));
    done += static_cast<size_t>(written);
  }
}

std::string Printable(const std::string& text) {
  constexpr size_t kLongest = 2000;
  std::string result;
  for (unsigned char c : text.substr(0, kLongest)) result += c < 0x20 || c == 0x7f ? '?' : static_cast<char>(c);
  return text.size() > kLongest ? result + "..." : result;
}

void PrintError(const std::string& message) {
  std::string text;
  for (size_t begin = 0; begin < message.size();) {
    size_t end = std::min(message.find('\n', begin), message.size());
    std::string line = message.substr(begin, end - begin);
    // Indented lines go on with the error above them.
    bool continues = !line.empty() && line[0] == ' ';
    if (!line.empty()) text += (continues ? "" : "eyrie: error: ") + Printable(line) + "\n";
    begin = end + 1;
  }
  for (size_t done = 0; done < text.size();) {
    ssize_t written = write(STDERR_FILENO, text.data() + done, text.size() - done);
    if (written <= 0) return;
    done += static_cast<size_t>(written);
  }
}

std::string SizeText(uint64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  for (; value >= 1000 && unit + 1 < std::size(units); ++unit) value /= 1000;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

}  // namespace eyrie::cli
