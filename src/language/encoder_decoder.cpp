#include "language/encoder_decoder.h"

namespace tessera {

EncoderDecoder::EncoderDecoder() {
  self_ = add<ModuleList<Block>>("self");
  cross_ = add<ModuleList<Block>>("cross");
}

void EncoderDecoder::append_layer(const BlockOptions& block, std::shared_ptr<Mixer> self,
                                  const CrossAttentionOptions& reader, std::shared_ptr<FeedForward> ffn) {
  self_->append(block, std::move(self), nullptr);
  readers_.push_back(std::make_shared<CrossAttention>(reader));
  cross_->append(block, readers_.back(), std::move(ffn));
}

Tokens EncoderDecoder::encode(const TextBatch& source) {
  Tokens tokens;
  tokens.x = embed(source.ids);
  tokens.mask = source.mask;
  return encode_embedded(tokens);
}

LanguageState EncoderDecoder::start(const Tokens& source) {
  LanguageState state;
  for (size_t i = 0; i < self_->size(); ++i) {
    state.mixers.push_back((*self_)[i].start());
    state.mixers.push_back(readers_[i]->remember(source));
  }
  state.seen = torch::zeros({source.x.size(0)}, source.x.options().dtype(torch::kInt64).requires_grad(false));
  return state;
}

LanguageState EncoderDecoder::start() const {
  throw Error("the decoder reads a source", "encoder and decoder",
              "give the text that it is to answer to encode() first");
}

Tokens EncoderDecoder::decode(Tokens tokens, LanguageState* state) {
  if (!state) start();
  for (size_t i = 0; i < self_->size(); ++i) {
    tokens = (*self_)[i].step(tokens, *state->mixers.at(2 * i));
    tokens = (*cross_)[i].step(tokens, *state->mixers.at(2 * i + 1));
  }
  return tokens;
}

Tensor EncoderDecoder::shifted(const Tensor& labels, int64_t padding_id) const {
  const Tensor first = torch::full({labels.size(0), 1}, start_id(), labels.options());
  const Tensor rest = labels.narrow(1, 0, labels.size(1) - 1);
  return torch::cat({first, rest.masked_fill(rest.eq(-100), padding_id)}, 1);
}

}  // namespace tessera
