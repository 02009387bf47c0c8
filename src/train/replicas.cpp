#include "train/replicas.h"

#include <torch/csrc/autograd/autograd.h>

#include "core/compat.h"
#include "train/worker_pool.h"

namespace tessera {
namespace {

/// The rows that part `index` of `count` takes.
std::pair<int64_t, int64_t> share(int64_t rows, size_t index, size_t count) {
  const auto i = static_cast<int64_t>(index), n = static_cast<int64_t>(count);
  return {rows * i / n, rows * (i + 1) / n};
}

TextBatch rows_of(const TextBatch& batch, int64_t begin, int64_t end) {
  TextBatch part;
  part.ids = batch.ids.slice(0, begin, end);
  if (batch.mask.defined()) part.mask = batch.mask.slice(0, begin, end);
  if (batch.type_ids.defined()) part.type_ids = batch.type_ids.slice(0, begin, end);
  return part;
}

/// Every parameter of `model` becomes another name of the master's.
void share_weights(const DualEncoder& master, const DualEncoder& model) {
  torch::NoGradGuard no_gradient;
  auto own = model.named_parameters();
  for (const auto& item : master.named_parameters()) own[item.key()].set_data(item.value().detach());
}

}  // namespace

Replicas::Replicas(std::shared_ptr<DualEncoder> master, const std::function<std::shared_ptr<DualEncoder>()>& make,
                   int64_t count, torch::ScalarType dtype)
    : dtype_(dtype) {
  parts_.push_back({std::move(master), {}, {}});
  for (int64_t i = 1; i < count; ++i) {
    parts_.push_back({make(), {}, {}});
    parts_.back().model->train(parts_[0].model->is_training());
    share_weights(*parts_[0].model, *parts_.back().model);
  }
  if (count > 1) pool_ = std::make_unique<WorkerPool>(parts_.size());
}

Replicas::~Replicas() = default;

void Replicas::run(const std::function<void(size_t)>& job) {
  if (pool_)
    pool_->run(job);
  else
    job(0);
}

Replicas::Features Replicas::forward(const Tensor& pixels, const TextBatch& texts) {
  copy_buffers();  // now and not after averaging: a state may have been loaded into the master since
  run([&](size_t index) {
    const Autocast autocast(dtype_);
    Part& part = parts_[index];
    if (pixels.defined()) {
      const auto [first, last] = share(pixels.size(0), index, parts_.size());
      part.images = part.model->encode_image(pixels.slice(0, first, last)).to(torch::kFloat32);
    }
    const auto [begin, end] = share(texts.ids.size(0), index, parts_.size());
    part.texts = part.model->encode_text(rows_of(texts, begin, end)).to(torch::kFloat32);
  });
  std::vector<Tensor> images, written;
  for (const auto& part : parts_) {
    if (pixels.defined()) images.push_back(part.images.detach());
    written.push_back(part.texts.detach());
  }
  return {pixels.defined() ? torch::cat(images).requires_grad_() : Tensor(), torch::cat(written).requires_grad_()};
}

void Replicas::backward(const Features& features) {
  run([&](size_t index) {
    Part& part = parts_[index];
    std::vector<Tensor> outputs, gradients;
    auto add = [&](const Tensor& output, const Tensor& leaf) {
      if (!leaf.defined() || !leaf.grad().defined()) return;
      const auto [begin, end] = share(leaf.size(0), index, parts_.size());
      outputs.push_back(output);
      gradients.push_back(leaf.grad().slice(0, begin, end));
    };
    add(part.images, features.images);
    add(part.texts, features.texts);
    torch::autograd::backward(outputs, gradients);
    part.images = part.texts = Tensor();
  });
  if (parts_.size() == 1) return;
  sum_gradients();
  if (features.images.defined()) average_buffers();
}

void Replicas::sum_gradients() {
  torch::NoGradGuard no_gradient;
  auto master = parts_[0].model->parameters();
  for (size_t r = 1; r < parts_.size(); ++r) {
    auto others = parts_[r].model->parameters();
    for (size_t i = 0; i < master.size(); ++i) {
      Tensor& gradient = others[i].mutable_grad();
      if (!gradient.defined()) continue;
      if (master[i].grad().defined())
        master[i].mutable_grad().add_(gradient);
      else
        master[i].mutable_grad() = gradient;
      gradient.reset();
    }
  }
}

void Replicas::average_buffers() {
  torch::NoGradGuard no_gradient;
  auto master = parts_[0].model->buffers();
  for (size_t i = 0; i < master.size(); ++i) {
    if (!master[i].is_floating_point()) continue;
    for (size_t r = 1; r < parts_.size(); ++r) master[i].add_(parts_[r].model->buffers()[i]);
    master[i].div_(static_cast<double>(parts_.size()));
  }
}

void Replicas::copy_buffers() {
  torch::NoGradGuard no_gradient;
  const auto master = parts_[0].model->buffers();
  for (size_t r = 1; r < parts_.size(); ++r) {
    auto own = parts_[r].model->buffers();
    for (size_t i = 0; i < master.size(); ++i) own[i].copy_(master[i]);
  }
}

}  // namespace tessera
