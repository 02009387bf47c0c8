#include "language/bert.h"

#include "io/published_config.h"
#include "language/bert_classifier.h"
#include "layers/attention.h"
#include "layers/family.h"
#include "layers/feed_forward.h"

namespace tessera {
namespace {

const Registration<TextEncoder, Bert, BertOptions> registration(text_encoders(), "bert");

}  // namespace

Bert::Bert(const BertOptions& options) : options_(options) {
  const auto& o = options_;
  words_ = add<Embedding>("words", o.vocabulary, o.dim, 0.02, o.padding_id);
  positions_ = add<Embedding>("positions", o.positions, o.dim, 0.02, o.positions_follow_padding ? o.padding_id : -1);
  types_ = add<Embedding>("types", o.types, o.dim);
  norm_ = add<Norm>("norm", o.dim, o.eps);
  blocks_ = add<ModuleList<Block>>("blocks");
  for (int64_t i = 0; i < o.depth; ++i)
    blocks_->append(BlockOptions{.dim = o.dim, .eps = o.eps, .post_norm = true, .dropout = o.dropout},
                    std::make_shared<Attention>(AttentionOptions{.dim = o.dim, .heads = o.heads}),
                    std::make_shared<Mlp>(o.dim, o.ffn, o.activation));
}

Tokens Bert::forward(const TextBatch& text) {
  check_ids(text.ids, options_.vocabulary, context());
  Tensor at = torch::arange(text.ids.size(1), text.ids.options()).unsqueeze(0);  // 1 x L
  if (options_.positions_follow_padding) {
    const Tensor real = text.ids.ne(options_.padding_id).to(torch::kInt64);
    at = real.cumsum(1) * real + options_.padding_id;  // B x L
  }
  const Tensor types = text.type_ids.defined() ? text.type_ids : torch::zeros_like(text.ids);
  check_ids(types, options_.types, 0);
  Tokens tokens;
  tokens.x = norm_->forward(words_->forward(text.ids) + types_->forward(types) + positions_->forward(at));
  tokens.mask = text.mask;
  for (const auto& block : *blocks_) tokens = block->forward(tokens);
  return tokens;
}

MaskedLanguageModel::MaskedLanguageModel(const BertOptions& options) : activation_(activation(options.activation)) {
  encoder_ = add<Bert>("encoder", options);
  dense_ = add<Linear>("dense", options.dim, options.dim);
  norm_ = add<Norm>("norm", options.dim, options.eps);
  bias_ = weight("bias", {options.vocabulary}, 0);
  encoder_->words()->gives_products = true;
}

Tensor MaskedLanguageModel::forward(const TextBatch& text) {
  const Tensor x = norm_->forward(activation_(dense_->forward(encoder_->forward(text).x)));
  return encoder_->words()->products(x) + bias_;
}

namespace {

NameTable encoder_names() {
  return {{
              {"embeddings.word_embeddings.weight", "encoder.words.weight"},
              {"embeddings.position_embeddings.weight", "encoder.positions.weight"},
              {"embeddings.token_type_embeddings.weight", "encoder.types.weight"},
              {"embeddings.position_ids", ""},
              {"embeddings.LayerNorm.*", "encoder.norm.*"},
              {"encoder.layer.{n}.attention.self.{query|key|value}.*", "encoder.blocks.{n}.attention.qkv.*[{0|1|2}]"},
              {"encoder.layer.{n}.attention.output.dense.*", "encoder.blocks.{n}.attention.proj.*"},
              {"encoder.layer.{n}.attention.output.LayerNorm.*", "encoder.blocks.{n}.norm1.*"},
              {"encoder.layer.{n}.intermediate.dense.*", "encoder.blocks.{n}.ffn.up.*"},
              {"encoder.layer.{n}.output.dense.*", "encoder.blocks.{n}.ffn.down.*"},
              {"encoder.layer.{n}.output.LayerNorm.*", "encoder.blocks.{n}.norm2.*"},
              {"pooler.dense.*", ""},
          },
          {{"embeddings", "encoder.norm"},
           {"encoder.layer.{n}", "encoder.blocks.{n}"},
           {"encoder.layer.{n}.attention.self", "encoder.blocks.{n}.attention.context"}}};
}

/// Checkpoints converted from TensorFlow call the norm's parameters gamma and beta.
NameTable old_norm_names() {
  return {{
      {"embeddings.LayerNorm.gamma", "encoder.norm.weight", true},
      {"embeddings.LayerNorm.beta", "encoder.norm.bias", true},
      {"encoder.layer.{n}.attention.output.LayerNorm.gamma", "encoder.blocks.{n}.norm1.weight", true},
      {"encoder.layer.{n}.attention.output.LayerNorm.beta", "encoder.blocks.{n}.norm1.bias", true},
      {"encoder.layer.{n}.output.LayerNorm.gamma", "encoder.blocks.{n}.norm2.weight", true},
      {"encoder.layer.{n}.output.LayerNorm.beta", "encoder.blocks.{n}.norm2.bias", true},
  }};
}

const NameTable kBertHead = {{
    {"cls.predictions.transform.dense.*", "dense.*"},
    {"cls.predictions.transform.LayerNorm.gamma", "norm.weight", true},
    {"cls.predictions.transform.LayerNorm.beta", "norm.bias", true},
    {"cls.predictions.transform.LayerNorm.*", "norm.*"},
    {"cls.predictions.bias", "bias"},
    {"cls.predictions.decoder.bias", "bias", true},
    {"cls.predictions.decoder.weight", "encoder.words.weight", true},
    {"cls.seq_relationship.*", ""},
}};

const NameTable kRobertaHead = {{
    {"lm_head.dense.*", "dense.*"},
    {"lm_head.layer_norm.*", "norm.*"},
    {"lm_head.bias", "bias"},
    {"lm_head.decoder.bias", "bias", true},
    {"lm_head.decoder.weight", "encoder.words.weight", true},
}};

const NameTable kClassifierHead = {{{"bert.pooler.dense.*", "pooler.*"}, {"classifier.*", "classifier.*"}}};

bool is_classifier(const Json& json) {
  const Json names = json.value("architectures", Json::array());
  return names.is_array() && !names.empty() && names[0] == "BertForSequenceClassification";
}

/// The classes are counted by their names, where there are any.
int64_t class_count(PublishedConfig& config) {
  const Json& json = config.json();
  if (json.contains("id2label") && json["id2label"].is_object()) return static_cast<int64_t>(json["id2label"].size());
  return config.get<int64_t>("num_labels", 2);
}

Assembly assemble_bert(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  const bool roberta = json.value("model_type", "") != "bert";
  BertOptions options;
  options.vocabulary = config.get<int64_t>("vocab_size", roberta ? 50265 : 30522);
  options.dim = config.get<int64_t>("hidden_size", 768);
  options.depth = config.get<int64_t>("num_hidden_layers", 12);
  options.heads = config.get<int64_t>("num_attention_heads", 12);
  options.ffn = config.get<int64_t>("intermediate_size", 3072);
  options.positions = config.get<int64_t>("max_position_embeddings", 512);
  options.types = config.get<int64_t>("type_vocab_size", 2);
  options.activation = config.get<std::string>("hidden_act", "gelu");
  options.eps = config.get<double>("layer_norm_eps", 1e-12);
  options.dropout = config.get<double>("hidden_dropout_prob", 0);
  options.padding_id = config.get<int64_t>("pad_token_id", roberta ? 1 : 0);
  options.positions_follow_padding = roberta;
  config.expect("position_embedding_type", std::string("absolute"));
  config.ignore({"bos_token_id", "eos_token_id", "directionality", "pooler_fc_size", "pooler_num_attention_heads",
                 "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type"});
  const int64_t classes = class_count(config);
  config.done();
  const std::string prefix = roberta ? "roberta." : "bert.";
  if (is_classifier(json))
    return {std::make_shared<BertClassifier>(options, classes),
            kClassifierHead + old_norm_names().within(prefix, "") + encoder_names().within(prefix, "")};
  return {
      std::make_shared<MaskedLanguageModel>(options),
      (roberta ? kRobertaHead : kBertHead) + old_norm_names().within(prefix, "") + encoder_names().within(prefix, "")};
}

const FamilyRegistration family({"bert",
                                 "BERT and RoBERTa, masked language model; BERT, classifier of texts (transformers)",
                                 [](const Json& config) {
                                   return is_model_type(config, {"bert", "roberta", "xlm-roberta"});
                                 },
                                 assemble_bert});

}  // namespace
}  // namespace tessera
