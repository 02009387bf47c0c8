#pragma once
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/rereading.h"

namespace tessera {

struct CombinerOptions {
  int64_t dim = 768, heads = 12, head_dim = 0;  ///< head_dim 0: dim / heads
  int64_t segment = 0;                          ///< tokens of a segment, or of a row; 0: a row of the tokens' grid
  bool causal = false;
  bool qkv_bias = false, proj_bias = false;
  std::string summary = "max";  ///< of queries and keys of a segment: "max", or "relu-sum" (fixed alone)
  int64_t length = 0;  ///< logsparse: spans are as long as sequences of this length need (the official rule leaves one
                       ///< out where it is a power of two and one); 0: as long as the sequence needs
  double eps = 1e-6;   ///< of the norm of axial summaries
};

/// Combiner (Ren et al., 2021): attention to all tokens, to few of them by themselves and to the others through
/// summaries of spans, in one softmax over both, at a cost of L sqrt(L) or L log(L). A summary has the query and the
/// key of its span, and its value is what that query attends to there. The patterns:
///   fixed      the token's own segment, and a summary of each (earlier) segment
///   axial      its row, and of each earlier row the summary that its column has there; causal
///   logsparse  itself, and spans of 1, 2, 4, ... tokens before it; causal
///   mixture    its row, its column, and summaries of every other column and of both sides of every other row
/// Where it is not causal, summaries are sums instead of maxima in "mixture", and the length must be a multiple of the
/// segment.
class Combiner : public RereadingMixer {
 public:
  Combiner(const CombinerOptions& options, const std::string& pattern);

 protected:
  Tensor mix(const Tokens& tokens) override;

 private:
  int64_t segment(const Tokens& tokens) const;
  Tensor fixed(const Tensor& q, const Tensor& k, const Tensor& v) const;
  Tensor axial(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& x);
  Tensor logsparse(const Tensor& q, const Tensor& k, const Tensor& v) const;
  Tensor mixture(const Tensor& q, const Tensor& k, const Tensor& v) const;

  CombinerOptions options_;
  std::string pattern_;
  int64_t width_;
  std::shared_ptr<Linear> qkv_, proj_, summary_out_, summary_key_;
  std::shared_ptr<Norm> summary_norm_;
};

}  // namespace tessera
