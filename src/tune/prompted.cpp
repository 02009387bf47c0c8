#include "tune/prompted.h"

#include <algorithm>

namespace tessera {

Prompted::Prompted(std::shared_ptr<LanguageModel> model, VirtualTokens tokens)
    : model_(register_module("model", std::move(model))), tokens_(std::move(tokens)) {}

Tokens Prompted::hidden(const Tokens& embedded, LanguageState* state) {
  if (state && state->seen.defined()) return model_->hidden(embedded, state);
  const int64_t batch = embedded.x.size(0), count = tokens_.count();
  if (state || tokens_.is_prefix()) {
    LanguageState own;
    if (!state) own = model_->start(), state = &own;
    tokens_.begin(*state, batch);
    return model_->hidden(embedded, state);
  }
  // In one call: nothing is cached, so that blocks may be computed again in the backward pass.
  Tokens all = embedded;
  all.x =
      torch::cat({tokens_.vectors().unsqueeze(0).expand({batch, -1, -1}).to(embedded.x.scalar_type()), embedded.x}, 1);
  if (embedded.mask.defined())
    all.mask = torch::cat({torch::ones({batch, count}, embedded.mask.options()), embedded.mask}, 1);
  if (embedded.ids.defined()) all.ids = torch::constant_pad_nd(embedded.ids, {count, 0}, -1);
  const Tensor x = model_->hidden(all, nullptr).x;
  return embedded.with(x.narrow(1, count, x.size(1) - count));
}

bool Prompted::outgrown(int64_t seen, int64_t length) const {
  return model_->outgrown(seen + tokens_.count(), length + tokens_.count());
}

int64_t Prompted::context() const {
  return model_->context() > 0 ? std::max<int64_t>(1, model_->context() - tokens_.count()) : 0;
}

}  // namespace tessera
