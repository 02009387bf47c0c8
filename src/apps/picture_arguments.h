#pragma once
#include <string>
#include <vector>

#include "apps/verbs.h"
#include "tasks/embed.h"

namespace tessera::apps {

/// What differs between the verbs in the help of PictureArguments.
struct PictureHelp {
  std::string truncate;                              ///< what --truncate cuts: "labels"; empty: there is none
  std::string model = "the one that Tessera ships";  ///< the default of --model
  bool images = true;                                ///< whether pictures are named as such: `images` and --stdin-list
};

/// Declares --fast-decode, which is for the whole process.
void add_fast_decode(CLI::App& command);

/// The arguments of the verbs that show many pictures to a model.
struct PictureArguments {
  std::vector<std::string> images;
  std::string model, precision, device = "cpu";
  int64_t batch = 32;
  bool skip_bad = false, stdin_list = false, truncate = false;

  void declare(CLI::App& command, const PictureHelp& help);

  /// What `images` and, with --stdin-list, standard input name.
  std::vector<PictureInput> inputs() const;

  /// With --skip-bad, a bad picture is reported on standard error and makes `status` 2; `status` outlives the options.
  FeedOptions feed(int& status) const;
};

}  // namespace tessera::apps
