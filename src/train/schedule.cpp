#include "train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tessera {

void check_schedule(const ScheduleOptions& o, const std::string& where) {
  check_choice(o.kind, {"cosine", "linear", "constant"}, where + ".kind");
  if (o.warmup < 0) throw Error("must not be negative", where + ".warmup");
  if (o.final < 0 || o.final > 1) throw Error("must lie in [0, 1]", where + ".final");
  int64_t before = 0;
  for (size_t i = 0; i < o.restarts.size(); ++i) {
    const std::string restart = where + ".restarts[" + std::to_string(i) + "]";
    if (o.restarts[i].step <= before) throw Error("must come after what is before it", restart + ".step");
    if (o.restarts[i].peak <= 0) throw Error("must be positive", restart + ".peak");
    before = o.restarts[i].step;
  }
}

namespace {

double cycle_factor(const ScheduleOptions& o, int64_t step, int64_t steps) {
  if (step < o.warmup) return static_cast<double>(step + 1) / static_cast<double>(o.warmup);
  if (o.kind == "constant") return 1;
  const auto rest = static_cast<double>(std::max<int64_t>(steps - o.warmup, 1));
  const double done = std::min(static_cast<double>(step - o.warmup) / rest, 1.0);
  const double shape = o.kind == "linear" ? 1 - done : 0.5 * (1 + std::cos(std::numbers::pi * done));
  return o.final + (1 - o.final) * shape;
}

}  // namespace

double schedule_factor(const ScheduleOptions& o, int64_t step, int64_t steps) {
  RestartOptions cycle{.step = 0, .peak = 1};
  int64_t end = steps;
  for (const auto& restart : o.restarts) {
    if (restart.step > step) {
      end = std::min(end, restart.step);
      break;
    }
    cycle = restart;
  }
  return cycle.peak * cycle_factor(o, step - cycle.step, end - cycle.step);
}

}  // namespace tessera
