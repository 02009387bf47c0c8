// What mixers that go on with a sequence remember.
#include <gmock/gmock.h>

#include "layers/attention.h"
#include "layers/causal_convolution.h"
#include "layers/promises.h"
#include "layers/ssd.h"
#include "layers/unfilled.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::distance;

KeysAndValues some(int64_t batch, int64_t length, bool with_mask = false) {
  return {torch::randn({batch, 2, length, 4}), torch::randn({batch, 2, length, 3}),
          with_mask ? torch::rand({batch, length}).gt(0.4) : Tensor()};
}

TEST(KeyValueCache, HoldsWhatWasAdded) {
  ContiguousCache cache;
  std::vector<Tensor> keys, values, masks;
  for (const int64_t length : {3, 70, 1, 1, 200}) {
    const bool masked = length == 1;
    const KeysAndValues next = some(2, length, masked);
    keys.push_back(next.keys), values.push_back(next.values);
    masks.push_back(masked ? next.mask : torch::ones({2, length}, torch::kBool));
    const KeysAndValues all = cache.append(next);
    EXPECT_TRUE(torch::equal(all.keys, torch::cat(keys, 2)));
    EXPECT_TRUE(torch::equal(all.values, torch::cat(values, 2)));
    EXPECT_EQ(all.mask.defined(), cache.length() > 73) << "no mask while all tokens are real";
    if (all.mask.defined()) {
      EXPECT_TRUE(torch::equal(all.mask, torch::cat(masks, 1)));
    }
    EXPECT_EQ(cache.length(), all.keys.size(2));
  }
}

TEST(KeyValueCache, ATokenIsWrittenInPlace) {
  ContiguousCache cache;
  const void* before = cache.append(some(1, 65)).keys.data_ptr();
  const void* once = cache.append(some(1, 1)).keys.data_ptr();
  EXPECT_NE(before, once) << "grows by doubling";
  for (int64_t i = 66; i < 130; ++i) EXPECT_EQ(cache.append(some(1, 1)).keys.data_ptr(), once) << i;
}

TEST(KeyValueCache, ForgetsWhatIsCutOff) {
  ContiguousCache cache;
  const KeysAndValues first = some(2, 5, true), second = some(2, 2);
  cache.append(first);
  cache.append(some(2, 3, true));
  cache.truncate(5);
  EXPECT_TRUE(torch::equal(cache.append(second).keys, torch::cat({first.keys, second.keys}, 2)));
  EXPECT_THROW(cache.truncate(8), Error);
  EXPECT_THROW(cache.truncate(-1), Error);
}

TEST(KeyValueCache, KeepsTheGradient) {
  ContiguousCache cache;
  const Tensor keys = torch::randn({1, 2, 3, 4}).requires_grad_(true);
  cache.append({keys, torch::randn({1, 2, 3, 3}), {}});
  const KeysAndValues all = cache.append(some(1, 2));
  all.keys.pow(2).sum().backward();
  EXPECT_LT(distance(keys.grad(), 2 * keys.detach()), 1e-6);
}

TEST(KeyValueCache, PackedNumbersAreNearAndSmall) {
  for (const auto& [storage, vector_bytes] :
       std::vector<std::pair<CacheStorage, int64_t>>{{CacheStorage::kAsGiven, 4 * (4 + 3)},
                                                     {CacheStorage::kBfloat16, 2 * (4 + 3)},
                                                     {CacheStorage::kInt8, 4 + 3 + 2 * 4}}) {
    ContiguousCache cache;
    cache.store(storage);
    const KeysAndValues first = some(2, 100), second = some(2, 1);
    cache.append(first);
    const KeysAndValues all = cache.append(second);
    EXPECT_EQ(cache.bytes(), 2 * 2 * 200 * vector_bytes) << "2 rows, 2 heads, room for 200 tokens";
    for (const auto& [got, want] : {std::pair(all.keys, torch::cat({first.keys, second.keys}, 2)),
                                    std::pair(all.values, torch::cat({first.values, second.values}, 2))}) {
      const Tensor largest = want.abs().amax(-1, true);
      // Half of a step: 1/127 of the vector's largest number, 2^-8 of a number's own size.
      const Tensor bound = storage == CacheStorage::kAsGiven    ? torch::zeros_like(want)
                           : storage == CacheStorage::kBfloat16 ? want.abs() / 256
                                                                : largest / 254 * 1.0001 + torch::zeros_like(want);
      EXPECT_TRUE((got - want).abs().le(bound).all().item<bool>());
    }
    const Tensor rows = torch::tensor({1, 1, 0});
    cache.select(rows);
    EXPECT_TRUE(torch::equal(cache.append(some(3, 1)).keys.narrow(2, 0, 101), all.keys.index_select(0, rows)));
    EXPECT_THROW(cache.store(storage), Error) << "it holds tokens already";
  }
}

TEST(KeyValueCache, ARowThatStaysIsNotMoved) {
  ContiguousCache cache;
  const KeysAndValues first = some(3, 5, true);
  const void* before = cache.append(first).keys.data_ptr();
  const Tensor rows = torch::tensor({0, 2, 1});
  cache.select(rows);
  const KeysAndValues all = cache.append(some(3, 1));
  EXPECT_EQ(all.keys.data_ptr(), before);
  EXPECT_TRUE(torch::equal(all.keys.narrow(2, 0, 5), first.keys.index_select(0, rows)));
  EXPECT_TRUE(torch::equal(all.mask.narrow(1, 0, 5), first.mask.index_select(0, rows)));
}

AttentionOptions causal(int64_t heads, int64_t kv_heads) {
  AttentionOptions options{.dim = 24, .heads = heads, .causal = true};
  options.kv_heads = kv_heads, options.head_dim = 4;
  return options;
}

Tokens tokens(int64_t batch, int64_t length) {
  at::manual_seed(5);
  Tokens result;
  result.x = torch::randn({batch, length, 24});
  return result;
}

TEST(Attention, SharedKeysAreTheSameKeysForEveryHeadOfAGroup) {
  const torch::NoGradGuard no_grad;
  Attention shared(causal(6, 2)), whole(causal(6, 6));
  testing::randomise(shared);
  auto from = shared.named_parameters(), to = whole.named_parameters();
  for (const auto& item : to) {
    Tensor value = from[item.key()];
    if (item.key().starts_with("qkv")) {
      const auto parts = value.split_with_sizes({24, 8, 8});  // rows of query, key, value
      std::vector<Tensor> rows = {parts[0]};
      for (const size_t part : {1, 2}) {
        auto shape = value.sizes().vec();
        shape[0] = 4, shape.insert(shape.begin(), 2);
        rows.push_back(parts[part].reshape(shape).repeat_interleave(3, 0).flatten(0, 1));
      }
      value = torch::cat(rows);
    }
    item.value().copy_(value);
  }
  EXPECT_LT(distance(shared.forward(tokens(2, 7)), whole.forward(tokens(2, 7))), 1e-5);
}

TEST(Attention, HeadsThatCannotShareAreAnError) { EXPECT_THROW(Attention(causal(6, 4)), Error); }

TEST(Attention, AWindowIsTheLastTokens) {
  const torch::NoGradGuard no_grad;
  AttentionOptions options = causal(6, 2);
  Attention full(options);
  testing::randomise(full);
  const auto windowed = [&](int64_t window) {
    options.window = window;
    auto mixer = std::make_shared<Attention>(options);
    testing::randomise(*mixer);  // the same draws
    return mixer;
  };
  const Tokens all = tokens(1, 8);
  EXPECT_LT(distance(windowed(8)->forward(all), full.forward(all)), 1e-6) << "a window over all is none";
  const Tensor three = windowed(3)->forward(all);
  for (int64_t i = 2; i < 8; ++i)
    EXPECT_LT(distance(three.select(1, i), full.forward(all.with(all.x.narrow(1, i - 2, 3))).select(1, 2)), 1e-5) << i;
}

TEST(Convolution, InPiecesItIsThatOfTheWhole) {
  const torch::NoGradGuard no_grad;
  CausalConvolution convolution(5, 4, true);
  testing::randomise(convolution);
  const Tensor x = torch::randn({2, 9, 5}), whole = convolution.forward(x, {}, nullptr);
  for (const auto& lengths : std::vector<std::vector<int64_t>>{{1, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 6, 1}}) {
    ConvolutionState state;
    std::vector<Tensor> pieces;
    int64_t begin = 0;
    for (const int64_t length : lengths) {
      pieces.push_back(convolution.forward(x.narrow(1, begin, length), {}, &state));
      begin += length;
    }
    EXPECT_LT(distance(torch::cat(pieces, 1), whole), 1e-6);
  }
}

TEST(Convolution, PaddingIsLeftOutWhereverItStands) {
  const torch::NoGradGuard no_grad;
  CausalConvolution convolution(5, 3, true);
  testing::randomise(convolution);
  const Tensor mask = torch::tensor({{0, 1, 1, 0, 0, 1, 1, 0}}, torch::kInt64);
  const Tensor x = torch::randn({1, 8, 5}) * mask.unsqueeze(-1);
  const Tensor real = mask[0].nonzero().flatten();
  EXPECT_LT(distance(convolution.forward(x, mask, nullptr).index_select(1, real),
                     convolution.forward(x.index_select(1, real), {}, nullptr)),
            1e-6);
}

SsdInputs ssd_inputs(int64_t length) {
  at::manual_seed(9);
  return {torch::randn({2, length, 4, 3}), torch::rand({2, length, 4}), -torch::rand({4}) - 0.1,
          torch::randn({2, length, 2, 5}), torch::randn({2, length, 2, 5})};
}

SsdInputs part(const SsdInputs& in, int64_t begin, int64_t length) {
  const auto cut = [&](const Tensor& x) { return x.narrow(1, begin, length); };
  return {cut(in.x), cut(in.dt), in.a, cut(in.b), cut(in.c)};
}

/// Inputs that a kernel may read, and those that are to learn something.
std::vector<SsdInputs> either_way(const SsdInputs& in) {
  SsdInputs learning = in;
  learning.x = in.x.clone().requires_grad_(true);
  return {in, learning};
}

TEST(Ssd, TheKernelIsThePlainForm) {
  for (const int64_t length : {1, 7, 40}) {
    const Tensor first = torch::randn({2, 4, 3, 5});
    const auto in = either_way(ssd_inputs(length));
    const SsdResult by_kernel = ssd_scan(in[0], first, 8), plain = ssd_scan(in[1], first, 8);
    EXPECT_FALSE(by_kernel.y.requires_grad());
    EXPECT_TRUE(plain.y.requires_grad());
    EXPECT_LT(distance(by_kernel.y, plain.y), 1e-5) << length;
    EXPECT_LT(distance(by_kernel.state, plain.state), 1e-5) << length;
  }
}

TEST(Ssd, ChunksAreTheRecurrence) {
  const SsdInputs in = either_way(ssd_inputs(11))[1];
  const Tensor first = torch::randn({2, 4, 3, 5});
  Tensor state = first;
  std::vector<Tensor> y;
  for (int64_t i = 0; i < 11; ++i) {
    const SsdResult one = ssd_step(part(in, i, 1), state);
    y.push_back(one.y), state = one.state;
  }
  for (const int64_t chunk : {1, 2, 4, 11, 64}) {
    const SsdResult all = ssd_scan(in, first, chunk);
    EXPECT_LT(distance(all.y, torch::cat(y, 1)), 1e-5) << chunk;
    EXPECT_LT(distance(all.state, state), 1e-5) << chunk;
  }
}

TEST(Ssd, IsAMaskedLinearAttention) {
  const SsdInputs in = ssd_inputs(6);
  for (const SsdInputs& given : either_way(in)) {
    const Tensor all = ssd_scan(given, {}, 4).y;
    for (int64_t head = 0; head < 4; ++head) {
      const Tensor sums = (in.dt.select(2, head) * in.a[head]).cumsum(1);  // B x L
      const Tensor decay = (sums.unsqueeze(2) - sums.unsqueeze(1)).exp().tril();
      const Tensor scores = torch::matmul(in.c.select(2, head / 2), in.b.select(2, head / 2).transpose(1, 2)) * decay;
      const Tensor y = torch::matmul(scores, in.x.select(2, head) * in.dt.select(2, head).unsqueeze(-1));
      EXPECT_LT(distance(all.select(2, head), y), 1e-5) << head;
    }
  }
}

TEST(Ssd, AStepOfZeroChangesNoState) {
  SsdInputs in = ssd_inputs(5);
  in.dt.zero_();
  const Tensor first = torch::randn({2, 4, 3, 5});
  EXPECT_TRUE(torch::equal(ssd_scan(in, first, 4).state, first));
}

TEST(Ssd, StrongDecaysHaveFiniteGradients) {
  SsdInputs in = ssd_inputs(9);
  in.a = torch::full({4}, -500.0).requires_grad_(true);
  ssd_scan(in, {}, 8).y.sum().backward();
  EXPECT_TRUE(in.a.grad().isfinite().all().item<bool>());
}

TEST(UnfilledWeights, LastAsLongAsTheyLive) {
  {
    const UnfilledWeights outer;
    { const UnfilledWeights inner; }
    EXPECT_TRUE(UnfilledWeights::active());
    EXPECT_EQ(Linear(3, 2).weight.sizes(), (std::vector<int64_t>{2, 3}));
  }
  EXPECT_FALSE(UnfilledWeights::active());
  EXPECT_GT(Linear(30, 20).weight.std().item<double>(), 0.01) << "drawn again";
}

TEST(RelativeBias, NearDistancesHaveBucketsOfTheirOwnAndFarOnesShareOne) {
  const torch::NoGradGuard no_grad;
  for (const bool both : {false, true}) {
    RelativeBias bias({.buckets = 16, .distance = 20, .heads = 2, .bidirectional = both});
    testing::randomise(bias);
    const Tensor at = torch::arange(60).unsqueeze(0), all = bias.forward(at, at)[0][0];  // L x S
    const int64_t exact = both ? 4 : 8;
    for (int64_t i = 1; i < exact; ++i) EXPECT_NE(all[59][59 - i].item<float>(), all[59][58 - i].item<float>());
    EXPECT_EQ(all[59][59 - 20].item<float>(), all[59][0].item<float>());
    EXPECT_EQ(all[0][5].item<float>() == all[0][0].item<float>(), !both) << "later keys, where they are told apart";
    EXPECT_EQ(all[7][3].item<float>(), all[50][46].item<float>()) << "distance alone";
  }
}

TEST(RelativeBias, TooFewBucketsAreAnError) {
  EXPECT_THROW(RelativeBias({.buckets = 2}), Error);
  EXPECT_THROW(RelativeBias({.buckets = 32, .distance = 4}), Error);
}

TEST(LinearBias, SlopesAreTheAuthors) {
  const Tensor at = torch::arange(2).unsqueeze(0);
  const auto slopes = [&](int64_t heads) { return -LinearBias(heads).forward(at, at)[0].select(1, 1).select(1, 0); };
  EXPECT_LT(distance(slopes(4), torch::tensor({0.25F, 0.0625F, 0.015625F, 0.00390625F})), 1e-8);
  EXPECT_LT(distance(slopes(3), torch::tensor({0.0625F, 0.00390625F, 0.25F})), 1e-8);
}

}  // namespace
}  // namespace tessera
