#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/options.h"

namespace tessera {

/// Where the schedule begins anew (SGDR, Loshchilov and Hutter, 2016).
struct RestartOptions {
  int64_t step = 0;   ///< the first step of the new cycle, which ends at the next restart or with the run
  double peak = 0.5;  ///< its highest factor of the learning rate
};
TESSERA_OPTIONS(RestartOptions, step, peak)

/// The learning rate over the steps, as a factor of its top.
struct ScheduleOptions {
  std::string kind = "cosine";                ///< cosine (Loshchilov and Hutter, 2016), linear or constant
  int64_t warmup = 100;                       ///< steps in which it rises linearly from nothing
  double final = 0.01;                        ///< factor at the end of a cycle (not for constant), of its peak
  std::vector<RestartOptions> restarts = {};  ///< in the order of their steps; none: one cycle
};
TESSERA_OPTIONS(ScheduleOptions, kind, warmup, final, restarts)

/// @throws Error naming the value that cannot be
void check_schedule(const ScheduleOptions& options, const std::string& where);

/// @param step   0 ... steps - 1
/// @param steps  of the whole run
double schedule_factor(const ScheduleOptions& options, int64_t step, int64_t steps);

}  // namespace tessera
