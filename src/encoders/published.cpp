#include "encoders/published.h"

namespace tessera {

std::shared_ptr<ImageClassifier> labelled_classifier(const Json& encoder, const Json& pool, const Json& config) {
  const auto labels = read_labels(config);
  auto module = std::make_shared<ImageClassifier>(ImageClassifierOptions{
      .encoder = encoder, .pool = pool, .classes = labels.empty() ? 2 : static_cast<int64_t>(labels.size())});
  module->labels = labels;
  return module;
}

int64_t square_side(PublishedConfig& config, const std::string& key, int64_t otherwise) {
  const auto pair = config.pair(key, otherwise);
  if (pair[0] != pair[1]) throw Error("only squares are supported", config.where() + ": " + key);
  return pair[0];
}

NameTable timm_block_names() {
  return {{
              {"norm{m}.*", "norm{m}.*"},
              {"attn.qkv.*", "attention.qkv.*"},
              {"attn.proj.*", "attention.proj.*"},
              {"mlp.fc1.*", "ffn.up.*"},
              {"mlp.fc2.*", "ffn.down.*"},
          },
          {{"attn", "attention"}, {"mlp", "ffn"}}};
}

NameTable between_stages(size_t stages, const NameTable& names) {
  NameTable all;
  for (size_t next = 1; next < stages; ++next)
    all = all + names.within("layers." + std::to_string(next - 1), "stages." + std::to_string(next));
  return all;
}

}  // namespace tessera
