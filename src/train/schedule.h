#pragma once
#include <cstdint>
#include <string>

#include "core/options.h"

namespace tessera {

/// The learning rate over the steps, as a factor of its top.
struct ScheduleOptions {
  std::string kind = "cosine";  ///< cosine (Loshchilov and Hutter, 2016), linear or constant
  int64_t warmup = 100;         ///< steps in which it rises linearly from nothing
  double final = 0.01;          ///< factor at the end (not for constant)
};
TESSERA_OPTIONS(ScheduleOptions, kind, warmup, final)

void check_schedule(const ScheduleOptions& options, const std::string& where);

/// @param step   0 ... steps - 1
/// @param steps  of the whole run
double schedule_factor(const ScheduleOptions& options, int64_t step, int64_t steps);

}  // namespace tessera
