#include "core/pad_texts.h"

#include <torch/torch.h>

#include <algorithm>

namespace tessera {

TextBatch pad_texts(std::span<const std::span<const int64_t>> texts, const PadOptions& options) {
  const auto read = [&](std::span<const int64_t> text) {
    const auto length = static_cast<int64_t>(text.size());
    return options.longest > 0 ? std::min(length, options.longest) : length;
  };
  int64_t columns = options.shortest;
  for (const auto text : texts) columns = std::max(columns, read(text));
  const auto count = static_cast<int64_t>(texts.size());
  TextBatch batch;
  batch.ids = torch::full({count, columns}, options.id, torch::kInt64);
  batch.mask = torch::zeros({count, columns}, torch::kBool);
  for (int64_t row = 0; row < count; ++row) {
    const auto text = texts[static_cast<size_t>(row)];
    const int64_t length = read(text), begin = row * columns + (options.left ? columns - length : 0);
    std::copy_n(text.begin(), length, batch.ids.data_ptr<int64_t>() + begin);
    std::fill_n(batch.mask.data_ptr<bool>() + begin, length, true);
  }
  return batch;
}

TextBatch pad_texts(const std::vector<std::vector<int64_t>>& texts, const PadOptions& options) {
  return pad_texts(std::vector<std::span<const int64_t>>(texts.begin(), texts.end()), options);
}

}  // namespace tessera
