#include "tasks/generate_text.h"

#include <gmock/gmock.h>

#include <cmath>

#include "decode/regular_expression.h"
#include "language/language_model.h"
#include "layers/promises.h"
#include "support/scratch.h"
#include "tasks/perplexity.h"
#include "text/examples.h"

namespace tessera {
namespace {

constexpr int64_t kEnd = 400;  // of the byte-level tokenizer

/// A small decoder with drawn weights that reads and writes bytes. Written and loaded again.
Model byte_model(const std::filesystem::path& folder, int64_t context = 64) {
  const Json options = {{"kind", "decoder"}, {"vocabulary", 401}, {"dim", 16},         {"depth", 1},
                        {"heads", 2},        {"ffn", 24},         {"context", context}};
  Model model = make_model({{"model_type", "tessera-language-model"}, {"language_model", options}}, "test");
  testing::randomise(*model.module);
  model.tokenizer = std::make_shared<Tokenizer>(parse_tokenizer_json(testing::byte_level_json().dump()));
  save_model(model, folder);
  return load_model(folder);
}

std::vector<GeneratedText> made_by(const Model& model, const std::vector<std::string>& prompts,
                                   const TextGenerateOptions& options) {
  std::vector<GeneratedText> all;
  TextGenerator(model).generate(prompts, options, {.on_made = [&](const GeneratedText& one) { all.push_back(one); }});
  return all;
}

TextGenerateOptions sampled(int64_t tokens = 20) {
  TextGenerateOptions options;
  options.decode = {.max_new_tokens = tokens, .end_ids = {kEnd}, .do_sample = true, .temperature = 2, .seed = 3};
  return options;
}

TEST(TextGenerator, StreamedTextIsTheWholeText) {
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path());
  for (int64_t seed = 0; seed < 20; ++seed) {
    TextGenerateOptions options = sampled();
    options.decode.seed = seed, options.stop = {"e", "\u00e9"};
    std::string streamed, whole;
    TextGenerator(model).generate(std::vector<std::string>{"the na\u00efve cat"}, options,
                                  {.on_text = [&](size_t, const std::string& piece) { streamed += piece; },
                                   .on_made = [&](const GeneratedText& one) { whole = one.text; }});
    EXPECT_EQ(streamed, whole);
    EXPECT_EQ(whole.find('e'), std::string::npos);
  }
}

TEST(TextGenerator, ATextDoesNotDependOnTheBatch) {
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path());
  const std::vector<std::string> prompts = {"the cat", "a", "dogs and the", "x y z", "the the"};
  TextGenerateOptions one = sampled(), all = sampled();
  one.batch = 1, all.batch = 5;
  const auto single = made_by(model, prompts, one), together = made_by(model, prompts, all);
  ASSERT_EQ(single.size(), 5U);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(single[i].tokens.ids, together[i].tokens.ids) << prompts[i];
}

TEST(TextGenerator, AConstrainedTextIsOfItsConstraint) {
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path());
  for (int64_t seed = 0; seed < 5; ++seed) {
    TextGenerateOptions options = sampled(50);
    options.decode.seed = seed;
    options.schema = nlohmann::ordered_json::parse(
        R"({"type": "object", "required": ["a", "b"], "additionalProperties": false,
            "properties": {"a": {"enum": ["the", "cat"]}, "b": {"type": "integer", "minimum": 5, "maximum": 99}}})");
    const auto made = made_by(model, {"answer: "}, options).at(0);
    const Json parsed = Json::parse(made.text);
    EXPECT_EQ(made.tokens.finish, Finish::kEnd);
    EXPECT_GE(parsed.at("b").get<int>(), 5);
    options.schema.reset(), options.expression = "(the|cat) [0-9]{2,4}";
    Matcher matcher(expression_grammar(options.expression), "test");
    const auto state = matcher.step(matcher.start(), made_by(model, {"answer: "}, options).at(0).text);
    EXPECT_TRUE(state != Matcher::kNone && matcher.complete(state));
  }
}

TEST(TextGenerator, PromptsThatCannotBeReadAreRefusedOrCut) {
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path(), 16);
  EXPECT_THROW(made_by(model, {""}, {}), Error);
  TextGenerateOptions options = sampled(4);
  const std::string text = "a text of more than sixteen bytes";
  EXPECT_THROW(made_by(model, {text}, options), Error);
  options.truncate = true;
  EXPECT_EQ(made_by(model, {text}, options).at(0).tokens.ids,
            made_by(model, {text.substr(text.size() - 12)}, options).at(0).tokens.ids)
      << "its end stays";
}

TEST(TextGenerator, TakesDefaultsFromTheFolder) {
  const testing::Scratch scratch;
  Model model = byte_model(scratch.path());
  EXPECT_TRUE(default_decoding(model).end_ids.empty());
  model.config["eos_token_id"] = 7;
  EXPECT_THAT(default_decoding(model).end_ids, ::testing::ElementsAre(7));
}

TEST(Perplexity, IsThatOfOneForwardPassWhereTheWindowHoldsTheText) {
  const torch::NoGradGuard no_gradient;
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path());
  const std::string text = "the cat sat on the na\u00efve mat";
  const auto ids = model.tokenizer->encode(text).ids;
  const Tensor all = torch::tensor(ids).unsqueeze(0);
  const double nll = next_token_loss(model.as<LanguageModel>("test").forward({all, {}, {}}), all).item<double>();
  const Perplexity found = perplexity(model, text);
  EXPECT_EQ(found.predicted, static_cast<int64_t>(ids.size()) - 1);
  EXPECT_NEAR(found.mean_nll, nll, 1e-5);
  EXPECT_NEAR(found.perplexity, std::exp(nll), 1e-3);
  EXPECT_NEAR(found.bits_per_byte,
              nll * static_cast<double>(found.predicted) / std::log(2.0) / static_cast<double>(text.size()), 1e-5);
}

TEST(Perplexity, PredictsEachTokenOnceFromItsWindow) {
  const torch::NoGradGuard no_gradient;
  const testing::Scratch scratch;
  const Model model = byte_model(scratch.path());
  const std::string text(150, 'x');
  std::string mixed = text;
  for (size_t i = 0; i < mixed.size(); ++i) mixed[i] = static_cast<char>('a' + (i * i) % 13);
  const auto encoded = model.tokenizer->encode(mixed).ids;
  const auto length = static_cast<int64_t>(encoded.size());
  const Tensor ids = torch::tensor(encoded).unsqueeze(0);
  auto& language = model.as<LanguageModel>("test");
  double sum = 0;
  for (int64_t i = 1; i < length; ++i) {  // the window that predicts token i is the first that reaches it
    const int64_t begin = i < 20 ? 0 : ((i - 20) / 6 + 1) * 6, end = std::min(begin + 20, length);
    const Tensor logits = language.forward({ids.narrow(1, begin, end - begin), {}, {}});
    sum -= torch::log_softmax(logits, -1)[0][i - begin - 1][encoded[static_cast<size_t>(i)]].item<double>();
  }
  const Perplexity found = perplexity(model, mixed, {.window = 20, .stride = 6});
  EXPECT_NEAR(found.mean_nll, sum / static_cast<double>(length - 1), 1e-4);
  EXPECT_THROW(perplexity(model, mixed, {.window = 20, .stride = 20}), Error);
  EXPECT_THROW(perplexity(model, "x"), Error);
  EXPECT_THROW(perplexity(model, mixed, {.window = 1000}), Error);
}

}  // namespace
}  // namespace tessera
