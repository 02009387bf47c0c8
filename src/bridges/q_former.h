#pragma once
#include "bridges/bridge.h"
#include "io/name_table.h"
#include "layers/block.h"
#include "layers/cross_attention.h"
#include "layers/linear.h"

namespace tessera {

/// The Q-Former (BLIP-2; Li et al., 2023): BERT's layers over a few learned queries, which attend to the picture in
/// every n-th of them. InstructBLIP (Dai et al., 2023) lets the queries see an instruction beside them.
struct QFormerOptions {
  int64_t dim = 768, depth = 12, heads = 12, ffn = 3072;
  int64_t visual_dim = 1408;  ///< of the picture's tokens
  int64_t cross_every = 2;    ///< layers 0, n, 2n, ... attend to the picture
  std::string activation = "gelu";
  double eps = 1e-12, dropout = 0;
  bool reads_text = false;     ///< has tables and feed-forwards for the instruction
  int64_t vocabulary = 30522;  ///< of the instruction
  int64_t positions = 512;     ///< its longest length
};
TESSERA_OPTIONS(QFormerOptions, dim, depth, heads, ffn, visual_dim, cross_every, activation, eps, dropout, reads_text,
                vocabulary, positions)

/// Queries and text attend to all of both; then the queries alone to the picture; then each has a feed-forward of its
/// own. All of it is post-norm.
class QFormerLayer : public Module {
 public:
  /// @param crosses  attends to the picture
  QFormerLayer(const QFormerOptions& options, bool crosses);
  /// @param tokens  the queries, and the text as suffix
  Tokens forward(const Tokens& tokens, const Tokens& visual);

 private:
  std::shared_ptr<Block> self_, cross_, query_, text_;
  std::shared_ptr<CrossAttention> reader_;
};

class QFormer : public Module {
 public:
  explicit QFormer(const QFormerOptions& options);
  /// @param queries  N x Q x dim, or 1 x Q x dim for all pictures
  /// @param visual   N x L x visual_dim
  /// @param text     the instruction beside each picture, N x T; null: none
  /// @return N x (Q + T) x dim, the text as suffix
  /// @throws Error where a text is missing or cannot be read
  Tokens forward(const Tensor& queries, const Tokens& visual, const TextBatch* text = nullptr);
  const QFormerOptions& options() const { return options_; }

 private:
  Tokens embed(const Tensor& queries, const Tokens& visual, const TextBatch* text);

  QFormerOptions options_;
  std::shared_ptr<Embedding> words_, positions_;
  std::shared_ptr<Norm> norm_;
  std::shared_ptr<ModuleList<QFormerLayer>> layers_;
};

struct QFormerBridgeOptions {
  int64_t queries = 32;
  int64_t width = 2560;  ///< of the language model
  QFormerOptions former;
};
TESSERA_OPTIONS(QFormerBridgeOptions, queries, width, former)

/// Learned queries through a Q-Former, and a linear layer to the language model.
class QFormerBridge : public Bridge {
 public:
  explicit QFormerBridge(const QFormerBridgeOptions& options);
  Tokens forward(const Tokens& visual, const TextBatch* text = nullptr) override;
  bool reads_text() const override { return options_.former.reads_text; }
  int64_t width() const override { return options_.width; }
  int64_t source_width() const override { return options_.former.visual_dim; }
  int64_t length(int64_t) const override { return options_.queries; }
  const QFormerBridgeOptions& options() const { return options_; }

 private:
  QFormerBridgeOptions options_;
  Tensor queries_;  // 1 x queries x dim
  std::shared_ptr<QFormer> former_;
  std::shared_ptr<Linear> projection_;
};

/// Who published a Q-Former: transformers' BLIP-2 and InstructBLIP, and LAVIS, under "Qformer.bert.", differ in names.
enum class QFormerFiles { kBlip2, kInstructBlip, kLavis };
NameTable q_former_names(QFormerFiles files);

}  // namespace tessera
