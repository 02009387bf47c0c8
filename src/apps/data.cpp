#include <cstdio>

#include "apps/verbs.h"
#include "core/files.h"
#include "core/progress.h"
#include "data/icons.h"

namespace tessera::apps {
namespace {

void print_summary(const IconSummary& summary, const std::string& folder) {
  const auto number = [](int64_t value) { return static_cast<long long>(value); };
  std::printf("%lld symbols: %lld seen, %lld unseen\n", number(summary.symbols), number(summary.seen),
              number(summary.unseen));
  std::printf("\n%-20s %-16s %8s\n", "style", "split", "pictures");
  for (const auto& [style, splits] : summary.pictures)
    for (const auto& [split, count] : splits)
      std::printf("%-20s %-16s %8lld\n", style.c_str(), split.c_str(), number(count));
  std::printf("\nSymbols with a name:");
  for (const auto& [language, count] : summary.names) std::printf(" %s %lld", language.c_str(), number(count));
  for (const auto& [picture, reason] : summary.left_out) std::printf("\nLeft out: %s", reason.c_str());
  std::printf("\n\n%s: %lld shards, %lld of them drawn now\n", folder.c_str(), number(summary.shards),
              number(summary.drawn));
}

int draw_icons(const IconOptions& options, bool json) {
  if (!std::filesystem::is_directory(options.raw))
    throw Error("is no folder", options.raw, "fetch the packages with scripts/fetch-data");
  std::unique_ptr<Progress> line;
  const IconSummary summary = prepare_icons(options, [&](int64_t done, int64_t total) {
    if (!line) line = std::make_unique<Progress>("icons", total, "pictures");
    line->set(done);
  });
  if (line) line->finish();
  if (json)
    std::printf("%s\n", to_json(summary).dump().c_str());
  else
    print_summary(summary, options.out);
  return 0;
}

const VerbRegistration registration("data", "Prepare data for training and evaluation", [](CLI::App& command) {
  auto options = std::make_shared<IconOptions>();
  auto json = std::make_shared<bool>(false);
  CLI::App* icons = command.add_subcommand(
      "icons", "Draw the icon sets that scripts/fetch-data fetched and name them, as WebDataset shards");
  icons->add_option("--raw", options->raw, "Folder of the packages")->capture_default_str();
  icons->add_option("--out", options->out, "Folder for the shards")->capture_default_str();
  icons->add_option("--size", options->size, "Pixels of a side")->capture_default_str()->check(CLI::Range(8, 1024));
  icons->add_option("--shard", options->shard, "Pictures per shard")->capture_default_str()->check(CLI::PositiveNumber);
  icons->add_option("--languages", options->languages, "Languages of the names")->delimiter(',');
  icons->add_option("--emoji", options->emoji, "Packages of the training styles")->delimiter(',');
  icons->add_option("--icons", options->icons, "Packages of named icons")->delimiter(',');
  icons->add_option("--test", options->test, "Packages that are never trained on")->delimiter(',');
  icons->add_flag("--skin-tones", options->skin_tones, "Draw the skin-tone variants too");
  icons->add_flag("--json", *json, "Print the summary as JSON");
  command.require_subcommand(1);
  command.footer("Example: tessera data icons --raw data/raw --out data/icons");
  return [options, json] { return draw_icons(*options, *json); };
});

}  // namespace
}  // namespace tessera::apps
