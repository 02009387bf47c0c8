#include "data/dataset.h"

#include <stdexcept>

#include "core/error.h"

namespace tessera {
namespace {

std::string text_at(const Json& json, const std::string& where) {
  if (!json.is_string()) throw Error("must be text", where);
  return json.get<std::string>();
}

}  // namespace

Image picture_of(const Sample& sample, const DecodeOptions& options) {
  if (!sample.image.empty()) return sample.image;
  const Bytes bytes(reinterpret_cast<const uint8_t*>(sample.bytes.data()), sample.bytes.size());
  return decode_image(bytes, sample.key, options);
}

void Dataset::check_index(size_t index) const {
  if (index >= size())
    throw std::out_of_range("sample " + std::to_string(index) + " of " + std::to_string(size()) + " was asked for");
}

void read_sample_json(Json json, const std::string& where, Sample& sample) {
  if (!json.is_object()) throw Error("must be a JSON object", where);
  for (const char* key : {"text", "caption"})
    if (json.contains(key) && !json.at(key).is_object())
      sample.captions["en"] = text_at(json.at(key), where + ": " + key);
  for (const char* key : {"text", "captions"}) {
    if (!json.contains(key) || json.at(key).is_string()) continue;
    if (!json.at(key).is_object()) throw Error("must be an object of languages", where + ": " + key);
    for (const auto& [language, text] : json.at(key).items())
      sample.captions[language] = text_at(text, where + ": " + key + "." + language);
  }
  if (json.contains("label")) {
    if (!json.at("label").is_number_integer()) throw Error("must be an integer", where + ": label");
    sample.label = json.at("label").get<int64_t>();
  }
  sample.metadata = std::move(json);
}

}  // namespace tessera
