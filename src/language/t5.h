#pragma once
#include "language/encoder_decoder.h"
#include "layers/position_bias.h"

namespace tessera {

/// T5 (Raffel et al., 2019), its version 1.1, mT5 (Xue et al., 2020): an encoder and a decoder whose attention knows
/// distances by a learned bias that its layers share; scores are not scaled, nothing has a bias, norms are RMS.
struct T5Options {
  int64_t vocabulary = 32128, dim = 512, head_dim = 64, heads = 8, ffn = 2048;
  int64_t encoder_depth = 6, decoder_depth = 6;
  int64_t buckets = 32, distance = 128;
  std::string activation = "relu";
  bool gated = false;
  bool tied = true;  ///< the head is the token table, and hidden states are multiplied by dim^-0.5 before it
  double eps = 1e-6, dropout = 0;
  int64_t start_id = 0;  ///< the token that the decoder begins with
};
TESSERA_OPTIONS(T5Options, vocabulary, dim, head_dim, heads, ffn, encoder_depth, decoder_depth, buckets, distance,
                activation, gated, tied, eps, dropout, start_id)

/// The blocks of an encoder that reads token vectors.
class T5Encoder : public Module {
 public:
  explicit T5Encoder(const T5Options& options);
  Tokens forward(Tokens tokens);

 private:
  std::shared_ptr<RelativeBias> distances_;
  std::shared_ptr<ModuleList<Block>> blocks_;
  std::shared_ptr<Norm> norm_;
};

class T5 : public EncoderDecoder {
 public:
  explicit T5(const T5Options& options);

  Tokens encode_embedded(const Tokens& embedded) override;
  Tensor embed(const Tensor& ids) override;
  Tokens hidden(const Tokens& embedded, LanguageState* state) override;
  Tensor logits(const Tensor& hidden) override;
  int64_t width() const override { return options_.dim; }
  int64_t vocabulary() const override { return options_.vocabulary; }
  int64_t context() const override { return 0; }  // distances have no end
  int64_t start_id() const override { return options_.start_id; }

 private:
  T5Options options_;
  std::shared_ptr<Embedding> words_;
  std::shared_ptr<T5Encoder> encoder_;
  std::shared_ptr<RelativeBias> distances_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<Linear> head_;
};

}  // namespace tessera
