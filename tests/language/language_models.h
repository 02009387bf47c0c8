#pragma once
#include <functional>

#include "language/bart.h"
#include "language/decoder.h"
#include "language/mamba2.h"
#include "language/t5.h"
#include "layers/promises.h"

namespace tessera::testing {

/// A small language model of a kind, with drawn weights, and the state that it begins a batch with.
struct Subject {
  std::string name;
  std::shared_ptr<LanguageModel> model;
  /// Of rows 0 ... batch - 1; a model that reads a source reads another one in each row.
  std::function<LanguageState(int64_t batch)> start;
};

inline Subject subject(const std::string& name, std::shared_ptr<LanguageModel> model) {
  randomise(*model);
  model->eval();
  return {name, model, [model](int64_t) { return model->start(); }};
}

inline DecoderOptions small_decoder() {
  DecoderOptions o;
  o.vocabulary = 50, o.dim = 16, o.depth = 2, o.heads = 4, o.ffn = 24, o.context = 32;
  return o;
}

inline DecoderOptions small_llama() {
  DecoderOptions o = small_decoder();
  o.kv_heads = 2, o.head_dim = 6, o.positions = "rotary", o.activation = "silu", o.gated = true, o.norm = "rms";
  o.qkv_bias = o.proj_bias = o.ffn_bias = o.tied = false;
  return o;
}

inline DecoderOptions small_gemma2() {
  DecoderOptions o = small_llama();
  o.norm = "zero-centred-rms", o.activation = "gelu_pytorch_tanh", o.sandwich_norm = true, o.tied = true;
  o.windows = {3, 0}, o.scale = 0.3, o.attention_cap = 2, o.logit_cap = 3, o.embedding_scale = 4;
  return o;
}

inline Mamba2Options small_mamba2() {
  Mamba2Options o;
  o.vocabulary = 50, o.dim = 16, o.depth = 2, o.heads = 4, o.head_dim = 8, o.state = 6, o.groups = 2, o.chunk = 4;
  return o;
}

inline T5Options small_t5() {
  T5Options o;
  o.vocabulary = 50, o.dim = 16, o.head_dim = 6, o.heads = 4, o.ffn = 24, o.encoder_depth = 2, o.decoder_depth = 2;
  o.buckets = 8, o.distance = 10, o.gated = true;
  return o;
}

inline BartOptions small_bart() {
  BartOptions o;
  o.vocabulary = 50, o.dim = 16, o.context = 32, o.encoder_depth = 1, o.encoder_heads = 2, o.encoder_ffn = 20;
  o.decoder_depth = 2, o.decoder_heads = 4, o.decoder_ffn = 24, o.scaled_words = true;
  return o;
}

/// A model that reads a source: another one, of another length, in each row.
inline Subject source_subject(const std::string& name, std::shared_ptr<EncoderDecoder> model) {
  Subject result = subject(name, model);
  result.start = [model](int64_t batch) {
    at::manual_seed(17);
    const Tensor ids = torch::randint(2, 50, {8, 7}, torch::kInt64);
    const Tensor mask = torch::arange(7).unsqueeze(0).lt(torch::arange(4, 8).repeat({2}).unsqueeze(1));
    return model->start(model->encode({ids.narrow(0, 0, batch), mask.narrow(0, 0, batch), {}}));
  };
  return result;
}

/// True where each row reads a source of its own, so that a state is made for just these rows.
inline bool reads_source(const Subject& subject) {
  return dynamic_cast<const EncoderDecoder*>(subject.model.get()) != nullptr;
}

/// One of every kind of language model, and of every kind of position.
inline std::vector<Subject> subjects() {
  DecoderOptions gpt2 = small_decoder(), opt = small_decoder(), alibi = small_decoder(), llama = small_llama();
  gpt2.scale_by_layer = true;
  opt.post_norm = true, opt.embedding_dim = 10, opt.position_offset = 2, opt.activation = "relu";
  alibi.positions = "alibi", alibi.heads = 2;
  DecoderOptions yarn = llama, window = llama;
  yarn.rotary.scaling = "yarn", yarn.rotary.factor = 4, yarn.rotary.original_length = 8, yarn.rotary.fraction = 2.0 / 3;
  window.windows = {3, 0}, window.qkv_bias = true, window.rotary.adjacent = true;
  return {subject("gpt2", std::make_shared<Decoder>(gpt2)),
          subject("opt", std::make_shared<Decoder>(opt)),
          subject("alibi", std::make_shared<Decoder>(alibi)),
          subject("llama", std::make_shared<Decoder>(llama)),
          subject("yarn", std::make_shared<Decoder>(yarn)),
          subject("window", std::make_shared<Decoder>(window)),
          subject("gemma2", std::make_shared<Decoder>(small_gemma2())),
          subject("mamba2", std::make_shared<Mamba2>(small_mamba2())),
          source_subject("t5", std::make_shared<T5>(small_t5())),
          source_subject("bart", std::make_shared<Bart>(small_bart()))};
}

inline Tensor some_ids(int64_t batch, int64_t length) {
  at::manual_seed(23);
  return torch::randint(2, 50, {8, 16}, torch::kInt64).narrow(0, 0, batch).narrow(1, 0, length);
}

}  // namespace tessera::testing
