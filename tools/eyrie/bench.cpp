// `eyrie bench`: how long a call takes.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "tools/eyrie/command.h"
#include "tools/eyrie/inputs.h"
#include "tools/eyrie/measure.h"
#include "tools/eyrie/peak.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kExamples[] =
    "  eyrie bench model.eyr --threads 1\n"
    "  eyrie bench model.eyr --shape x=8x3x224x224 --min-time 5 --json\n"
    "  eyrie bench model.eyr --shape batch=8 --shape length=128\n"
    "  eyrie bench model.eyr --input ids=@ids.npy --per-dispatch";

struct BenchFlags {
  std::string module, function, load_state, cpu;
  std::vector<std::string> inputs, shapes, parameters, plugins;
  int64_t threads = 0;
  double min_time = 1;
  bool json = false, profile = false, low_latency = false;
};

// `peak`: what all threads together can do, in 1e9 operations a second.
std::string ProfileText(const std::vector<ProfileRow>& rows, double peak) {
  ProfileRow all = {"all dispatches", "", 0, 0, 0};
  for (const ProfileRow& row : rows) {
    all.calls += row.calls;
    all.ms += row.ms;
    all.operations += row.operations;
  }
  auto line = [&](const ProfileRow& row) {
    char text[96], speed[32] = "      -      -";
    if (row.operations > 0) std::snprintf(speed, sizeof(speed), "%7.1f %6.1f", row.Gflops(), 100 * row.Gflops() / peak);
    std::snprintf(text, sizeof(text), "%8.4f %5.1f %6.0f %s  ", row.ms, 100 * row.ms / std::max(all.ms, 1e-9),
                  row.calls, speed);
    return text + Printable(row.name) + (row.nodes.empty() ? "" : " (" + Printable(row.nodes) + ")") + "\n";
  };
  std::string text = "\n      ms     %  calls  GFLOPS % peak  dispatch\n";
  for (const ProfileRow& row : rows) text += line(row);
  char peak_text[96];
  std::snprintf(peak_text, sizeof(peak_text), "peak: %.1f GFLOPS, multiply-adds of f32 as measured here\n", peak);
  return text + line(all) + peak_text;
}

// The most memory that was resident at once. (getrusage would count what the program that started this one had.)
uint64_t PeakResidentBytes() {
  unsigned long long kilobytes = 0;
  char line[256];
  if (FILE* file = std::fopen("/proc/self/status", "re")) {
    while (std::fgets(line, sizeof(line), file) && std::sscanf(line, "VmHWM: %llu", &kilobytes) != 1) {
    }
    std::fclose(file);
  }
  return kilobytes * 1024;
}

int Bench(const BenchFlags& flags) {
  if (!(flags.min_time >= 0 && flags.min_time <= 86400)) FailUsage("--min-time must be from 0 to 86400 seconds");
  Module module(flags.module, {.threads = ThreadCount(flags.threads),
                               .low_latency = flags.low_latency,
                               .cpu = flags.cpu,
                               .parameters = flags.parameters,
                               .plugins = flags.plugins});
  Function function = module.Find(flags.function);
  std::vector<Argument> arguments = MakeInputs(function, flags.inputs, flags.shapes);
  Timing timing;
  eyrie_instance_stats_t stats = {};
  {
    Subject subject(module, function, arguments, flags.load_state, /*profile=*/false);
    timing = Measure(&subject, flags.min_time);
    eyrie_instance_get_stats(subject.get(), &stats);
  }
  uint64_t rss = PeakResidentBytes();
  eyrie_runtime_stats_t runtime = {};
  eyrie_runtime_get_stats(module.runtime(), &runtime);
  std::vector<ProfileRow> rows;
  double peak = 0;
  if (flags.profile) {
    peak = PeakGflops() * runtime.threads;
    Subject subject(module, function, arguments, flags.load_state, /*profile=*/true);
    rows = Profile(module, &subject, flags.min_time);
  }
  if (flags.json) {
    Json json = {{"min_ms", timing.ms.front()},     {"median_ms", timing.Quantile(0.5)},
                 {"p95_ms", timing.Quantile(0.95)}, {"runs", timing.ms.size()},
                 {"threads", runtime.threads},      {"peak_rss_bytes", rss},
                 {"arena_bytes", stats.arena_bytes}};
    if (flags.profile) json["peak_gflops"] = peak;
    for (const ProfileRow& row : rows) {
      Json entry = {{"name", row.name}, {"node", row.nodes}, {"calls", row.calls}, {"ms", row.ms}};
      if (row.operations > 0) {
        entry["gflops"] = row.Gflops();
        entry["percent_of_peak"] = 100 * row.Gflops() / peak;
      }
      json["profile"].push_back(entry);
    }
    Print(json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
    return kSuccess;
  }
  char text[256];
  std::snprintf(text, sizeof(text), "min %.4g ms, median %.4g ms, 95th percentile %.4g ms (%zu runs, %u thread%s)\n",
                timing.ms.front(), timing.Quantile(0.5), timing.Quantile(0.95), timing.ms.size(), runtime.threads,
                runtime.threads == 1 ? "" : "s");
  Print(text + ("arena " + SizeText(stats.arena_bytes)) + ", peak resident memory " + SizeText(rss) + "\n" +
        (flags.profile ? ProfileText(rows, peak) : ""));
  return kSuccess;
}

}  // namespace

int BenchMain(const std::vector<std::string>& arguments) {
  BenchFlags flags;
  CLI::App app;
  DescribeCommand(&app, "bench",
                  "Measures how long a call takes: warm-up, then minimum, median and 95th percentile.\n"
                  "Inputs that are not given are made up: floats from a normal distribution, empty\n"
                  "strings, sequences of one element, all else zero.",
                  kExamples);
  app.add_option("MODULE", flags.module, "The module file (.eyr)")->required();
  AddRepeated(&app, "--input", &flags.inputs, "INPUT", kInputHelp);
  AddRepeated(&app, "--shape", &flags.shapes, "NAME=DIMS",
              "The shape of an input that has open dimensions, or the size of a dimension by its name");
  AddParameterFiles(&app, &flags.parameters);
  AddPlugins(&app, &flags.plugins);
  app.add_option("--load-state", flags.load_state,
                 "The states that every call begins with, as `eyrie run --save-state` "
                 "writes them; without it they are new")
      ->type_name("FILE");
  AddThreads(&app, &flags.threads);
  app.add_option("--min-time", flags.min_time, "Measures for at least so many seconds")
      ->type_name("S")
      ->capture_default_str();
  AddCpu(&app, &flags.cpu);
  app.add_option("--function", flags.function, "The function to call, if there are several")->type_name("NAME");
  app.add_flag("--per-dispatch,--profile", flags.profile,
               "Also measures every dispatch, and tells how far it is from the processor's peak");
  app.add_flag("--low-latency", flags.low_latency, "Idle threads spin instead of sleeping");
  app.add_flag("--json", flags.json, "Prints JSON");
  return Parse(&app, arguments) ? kSuccess : Bench(flags);
}

}  // namespace eyrie::cli
