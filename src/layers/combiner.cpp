#include "layers/combiner.h"

#include <bit>
#include <cmath>

#include "core/error.h"
#include "layers/mixers.h"

namespace tessera {

TESSERA_OPTIONS(CombinerOptions, dim, heads, head_dim, segment, causal, qkv_bias, proj_bias, summary, length, eps)

namespace {

struct FixedCombiner : Combiner {
  explicit FixedCombiner(const CombinerOptions& options) : Combiner(options, "fixed") {}
};
struct AxialCombiner : Combiner {
  explicit AxialCombiner(const CombinerOptions& options) : Combiner(options, "axial") {}
};
struct LogsparseCombiner : Combiner {
  explicit LogsparseCombiner(const CombinerOptions& options) : Combiner(options, "logsparse") {}
};
struct MixtureCombiner : Combiner {
  explicit MixtureCombiner(const CombinerOptions& options) : Combiner(options, "mixture") {}
};
const MixerRegistration<FixedCombiner, CombinerOptions> fixed_kind("combiner-fixed");
const MixerRegistration<AxialCombiner, CombinerOptions> axial_kind("combiner-axial");
const MixerRegistration<LogsparseCombiner, CombinerOptions> logsparse_kind("combiner-logsparse");
const MixerRegistration<MixtureCombiner, CombinerOptions> mixture_kind("combiner-mixture");

// Tensors are B x heads x rows x W x d: b h i w d. A second row or column index is j or u.
constexpr const char* kRowLogits = "bhiwd,bhiud->bhiwu";     // with the tokens of the own row
constexpr const char* kColumnLogits = "bhiwd,bhjwd->bhiwj";  // with the tokens of the own column
constexpr const char* kRowValues = "bhiwu,bhiud->bhiwd";
constexpr const char* kColumnValues = "bhiwj,bhjwd->bhiwd";
constexpr double kHidden = -1e9;  // large and finite: where all is hidden, all counts alike

Tensor product(const char* equation, const Tensor& a, const Tensor& b) { return torch::einsum(equation, {a, b}); }

/// n x n: hides what is at or behind the own place (the own one stays visible where `inclusive`), or with `later` what
/// is at or before it.
Tensor hide(int64_t n, bool inclusive, const Tensor& like, bool later = false) {
  const Tensor all = torch::full({n, n}, kHidden, like.options().requires_grad(false));
  return later ? all.tril(inclusive ? -1 : 0) : all.triu(inclusive ? 1 : 0);
}
/// The same as n x 1 x n, for logits whose last index is a row.
Tensor hide_rows(int64_t n, const Tensor& like) { return hide(n, false, like).unsqueeze(1); }

/// One softmax over several groups of logits, each with its values, which `of` reports as its "weights".
class JointSoftmax {
 public:
  explicit JointSoftmax(const Module& of) : of_(of) {}
  void add(const Tensor& logits, const char* equation, const Tensor& values) {
    logits_.push_back(logits), equations_.push_back(equation), values_.push_back(values);
    sizes_.push_back(logits.size(-1));
  }
  Tensor mixed() const {
    const auto weights = tap(of_, torch::cat(logits_, -1).softmax(-1), "weights").split_with_sizes(sizes_, -1);
    Tensor sum = product(equations_[0], weights[0], values_[0]);
    for (size_t i = 1; i < weights.size(); ++i) sum = sum + product(equations_[i], weights[i], values_[i]);
    return sum;
  }

 private:
  const Module& of_;
  std::vector<Tensor> logits_, values_;
  std::vector<const char*> equations_;
  std::vector<int64_t> sizes_;
};

/// What the queries of summaries attend to in their spans.
Tensor attended(const char* logits, const char* values, const Tensor& q, const Tensor& k, const Tensor& v,
                const Tensor& hidden = {}) {
  const Tensor scores = product(logits, q, k);
  return product(values, (hidden.defined() ? scores + hidden : scores).softmax(-1), v);
}

/// For each place along an axis, the maximum (or the sum) of all before it, zero for the first; from the end where
/// `reversed`.
Tensor before(const Tensor& x, int64_t axis, bool reversed, bool maximum) {
  const Tensor forward = reversed ? x.flip(axis) : x;
  const Tensor until = maximum ? std::get<0>(forward.cummax(axis)) : forward.cumsum(axis);
  const Tensor shifted =
      torch::cat({torch::zeros_like(until.narrow(axis, 0, 1)), until.narrow(axis, 0, until.size(axis) - 1)}, axis);
  return reversed ? shifted.flip(axis) : shifted;
}

}  // namespace

Combiner::Combiner(const CombinerOptions& options, const std::string& pattern)
    : RereadingMixer(options.causal), options_(options), pattern_(pattern) {
  const auto& o = options_;
  if (o.heads < 1 || (o.head_dim < 1 && o.dim % o.heads != 0))
    throw Error("width " + std::to_string(o.dim) + " cannot be split into " + std::to_string(o.heads) + " heads",
                "combiner");
  check_choice(o.summary, {"max", "relu-sum"}, "combiner: summary");
  if (!o.causal && (pattern == "axial" || pattern == "logsparse"))
    throw Error("the pattern '" + pattern + "' is causal", "combiner", "choose combiner-fixed or combiner-mixture");
  width_ = o.head_dim > 0 ? o.head_dim : o.dim / o.heads;
  qkv_ = add<Linear>("qkv", o.dim, 3 * o.heads * width_, o.qkv_bias);
  proj_ = add<Linear>("proj", o.heads * width_, o.dim, o.proj_bias);
  if (pattern == "axial") {
    summary_out_ = add<Linear>("summary_out", o.heads * width_, o.dim, false);
    summary_norm_ = add<Norm>("summary_norm", o.dim, o.eps);
    summary_key_ = add<Linear>("summary_key", o.dim, o.heads * width_, false);
  }
}

int64_t Combiner::segment(const Tokens& tokens) const {
  const int64_t length = tokens.x.size(1);
  if (pattern_ == "logsparse") return length;
  const bool whole = tokens.grid.size() == 2 && tokens.prefix == 0 && tokens.suffix == 0;
  const int64_t size = options_.segment > 0 ? options_.segment : whole ? tokens.grid[1] : 0;
  if (size < 1)
    throw Error("has no segment: the tokens fill no grid whose rows would be one", "combiner", "give \"segment\"");
  if (!causal() && length % size != 0)
    throw Error(std::to_string(length) + " tokens are no multiple of a segment of " + std::to_string(size), "combiner",
                "choose another segment, and leave out tokens beside the grid");
  return size;
}

Tensor Combiner::mix(const Tokens& tokens) {
  const int64_t batch = tokens.x.size(0), length = tokens.x.size(1), side = segment(tokens);
  const int64_t rows = (length + side - 1) / side;
  // A last segment that is not full is read by no earlier one.
  const Tensor x = torch::constant_pad_nd(tokens.x, {0, 0, 0, rows * side - length});
  const Tensor qkv = qkv_->forward(x).view({batch, rows, side, 3, options_.heads, width_}).permute({3, 0, 4, 1, 2, 5});
  const Tensor q = qkv[0] / std::sqrt(static_cast<double>(width_)), k = qkv[1], v = qkv[2];  // B x heads x rows x W x d
  const Tensor mixed = pattern_ == "fixed"       ? fixed(q, k, v)
                       : pattern_ == "axial"     ? axial(q, k, v, x)
                       : pattern_ == "logsparse" ? logsparse(q, k, v)
                                                 : mixture(q, k, v);
  const Tensor context = mixed.permute({0, 2, 3, 1, 4}).reshape({batch, rows * side, -1});
  return proj_->forward(tap(*this, context.narrow(1, 0, length), "context"));
}

Tensor Combiner::fixed(const Tensor& q, const Tensor& k, const Tensor& v) const {
  const auto summary = [&](const Tensor& x) { return options_.summary == "max" ? x.amax(3) : torch::relu(x).sum(3); };
  const Tensor key = summary(k), value = attended("bhid,bhiud->bhiu", "bhiu,bhiud->bhid", summary(q), k, v);
  Tensor own = product(kRowLogits, q, k), others = product("bhiwd,bhjd->bhiwj", q, key);
  if (causal()) own = own + hide(q.size(3), true, q), others = others + hide_rows(q.size(2), q);
  JointSoftmax joint(*this);
  joint.add(own, kRowValues, v);
  joint.add(others, "bhiwj,bhjd->bhiwd", value);
  return joint.mixed();
}

Tensor Combiner::axial(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& x) {
  const Tensor row = product(kRowLogits, q, k), value = product(kRowValues, row.softmax(-1), v);
  const Tensor read = value.permute({0, 2, 3, 1, 4}).reshape({x.size(0), x.size(1), -1});
  const Tensor key = summary_key_->forward(summary_norm_->forward(summary_out_->forward(read) + x))
                         .view({q.size(0), q.size(2), q.size(3), q.size(1), q.size(4)})
                         .permute({0, 3, 1, 2, 4});
  JointSoftmax joint(*this);
  joint.add(row + hide(q.size(3), true, q), kRowValues, v);
  joint.add(product(kColumnLogits, q, key) + hide_rows(q.size(2), q), kColumnValues, value);
  return joint.mixed();
}

Tensor Combiner::logsparse(const Tensor& q, const Tensor& k, const Tensor& v) const {
  constexpr const char* kOne = "bhiwu,bhiwd->bhiwd";  // each token has a value of its own
  const int64_t length = q.size(3), longest = (options_.length > 0 ? options_.length : length) - 1;
  const auto bits = static_cast<int64_t>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(longest, 0))));
  const bool power = longest > 0 && std::has_single_bit(static_cast<uint64_t>(longest));
  const int64_t levels = options_.length > 0 && power ? bits - 1 : bits;
  const Tensor at = torch::arange(length, q.options().dtype(torch::kInt64).requires_grad(false));
  JointSoftmax joint(*this);
  joint.add((q * k).sum(-1, true), kOne, v);
  for (int64_t level = 0; level < levels; ++level) {
    const int64_t span = int64_t{1} << level, spans = (length + span - 1) / span;
    const auto cut = [&](const Tensor& x) {
      return torch::constant_pad_nd(x, {0, 0, 0, spans * span - length})
          .reshape({x.size(0), x.size(1), spans, span, x.size(4)});
    };
    const Tensor keys = cut(k);
    const Tensor value = attended("bhid,bhiud->bhiu", "bhiu,bhiud->bhid", cut(q).amax(3), keys, cut(v));
    const Tensor left = torch::floor_divide(at, span) - 1, none = left.lt(0) | left.remainder(2).ne(0);
    const auto own = [&](const Tensor& x) { return x.index_select(2, left.clamp_min(0)).unsqueeze(2); };  // b h 1 w d
    joint.add((q * own(keys.amax(3))).sum(-1, true).masked_fill(none.unsqueeze(-1), kHidden), kOne, own(value));
  }
  return joint.mixed();
}

Tensor Combiner::mixture(const Tensor& q, const Tensor& k, const Tensor& v) const {
  const int64_t rows = q.size(2), columns = q.size(3);
  const Tensor earlier = hide_rows(rows, q);
  JointSoftmax joint(*this);
  const Tensor row = product(kRowLogits, q, k), column = product(kColumnLogits, q, k);
  joint.add(causal() ? row + hide(columns, true, q) : row, kRowValues, v);
  joint.add(causal() ? column + earlier : column, kColumnValues, v);
  for (const bool reversed : {false, true}) {
    if (reversed && causal()) continue;  // the rows below
    const Tensor hidden = hide(rows, false, q, reversed).unsqueeze(1);
    const Tensor value = attended(kColumnLogits, kColumnValues, before(q, 2, reversed, causal()), k, v, hidden);
    Tensor logits = product(kRowLogits, q, before(k, 2, reversed, causal()));
    if (causal()) {
      logits = logits + torch::eye(columns, earlier.options()) * kHidden;  // the own column is read token by token
      logits = torch::cat({logits.narrow(2, 0, 1) + kHidden, logits.narrow(2, 1, rows - 1)}, 2);
    }
    joint.add(logits, kRowValues, value);
  }
  for (const bool reversed : {false, true}) {
    const Tensor value =
        attended(kRowLogits, kRowValues, before(q, 3, reversed, causal()), k, v, hide(columns, false, q, reversed));
    Tensor logits = product(kColumnLogits, q, before(k, 3, reversed, causal()));
    if (causal()) {
      const Tensor edge =
          torch::arange(columns, earlier.options()).eq(reversed ? columns - 1 : 0);  // nothing beside it
      logits = logits + earlier + edge.unsqueeze(-1) * kHidden;
    }
    joint.add(logits, kColumnValues, value);
  }
  return joint.mixed();
}

}  // namespace tessera
