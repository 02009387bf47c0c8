#include "data/pictures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "data/idx.h"
#include "data/webdataset.h"

namespace tessera {
namespace {

Concept concept_of(const nlohmann::json& json, const std::string& where) {
  Concept item;
  try {
    item.id = json.at("id").get<std::string>();
    // A picture has captions; a line of names.jsonl has names.
    item.names = json.at(json.contains("names") ? "names" : "captions").get<std::map<std::string, std::string>>();
    item.keywords = json.value("keywords", decltype(item.keywords){});
    item.group = json.value("group", "");
    item.seen = json.value("seen", true);
    item.skin_tone = json.value("skin_tone", false);
  } catch (const nlohmann::json::exception& error) {
    throw Error(std::string("is no description of a picture: ") + error.what(), where,
                "write the shards with `tessera data icons`");
  }
  return item;
}

const std::string kFashionMnist = "fashion-mnist:";

struct IdxPart {
  std::string set;
  size_t begin = 0, end = std::numeric_limits<size_t>::max();
};

/// "fashion-mnist:train", or of that "fashion-mnist:train[0:55000]".
IdxPart part_of(const std::string& pattern) {
  IdxPart part{.set = pattern.substr(kFashionMnist.size())};
  const size_t bracket = part.set.find('[');
  if (bracket != std::string::npos) {
    int length = 0;
    const std::string range = part.set.substr(bracket);
    part.set.resize(bracket);
    const int read = std::sscanf(range.c_str(), "[%zu:%zu]%n", &part.begin, &part.end, &length);
    if (read != 2 || static_cast<size_t>(length) != range.size() || part.begin >= part.end)
      throw Error("has no part '" + range + "'", pattern,
                  "write [BEGIN:END], for instance fashion-mnist:train[0:55000]");
  }
  check_choice(part.set, {"train", "test"}, pattern);
  return part;
}

}  // namespace

std::string class_of(const Concept& item, const std::string& by) {
  check_choice(by, {"group", "name"}, "classes");
  if (by == "group") return item.group;
  const auto name = item.names.find("en");
  return name == item.names.end() ? "" : name->second;
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

Image on_white(const Image& premultiplied) {
  Image result(premultiplied.height, premultiplied.width, 3);
  for (size_t i = 0; i * 4 < premultiplied.pixels.size(); ++i)
    for (size_t c = 0; c < 3; ++c)
      result.pixels[i * 3 + c] =
          static_cast<uint8_t>(premultiplied.pixels[i * 4 + c] + 255 - premultiplied.pixels[i * 4 + 3]);
  return result;
}

int64_t Pictures::add_concept(Concept item) {
  const auto [at, fresh] = by_id_.try_emplace(item.id, static_cast<int64_t>(concepts.size()));
  if (fresh) concepts.push_back(std::move(item));
  return at->second;
}

void Pictures::read(const std::vector<std::string>& patterns) {
  std::vector<std::string> shards;
  for (const auto& pattern : patterns) {
    if (!pattern.starts_with(kFashionMnist)) {
      shards.push_back(pattern);
      continue;
    }
    const IdxPart part = part_of(pattern);
    read_fashion_mnist(part.set == "train", part.begin, part.end);
  }
  if (!shards.empty()) read_shards(shards);
}

void Pictures::read_fashion_mnist(bool train, size_t begin, size_t end) {
  const IdxDataset dataset = open_fashion_mnist(train);
  for (size_t i = begin; i < std::min(end, dataset.size()); ++i) {
    const Sample sample = dataset.get(i);
    const std::string name = sample.captions.at("en");
    Concept item;
    item.id = kFashionMnist + name;
    item.names["en"] = item.group = name;
    Picture picture;
    picture.key = sample.key;
    picture.style = "fashion-mnist";
    picture.split = train ? "train" : "test";
    picture.concept_index = add_concept(std::move(item));
    picture.pixels = premultiply(sample.image);
    pictures.push_back(std::move(picture));
  }
}

void Pictures::read_shards(const std::vector<std::string>& patterns) {
  const WebDataset dataset(expand_shards(patterns));
  for (size_t i = 0; i < dataset.size(); ++i) {
    const Sample sample = dataset.get(i);
    Picture picture;
    picture.key = sample.key;
    picture.style = sample.metadata.value("style", "");
    picture.split = sample.metadata.value("split", "train");
    picture.concept_index = add_concept(concept_of(sample.metadata, sample.key));
    picture.pixels = premultiply(picture_of(sample));
    pictures.push_back(std::move(picture));
  }
}

std::vector<int64_t> Pictures::balanced(const std::vector<int64_t>& indices, double balance) const {
  std::vector<double> counts(concepts.size(), 0);
  for (const Picture& picture : pictures) ++counts[static_cast<size_t>(picture.concept_index)];
  const double most = counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
  std::vector<int64_t> listed;
  for (const int64_t index : indices) {
    const auto item = static_cast<size_t>(pictures[static_cast<size_t>(index)].concept_index);
    listed.insert(listed.end(), static_cast<size_t>(std::lround(std::pow(most / counts[item], balance))), index);
  }
  return listed;
}

std::vector<size_t> Pictures::to_test(int64_t limit, bool seen_only) const {
  std::vector<size_t> wanted;
  for (size_t i = 0; i < pictures.size(); ++i) {
    const Concept& item = concepts[static_cast<size_t>(pictures[i].concept_index)];
    if (!item.skin_tone && (item.seen || !seen_only)) wanted.push_back(i);
  }
  const auto count = static_cast<size_t>(limit);
  if (count == 0 || wanted.size() <= count) return wanted;
  std::vector<size_t> some;
  for (size_t i = 0; i < count; ++i) some.push_back(wanted[i * wanted.size() / count]);
  return some;
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
