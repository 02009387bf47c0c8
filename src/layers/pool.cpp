#include "layers/pool.h"

namespace tessera {

namespace {

class FirstPool : public Pool {
 public:
  explicit FirstPool(const NoOptions&) {}
  Tensor forward(const Tokens& tokens) override { return tap(*this, tokens.x.select(1, 0)); }
};

class LastPool : public Pool {
 public:
  explicit LastPool(const NoOptions&) {}
  Tensor forward(const Tokens& tokens) override { return tap(*this, tokens.x.select(1, tokens.x.size(1) - 1)); }
};

/// The mean of the tokens before the others (AST: class and distillation token), with a norm.
class PrefixPool : public MeanPool {
 public:
  using MeanPool::MeanPool;
  Tensor forward(const Tokens& tokens) override {
    Tokens prefix;
    prefix.x = tokens.x.narrow(1, 0, tokens.prefix);
    return MeanPool::forward(prefix);
  }
};

const Registration<Pool, PrefixPool, MeanPoolOptions> prefix(pools(), "prefix");
const Registration<Pool, FirstPool, NoOptions> first(pools(), "first");
const Registration<Pool, LastPool, NoOptions> last(pools(), "last");
const Registration<Pool, MeanPool, MeanPoolOptions> mean(pools(), "mean");
const Registration<Pool, EndsPool, EndsPoolOptions> ends(pools(), "ends");
const Registration<Pool, AttentionPool, AttentionPoolOptions> attention(pools(), "attention");

}  // namespace

Registry<Pool>& pools() {
  static Registry<Pool> registry("pool");
  return registry;
}

MeanPool::MeanPool(const MeanPoolOptions& options) {
  if (options.dim > 0) norm_ = add<Norm>("norm", options.dim, options.eps);
}

Tensor MeanPool::forward(const Tokens& tokens) {
  const Tensor x = tokens.body();
  Tensor pooled;
  if (tokens.mask.defined()) {
    const Tensor real = tokens.mask.narrow(1, tokens.prefix, x.size(1)).to(x.scalar_type()).unsqueeze(-1);
    pooled = (x * real).sum(1) / real.sum(1).clamp_min(1);
  } else {
    pooled = x.mean(1);
  }
  return tap(*this, norm_ ? norm_->forward(pooled) : pooled);
}

EndsPool::EndsPool(const EndsPoolOptions& options) : joined_(options.joined) {
  if (options.dim > 0) norm_ = add<Norm>("norm", options.dim, options.eps);
}

Tensor EndsPool::forward(const Tokens& tokens) {
  const Tensor first = tokens.x.select(1, 0), last = tokens.x.select(1, tokens.x.size(1) - 1);
  const Tensor pooled = joined_ ? torch::cat({first, last}, -1) : (first + last) / 2;
  return tap(*this, norm_ ? norm_->forward(pooled) : pooled);
}

AttentionPool::AttentionPool(const AttentionPoolOptions& options) : options_(options) {
  const auto& o = options_;
  probe_ = weight("probe", {1, 1, o.dim});
  qkv_ = add<Linear>("qkv", o.dim, 3 * o.dim);
  qkv_->weight_is_read = true;
  proj_ = add<Linear>("proj", o.dim, o.dim);
  norm_ = add<Norm>("norm", o.dim, o.eps);
  ffn_ = add<Mlp>("ffn", o.dim, o.ffn, o.activation);
}

Tensor AttentionPool::forward(const Tokens& tokens) {
  const int64_t batch = tokens.x.size(0), dim = options_.dim, heads = options_.heads, head_dim = dim / heads;
  const auto split = [&](const Tensor& x) { return x.view({x.size(0), x.size(1), heads, head_dim}).transpose(1, 2); };
  // The query comes from the probe and keys and values from the tokens, so the fused weight is used in two parts.
  const Tensor q = torch::linear(probe_, qkv_->weight.narrow(0, 0, dim), qkv_->bias.narrow(0, 0, dim));
  const Tensor kv = torch::linear(tokens.x, qkv_->weight.narrow(0, dim, 2 * dim), qkv_->bias.narrow(0, dim, 2 * dim));
  const Tensor mixed = attend(*this, split(q).expand({batch, -1, -1, -1}), split(kv.narrow(2, 0, dim)),
                              split(kv.narrow(2, dim, dim)), {.mask = tokens.mask});  // B x heads x 1 x d
  const Tensor x = proj_->forward(mixed.transpose(1, 2).reshape({batch, 1, dim}));    // B x 1 x D
  return tap(*this, (x + ffn_->forward(norm_->forward(x))).select(1, 0));
}

}  // namespace tessera
