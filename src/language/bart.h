#pragma once
#include "io/published_config.h"
#include "language/encoder_decoder.h"
#include "layers/family.h"

namespace tessera {

/// BART (Lewis et al., 2019): an encoder and a decoder of post-norm blocks with learned positions, a norm of the
/// embeddings, and the token table as head.
struct BartOptions {
  int64_t vocabulary = 50265, dim = 1024, context = 1024;
  int64_t position_offset = 2;  ///< rows of the position tables before the first position
  int64_t encoder_depth = 12, encoder_heads = 16, encoder_ffn = 4096;
  int64_t decoder_depth = 12, decoder_heads = 16, decoder_ffn = 4096;
  std::string activation = "gelu";
  double eps = 1e-5, dropout = 0;
  bool scaled_words = false;  ///< token vectors are multiplied by sqrt(dim)
  bool logits_bias = true;    ///< a vector beside the weights, not learned, is added to the logits
  int64_t start_id = 2;       ///< the token that the decoder begins with
};
TESSERA_OPTIONS(BartOptions, vocabulary, dim, context, position_offset, encoder_depth, encoder_heads, encoder_ffn,
                decoder_depth, decoder_heads, decoder_ffn, activation, eps, dropout, scaled_words, logits_bias,
                start_id)

/// The blocks of an encoder that reads token vectors. Positions count from the first real token.
class BartEncoder : public Module {
 public:
  explicit BartEncoder(const BartOptions& options);
  /// @throws Error when there are more tokens than positions
  Tokens forward(Tokens tokens);

 private:
  BartOptions options_;
  std::shared_ptr<Embedding> positions_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<ModuleList<Block>> blocks_;
};

class Bart : public EncoderDecoder {
 public:
  explicit Bart(const BartOptions& options);

  Tokens encode_embedded(const Tokens& embedded) override { return encoder_->forward(embedded); }
  Tensor embed(const Tensor& ids) override;
  Tokens hidden(const Tokens& embedded, LanguageState* state) override;
  Tensor logits(const Tensor& hidden) override;
  int64_t width() const override { return options_.dim; }
  int64_t vocabulary() const override { return options_.vocabulary; }
  int64_t context() const override { return options_.context; }
  int64_t start_id() const override { return options_.start_id; }

 private:
  BartOptions options_;
  std::shared_ptr<Embedding> words_, positions_;
  std::shared_ptr<BartEncoder> encoder_;
  std::shared_ptr<Norm> norm_;
  Tensor logits_bias_;  // vocabulary, a buffer
};

/// Reads the keys of BART's config, all but done().
BartOptions read_bart(PublishedConfig& config);
/// The published names of the encoder and the decoder, without those of the head.
NameTable bart_names();

}  // namespace tessera
