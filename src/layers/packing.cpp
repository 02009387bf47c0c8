#include "layers/packing.h"

namespace tessera {
namespace {

torch::Tensor gathered(const torch::Tensor& x, const torch::Tensor& order) {
  return x.gather(1, order.unsqueeze(-1).expand({-1, -1, x.size(2)}));
}

}  // namespace

Packing::Packing(const Tokens& tokens) {
  if (!tokens.mask.defined()) return;
  real_ = tokens.mask.to(torch::kBool);
  const int64_t length = real_.size(1);
  const torch::Tensor place = torch::arange(length, real_.options().dtype(torch::kInt64));
  order_ = (real_.logical_not().to(torch::kInt64) * length + place).argsort(int64_t{1}, false);
}

Tokens Packing::pack(const Tokens& tokens) const {
  if (!real_.defined()) return tokens;
  Tokens packed = tokens.with(gathered(tokens.x * real_.unsqueeze(-1), order_));
  if (tokens.ids.defined()) packed.ids = tokens.ids.masked_fill(real_.logical_not(), -1).gather(1, order_);
  packed.mask = real_.gather(1, order_);
  return packed;
}

torch::Tensor Packing::unpack(const torch::Tensor& x) const {
  return real_.defined() ? gathered(x, order_.argsort(int64_t{1}, false)) : x;
}

}  // namespace tessera
