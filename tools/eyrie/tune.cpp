// `eyrie tune`: measures, kernel by kernel, what the compiler could have chosen otherwise.
#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "tools/eyrie/compile_job.h"
#include "tools/eyrie/inputs.h"
#include "tools/eyrie/measure.h"
#include "tools/npy/file.h"

namespace eyrie::cli {
namespace {

using Json = nlohmann::ordered_json;
using Times = std::map<std::string, double>;  // of kernels, in ms of one call of the model

constexpr char kExamples[] =
    "  eyrie tune model.onnx -o model.tuning.json\n"
    "  eyrie compile model.onnx -o model.eyr --tuning model.tuning.json\n"
    "  eyrie tune model.onnx -o model.tuning.json --shape batch=8 --threads 4 --input @inputs.npz";

constexpr int kRounds = 3, kOpenSize = 8;
// A choice has to win by so much in the rounds among all of them, and once more alone beside what it replaces.
constexpr double kWins = 0.97, kConfirmed = 0.98;

struct TuneFlags {
  std::vector<std::string> inputs;
  int64_t threads = 1;
  double min_time = 0.3;
  bool json = false;
};

struct Winner {
  std::string choice;
  double default_ms, ms;
};

void WriteFile(const std::string& path, const Json& json) {
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  npy::OutputFile file;
  if (!file.Open(path) || !file.Write(text.data(), text.size()) || !file.Commit()) Fail(file.error());
}

Json TuningJson(const std::map<std::string, Winner>& winners) {
  Json json = {{"format", "eyrie-tuning-1"}, {"kernels", Json::object()}};
  for (const auto& [name, winner] : winners)
    json["kernels"][name] = {{"choice", winner.choice}, {"default_ms", winner.default_ms}, {"ms", winner.ms}};
  return json;
}

// One compiled module and a function's inputs.
class Candidate {
 public:
  // `tuning`: a file of choices; empty: none.
  Candidate(const CompilerLibrary& api, CompileJob job, const std::string& module, const std::string& tuning,
            const TuneFlags& flags) {
    if (!tuning.empty()) job.options.emplace_back("tuning", tuning);
    RunCompiler(api, job,
                [&](eyrie_compile_t* made, const char* model) { return api.compile_run(made, model, module.c_str()); });
    module_ = std::make_unique<Module>(module, LoadOptions{.threads = ThreadCount(flags.threads)});
    function_ = module_->Find("");
    arguments_ = MakeInputs(function_, flags.inputs, {}, kOpenSize);
  }

  // Keeps the least time of each kernel, and of a whole call under the empty name.
  void Measure(double min_time, Times* least) const {
    auto keep = [&](const std::string& name, double ms) {
      auto [known, is_new] = least->emplace(name, ms);
      if (!is_new) known->second = std::min(known->second, ms);
    };
    {
      Subject subject(*module_, function_, arguments_, "", /*profile=*/true);
      for (const ProfileRow& row : Profile(*module_, &subject, min_time)) keep(row.name, row.ms);
    }
    Subject subject(*module_, function_, arguments_, "", /*profile=*/false);
    keep("", cli::Measure(&subject, min_time / 3).ms.front());
  }

 private:
  std::unique_ptr<Module> module_;
  Function function_;
  std::vector<Argument> arguments_;
};

class Tuner {
 public:
  Tuner(const CompilerLibrary& api, const CompileJob& job, const TuneFlags& flags)
      : api_(api), job_(job), flags_(flags), folder_(FolderOf(job.output), "cannot write '" + job.output + "'") {}

  std::map<std::string, Winner> Run() {
    std::map<std::string, Winner> winners = Search();
    if (!winners.empty()) Confirm(&winners);
    return winners;
  }
  double default_ms = 0, tuned_ms = 0;  // of a call; equal if there are no winners

 private:
  std::string PathOf(size_t number, const char* extension) {
    return folder_.path() + "/" + std::to_string(number) + extension;
  }
  Candidate Make(size_t number, const Json* tuning) {
    if (tuning != nullptr) WriteFile(PathOf(number, ".json"), *tuning);
    return Candidate(api_, job_, PathOf(number, ".eyr"), tuning ? PathOf(number, ".json") : "", flags_);
  }

  std::map<std::string, Winner> Search() {
    std::string target = OptionOf(job_, "target");
    if (target.empty()) target = "cpu";
    std::vector<std::string> choices{""};
    std::vector<Candidate> candidates;
    candidates.push_back(Make(0, nullptr));
    for (size_t i = 0; const char* choice = api_.compiler_alternative(target.c_str(), i); ++i) {
      Json all = TuningJson({{"*", {choice, 0, 0}}});
      choices.push_back(choice);
      candidates.push_back(Make(choices.size() - 1, &all));
    }
    std::vector<Times> least(candidates.size());
    for (int round = 0; round < kRounds; ++round)
      for (size_t i = 0; i < candidates.size(); ++i) candidates[i].Measure(flags_.min_time, &least[i]);
    default_ms = tuned_ms = least[0][""];
    std::map<std::string, Winner> winners;
    for (const auto& [kernel, ms] : least[0]) {
      if (kernel.empty()) continue;
      Winner best{"", ms, ms};
      for (size_t i = 1; i < candidates.size(); ++i)
        if (auto found = least[i].find(kernel); found != least[i].end() && found->second < best.ms)
          best = {choices[i], ms, found->second};
      if (best.ms < kWins * ms) winners[kernel] = best;
    }
    return winners;
  }

  // The winners once more, all together, beside the default.
  void Confirm(std::map<std::string, Winner>* winners) {
    Json chosen = TuningJson(*winners);
    std::vector<Candidate> both;
    both.push_back(Make(0, nullptr));
    both.push_back(Make(1, &chosen));
    Times least[2];
    for (int round = 0; round < kRounds; ++round)
      for (int i = 0; i < 2; ++i) both[i].Measure(flags_.min_time, &least[i]);
    for (auto winner = winners->begin(); winner != winners->end();) {
      winner->second.default_ms = least[0][winner->first];
      winner->second.ms = least[1][winner->first];
      bool wins = winner->second.ms < kConfirmed * winner->second.default_ms;
      winner = wins ? std::next(winner) : winners->erase(winner);
    }
    default_ms = least[0][""];
    tuned_ms = winners->empty() ? default_ms : least[1][""];
  }

  const CompilerLibrary& api_;
  const CompileJob& job_;
  const TuneFlags& flags_;
  ScratchFolder folder_;
};

std::string Report(const std::map<std::string, Winner>& winners, double default_ms, double tuned_ms) {
  char text[256];
  std::string report;
  for (const auto& [name, winner] : winners) {
    std::snprintf(text, sizeof(text), "%9.4f -> %9.4f ms  %-13s ", winner.default_ms, winner.ms, winner.choice.c_str());
    report += text + Printable(name) + "\n";
  }
  if (winners.empty()) {
    std::snprintf(text, sizeof(text), "nothing is faster than what the compiler chooses: %.4g ms\n", default_ms);
  } else {
    std::snprintf(text, sizeof(text), "a call: %.4g -> %.4g ms\n", default_ms, tuned_ms);
  }
  return report + text;
}

int Tune(const CompilerLibrary& api, const CompileJob& job, const TuneFlags& flags) {
  CheckPaths(job);
  if (!(flags.min_time > 0 && flags.min_time <= 3600))
    FailUsage("--min-time must be more than 0 and at most 3600 seconds");
  Tuner tuner(api, job, flags);
  std::map<std::string, Winner> winners = tuner.Run();
  Json json = TuningJson(winners);
  json["default_ms"] = tuner.default_ms;
  json["tuned_ms"] = tuner.tuned_ms;
  WriteFile(job.output, json);
  Print(flags.json ? json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                   : Report(winners, tuner.default_ms, tuner.tuned_ms));
  return kSuccess;
}

}  // namespace

int TuneMain(const std::vector<std::string>& arguments) {
  CompilerLibrary api = LoadCompilerLibrary();
  CompileJob job;
  job.command = "tune";
  TuneFlags flags;
  CLI::App app;
  DescribeCommand(&app, "tune",
                  "Compiles a model in several ways, measures every kernel of each on this machine, and writes down\n"
                  "what was faster than the compiler's own choice, for `eyrie compile --tuning`. The results of a\n"
                  "model do not change but by rounding.",
                  kExamples);
  CompileArguments options(&app, api, &job, {"tuning", "stop-after", "dump-dir", "time", "parameters", "state"});
  app.add_option("-o,--output", job.output, "The file to write")->required()->type_name("FILE.json");
  AddRepeated(&app, "--input", &flags.inputs, "INPUT", kInputHelp);
  AddThreads(&app, &flags.threads);
  app.add_option("--min-time", flags.min_time, "Measures each way of three times for so many seconds")
      ->type_name("S")
      ->capture_default_str();
  app.add_flag("--json", flags.json, "Prints JSON");
  if (Parse(&app, arguments)) return kSuccess;
  options.Finish();
  return Tune(api, job, flags);
}

}  // namespace eyrie::cli
