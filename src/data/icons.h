#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/options.h"

namespace tessera {

/// What `tessera data icons` does: draws icon sets and names them in many languages, as WebDataset shards.
///
/// | files                     | pictures                                                         | split          |
/// | ------------------------- | ---------------------------------------------------------------- | -------------- |
/// | train-emoji-NNNNN.tar     | seen symbols in the training styles                              | train          |
/// | train-namesakes-NNNNN.tar | icons that bear the name of a seen symbol                        | train          |
/// | train-icons-NNNNN.tar     | all other icons; none that bears the name of an unseen symbol    | train          |
/// | train-clip-art-NNNNN.tar  | clip art, with the same exception                                | train          |
/// | unseen-symbols-NNNNN.tar  | unseen symbols in the training styles                            | unseen-symbols |
/// | STYLE-NNNNN.tar           | all symbols in the first, second, ... test style                 | unseen-style-N |
/// | names.jsonl               | every symbol that has a picture: the candidates of an evaluation |                |
/// | corpus.txt                | names and keywords of the symbols, names of the icons, one a line |                |
/// | shards.json               | what is finished, by digest; the summary                         |                |
///
/// The first test style's split is plain "unseen-style".
/// Each picture is KEY.png (RGBA, transparent) and KEY.json: id, character, group, subgroup, style, source, licence,
/// captions and keywords per language, split, seen, skin_tone. Symbols without an English CLDR name are left out.
/// The same packages and options give the same bytes.
struct IconOptions {
  std::string raw = "data/raw";    ///< the tarballs of scripts/fetch-data
  std::string out = "data/icons";  ///< where the shards go
  int64_t size = 96;               ///< pixels of a side
  int64_t shard = 1000;            ///< pictures per shard
  int64_t threads = 0;             ///< 0: all cores
  bool skin_tones = false;         ///< draw the skin-tone variants too
  std::vector<std::string> languages = {"en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "uk", "cs", "sv", "da",
                                        "fi", "tr", "el", "ar", "he", "hi", "bn", "ja", "ko", "zh", "vi", "th", "id"};
  std::vector<std::string> emoji = {
      "@iconify-json/noto",     "@iconify-json/noto-v1",          "@iconify-json/twemoji",
      "@iconify-json/emojione", "@iconify-json/emojione-v1",      "@iconify-json/emojione-monotone",
      "@iconify-json/fxemoji",  "@iconify-json/streamline-emojis"};    ///< training styles
  std::vector<std::string> fonts = {"@expo-google-fonts/noto-emoji"};  ///< training styles: one-colour emoji fonts
  std::vector<std::string> namesakes = {"@iconify-json/ph", "@iconify-json/icon-park", "@iconify-json/fa6-solid",
                                        "@iconify-json/streamline-color",
                                        "@iconify-json/flat-color-icons"};  ///< only icons named like a seen symbol
  std::vector<std::string> icons = {"@iconify-json/mdi", "@iconify-json/tabler", "@iconify-json/lucide",
                                    "@iconify-json/game-icons"};  ///< named icons, for training
  std::vector<std::string> clip_art = {"openclipart-svg"};  ///< drawings with titles: Debian packages, for training
  std::vector<std::string> test = {"@iconify-json/fluent-emoji-flat",
                                   "@iconify-json/openmoji"};  ///< styles that are never trained on
};
TESSERA_OPTIONS(IconOptions, raw, out, size, shard, threads, skin_tones, languages, emoji, fonts, namesakes, icons,
                clip_art, test)

/// What prepare_icons() found and made.
struct IconSummary {
  int64_t symbols = 0, seen = 0, unseen = 0;                       ///< symbols with a picture
  std::map<std::string, std::map<std::string, int64_t>> pictures;  ///< style -> split -> count
  std::map<std::string, int64_t> unmatched;                        ///< style -> icons that no symbol could be found for
  std::map<std::string, int64_t> names;                            ///< language -> symbols with a name
  std::map<std::string, std::string> left_out;                     ///< picture -> why it cannot be drawn
  int64_t shards = 0, drawn = 0;                                   ///< all shards, and those that this call drew
};

/// Called after each shard, from one thread at a time, with pictures finished and pictures in all.
using IconProgress = std::function<void(int64_t done, int64_t total)>;

/// Draws the icons. Shards that are there already and would be the same are kept, so a killed run goes on where it was.
/// @throws Error when a package is missing or damaged, when a training set is a test style, or when `out` is not
/// writable
IconSummary prepare_icons(const IconOptions& options, const IconProgress& progress = {});

/// The summary as shards.json keeps it.
Json to_json(const IconSummary& summary);

}  // namespace tessera
