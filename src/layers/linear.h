#pragma once
#include "kernels/packed_linear.h"
#include "layers/activation.h"
#include "layers/module.h"
#include "layers/preparable.h"

namespace tessera {

/// What follows a linear layer, which a prepared one does in the same pass.
struct After {
  Activation activation = nullptr;  ///< null: none
  Tensor residual = {};             ///< added last; undefined: nothing
  bool narrow = false;              ///< the result may come in bfloat16, where that is what the layer computes in
};

/// y = x W^T + b over the last axis. W: out x in.
class Linear : public Module, public Preparable {
 public:
  /// @param gated  the first half of the outputs, activated, is multiplied by the second (Shazeer, 2020)
  Linear(int64_t in, int64_t out, bool with_bias = true, bool gated = false);
  Tensor forward(const Tensor& x, const After& after = {});

  /// Its weight is packed; `weight` keeps its shape and loses its numbers. It stays as it is with an adapter on it, or
  /// where its owner reads the weight.
  std::string prepare(Precision precision) override;
  std::map<std::string, Tensor> packed() const override;
  void restore(Precision precision, const std::map<std::string, Tensor>& parts) override;
  int64_t packed_bytes() const override { return packed_ ? packed_->bytes() : 0; }
  bool is_prepared() const { return packed_ != nullptr; }
  /// The type in which it reads its input without converting it, and gives what may be narrow.
  torch::ScalarType narrow_type() const;

  Tensor weight;                ///< out x in
  Tensor bias;                  ///< out; undefined without bias
  bool weight_is_read = false;  ///< by the owner, beside forward()
  bool gives_logits = false;    ///< which are never computed with fewer than eight bits

 private:
  Tensor plain(const Tensor& x, const After& after);
  Tensor product_on_device(const Tensor& x, bool narrow);
  std::string prepare_on_device(Precision precision);
  Precision own(Precision precision) const;

  bool gated_;
  bool rounds_inputs_ = false;  // on a device, to int8
  Tensor scale_;                // out: of a weight in int8 on a device
  std::shared_ptr<const PackedLinear> packed_;
};

/// What a part's last layer makes of x, which the part reports to the taps as its own output, and the residual added:
/// in the layer's pass where no tap asks for what lies between.
/// @param residual  may be undefined
Tensor last_layer(const torch::nn::Module& part, Linear& layer, const Tensor& x, const Tensor& residual);

/// 2-D convolution over B x C x H x W.
struct ConvolutionOptions {
  int64_t in = 3, out = 64, kernel_height = 3, kernel_width = 3, stride_height = 1, stride_width = 1, padding = 0,
          groups = 1;
  bool bias = true;
};

class Convolution : public Module, public Preparable {
 public:
  explicit Convolution(const ConvolutionOptions& options);
  Tensor forward(const Tensor& x);
  /// One whose kernels lie side by side, as that of patches, is a linear layer of each patch; others stay as they are.
  std::string prepare(Precision precision) override;
  std::map<std::string, Tensor> packed() const override;
  void restore(Precision precision, const std::map<std::string, Tensor>& parts) override;
  int64_t packed_bytes() const override { return packed_ ? packed_->bytes() : 0; }

  Tensor weight;  ///< out x in / groups x kernel height x kernel width
  Tensor bias;    ///< out; undefined without bias

 private:
  Tensor of_patches(const Tensor& x) const;

  ConvolutionOptions options_;
  std::shared_ptr<const PackedLinear> packed_;
};

/// A table of vectors, looked up by index.
class Embedding : public Module, public Preparable {
 public:
  /// @param padding_id  a row that learns nothing from look-ups; -1: none
  Embedding(int64_t count, int64_t dim, double deviation = 0.02, int64_t padding_id = -1);
  /// @param ids  any shape, int64 -> the shape x dim
  Tensor forward(const Tensor& ids);
  /// Products with every vector: ... x dim -> ... x count. The logits of a model whose head is its token table.
  Tensor products(const Tensor& x);
  /// A table that gives products is packed for them; another is kept in bfloat16 but for float32.
  std::string prepare(Precision precision) override;
  std::map<std::string, Tensor> packed() const override;
  void restore(Precision precision, const std::map<std::string, Tensor>& parts) override;
  int64_t packed_bytes() const override;

  Tensor weight;                ///< count x dim
  bool gives_products = false;  ///< set by the owner who calls products()

 private:
  int64_t padding_id_;
  std::shared_ptr<const PackedLinear> packed_;
  Tensor narrow_;
};

}  // namespace tessera
