#pragma once
#include "language/bert.h"

namespace tessera {

/// BERT for whole texts (Devlin et al., 2018): a tanh layer on the first token, and a class for it.
class BertClassifier : public Module {
 public:
  BertClassifier(const BertOptions& options, int64_t classes);
  /// -> logits, B x classes
  Tensor forward(const TextBatch& text);

 private:
  std::shared_ptr<Bert> encoder_;
  std::shared_ptr<Linear> pooler_, classifier_;
};

}  // namespace tessera
