#include "train/pictures.h"

#include <glob.h>

#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "data/archive.h"

namespace tessera {
namespace {

Concept concept_of(const nlohmann::json& json, const std::string& where) {
  Concept item;
  try {
    item.id = json.at("id").get<std::string>();
    // A picture has captions; a line of names.jsonl has names.
    item.names = json.at(json.contains("names") ? "names" : "captions").get<std::map<std::string, std::string>>();
    item.keywords = json.value("keywords", decltype(item.keywords){});
    item.seen = json.value("seen", true);
    item.skin_tone = json.value("skin_tone", false);
  } catch (const nlohmann::json::exception& error) {
    throw Error(std::string("is no description of a picture: ") + error.what(), where,
                "write the shards with `tessera data icons`");
  }
  return item;
}

}  // namespace

std::vector<std::string> expand_pattern(const std::string& pattern) {
  glob_t found{};
  const int status = ::glob(pattern.c_str(), GLOB_TILDE, nullptr, &found);
  std::vector<std::string> files(found.gl_pathv, found.gl_pathv + (status == 0 ? found.gl_pathc : 0));
  ::globfree(&found);
  if (files.empty()) throw Error("no file matches", pattern, "write the shards with `tessera data icons`");
  return files;
}

Image premultiply(const Image& image) {
  Image result(image.height, image.width, 4);
  const auto channels = static_cast<size_t>(image.channels);
  const size_t count = static_cast<size_t>(image.height * image.width);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* in = image.pixels.data() + i * channels;
    uint8_t* out = result.pixels.data() + i * 4;
    const unsigned alpha = channels == 4 ? in[3] : 255;
    for (size_t c = 0; c < 3; ++c) out[c] = static_cast<uint8_t>((in[channels == 1 ? 0 : c] * alpha + 127) / 255);
    out[3] = static_cast<uint8_t>(alpha);
  }
  return result;
}

int64_t Pictures::add_concept(Concept item) {
  const auto [at, fresh] = by_id_.try_emplace(item.id, static_cast<int64_t>(concepts.size()));
  if (fresh) concepts.push_back(std::move(item));
  return at->second;
}

void Pictures::read(const std::vector<std::string>& patterns) {
  for (const auto& pattern : patterns) {
    for (const auto& shard : expand_pattern(pattern)) {
      std::map<std::string, std::string> waiting;  // KEY.json and KEY.png of one key, whichever came first
      auto wanted = [](const std::string& name) { return name.ends_with(".png") || name.ends_with(".json"); };
      visit_archive(shard, wanted, [&](const std::string& name, std::string bytes) {
        const std::string key = name.substr(0, name.rfind('.'));
        const auto other = waiting.find(key);
        if (other == waiting.end()) {
          waiting.emplace(key, std::move(bytes));
          return;
        }
        const std::string where = shard + "/" + key;
        const bool text_now = name.ends_with(".json");
        const std::string& text = text_now ? bytes : other->second;
        const std::string& png = text_now ? other->second : bytes;
        const nlohmann::json json = parse_json(text, where + ".json");
        Picture picture;
        picture.key = key;
        picture.style = json.value("style", "");
        picture.split = json.value("split", "train");
        picture.concept_index = add_concept(concept_of(json, where));
        const Bytes view(reinterpret_cast<const uint8_t*>(png.data()), png.size());
        picture.pixels = premultiply(decode_image(view, where + ".png"));
        pictures.push_back(std::move(picture));
        waiting.erase(other);
      });
      if (!waiting.empty())
        throw Error("'" + waiting.begin()->first + "' has a picture or a description, but not both", shard,
                    "write the shards anew with `tessera data icons`");
    }
  }
}

void Pictures::read_names(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw Error("cannot be opened", path, "write it with `tessera data icons`");
  int64_t number = 0;
  for (std::string line; std::getline(in, line);) {
    ++number;
    const std::string where = path + ":" + std::to_string(number);
    if (!line.empty()) add_concept(concept_of(parse_json(line, where), where));
  }
}

}  // namespace tessera
