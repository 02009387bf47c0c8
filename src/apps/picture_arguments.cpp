#include "apps/picture_arguments.h"

#include <cstdio>
#include <iostream>

#include "apps/max_memory.h"
#include "processors/fast_decode.h"

namespace tessera::apps {

void add_fast_decode(CLI::App& command) {
  command.add_flag_callback(
      "--fast-decode", [] { use_fast_decoding(true); },
      "Decode JPEG files no larger than the model needs them: faster, and the numbers differ a little");
}

void PictureArguments::declare(CLI::App& command, const PictureHelp& help) {
  if (help.images) command.add_option("images", images, "Pictures: files, folders, patterns, or - for standard input");
  command.add_option("--model", model, "Model folder (default: " + help.model + ")");
  add_precision(command, precision);
  add_device(command, device);
  add_fast_decode(command);
  add_max_memory(command);
  command.add_option("--batch", batch, "Pictures at a time")->check(CLI::PositiveNumber)->capture_default_str();
  command.add_flag("--skip-bad", skip_bad, "Report bad pictures and go on; the exit status is 2 then");
  if (help.images) command.add_flag("--stdin-list", stdin_list, "Read paths from standard input, one a line");
  if (help.truncate.empty()) return;
  command.add_flag("--truncate", truncate, "Cut " + help.truncate + " that are too long for the model");
}

std::vector<PictureInput> PictureArguments::inputs() const {
  return expand_inputs(images, stdin_list ? &std::cin : nullptr);
}

FeedOptions PictureArguments::feed(int& status) const {
  FeedOptions options{.batch = batch};
  if (skip_bad) {
    options.bad = [&status](size_t, const Error& error) {
      std::fprintf(stderr, "tessera: %s\n", error.what());
      status = 2;
    };
  }
  return options;
}

}  // namespace tessera::apps
