// A token of a language model by a recorded graph is the token without one.
#include <gtest/gtest.h>

#include "core/error.h"
#include "decode/continuation.h"
#include "language/encoder_decoder.h"
#include "layers/prepare.h"
#include "parity/compare.h"
#include "support/foreign_device.h"
#include "vlm/vision_language.h"

namespace tessera::parity {
namespace {

std::filesystem::path golden(const std::string& name) {
  return std::string(TESSERA_SOURCE_DIR) + "/tests/goldens/" + name;
}

/// The language model of a recorded run, on the foreign device.
std::shared_ptr<Module> foreign_model(const std::string& name) {
  auto module = assemble_golden(read_golden(golden(name))).module;
  module->eval();
  module->to(testing::foreign_device());
  return module;
}

constexpr int64_t kTokens = 150;  // more than the first room

struct Decoded {
  std::vector<Tensor> logits;  ///< of each token, the rows that go on x vocabulary
  Tensor after;                ///< the logits of a token that is read once decoding has ended
  int64_t replays = 0;
};

/// Three rows, of which the second begins with padding; the last ends after eight tokens.
Decoded decoded(LanguageModel& model, LanguageState state, int64_t tokens, CacheStorage storage) {
  const torch::NoGradGuard no_gradient;
  const int64_t words = model.vocabulary();
  const TextBatch text{torch::arange(12).view({3, 4}).remainder(words - 1) + 1,
                       torch::tensor({{1, 1, 1, 1}, {0, 0, 1, 1}, {1, 1, 1, 1}}).to(torch::kBool),
                       {}};
  if (storage != CacheStorage::kAsGiven) state.store(storage);
  Decoded result;
  {
    Continuation continuation(model, state, text_prompt(model, text), tokens);
    for (int64_t i = 0; i < tokens; ++i) {
      std::vector<Tensor> rows;
      for (int64_t row = 0; row < (i > 8 ? 2 : 3); ++row) {  // nobody asks a row that has ended
        const auto numbers = continuation.logits(row);
        rows.push_back(torch::tensor(std::vector<float>(numbers.begin(), numbers.end())));
      }
      result.logits.push_back(torch::stack(rows));
      continuation.advance({i % (words - 1) + 1, (i + 2) % (words - 1) + 1, 1}, {false, false, i >= 8});
      if (i % 7 == 3) continuation.select({1, 0, 2});
    }
  }
  Tokens next;
  next.ids = torch::ones({3, 1}, torch::kInt64).to(testing::foreign_device());
  next.x = model.embed(next.ids);
  result.after = model.logits(model.hidden(next, &state).x).narrow(0, 0, 2).to(torch::kCPU, torch::kFloat32);
  return result;
}

/// The state before the first token: a model that reads a source has read one.
LanguageState start(LanguageModel& model) {
  auto* reads = dynamic_cast<EncoderDecoder*>(&model);
  if (!reads) return model.start();
  const Tensor source = torch::tensor({{3, 4, 5}, {6, 7, 1}, {2, 2, 2}}).to(testing::foreign_device());
  return reads->start(reads->encode({source, {}, {}}));
}

/// Both ways, which add in another order. @param tokens  how many are decoded
void expect_the_same(LanguageModel& model, int64_t tokens, CacheStorage storage = CacheStorage::kAsGiven) {
  const double tolerance = 5e-5;
  const Decoded plain = decoded(model, start(model), tokens, storage);
  const testing::WithForeignGraphs graphs;
  const Decoded recorded = decoded(model, start(model), tokens, storage);
  EXPECT_GT(graphs.replays(), tokens / 2);
  const double range = torch::cat(plain.logits).abs().max().item<double>();
  for (size_t i = 0; i < plain.logits.size(); ++i)
    ASSERT_LT((plain.logits[i] - recorded.logits[i]).abs().max().item<double>(), tolerance * range) << "token " << i;
  EXPECT_LT((plain.after - recorded.after).abs().max().item<double>(), tolerance * range);
}

bool is_language_model(const Golden& golden) {
  try {
    return golden.tensors && dynamic_cast<LanguageModel*>(assemble_golden(golden).module.get());
  } catch (const Error&) {  // the record of a part alone, which has no folder to assemble
    return false;
  }
}

/// All language models but those whose mixers read their history anew.
std::vector<std::string> language_models_of_goldens() {
  std::vector<std::string> names;
  for (const auto& folder : find_goldens({std::string(TESSERA_SOURCE_DIR) + "/tests/goldens"})) {
    const std::string system = folder.parent_path().filename().string();
    const std::string name = system + "/" + folder.filename().string();
    if (system != "combiner" && name != "icll/hybrid_ngram" && is_language_model(read_golden(folder)))
      names.push_back(name);
  }
  return names;
}

std::string test_name(const ::testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

class RecordedDecoding : public ::testing::TestWithParam<std::string> {};

TEST_P(RecordedDecoding, EqualsDecodingWithoutAGraph) {
  const auto module = foreign_model(GetParam());
  auto* joined = dynamic_cast<VisionLanguage*>(module.get());
  auto& model = joined ? joined->language() : dynamic_cast<LanguageModel&>(*module);
  expect_the_same(model, model.context() > 0 ? std::min(kTokens, model.context() - 6) : kTokens);
}

INSTANTIATE_TEST_SUITE_P(Goldens, RecordedDecoding, ::testing::ValuesIn(language_models_of_goldens()), test_name);

/// A small decoder with other options than its own, on the foreign device.
std::shared_ptr<LanguageModel> foreign_decoder(const Json& options) {
  at::manual_seed(3);
  Json all = {{"kind", "decoder"}, {"vocabulary", 40}, {"dim", 16},           {"depth", 2},
              {"heads", 4},        {"ffn", 24},        {"positions", "none"}, {"context", 200}};
  all.update(options);
  auto model = language_models().make(all, "test");
  for (Tensor& parameter : model->parameters())
    torch::NoGradGuard(), parameter.set_data(torch::randn_like(parameter) * 0.3);
  model->eval();
  model->to(testing::foreign_device());
  return model;
}

TEST(RecordedDecoder, KnowsItsPositionsAndItsWindow) {
  const Json rotary = {{"scaling", "dynamic"}, {"original_length", 20}, {"factor", 2.0}};
  const Json options[] = {
      {{"positions", "alibi"}},
      {{"positions", "learned"}},
      {{"positions", "sinusoidal"}},
      {{"positions", "rotary"}, {"rotary", rotary}},
      {{"positions", "rotary"}, {"windows", {5, 0}}, {"kv_heads", 2}},
  };
  for (const Json& o : options) {
    SCOPED_TRACE(o.dump());
    expect_the_same(*foreign_decoder(o), kTokens);
  }
}

TEST(RecordedDecoder, KeepsItsCacheNarrow) {
  const auto model = foreign_decoder({{"positions", "rotary"}});
  for (const CacheStorage storage : {CacheStorage::kBfloat16, CacheStorage::kInt8})
    expect_the_same(*model, 40, storage);
}

TEST(RecordedDecoder, MixesInAnyWayThatHasARecurrence) {
  const Json mixers[] = {
      {{"kind", "mamba2"}, {"head_dim", 8}, {"state", 6}},
      {{"kind", "mamba"}, {"state", 3}},
      {{"kind", "mlstm"}},
      {{"kind", "slstm"}},
      {{"kind", "xlstm"}},
      {{"kind", "s4"}, {"state", 6}},
      {{"kind", "lru"}, {"state", 5}},
      {{"kind", "s5"}, {"state", 5}},
      {{"kind", "h3"}, {"state", 6}, {"head_dim", 2}},
      {{"kind", "retention"}},
      {{"kind", "ema"}, {"averages", 3}},
      {{"kind", "rwkv-time"}},
      {{"kind", "rwkv-channel"}},
  };
  for (const Json& mixer : mixers) {
    SCOPED_TRACE(mixer.dump());
    expect_the_same(*foreign_decoder({{"mixer", mixer}}), 30);
  }
}

TEST(RecordedDecoder, IsPreparedInBfloat16AndInt8) {
  for (const Precision precision : {Precision::kBfloat16, Precision::kInt8}) {
    const auto model = foreign_decoder({{"positions", "rotary"}, {"gated", true}, {"activation", "silu"}});
    prepare(*model, precision);
    const Decoded plain = decoded(*model, model->start(), 40, CacheStorage::kAsGiven);
    const testing::WithForeignGraphs graphs;
    const Decoded recorded = decoded(*model, model->start(), 40, CacheStorage::kAsGiven);
    EXPECT_GT(graphs.replays(), 20);
    for (size_t i = 0; i < plain.logits.size(); ++i) {
      const Tensor alike = torch::cosine_similarity(plain.logits[i], recorded.logits[i], 1);
      EXPECT_GT(alike.min().item<double>(), 0.999) << "token " << i;
    }
  }
}

TEST(RecordedDecoder, GoesOnAsEverWhereItsStateGrows) {
  for (const char* kind : {"hyena", "ngram"}) {
    const auto model = foreign_decoder({{"mixer", {{"kind", kind}}}});
    const Decoded plain = decoded(*model, model->start(), 20, CacheStorage::kAsGiven);
    const testing::WithForeignGraphs graphs;
    const Decoded again = decoded(*model, model->start(), 20, CacheStorage::kAsGiven);
    EXPECT_EQ(graphs.replays(), 0);
    for (size_t i = 0; i < plain.logits.size(); ++i) EXPECT_TRUE(torch::equal(plain.logits[i], again.logits[i]));
  }
}

/// A decoder whose logits have the host look at a number.
class Looking : public LanguageModel {
 public:
  explicit Looking(std::shared_ptr<LanguageModel> model) : model_(register_module("model", model)) {}
  Tensor embed(const Tensor& ids) override { return model_->embed(ids); }
  Tokens hidden(const Tokens& tokens, LanguageState* state) override { return model_->hidden(tokens, state); }
  Tensor logits(const Tensor& hidden) override {
    const Tensor scores = model_->logits(hidden);
    return scores.max().item<double>() > 1e9 ? scores * 0 : scores;
  }
  LanguageState start() const override { return model_->start(); }
  int64_t width() const override { return model_->width(); }
  int64_t vocabulary() const override { return model_->vocabulary(); }
  int64_t context() const override { return model_->context(); }

 private:
  std::shared_ptr<LanguageModel> model_;
};

TEST(RecordedDecoder, GoesOnAsEverWhereItCannotBeRecorded) {
  for (const Json& options : {Json{{"positions", "alibi"}}, Json{{"mixer", {{"kind", "mamba"}}}}}) {
    Looking model(foreign_decoder(options));
    model.eval();
    const Decoded plain = decoded(model, model.start(), 20, CacheStorage::kAsGiven);
    const testing::WithForeignGraphs graphs;
    const Decoded again = decoded(model, model.start(), 20, CacheStorage::kAsGiven);
    EXPECT_EQ(graphs.replays(), 0);
    const double range = torch::cat(plain.logits).abs().max().item<double>();
    for (size_t i = 0; i < plain.logits.size(); ++i)
      EXPECT_LT((plain.logits[i] - again.logits[i]).abs().max().item<double>(), 5e-5 * range) << "token " << i;
  }
}

}  // namespace
}  // namespace tessera::parity
