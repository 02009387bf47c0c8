#include <gmock/gmock.h>

#include "encoders/vit.h"
#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/plain_retention.h"
#include "layers/promises.h"
#include "layers/retention.h"

namespace tessera {
namespace {

VitOptions small() { return {.image = {24, 32}, .patch = {8, 8}, .dim = 16, .depth = 2, .heads = 2, .ffn = 32}; }

VitOptions named() {
  VitOptions options = small();
  options.mixer = {{"kind", "retention"}}, options.feed_forward = {{"kind", "gated-mlp"}};
  return options;
}

template <class Type>
bool every_block_has(const Vit& vit, const std::string& name) {
  for (const std::string block : {"blocks.0.", "blocks.1."})
    if (!dynamic_cast<Type*>(vit.named_modules("", /*include_self=*/false)[block + name].get())) return false;
  return true;
}

TEST(VitParts, WithoutThemTheOptionsNameThePartsOfABlock) {
  EXPECT_TRUE(every_block_has<Attention>(Vit(small()), "attention"));
  EXPECT_TRUE(every_block_has<Mlp>(Vit(small()), "ffn"));
  EXPECT_TRUE(every_block_has<RetentionMixer>(Vit(named()), "attention"));
  EXPECT_TRUE(every_block_has<GatedMlp>(Vit(named()), "ffn"));
}

TEST(VitParts, ARelativesPartComesBeforeANamedOne) {
  VitParts mixer, feed_forward;
  mixer.mixer = [] { return std::make_shared<PlainRetention>(PlainRetentionOptions{.dim = 16, .heads = 2}); };
  feed_forward.feed_forward = [] { return std::make_shared<Mlp>(16, 8, "relu"); };
  EXPECT_TRUE(every_block_has<PlainRetention>(Vit(named(), mixer), "attention"));
  EXPECT_TRUE(every_block_has<GatedMlp>(Vit(named(), mixer), "ffn")) << "what it does not bring is named";
  EXPECT_TRUE(every_block_has<Mlp>(Vit(named(), feed_forward), "ffn"));
  EXPECT_TRUE(every_block_has<RetentionMixer>(Vit(named(), feed_forward), "attention"));
}

TEST(VitParts, AttentionByNameIsTheAttentionOfNoName) {
  const torch::NoGradGuard no_grad;
  const auto result = [](const Json& mixer, double scale) {
    VitOptions options = small();
    options.mixer = mixer, options.scale = scale;
    Vit vit(options);
    testing::randomise(vit, 0.2);
    at::manual_seed(11);
    return vit.forward(torch::randn({1, 3, 24, 32})).x;
  };
  const Tensor scaled = result({}, 2);
  EXPECT_TRUE(torch::equal(result({{"kind", "attention"}}, 2), scaled));
  EXPECT_GT(testing::distance(result({{"kind", "attention"}}, 0), scaled), 1e-4) << "the scale is the backbone's";
}

}  // namespace
}  // namespace tessera
