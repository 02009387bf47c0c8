#include "bridges/q_former.h"

#include "layers/attention.h"
#include "layers/feed_forward.h"

namespace tessera {
namespace {

const Registration<Bridge, QFormerBridge, QFormerBridgeOptions> registration(bridges(), "q-former");

void check(const QFormerOptions& o) {
  if (o.cross_every < 1)
    throw Error("every " + std::to_string(o.cross_every) + "th layer cannot attend to the picture", "q-former",
                "cross_every is 1 or more");
}

}  // namespace

QFormerLayer::QFormerLayer(const QFormerOptions& o, bool crosses) {
  const BlockOptions block{.dim = o.dim, .eps = o.eps, .post_norm = true, .dropout = o.dropout};
  const auto ffn = [&] { return std::make_shared<Mlp>(o.dim, o.ffn, o.activation); };
  self_ =
      add<Block>("self", block, std::make_shared<Attention>(AttentionOptions{.dim = o.dim, .heads = o.heads}), nullptr);
  if (crosses) {
    reader_ = std::make_shared<CrossAttention>(
        CrossAttentionOptions{.dim = o.dim, .heads = o.heads, .source_dim = o.visual_dim});
    cross_ = add<Block>("cross", block, reader_, nullptr);
  }
  query_ = add<Block>("query", block, nullptr, ffn());
  if (o.reads_text) text_ = add<Block>("text", block, nullptr, ffn());
}

Tokens QFormerLayer::forward(const Tokens& tokens, const Tokens& visual) {
  const Tokens mixed = self_->forward(tokens);
  const int64_t words = tokens.suffix;
  Tokens queries;
  queries.x = mixed.body();
  if (cross_) queries = cross_->step(queries, *reader_->remember(visual));
  queries = query_->forward(queries);
  if (words == 0) return mixed.with(tap(*this, queries.x));
  Tokens text;
  text.x = mixed.x.narrow(1, mixed.x.size(1) - words, words);
  return mixed.with(tap(*this, torch::cat({queries.x, text_->forward(text).x}, 1)));
}

QFormer::QFormer(const QFormerOptions& options) : options_(options) {
  const auto& o = options_;
  check(o);
  if (o.reads_text) {
    words_ = add<Embedding>("words", o.vocabulary, o.dim);
    positions_ = add<Embedding>("positions", o.positions, o.dim);
  }
  norm_ = add<Norm>("norm", o.dim, o.eps);
  layers_ = add<ModuleList<QFormerLayer>>("layers");
  for (int64_t i = 0; i < o.depth; ++i) layers_->append(o, i % o.cross_every == 0);
}

Tokens QFormer::embed(const Tensor& queries, const Tokens& visual, const TextBatch* text) {
  const int64_t pictures = visual.x.size(0);
  Tokens tokens;
  tokens.x = queries.expand({pictures, -1, -1});
  if (text) {
    check_ids(text->ids, options_.vocabulary, options_.positions);
    if (text->ids.size(0) != pictures)
      throw Error(std::to_string(text->ids.size(0)) + " instructions for " + std::to_string(pictures) + " pictures",
                  "q-former", "give one instruction beside each picture");
    const int64_t length = text->ids.size(1);
    const Tensor words = words_->forward(text->ids) + positions_->forward(torch::arange(length, text->ids.options()));
    if (text->mask.defined()) {
      const Tensor mask = text->mask.to(torch::kBool);
      tokens.mask = torch::cat({torch::ones({pictures, queries.size(1)}, mask.options()), mask}, 1);
    }
    tokens.x = torch::cat({tokens.x, words}, 1);
    tokens.suffix = length;
  }
  tokens.x = norm_->forward(tokens.x);
  if (options_.dropout > 0) tokens.x = torch::dropout(tokens.x, options_.dropout, is_training());
  return tokens;
}

Tokens QFormer::forward(const Tensor& queries, const Tokens& visual, const TextBatch* text) {
  if (options_.reads_text != (text != nullptr))
    throw Error(text ? "an instruction was given and this Q-Former reads none" : "an instruction is missing",
                "q-former", text ? "put it into the prompt" : "this Q-Former reads one beside each picture");
  if (visual.x.size(-1) != options_.visual_dim)
    throw Error("the picture's tokens have width " + std::to_string(visual.x.size(-1)) + " and not " +
                    std::to_string(options_.visual_dim),
                "q-former", "the encoder and the Q-Former do not belong together");
  Tokens tokens = embed(queries, visual, text);
  for (const auto& layer : *layers_) tokens = layer->forward(tokens, visual);
  return tokens.with(tap(*this, tokens.x));
}

QFormerBridge::QFormerBridge(const QFormerBridgeOptions& options) : options_(options) {
  const auto& o = options_;
  queries_ = weight("queries", {1, o.queries, o.former.dim});
  former_ = add<QFormer>("former", o.former);
  projection_ = add<Linear>("projection", o.former.dim, o.width);
}

Tokens QFormerBridge::forward(const Tokens& visual, const TextBatch* text) {
  Tokens result;
  result.x = tap(*this, projection_->forward(former_->forward(queries_, visual, text).body()));  // N x queries x width
  return result;
}

NameTable q_former_names(QFormerFiles files) {
  const bool lavis = files == QFormerFiles::kLavis;
  const std::string inner = lavis ? "self" : "attention";
  const std::string norm = lavis                                  ? "embeddings.LayerNorm.*"
                           : files == QFormerFiles::kInstructBlip ? "embeddings.layernorm.*"
                                                                  : "layernorm.*";
  const std::string self = "attention." + inner + ".{query|key|value}.*";
  const std::string query = "crossattention." + inner + ".query.*";
  const std::string source = "crossattention." + inner + ".{key|value}.*";
  const NameTable layer = {{
      {self.c_str(), "self.attention.qkv.*[{0|1|2}]"},
      {"attention.output.dense.*", "self.attention.proj.*"},
      {"attention.output.LayerNorm.*", "self.norm1.*"},
      {query.c_str(), "cross.attention.q.*"},
      {source.c_str(), "cross.attention.kv.*[{0|1}]"},
      {"crossattention.output.dense.*", "cross.attention.proj.*"},
      {"crossattention.output.LayerNorm.*", "cross.norm1.*"},
      {"intermediate_query.dense.*", "query.ffn.up.*"},
      {"output_query.dense.*", "query.ffn.down.*"},
      {"output_query.LayerNorm.*", "query.norm2.*"},
      {"intermediate.dense.*", "text.ffn.up.*"},
      {"output.dense.*", "text.ffn.down.*"},
      {"output.LayerNorm.*", "text.norm2.*"},
  }};
  const NameTable own = {{
      {norm.c_str(), "norm.*"},
      {"embeddings.word_embeddings.weight", "words.weight"},
      {"embeddings.position_embeddings.weight", "positions.weight"},
      {"embeddings.position_ids", ""},
  }};
  return own + layer.within("encoder.layer.{n}.", "layers.{n}.") + NameTable({}, {{"encoder.layer.{n}", "layers.{n}"}});
}

}  // namespace tessera
