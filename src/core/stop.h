#pragma once

namespace tessera {

/// While it lives, SIGINT and SIGTERM ask for an orderly stop; a second one ends the program at once.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// The signal that came, or 0.
  static int came();
};

}  // namespace tessera
