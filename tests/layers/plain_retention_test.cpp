#include "layers/plain_retention.h"

#include <gmock/gmock.h>

#include "core/error.h"
#include "layers/promises.h"
#include "layers/retention.h"

namespace tessera {
namespace {

using testing::distance;

constexpr double kNear = 1e-4;

std::shared_ptr<PlainRetention> drawn(const std::string& form, int64_t chunk = 4) {
  auto mixer =
      std::make_shared<PlainRetention>(PlainRetentionOptions{.dim = 12, .heads = 3, .form = form, .chunk = chunk});
  testing::randomise(*mixer);
  return mixer;
}

Tokens sequence(int64_t length) {
  at::manual_seed(6);
  Tokens tokens;
  tokens.x = torch::randn({2, length, 12});
  return tokens;
}

TEST(PlainRetention, IsWhatItsFormulaSays) {
  const torch::NoGradGuard no_grad;
  const auto mixer = drawn("parallel");
  Taps taps(*mixer, {"qkv", "context"});
  mixer->forward(sequence(7));
  const Tensor qkv = taps.at("qkv").view({2, 7, 3, 3, 4}).permute({2, 0, 3, 1, 4});  // 3 x B x heads x L x d
  const Tensor weights = torch::matmul(qkv[0] / 2, qkv[1].transpose(-2, -1)) * causal_decay(mixer->decay(), 7);
  EXPECT_LT(distance(torch::matmul(weights, qkv[2]).transpose(1, 2).flatten(2), taps.at("context")), kNear);
}

class PlainRetentionForms : public ::testing::TestWithParam<bool> {};

TEST_P(PlainRetentionForms, ParallelChunkwiseAndRecurrentAreOne) {
  const torch::AutoGradMode learns(GetParam());  // without, all of them are one kernel
  for (const int64_t length : {1, 4, 9, 16}) {
    const Tensor parallel = drawn("parallel")->forward(sequence(length));
    EXPECT_LT(distance(drawn("recurrent")->forward(sequence(length)), parallel), kNear) << length;
    for (const int64_t chunk : {1, 3, 4, 64})
      EXPECT_LT(distance(drawn("chunkwise", chunk)->forward(sequence(length)), parallel), kNear) << length;
  }
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutGradients, PlainRetentionForms, ::testing::Bool());

TEST(Retention, HeadsThatForgetNothingHaveFiniteResults) {
  const torch::NoGradGuard no_grad;
  RetentionMixer mixer({.dim = 48, .heads = 24, .chunk = 4});  // the last decays are 1 in float32
  testing::randomise(mixer);
  at::manual_seed(8);
  const Tensor x = torch::randn({1, 9, 48});
  const Tensor by_kernel = mixer.forward(Tokens{.x = x});
  const torch::AutoGradMode learns(true);
  EXPECT_LT(distance(by_kernel, mixer.forward(Tokens{.x = x})), kNear);
}

TEST(Retention, AScanIsTheMaskedProductOfAllTokens) {
  RetentionMixer at_once({.dim = 16, .heads = 4, .chunk = 0});
  testing::randomise(at_once);
  const auto by_chunks = [&](int64_t chunk, bool learns) {
    RetentionMixer mixer({.dim = 16, .heads = 4, .chunk = chunk});
    for (const auto& parameter : at_once.named_parameters())
      mixer.named_parameters()[parameter.key()].set_data(parameter.value());
    at::manual_seed(8);
    const Tensor x = torch::randn({2, 13, 16});
    const torch::AutoGradMode mode(learns);
    return mixer.forward(Tokens{.x = x});
  };
  const Tensor all = by_chunks(0, false);
  EXPECT_LT(distance(by_chunks(4, false), all), kNear) << "by the kernel";
  EXPECT_LT(distance(by_chunks(4, true), all), kNear) << "by products";
}

TEST(PlainRetention, WhatComesInPiecesIsMixedAsIfItCameAtOnce) {
  const torch::NoGradGuard no_grad;
  for (const std::string form : {"parallel", "chunkwise", "recurrent"}) {
    const auto mixer = drawn(form);
    const Tokens tokens = sequence(11);
    const auto state = mixer->start();
    std::vector<Tensor> pieces;
    for (const auto& [begin, length] : {std::pair{0, 5}, {5, 1}, {6, 1}, {7, 4}})
      pieces.push_back(mixer->step(tokens.with(tokens.x.narrow(1, begin, length)), *state));
    EXPECT_LT(distance(torch::cat(pieces, 1), mixer->forward(tokens)), kNear) << form;
  }
}

TEST(PlainRetention, PaddingChangesNothing) {
  const torch::NoGradGuard no_grad;
  for (const std::string form : {"parallel", "chunkwise", "recurrent"}) {
    const auto mixer = drawn(form);
    Tokens tokens = sequence(8);
    const Tensor alone = mixer->forward(tokens.with(tokens.x.narrow(1, 3, 5)));
    tokens.mask = torch::arange(8).ge(3).expand({2, 8});
    EXPECT_LT(distance(mixer->forward(tokens).narrow(1, 3, 5), alone), kNear) << form;
  }
}

TEST(PlainRetention, NoTokenSeesALaterOneUnlessBySoftmax) {
  const torch::NoGradGuard no_grad;
  for (const std::string form : {"parallel", "chunkwise", "recurrent", "softmax"}) {
    const auto mixer = drawn(form);
    Tokens tokens = sequence(6);
    const Tensor before = mixer->forward(tokens);
    tokens.x.select(1, 5) += 1;
    const Tensor change = (mixer->forward(tokens) - before).abs().sum(-1);
    EXPECT_EQ(change.narrow(1, 0, 5).max().item<double>() > 1e-5, form == "softmax") << form;
  }
}

TEST(PlainRetention, GradientsReachEveryParameterInEveryForm) {
  for (const std::string form : {"parallel", "chunkwise", "recurrent", "softmax"}) {
    const auto mixer = drawn(form);
    testing::expect_gradients(*mixer, mixer->forward(sequence(6)));
  }
}

TEST(PlainRetention, WhatDoesNotFitIsAnError) {
  EXPECT_THROW(drawn("sequential"), Error);
  EXPECT_THROW(drawn("chunkwise", 0), Error);
  EXPECT_THROW(PlainRetention({.dim = 10, .heads = 3}), Error);
  EXPECT_EQ(drawn("softmax")->start(), nullptr);
  Tokens tokens = sequence(3);
  tokens.mask = torch::ones({2, 3}, torch::kBool);
  EXPECT_THROW(drawn("softmax")->forward(tokens), Error);
}

}  // namespace
}  // namespace tessera
