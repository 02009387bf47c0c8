#include <algorithm>
#include <cstdio>

#include "apps/verbs.h"
#include "encoders/encoder.h"
#include "language/text_encoder.h"
#include "layers/family.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

/// The folder of the shipped model, or nothing where it is not installed.
std::string shipped_model() {
  try {
    return default_model_folder().string();
  } catch (const Error&) {
    return "";
  }
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

int list_models(bool as_json) {
  auto families = model_families();
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string shipped = shipped_model();
  if (as_json) {
    Json json = {
        {"families", Json::array()}, {"encoders", encoders().kinds()}, {"text_encoders", text_encoders().kinds()}};
    for (const auto& family : families) json["families"].push_back({{"name", family.name}, {"title", family.title}});
    json["default"] = shipped.empty() ? Json(nullptr) : Json(shipped);
    std::printf("%s\n", json_line(json).c_str());
  } else {
    std::printf("Families, loaded from a folder as published:\n");
    for (const auto& family : families) std::printf("  %-16s %s\n", family.name.c_str(), family.title.c_str());
    std::printf("\nParts of a recipe:\n  image encoders: %s\n  text encoders:  %s\n",
                joined(encoders().kinds()).c_str(), joined(text_encoders().kinds()).c_str());
    std::printf("\nDefault model: %s\n", shipped.empty() ? "none here; name one with --model" : shipped.c_str());
  }
  finish_output();
  return 0;
}

const VerbRegistration registration("models", "List the models that can be loaded, and the shipped one",
                                    [](CLI::App& command) {
                                      auto json = std::make_shared<bool>(false);
                                      command.add_flag("--json", *json, "Print one JSON object");
                                      return [json] { return list_models(*json); };
                                    });

}  // namespace
}  // namespace tessera::apps
