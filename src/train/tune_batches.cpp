#include "train/tune_batches.h"

#include <algorithm>
#include <numeric>

#include "core/progress.h"
#include "tasks/inputs.h"
#include "train/packing.h"
#include "train/sample_order.h"

namespace tessera {
namespace {

constexpr uint64_t kRows = 21;  // a purpose of draws; see picture_sampler.cpp for the others
constexpr int64_t kIgnored = -100;

}  // namespace

TuneBatches::TuneBatches(std::vector<TuneExample> examples, const Model& model, const TuneBatchOptions& options)
    : examples_(std::move(examples)), processor_(model.processor), options_(options) {
  if (const auto* vision = dynamic_cast<VisionLanguage*>(model.module.get()))
    padding_ = vision->options().placeholder_id == 0 ? 1 : 0;
  if (options_.capacity > 0) {
    std::vector<int64_t> lengths;
    for (const auto& example : examples_) lengths.push_back(static_cast<int64_t>(example.ids.size()));
    rows_ = pack(lengths, options_.capacity);
  } else {
    for (size_t i = 0; i < examples_.size(); ++i) rows_.push_back({i});
  }
}

int64_t TuneBatches::length(size_t row) const {
  size_t sum = 0;
  for (const size_t index : rows_[row]) sum += examples_[index].ids.size();
  return static_cast<int64_t>(sum);
}

TuneBatch TuneBatches::make(int64_t number) const {
  const auto chosen = chosen_samples({options_.seed, kRows, rows(), options_.batch}, number);
  return together({chosen.begin(), chosen.end()});
}

void TuneBatches::each(const std::function<void(const TuneBatch&)>& take) const {
  std::vector<size_t> order(rows_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return length(a) < length(b); });
  Progress progress("validation", rows(), "rows");
  for (size_t begin = 0; begin < order.size(); begin += static_cast<size_t>(options_.batch)) {
    const size_t end = std::min(order.size(), begin + static_cast<size_t>(options_.batch));
    take(together(
        {order.begin() + static_cast<std::ptrdiff_t>(begin), order.begin() + static_cast<std::ptrdiff_t>(end)}));
    progress.step(static_cast<int64_t>(end - begin));
  }
}

TuneBatch TuneBatches::together(const std::vector<size_t>& rows) const {
  int64_t longest = 0;
  bool packed = false, padded = false;
  for (const size_t row : rows) {
    longest = std::max(longest, length(row));
    packed = packed || rows_[row].size() > 1;
  }
  const auto count = static_cast<int64_t>(rows.size());
  TuneBatch batch;
  batch.text.ids = torch::full({count, longest}, padding_, torch::kInt64);
  batch.text.mask = torch::zeros({count, longest}, torch::kBool);
  batch.text.type_ids = torch::zeros({count, longest}, torch::kInt64);
  batch.at = torch::zeros({count, longest, 2}, torch::kInt64);
  batch.labels = torch::full({count, longest}, kIgnored, torch::kInt64);
  std::vector<Image> images;
  for (int64_t r = 0; r < count; ++r) {
    int64_t* ids = batch.text.ids.data_ptr<int64_t>() + r * longest;
    int64_t* at = batch.at.data_ptr<int64_t>() + 2 * r * longest;
    int64_t* labels = batch.labels.data_ptr<int64_t>() + r * longest;
    int64_t* types = batch.text.type_ids.data_ptr<int64_t>() + r * longest;
    int64_t next = 0, type = 0, number = 0;
    for (const size_t index : rows_[rows[static_cast<size_t>(r)]]) {
      const TuneExample& example = examples_[index];
      for (size_t i = 0; i < example.ids.size(); ++i, ++next) {
        ids[next] = example.ids[i];
        at[2 * next] = static_cast<int64_t>(i), at[2 * next + 1] = number;
        // The token before the first one belongs to another example.
        if (example.learned[i] && i > 0) labels[next] = example.ids[i], type = 1, ++batch.learned;
        types[next] = type;
      }
      ++number;
      for (const std::string& picture : example.pictures) images.push_back(read_picture(picture));
    }
    std::fill_n(batch.text.mask.data_ptr<bool>() + r * longest, next, true);
    std::fill(types + next, types + longest, type);
    padded = padded || next < longest;
  }
  if (!padded) batch.text.mask = Tensor();
  if (!packed) batch.at = Tensor();
  if (!images.empty()) batch.pictures = (*processor_)(images);
  return batch;
}

}  // namespace tessera
