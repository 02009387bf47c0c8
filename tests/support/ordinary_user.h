#pragma once
#include <unistd.h>

#include <filesystem>

namespace tessera::testing {

/// What everybody may read, and its owner write.
constexpr auto kReadable = static_cast<std::filesystem::perms>(0755);

/// While it lives, the process has no more rights to files than an ordinary user: root, whom no mode stops, steps back.
class OrdinaryUser {
 public:
  OrdinaryUser() { stopped_ = ::geteuid() != 0 || (stepped_back_ = ::seteuid(kNobody) == 0); }
  ~OrdinaryUser() {
    if (stepped_back_) static_cast<void>(::seteuid(0));
  }
  OrdinaryUser(const OrdinaryUser&) = delete;
  OrdinaryUser& operator=(const OrdinaryUser&) = delete;

  /// False where root cannot step back, so that modes stop nothing.
  bool modes_count() const { return stopped_; }

 private:
  static constexpr uid_t kNobody = 65534;
  bool stopped_ = false, stepped_back_ = false;
};

}  // namespace tessera::testing
