#include "vlm/splice.h"

#include "core/error.h"

namespace tessera {

using torch::Tensor;

namespace {

std::string tokens_text(int64_t count) { return std::to_string(count) + (count == 1 ? " token" : " tokens"); }

/// Every row's placeholders are filled by whole pictures: a picture that began in one row and ended in the next would
/// be a mistake that the sums alone do not show.
void check_rows(const Tensor& placeholders, const std::vector<Tensor>& pictures) {
  const Tensor counts = placeholders.to(torch::kInt64).sum(1).cpu();
  size_t next = 0;
  for (int64_t row = 0; row < counts.size(0); ++row) {
    const int64_t wanted = counts[row].item<int64_t>();
    int64_t filled = 0;
    while (filled < wanted && next < pictures.size()) filled += pictures[next++].size(0);
    if (filled != wanted)
      throw Error("sequence " + std::to_string(row) + " has placeholders for " + tokens_text(wanted) +
                      ", its pictures have " + std::to_string(filled),
                  "pictures",
                  "give each picture as many placeholders as it has tokens, and no picture without a place");
  }
  if (next < pictures.size())
    throw Error(
        std::to_string(pictures.size()) + " pictures were given and the text has a place for " + std::to_string(next),
        "pictures", "put a placeholder into the text for each picture");
}

}  // namespace

Tensor replace_placeholders(const Tensor& embedded, const Tensor& placeholders, const std::vector<Tensor>& pictures) {
  check_rows(placeholders, pictures);
  if (pictures.empty()) return embedded;
  const Tensor tokens = torch::cat(pictures).to(embedded.scalar_type());  // all tokens of all pictures x D
  if (tokens.size(1) != embedded.size(2))
    throw Error("tokens of width " + std::to_string(tokens.size(1)) + " do not fit a language model of width " +
                    std::to_string(embedded.size(2)),
                "pictures");
  // Which picture token each place takes; elsewhere any, which is not chosen.
  const Tensor flags = placeholders.to(torch::kBool);
  const Tensor at = (flags.flatten().to(torch::kInt64).cumsum(0) - 1).clamp_min(0).view(flags.sizes());  // B x L
  const Tensor spread = tokens.index_select(0, at.flatten()).view(embedded.sizes());
  return torch::where(flags.unsqueeze(-1), spread, embedded);
}

Tokens prepend_pictures(const std::vector<Tensor>& pictures, const Tokens& text) {
  const int64_t batch = text.x.size(0), length = text.x.size(1);
  if (static_cast<int64_t>(pictures.size()) != batch)
    throw Error(std::to_string(pictures.size()) + " pictures do not stand before " + std::to_string(batch) + " texts",
                "pictures", "this model reads one picture with each text");
  for (const Tensor& picture : pictures)
    if (picture.sizes() != pictures.front().sizes())
      throw Error("pictures with different numbers of tokens cannot be a batch", "pictures", "give them one by one");
  Tokens joined = text.with(torch::cat({torch::stack(pictures).to(text.x.scalar_type()), text.x}, 1));
  if (text.mask.defined()) {
    const Tensor real = torch::ones({batch, joined.x.size(1) - length}, text.mask.options().dtype(torch::kBool));
    joined.mask = torch::cat({real, text.mask.to(torch::kBool)}, 1);
  }
  return joined;
}

}  // namespace tessera
