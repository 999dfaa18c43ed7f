// How long a call takes.
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "tools/eyrie-run/eyrie_run.h"

namespace eyrie::run {
namespace {

double NowMs() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) * 1e-6;
}

// Every call begins with the same states.
void Reset(Session& session) {
  if (session.states) Check(eyrie_state_restore(session.instance, session.states, session.states_size));
}

int Compare(const void* a, const void* b) {
  double x = *static_cast<const double*>(a), y = *static_cast<const double*>(b);
  return x < y ? -1 : x > y;
}

constexpr size_t kMaxRuns = 1000000;
constexpr size_t kMinRuns = 5;

}  // namespace

int Bench(Session& session, const Options& options) {
  auto* times = static_cast<double*>(malloc(kMaxRuns * sizeof(double)));
  if (!times) Fail(kFailed, "not enough memory");
  // Warm-up: the first calls allocate and fill the caches.
  double begin = NowMs();
  for (int i = 0; i < 3 && (i == 0 || NowMs() - begin < options.min_time * 500); ++i) {
    Reset(session);
    Call(session);
  }
  size_t runs = 0;
  begin = NowMs();
  while (runs < kMaxRuns && (runs < kMinRuns || NowMs() - begin < options.min_time * 1e3)) {
    Reset(session);
    double start = NowMs();
    Call(session);
    times[runs++] = NowMs() - start;
  }
  qsort(times, runs, sizeof(double), Compare);
  double least = times[0], median = times[runs / 2], p95 = times[runs * 95 / 100];
  free(times);
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  eyrie_runtime_stats_t runtime_stats;
  eyrie_instance_stats_t stats;
  eyrie_runtime_get_stats(session.runtime, &runtime_stats);
  eyrie_instance_get_stats(session.instance, &stats);
  auto peak = static_cast<unsigned long long>(usage.ru_maxrss) * 1024;
  auto arena = static_cast<unsigned long long>(stats.arena_bytes);
  if (options.json)
    printf(
        "{\"min_ms\": %.6f, \"median_ms\": %.6f, \"p95_ms\": %.6f, \"runs\": %zu, \"threads\": %u, "
        "\"peak_rss_bytes\": %llu, \"arena_bytes\": %llu}\n",
        least, median, p95, runs, runtime_stats.threads, peak, arena);
  else
    printf("min %.3f ms, median %.3f ms, 95%% %.3f ms, %zu runs, %u threads, peak memory %.1f MB, arena %.1f MB\n",
           least, median, p95, runs, runtime_stats.threads, static_cast<double>(peak) / 1e6,
           static_cast<double>(arena) / 1e6);
  return kSuccess;
}

}  // namespace eyrie::run
