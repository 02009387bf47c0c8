#include "layers/mlstm.h"

#include <cmath>

#include "core/error.h"
#include "kernels/inference.h"
#include "kernels/recurrence.h"
#include "layers/elementwise.h"
#include "layers/grid.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(MlstmOptions, dim, heads, inner, block, kernel, grid, reverse, bias, norm_bias, chunk)
TESSERA_OPTIONS(XlstmLayerOptions, dim, heads, key_dim, value_dim, gate_cap, bias, eps, chunk)

namespace {

const MixerRegistration<MlstmMixer, MlstmOptions> mlstm_kind("mlstm");
const MixerRegistration<XlstmMixer, XlstmLayerOptions> xlstm_kind("xlstm");

/// B x L x (heads d) -> B x heads x L x d.
Tensor by_head(const Tensor& x, int64_t heads) { return x.reshape({x.size(0), x.size(1), heads, -1}).transpose(1, 2); }
Tensor joined_heads(const Tensor& x) { return x.transpose(1, 2).flatten(2); }

/// What the queries of a chunk give to its values, and in which scale.
struct ChunkWeights {
  Tensor scores;  ///< B x heads x L x L
  Tensor sum;     ///< of each query's scores, B x heads x L
  Tensor m;       ///< B x heads x L
};

/// @param kept    B x heads x L, of what was there before the chunk: the logarithm
/// @param before  B x heads, the scale of the memory
ChunkWeights weigh(const MlstmInputs& in, const Tensor& kept, const Tensor& before) {
  const Tensor entered = in.input - kept, products = torch::matmul(in.q, in.k.transpose(-2, -1));
  if (for_inference({products, entered, before})) {
    const DecayedScores decayed = decay_scores(products, entered, before);
    return {products, decayed.sums, kept + decayed.tops};
  }
  const int64_t length = in.q.size(2);
  const Tensor later = torch::ones({length, length}, kept.options().dtype(torch::kBool).requires_grad(false)).triu(1);
  const Tensor decay = (kept.unsqueeze(3) + entered.unsqueeze(2)).masked_fill(later, -INFINITY);  // B x heads x L x L
  // The scale cancels, so that no gradient needs to pass through it.
  const Tensor m = torch::maximum(decay.amax(-1), kept + before.unsqueeze(-1)).detach();
  const Tensor scores = products * torch::exp(decay - m.unsqueeze(-1));
  return {scores, scores.sum(-1), m};
}

/// The memory behind a chunk.
void remember(const MlstmInputs& in, const Tensor& kept, MlstmState& state) {
  const Tensor last = kept.select(2, kept.size(2) - 1);          // B x heads
  const Tensor gained = last.unsqueeze(-1) + (in.input - kept);  // B x heads x L
  const Tensor scale = torch::maximum(gained.amax(-1), last + state.m).detach();
  const Tensor keys = in.k * torch::exp(gained - scale.unsqueeze(-1)).unsqueeze(-1);  // B x heads x L x d
  const Tensor values = torch::matmul(keys.transpose(-2, -1), in.v), old = torch::exp(last + state.m - scale);
  state.c = state.c.defined() ? state.c * old.unsqueeze(-1).unsqueeze(-1) + values : values;
  state.n = state.n.defined() ? state.n * old.unsqueeze(-1) + keys.sum(2) : keys.sum(2);
  state.m = scale;
}

/// What the next chunk reads, from itself and `state`.
Tensor one_chunk(const MlstmInputs& in, const Tensor& kept, const MlstmState& state, double eps) {
  const ChunkWeights weights = weigh(in, kept, state.m);
  Tensor sum = weights.sum, read = torch::matmul(weights.scores, in.v);  // B x heads x L x e
  if (state.c.defined()) {
    const Tensor carried = in.q * torch::exp(kept + state.m.unsqueeze(-1) - weights.m).unsqueeze(-1);
    sum = sum + torch::matmul(carried, state.n.unsqueeze(-1)).squeeze(-1);
    read = read + torch::matmul(carried, state.c);
  }
  return read / (torch::maximum(sum.abs(), torch::exp(-weights.m)) + eps).unsqueeze(-1);
}

}  // namespace

Tensor mlstm(const MlstmInputs& in, const Tensor& real, MlstmState* state, const MlstmForm& form) {
  const int64_t batch = in.q.size(0), heads = in.q.size(1), length = in.q.size(2), width = in.q.size(3);
  MlstmState own;
  MlstmState& memory = state ? *state : own;
  if (!memory.m.defined()) memory.m = torch::zeros({batch, heads}, in.q.options().requires_grad(false));
  Tensor input = in.input, log_forget = torch::log_sigmoid(in.forget);
  if (real.defined()) {
    const Tensor padding = real.to(torch::kBool).logical_not().unsqueeze(1);  // B x 1 x L
    input = input.masked_fill(padding, -1e9), log_forget = log_forget.masked_fill(padding, 0);
  }
  const Tensor k = in.k / std::sqrt(static_cast<double>(width));
  const int64_t step = form.chunk > 0 ? form.chunk : length;
  std::vector<Tensor> pieces;
  for (int64_t at = 0; at < length; at += step) {
    const int64_t count = std::min(step, length - at);
    const auto cut = [&](const Tensor& x) { return x.narrow(2, at, count); };
    const MlstmInputs piece{cut(in.q), cut(k), cut(in.v), cut(input), {}};
    const Tensor kept = cut(log_forget).cumsum(-1);  // B x heads x L
    pieces.push_back(one_chunk(piece, kept, memory, form.eps));
    if (state || at + count < length) remember(piece, kept, memory);
  }
  return pieces.size() == 1 ? pieces[0] : torch::cat(pieces, 2);
}

MlstmMixer::MlstmMixer(const MlstmOptions& options) : options_(options) {
  auto& o = options_;
  if (o.inner <= 0) o.inner = 2 * o.dim;
  if (o.block < 1 || o.inner % o.block != 0)
    throw Error("blocks of " + std::to_string(o.block) + " do not divide " + std::to_string(o.inner) + " channels",
                "mlstm: block");
  up_ = add<Linear>("up", o.dim, 2 * o.inner, o.bias);
  if (o.grid)
    grid_convolution_ = add<Convolution>("convolution", ConvolutionOptions{.in = o.inner,
                                                                           .out = o.inner,
                                                                           .kernel_height = o.kernel,
                                                                           .kernel_width = o.kernel,
                                                                           .padding = o.kernel / 2,
                                                                           .groups = o.inner});
  else
    convolution_ = add<CausalConvolution>("convolution", o.inner, o.kernel, true);
  const int64_t blocks = o.inner / o.block;
  q_ = add<HeadwiseLinear>("q", o.inner, blocks, o.bias);
  k_ = add<HeadwiseLinear>("k", o.inner, blocks, o.bias);
  v_ = add<HeadwiseLinear>("v", o.inner, blocks, o.bias);
  gates_ = add<Linear>("gates", 3 * o.inner, 2 * o.heads);
  norm_ = add<HeadNorm>("norm", o.inner, o.heads, 1e-5, true, o.norm_bias);
  skip_ = ones("skip", {o.inner});
  down_ = add<Linear>("down", o.inner, o.dim, o.bias);
  // At first nothing is forgotten soon, and nothing of a token decides on it (Beck et al., 2024).
  const torch::NoGradGuard no_grad;
  gates_->weight.zero_();
  gates_->bias.narrow(0, o.heads, o.heads).copy_(torch::linspace(3, 6, o.heads));
}

std::shared_ptr<State> MlstmMixer::start() const {
  return options_.reverse || options_.grid ? nullptr : std::make_shared<MlstmState>();
}

Tensor MlstmMixer::forward(const Tokens& tokens) {
  if (!options_.reverse) return tap(*this, mix(tokens, nullptr));
  Tokens flipped = tokens.with(tokens.x.flip(1));
  if (tokens.mask.defined()) flipped.mask = tokens.mask.flip(1);
  std::swap(flipped.prefix, flipped.suffix);
  return tap(*this, mix(flipped, nullptr).flip(1));
}

Tensor MlstmMixer::step(const Tokens& tokens, State& state) {
  return tap(*this, mix(tokens, &dynamic_cast<MlstmState&>(state)));
}

Tensor MlstmMixer::convolved(const Tokens& tokens, MlstmState* state) {
  if (!grid_convolution_) return convolution_->forward(tokens.x, tokens.mask, state ? &state->convolution : nullptr);
  return with_map(tokens, grid_convolution_->forward(as_map(tokens))).x;
}

Tensor MlstmMixer::mix(const Tokens& tokens, MlstmState* state) {
  const auto branches = up_->forward(tokens.x).chunk(2, -1);
  Tensor inner = branches[0];  // B x L x inner
  if (tokens.mask.defined()) inner = inner * tokens.mask.unsqueeze(-1);
  const Tensor smooth = elementwise::silu(convolved(tokens.with(inner), state));
  const Tensor q = q_->forward(smooth), k = k_->forward(smooth), v = v_->forward(inner);
  const auto gates = gates_->forward(torch::cat({q, k, v}, -1)).transpose(1, 2).chunk(2, 1);  // B x heads x L
  const int64_t heads = options_.heads;
  const Tensor h = mlstm({by_head(q, heads), by_head(k, heads), by_head(v, heads), gates[0], gates[1]}, tokens.mask,
                         state, {.chunk = options_.chunk});
  const Tensor normed = norm_->forward(joined_heads(h));
  return down_->forward((normed + skip_ * smooth) * elementwise::silu(branches[1]));
}

XlstmMixer::XlstmMixer(const XlstmLayerOptions& options) : options_(options) {
  auto& o = options_;
  if (o.key_dim <= 0) o.key_dim = o.dim / 2;
  if (o.value_dim <= 0) o.value_dim = o.dim;
  if (o.heads < 1 || o.key_dim % o.heads != 0 || o.value_dim % o.heads != 0)
    throw Error("keys of " + std::to_string(o.key_dim) + " and values of " + std::to_string(o.value_dim) +
                    " channels cannot be split into " + std::to_string(o.heads) + " heads",
                "xlstm");
  q_ = add<Linear>("q", o.dim, o.key_dim, o.bias);
  k_ = add<Linear>("k", o.dim, o.key_dim, o.bias);
  v_ = add<Linear>("v", o.dim, o.value_dim, o.bias);
  gates_ = add<Linear>("gates", o.dim, 2 * o.heads);
  output_gate_ = add<Linear>("output_gate", o.dim, o.value_dim, o.bias);
  norm_ = add<HeadNorm>("norm", o.value_dim, o.heads, o.eps, false, o.bias);
  proj_ = add<Linear>("proj", o.value_dim, o.dim, o.bias);
}

Tensor XlstmMixer::mix(const Tokens& tokens, MlstmState* state) {
  const auto& o = options_;
  const Tensor capped = torch::tanh(gates_->forward(tokens.x) / o.gate_cap) * o.gate_cap;
  const auto gates = capped.transpose(1, 2).chunk(2, 1);  // B x heads x L
  const auto heads = [&](Linear& part) { return by_head(part.forward(tokens.x), o.heads); };
  const Tensor h = mlstm({heads(*q_), heads(*k_), heads(*v_), gates[0], gates[1]}, tokens.mask, state,
                         {.chunk = o.chunk, .eps = o.eps});
  const Tensor gate = elementwise::sigmoid(output_gate_->forward(tokens.x));
  return tap(*this, proj_->forward(gate * norm_->forward(joined_heads(h))));
}

}  // namespace tessera
