#pragma once
#include "encoders/vit.h"

namespace tessera {

/// ViR (Hatamizadeh et al., 2023): a ViT whose tokens are mixed by retention, which reads them in order. So the class
/// token stands last, where all others have been seen.
struct VirOptions {
  std::vector<int64_t> image = {224, 224};  ///< height, width that the positions are learned for
  int64_t patch = 16, channels = 3, dim = 384, depth = 12, heads = 6, ffn = 1536;
  std::string form = "chunkwise";  ///< see PlainRetentionOptions
  int64_t chunk = 64;
  bool class_token = true;
  bool mirrored = false;  ///< the sequence is followed by itself in reverse; not with a class token
  bool final_norm = true;
  double layer_scale = 1e-5, drop_path = 0;
};
TESSERA_OPTIONS(VirOptions, image, patch, channels, dim, depth, heads, ffn, form, chunk, class_token, mirrored,
                final_norm, layer_scale, drop_path)

/// Gives the patches and a class token as suffix; mirrored, a grid of twice the rows, whose lower half is the upper one
/// turned by half a turn. Taps: those of Vit.
class Vir : public Vit {
 public:
  explicit Vir(const VirOptions& options);
  Layout layout(int64_t height, int64_t width) const override;
  Tokens prepend_prefix(const Tokens& patches) override;
  /// Computes in another form from now on; see PlainRetention.
  void set_form(const std::string& form, int64_t chunk = 0);

 private:
  bool mirrored_;
};

}  // namespace tessera
