#pragma once
#include "bridges/bridge.h"
#include "layers/feed_forward.h"

namespace tessera {

struct LinearBridgeOptions {
  int64_t dim = 1024;  ///< of the encoder
  int64_t width = 4096;
  bool bias = true;
};
TESSERA_OPTIONS(LinearBridgeOptions, dim, width, bias)

/// One linear layer for every token: the first LLaVA (Liu et al., 2023), PaliGemma (Beyer et al., 2024).
class LinearBridge : public Bridge {
 public:
  explicit LinearBridge(const LinearBridgeOptions& options);
  Tokens forward(const Tokens& visual, const TextBatch* text = nullptr) override;
  int64_t width() const override { return linear_->weight.size(0); }
  int64_t source_width() const override { return linear_->weight.size(1); }

 private:
  std::shared_ptr<Linear> linear_;
};

struct MlpBridgeOptions {
  int64_t dim = 1024;  ///< of the encoder
  int64_t hidden = 0;  ///< between the layers; 0: width
  int64_t width = 4096;
  std::string activation = "gelu";
  bool bias = true;
};
TESSERA_OPTIONS(MlpBridgeOptions, dim, hidden, width, activation, bias)

/// Two linear layers with an activation between them, for every token: LLaVA-1.5 (Liu et al., 2023).
class MlpBridge : public Bridge {
 public:
  explicit MlpBridge(const MlpBridgeOptions& options);
  Tokens forward(const Tokens& visual, const TextBatch* text = nullptr) override;
  int64_t width() const override { return options_.width; }
  int64_t source_width() const override { return options_.dim; }

 private:
  MlpBridgeOptions options_;
  std::shared_ptr<Mlp> mlp_;
};

}  // namespace tessera
