#include "core/stop.h"

#include <csignal>

namespace tessera {
namespace {

volatile std::sig_atomic_t signal_that_came = 0;
struct sigaction before[2];
constexpr int kSignals[2] = {SIGINT, SIGTERM};

extern "C" void ask_to_stop(int number) { signal_that_came = number; }

}  // namespace

StopSignals::StopSignals() {
  signal_that_came = 0;
  struct sigaction action {};
  action.sa_handler = ask_to_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);  // the default comes back for the second signal
  for (int i = 0; i < 2; ++i) ::sigaction(kSignals[i], &action, &before[i]);
}

StopSignals::~StopSignals() {
  for (int i = 0; i < 2; ++i) ::sigaction(kSignals[i], &before[i], nullptr);
}

int StopSignals::came() { return static_cast<int>(signal_that_came); }

}  // namespace tessera
