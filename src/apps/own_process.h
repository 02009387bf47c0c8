#pragma once
#include <string>
#include <vector>

namespace tessera::apps {

/// Runs this program again with other arguments, and waits for it; what it says on standard error is seen.
/// @return what it printed. @throws Error when it fails
std::string run_again(const std::vector<std::string>& arguments);

}  // namespace tessera::apps
