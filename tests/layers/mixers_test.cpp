// What the mathematics of every kind of mixer promises.
#include "layers/mixers.h"

#include "layers/attention.h"
#include "layers/mamba.h"
#include "layers/mlstm.h"
#include "layers/ngram.h"
#include "layers/polycom.h"
#include "layers/promises.h"
#include "layers/recurrent.h"
#include "layers/soft_mask_attention.h"

namespace tessera {
namespace {

using testing::distance;

constexpr int64_t kBatch = 2, kLength = 11, kDim = 16;

/// Every kind that reads a sequence from its beginning, small; those whose forms depend on an option, with both.
std::vector<Json> causal_mixers() {
  std::vector<Json> all = {
      {{"kind", "attention"}, {"causal", true}},
      {{"kind", "mamba2"}, {"head_dim", 8}, {"state", 6}, {"chunk", 4}},
      {{"kind", "ngram"}, {"order", 1}},
      {{"kind", "mlstm"}, {"chunk", 4}},
      {{"kind", "xlstm"}, {"chunk", 3}},
      {{"kind", "slstm"}},
      {{"kind", "s4"}, {"state", 6}},
      {{"kind", "s4"}, {"state", 6}, {"discretisation", "bilinear"}, {"ssms", 4}},
      {{"kind", "s4"}, {"state", 6}, {"mode", "dplr"}, {"length", 24}},
      {{"kind", "dss"}, {"state", 5}},
      {{"kind", "gss"}, {"state", 5}, {"narrow", 6}, {"inner", 20}},
      {{"kind", "lru"}, {"state", 5}},
      {{"kind", "gated-lru"}},
      {{"kind", "s5"}, {"state", 5}, {"clip", true}},
      {{"kind", "h3"}, {"state", 6}, {"head_dim", 2}},
      {{"kind", "hyena"}, {"order", 3}, {"length", 24}, {"filter_dim", 6}},
      {{"kind", "retention"}, {"chunk", 0}},
      {{"kind", "retention"}, {"chunk", 4}},
      {{"kind", "ema"}, {"averages", 3}},
      {{"kind", "mega"}, {"key_dim", 4}, {"value_dim", 12}, {"averages", 2}, {"chunk", 4}},
      {{"kind", "mega"}, {"key_dim", 4}, {"value_dim", 12}, {"averages", 2}, {"length", 24}, {"laplace", true}},
      {{"kind", "mamba"}, {"state", 3}, {"chunk", 4}},
      {{"kind", "rwkv-time"}},
      {{"kind", "rwkv-time"}, {"longest", 2}},
      {{"kind", "rwkv-channel"}},
      {{"kind", "token-wise"}},
  };
  for (const char* pattern : {"fixed", "axial", "logsparse", "mixture"})
    all.push_back({{"kind", std::string("combiner-") + pattern}, {"segment", 3}, {"causal", true}});
  return all;
}

std::shared_ptr<Mixer> make(const Json& options) {
  at::manual_seed(5);
  auto mixer = mixers().make_part(options, {{"dim", kDim}, {"heads", 4}}, 0, "test");
  testing::randomise(*mixer, 0.2);
  mixer->eval();
  return mixer;
}

Tokens some_tokens(int64_t batch = kBatch, int64_t length = kLength) {
  at::manual_seed(6);
  Tokens tokens;
  tokens.x = torch::randn({batch, length, kDim});
  tokens.ids = torch::randint(0, 3, {batch, length}, torch::kInt64);
  tokens.at = torch::arange(length).view({1, -1, 1});
  return tokens;
}

Tokens cut(const Tokens& tokens, int64_t from, int64_t count) {
  Tokens piece = tokens;
  piece.x = tokens.x.narrow(1, from, count), piece.ids = tokens.ids.narrow(1, from, count);
  piece.at = tokens.at.narrow(1, from, count);
  if (tokens.mask.defined()) piece.mask = tokens.mask.narrow(1, from, count);
  return piece;
}

class CausalMixer : public ::testing::TestWithParam<Json> {
 protected:
  CausalMixer() : mixer_(make(GetParam())) {}
  const torch::NoGradGuard no_grad_;
  std::shared_ptr<Mixer> mixer_;
};

TEST_P(CausalMixer, PiecesEqualTheWhole) {
  const Tokens tokens = some_tokens();
  const Tensor whole = mixer_->forward(tokens);
  const auto state = mixer_->start();
  ASSERT_TRUE(state);
  std::vector<Tensor> pieces;
  int64_t at = 0;
  for (const int64_t count : {4, 1, 1, 3, 2})
    pieces.push_back(mixer_->step(cut(tokens, at, count), *state)), at += count;
  EXPECT_LT(distance(torch::cat(pieces, 1), whole), 2e-4);
}

TEST_P(CausalMixer, LaterTokensChangeNothingBefore) {
  const Tokens tokens = some_tokens();
  Tokens changed = tokens;
  changed.x = tokens.x.clone(), changed.ids = tokens.ids.clone();
  changed.x.narrow(1, 7, kLength - 7).add_(3), changed.ids.narrow(1, 7, kLength - 7).fill_(1);
  EXPECT_LT(distance(mixer_->forward(changed).narrow(1, 0, 7), mixer_->forward(tokens).narrow(1, 0, 7)), 1e-4);
}

TEST_P(CausalMixer, PaddingChangesNothingWhereverItStands) {
  const Tokens tokens = some_tokens(1);
  const Tensor whole = mixer_->forward(tokens);
  for (const int64_t before : {0, 1, 3}) {
    const int64_t after = 3 - before;
    Tokens padded = tokens;
    padded.x = torch::constant_pad_nd(tokens.x, {0, 0, before, after}, 9);
    padded.ids = torch::constant_pad_nd(tokens.ids, {before, after}, 1);
    padded.mask = torch::constant_pad_nd(torch::ones({1, kLength}, torch::kBool), {before, after}, false);
    padded.at = (torch::arange(kLength + 3) - before).clamp_min(0).view({1, -1, 1});
    EXPECT_LT(distance(mixer_->forward(padded).narrow(1, before, kLength), whole), 2e-4) << before;
    const auto state = mixer_->start();
    const Tensor first = mixer_->step(cut(padded, 0, 5), *state),
                 rest = mixer_->step(cut(padded, 5, kLength - 2), *state);
    EXPECT_LT(distance(torch::cat({first, rest}, 1).narrow(1, before, kLength), whole), 2e-4) << before;
  }
}

TEST_P(CausalMixer, SelectedRowsGoOnAsTheyWere) {
  const Tokens tokens = some_tokens();
  const Tensor rows = torch::tensor({1, 1, 0}, torch::kInt64);
  const auto state = mixer_->start(), other = mixer_->start();
  mixer_->step(cut(tokens, 0, 6), *state);
  state->select(rows);
  Tokens selected = tokens;
  selected.x = tokens.x.index_select(0, rows), selected.ids = tokens.ids.index_select(0, rows);
  mixer_->step(cut(selected, 0, 6), *other);
  EXPECT_LT(distance(mixer_->step(cut(selected, 6, 2), *state), mixer_->step(cut(selected, 6, 2), *other)), 1e-5);
}

TEST_P(CausalMixer, KernelsWithoutGradientsAgreeWithThePlainForm) {
  const Tokens tokens = some_tokens();
  const Tensor without = mixer_->forward(tokens);
  const torch::AutoGradMode grad(true);
  EXPECT_LT(distance(mixer_->forward(tokens).detach(), without), 2e-4);
}

TEST_P(CausalMixer, EveryParameterLearns) {
  const torch::AutoGradMode grad(true);
  testing::expect_gradients(*mixer_, mixer_->forward(some_tokens()));
}

std::string name_of(const ::testing::TestParamInfo<Json>& info) {
  std::string name = info.param["kind"].get<std::string>() + "_" + std::to_string(info.index);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}
INSTANTIATE_TEST_SUITE_P(Kinds, CausalMixer, ::testing::ValuesIn(causal_mixers()), name_of);

TEST(Mixers, ThoseThatLookBothWaysKeepNoState) {
  for (const Json& options : std::vector<Json>{{{"kind", "s5"}, {"state", 4}, {"bidirectional", true}},
                                               {{"kind", "ema"}, {"causal", false}},
                                               {{"kind", "mlstm"}, {"reverse", true}},
                                               {{"kind", "s4"}, {"state", 4}, {"discretisation", "dss"}},
                                               {{"kind", "combiner-mixture"}, {"segment", 3}}})
    EXPECT_FALSE(make(options)->start()) << options;
}

TEST(Mixers, TheBackboneFillsInWhatTheRecipeLeavesOut) {
  const Json backbone = {{"dim", 16}, {"heads", 4}, {"unheard_of", 1}};
  EXPECT_NO_THROW(mixers().make_part({{"kind", "lru"}, {"state", 3}}, backbone, 0, "test"));
  const Json list = Json::array({{{"kind", "lru"}, {"dim", 8}}, {{"kind", "gated-lru"}}});
  EXPECT_EQ(mixers()
                .make_part(list, backbone, 2, "test")
                ->forward([] {
                  Tokens tokens;
                  tokens.x = torch::zeros({1, 2, 8});
                  return tokens;
                }())
                .size(2),
            8);  // layer 2 takes the first of two again, whose own width goes before the backbone's
  EXPECT_THROW(mixers().make_part({{"kind", "lru"}, {"unheard_of", 1}}, backbone, 0, "test"), Error);
  EXPECT_THROW(mixers().make_part({{"kind", "no-such-mixer"}}, backbone, 0, "test"), Error);
  EXPECT_THROW(mixers().make_part(Json::array(), backbone, 0, "test"), Error);
}

TEST(Combiner, OneSegmentIsFullAttention) {
  const torch::NoGradGuard no_grad;
  for (const char* pattern : {"combiner-fixed", "combiner-axial", "combiner-mixture"}) {
    const auto combiner = make({{"kind", pattern}, {"segment", kLength}, {"causal", true}});
    const auto attention = make({{"kind", "attention"}, {"causal", true}, {"qkv_bias", false}, {"proj_bias", false}});
    for (auto& item : attention->named_parameters()) item.value().copy_(combiner->named_parameters()[item.key()]);
    EXPECT_LT(distance(combiner->forward(some_tokens()), attention->forward(some_tokens())), 1e-5) << pattern;
  }
}

TEST(Combiner, RefusesWhatFillsNoSegments) {
  EXPECT_THROW(make({{"kind", "combiner-fixed"}, {"segment", 4}})->forward(some_tokens()), Error);
  EXPECT_THROW(make({{"kind", "combiner-fixed"}})->forward(some_tokens()), Error);
  EXPECT_THROW(make({{"kind", "combiner-axial"}, {"segment", 4}}), Error);
}

TEST(InductionHead, ReadsWhatFollowedTheSameWords) {
  const Tensor ids = torch::tensor({5, 7, 5, 8, 5}, torch::kInt64).unsqueeze(0);
  const Tensor x = torch::arange(5, torch::kFloat32).view({1, 5, 1});
  // The last 5 was followed by 7 at place 1 and by 8 at place 3; the one at place 2 by 7 alone.
  EXPECT_LT(distance(induction_head(x, ids, 1).flatten(), torch::tensor({0.0F, 0.0F, 1.0F, 0.0F, 2.0F})), 1e-6);
  EXPECT_EQ(induction_head(x, ids, 2).abs().max().item<float>(), 0);                        // no two words come twice
  EXPECT_EQ(induction_head(x, ids.ne(5).to(torch::kInt64) - 1, 1)[0][4].item<float>(), 0);  // -1 is no word
}

TEST(Mlstm, ChunksOfAnyLengthAgreeAndStayFiniteForExtremeGates) {
  at::manual_seed(1);
  const auto drawn = [](at::IntArrayRef shape) { return torch::randn(shape); };
  const MlstmInputs in{drawn({2, 3, 10, 4}), drawn({2, 3, 10, 4}), drawn({2, 3, 10, 5}), 40 * drawn({2, 3, 10}),
                       40 * drawn({2, 3, 10})};
  MlstmState whole_state, step_state;
  const Tensor whole = mlstm(in, {}, &whole_state, {.chunk = 0});
  EXPECT_TRUE(torch::isfinite(whole).all().item<bool>());
  for (const int64_t chunk : {1, 3, 7}) {
    MlstmState state;
    EXPECT_LT(distance(mlstm(in, {}, &state, {.chunk = chunk}), whole), 1e-3) << chunk;
    EXPECT_LT(distance(state.m, whole_state.m), 1e-3) << chunk;
  }
}

TEST(LongConvolution, TheSumsThemselvesAgreeWithFourierTransforms) {
  at::manual_seed(3);
  for (const int64_t count : {5, 40, 60}) {
    const Tensor x = torch::randn({2, 40, 6}), taps = torch::randn({6, count}).requires_grad_();
    const Tensor transformed = long_convolution(x, taps).detach();
    const torch::NoGradGuard no_grad;
    EXPECT_LT(distance(long_convolution(x, taps), transformed), 1e-4) << count;
  }
}

TEST(SelectiveScan, ChunksAgreeWithTheRecurrence) {
  at::manual_seed(2);
  const SelectiveInputs in{torch::randn({2, 9, 4}), torch::rand({2, 9, 4}), -torch::rand({4, 3}),
                           torch::randn({2, 9, 2, 3}), torch::randn({2, 9, 2, 3})};
  const SelectiveResult steps = selective_scan(in, {}, 1);  // by the kernel, whatever the chunk
  const auto wide = [](const Tensor& x) { return x.to(torch::kFloat64); };
  const SelectiveInputs in_double{wide(in.x), wide(in.dt), wide(in.a), wide(in.b), wide(in.c)};
  for (const int64_t chunk : {1, 4, 9, 64}) {
    const SelectiveResult result = selective_scan(in_double, {}, chunk);
    EXPECT_LT(distance(result.y, steps.y), 1e-5) << chunk;
    EXPECT_LT(distance(result.state, steps.state), 1e-5) << chunk;
  }
}

TEST(SoftMaskAttention, IsCausalInEvalAndSeesAllAtRateOne) {
  const torch::NoGradGuard no_grad;
  const auto attention = make({{"kind", "soft-mask-attention"}, {"rate", 1.0}});
  Tokens tokens = some_tokens(), changed = tokens;
  changed.x = tokens.x.clone();
  changed.x.select(1, kLength - 1).add_(2);
  const auto first = [&](const Tokens& given) { return attention->forward(given).select(1, 0); };
  // The softmax runs over all tokens, and the mask comes after it: what is hidden still takes its share.
  EXPECT_GT(distance(first(tokens), first(changed)), 1e-6);
  attention->train();
  Taps taps(*attention, {"weights"});
  attention->forward(tokens);
  EXPECT_LT(distance(taps.at("weights").sum(-1), torch::ones({kBatch, 4, kLength})), 1e-5);
  EXPECT_THROW(dynamic_cast<SoftMaskAttention&>(*attention).set_rate(1.5), Error);
}

TEST(PolynomialActivation, TheLinearTermAloneIsTheRectifier) {
  PolynomialActivation relu(false), norm(true);
  const torch::NoGradGuard no_grad;
  for (auto* activation : {&relu, &norm}) activation->weight.copy_(torch::tensor({0.0F, 0.0F, 1.0F}));
  const Tensor x = torch::randn({2, 3, 8});
  EXPECT_LT(distance(relu.forward(x), torch::relu(x)), 1e-6);
  EXPECT_LT(distance(norm.forward(x).pow(2).mean(-1), torch::ones({2, 3})), 1e-4);
  EXPECT_TRUE(torch::isfinite(norm.forward((x * 100).to(torch::kHalf))).all().item<bool>());  // x^3 overflows half
  EXPECT_THROW(relu.of_blocks(torch::zeros({6, 4, 4}), 10), Error);
}

}  // namespace
}  // namespace tessera
