#include "language/bert_classifier.h"

namespace tessera {

BertClassifier::BertClassifier(const BertOptions& options, int64_t classes) {
  encoder_ = add<Bert>("encoder", options);
  pooler_ = add<Linear>("pooler", options.dim, options.dim);
  classifier_ = add<Linear>("classifier", options.dim, classes);
}

Tensor BertClassifier::forward(const TextBatch& text) {
  const Tensor first = encoder_->forward(text).x.select(1, 0);
  return tap(*this, classifier_->forward(torch::tanh(pooler_->forward(first))));
}

}  // namespace tessera
