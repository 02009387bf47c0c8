#include "core/error.h"
#include "text/tokenizer_parts.h"

namespace tessera {
namespace text {
namespace {

// A token that the model knows keeps the model's id, as in the reference; files agree with themselves.
AddedToken read_added_token(const JsonNode& node, const Model& model) {
  AddedToken token;
  token.content = node.at("content").string();
  token.id = node.at("id").integer();
  if (token.id < 0 || token.id >= (int64_t{1} << 24)) node.at("id").fail("id is out of range");
  if (const auto known = model.token_to_id(token.content)) token.id = *known;
  token.single_word = node.boolean("single_word", false);
  token.lstrip = node.boolean("lstrip", false);
  token.rstrip = node.boolean("rstrip", false);
  token.special = node.boolean("special", false);
  token.normalized = node.boolean("normalized", !token.special);
  return token;
}

bool is_left(const JsonNode& node) {
  if (!node.has("direction")) return false;
  const std::string direction = node.at("direction").string();
  if (direction != "Left" && direction != "Right") node.at("direction").fail("unknown direction '" + direction + "'");
  return direction == "Left";
}

Truncation read_truncation(const JsonNode& node) {
  Truncation options;
  options.max_length = node.at("max_length").integer();
  options.left = is_left(node);
  const std::string strategy = node.string("strategy", "LongestFirst");
  if (strategy == "OnlyFirst") {
    options.strategy = TruncationStrategy::OnlyFirst;
  } else if (strategy == "OnlySecond") {
    options.strategy = TruncationStrategy::OnlySecond;
  } else if (strategy != "LongestFirst") {
    node.at("strategy").fail("unknown truncation strategy '" + strategy + "'");
  }
  return options;
}

Padding read_padding(const JsonNode& node) {
  Padding options;
  const JsonNode strategy = node.at("strategy");
  if (strategy.has("Fixed")) {
    options.length = strategy.at("Fixed").integer();
  } else if (strategy.string() != "BatchLongest") {
    strategy.fail("unknown padding strategy '" + strategy.string() + "'");
  }
  options.left = is_left(node);
  options.multiple_of = node.integer("pad_to_multiple_of", 0);
  options.id = node.integer("pad_id", 0);
  options.type_id = node.integer("pad_type_id", 0);
  options.token = node.string("pad_token", "[PAD]");
  return options;
}

}  // namespace

std::shared_ptr<TokenizerParts> build_tokenizer(const nlohmann::json& document, const std::string& file) {
  const JsonNode root(document, file);
  auto parts = std::make_shared<TokenizerParts>();
  parts->model = make_model(root.at("model"));
  if (root.has("normalizer")) parts->normalizer = make_normalizer(root.at("normalizer"));
  if (root.has("pre_tokenizer")) parts->pre_tokenizer = make_pre_tokenizer(root.at("pre_tokenizer"));
  if (root.has("post_processor")) parts->post_processor = make_post_processor(root.at("post_processor"));
  if (root.has("decoder")) parts->decoder = make_decoder(root.at("decoder"));
  if (root.has("truncation")) parts->file_options.truncation = read_truncation(root.at("truncation"));
  if (root.has("padding")) parts->file_options.padding = read_padding(root.at("padding"));
  if (root.has("added_tokens")) {
    const JsonNode added = root.at("added_tokens");
    for (size_t i = 0; i < added.size(); ++i) parts->added.add(read_added_token(added.at(i), *parts->model));
  }
  parts->added.finish(parts->normalizer.get());
  return parts;
}

}  // namespace text

Tokenizer parse_tokenizer_json(std::string bytes, const std::string& name) {
  auto parts = text::build_tokenizer(text::parse_json(bytes, name), name);
  text::find_special_ids(*parts, nullptr);
  parts->files.emplace_back("tokenizer.json", std::move(bytes));
  return Tokenizer(std::move(parts));
}

}  // namespace tessera
