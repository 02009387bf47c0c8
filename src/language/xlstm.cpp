// xLSTM (Beck et al., 2024) as language models: the blocks of the paper under the names of its authors' code, and
// xLSTM-7B (Beck et al., 2025) as transformers publishes it.
#include <algorithm>
#include <cmath>

#include "io/published_config.h"
#include "language/decoder.h"
#include "layers/family.h"

namespace tessera {
namespace {

int64_t rounded_up(double size, int64_t multiple) {
  return static_cast<int64_t>(std::ceil(size / static_cast<double>(multiple))) * multiple;
}

// xLSTM-7B

const NameTable kLarge = {
    {
        {"backbone.embeddings.weight", "words.weight"},
        {"backbone.out_norm.weight", "norm.weight"},
        {"backbone.blocks.{n}.norm_mlstm.weight", "blocks.{n}.norm1.weight"},
        {"backbone.blocks.{n}.norm_ffn.weight", "blocks.{n}.norm2.weight"},
        {"backbone.blocks.{n}.mlstm_layer.{q|k|v}.*", "blocks.{n}.attention.{q|k|v}.*"},
        {"backbone.blocks.{n}.mlstm_layer.{igate_preact|fgate_preact}.*", "blocks.{n}.attention.gates.*[{0|1}]"},
        {"backbone.blocks.{n}.mlstm_layer.ogate_preact.*", "blocks.{n}.attention.output_gate.*"},
        {"backbone.blocks.{n}.mlstm_layer.multihead_norm.*", "blocks.{n}.attention.norm.*"},
        {"backbone.blocks.{n}.mlstm_layer.out_proj.*", "blocks.{n}.attention.proj.*"},
        {"backbone.blocks.{n}.ffn.{proj_up_gate|proj_up}.*", "blocks.{n}.ffn.gate_up.*[{0|1}]"},
        {"backbone.blocks.{n}.ffn.proj_down.*", "blocks.{n}.ffn.down.*"},
    },
    {{"backbone.blocks.{n}", "blocks.{n}"}}};

Assembly assemble_large(const Json& json, const std::string& where) {
  PublishedConfig config(json, where);
  DecoderOptions o;
  o.vocabulary = config.get<int64_t>("vocab_size", 50304);
  o.dim = config.get<int64_t>("hidden_size|embedding_dim", 4096);
  o.depth = config.get<int64_t>("num_hidden_layers|num_blocks", 32);
  o.heads = config.get<int64_t>("num_heads", 8);
  o.eps = config.get<double>("norm_eps", 1e-6);
  o.tied = config.get<bool>("tie_word_embeddings", false);
  o.logit_cap = config.get<double>("output_logit_soft_cap", 30);
  o.positions = "none", o.norm = "rms", o.activation = "silu", o.gated = true;
  o.ffn_bias = config.get<bool>("use_bias", false);
  const auto width = static_cast<double>(o.dim);
  o.ffn = rounded_up(width * config.get<double>("ffn_proj_factor", 2.667),
                     config.get<int64_t>("ffn_round_up_to_multiple_of", 64));
  o.mixer = {{"kind", "xlstm"},
             {"key_dim", static_cast<int64_t>(width * config.get<double>("qk_dim_factor", 0.5))},
             {"value_dim", static_cast<int64_t>(width * config.get<double>("v_dim_factor", 1))},
             {"gate_cap", config.get<double>("gate_soft_cap", 15)},
             {"chunk", config.get<int64_t>("chunk_size", 64)},
             {"bias", o.ffn_bias}};
  config.expect("add_out_norm", true);
  config.expect<std::string>("weight_mode", "single");
  config.expect("norm_reduction_force_float32", true);
  // Which kernel computes it, and in which type.
  config.ignore({"mode", "autocast_kernel_dtype", "inference_state_dtype", "return_last_states", "chunkwise_kernel",
                 "sequence_kernel", "step_kernel", "eps", "bos_token_id", "eos_token_id", "pad_token_id",
                 "max_inference_chunksize", "use_cache"});
  config.done();
  const NameTable head =
      o.tied ? NameTable{{"lm_head.weight", "words.weight", true}} : NameTable{{"lm_head.weight", "head.weight"}};
  return {std::make_shared<Decoder>(o), head + kLarge};
}

// The authors' xLSTMLMModel

const NameTable kFrame = {
    {
        {"token_embedding.weight", "words.weight"},
        {"xlstm_block_stack.post_blocks_norm.weight", "norm.weight"},
    },
    {{"xlstm_block_stack.blocks.{n}", "blocks.{n}"}, {"xlstm_block_stack.blocks.{n}.xlstm", "blocks.{n}.attention"}}};

const NameTable kMatrixBlock = {
    {"xlstm_norm.weight", "norm1.weight"},
    {"xlstm.conv1d.conv.*", "attention.convolution.*"},
    {"xlstm.{proj_up|proj_down}.*", "attention.{up|down}.*"},
    {"xlstm.{q_proj|k_proj|v_proj}.*", "attention.{q|k|v}.*"},
    {"xlstm.mlstm_cell.{igate|fgate}.*", "attention.gates.*[{0|1}]"},
    {"xlstm.mlstm_cell.outnorm.*", "attention.norm.*"},
    {"xlstm.learnable_skip", "attention.skip"},
};

const NameTable kScalarBlock = {
    {"xlstm_norm.weight", "norm1.weight"},
    {"ffn_norm.weight", "norm2.weight"},
    {"ffn.{proj_up|proj_down}.*", "ffn.{gate_up|down}.*"},
    {"xlstm.conv1d.conv.*", "attention.convolution.*"},
    // The published input and forget gates have each other's names.
    {"xlstm.{fgate|igate|zgate|ogate}.*", "attention.{input_gate|forget_gate|cell|output_gate}.*"},
    {"xlstm.group_norm.*", "attention.norm.*"},
    {"xlstm.slstm_cell._recurrent_kernel_", "attention.recurrent"},
    {"xlstm.slstm_cell._bias_", "attention.bias"},
};

Json read_mlstm(PublishedConfig config, const DecoderOptions& o, bool bias) {
  const Json mixer = {{"kind", "mlstm"},
                      {"heads", config.get<int64_t>("num_heads", 4)},
                      {"inner", rounded_up(config.get<double>("proj_factor", 2) * static_cast<double>(o.dim), 64)},
                      {"block", config.get<int64_t>("qkv_proj_blocksize", 4)},
                      {"kernel", config.get<int64_t>("conv1d_kernel_size", 4)},
                      {"bias", bias}};
  config.done();
  return mixer;
}

Json read_slstm(PublishedConfig config) {
  const Json mixer = {{"kind", "slstm"},
                      {"heads", config.get<int64_t>("num_heads", 4)},
                      {"kernel", config.get<int64_t>("conv1d_kernel_size", 4)}};
  config.ignore({"backend", "bias_init", "dtype", "enable_automatic_mixed_precision"});
  config.done();
  return mixer;
}

Assembly assemble_blocks(const Json& json, const std::string& where) {
  PublishedConfig all(json, where), top = all.nested("top"), feed_forward = all.nested("feedforward");
  DecoderOptions o;
  o.vocabulary = top.require<int64_t>("vocab_size");
  o.dim = top.require<int64_t>("embedding_dim");
  o.depth = top.require<int64_t>("num_blocks");
  o.context = top.require<int64_t>("context_length");
  o.tied = top.get<bool>("tie_weights", false);
  o.dropout = top.get<double>("dropout", 0);
  o.positions = "none", o.norm = "zero-centred-scale", o.eps = 1e-5, o.heads = 1;
  const bool bias = top.get<bool>("bias", false);
  const auto at = top.get<std::vector<int64_t>>("slstm_at", {});
  top.expect("add_post_blocks_norm", true);
  top.done();
  const Json ffn = {
      {"kind", "gated-mlp"},
      {"hidden", rounded_up(feed_forward.get<double>("proj_factor", 1.3) * static_cast<double>(o.dim), 64)},
      {"activation", feed_forward.get<std::string>("act_fn", "gelu")},
      {"bias", bias}};
  feed_forward.done();
  NameTable names = kFrame;
  o.mixer = o.feed_forward = Json::array();
  for (int64_t i = 0; i < o.depth; ++i) {
    const bool scalar = std::find(at.begin(), at.end(), i) != at.end();
    const std::string block = "blocks." + std::to_string(i) + ".";
    names = names + (scalar ? kScalarBlock : kMatrixBlock).within("xlstm_block_stack." + block, block);
    o.mixer.push_back(scalar ? read_slstm(all.nested("slstm")) : read_mlstm(all.nested("mlstm"), o, bias));
    o.feed_forward.push_back(scalar ? ffn : Json{{"kind", "none"}});
  }
  all.ignore({"mlstm", "slstm"});
  all.done();
  const NameTable head =
      o.tied ? NameTable{{"lm_head.weight", "words.weight", true}} : NameTable{{"lm_head.weight", "head.weight"}};
  return {std::make_shared<Decoder>(o), head + names};
}

const FamilyRegistration large({"xlstm", "xLSTM-7B, language model (transformers)",
                                [](const Json& config) { return is_model_type(config, {"xlstm"}); }, assemble_large});
const FamilyRegistration blocks({"xlstm-blocks", "xLSTM of mLSTM and sLSTM blocks, language model (NX-AI)",
                                 [](const Json& config) { return config.contains("top") && config.contains("mlstm"); },
                                 assemble_blocks});

}  // namespace
}  // namespace tessera
