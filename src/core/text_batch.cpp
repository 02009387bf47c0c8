#include "core/text_batch.h"

#include "core/device_graph.h"
#include "core/error.h"

namespace tessera {

void check_ids(const torch::Tensor& ids, int64_t vocabulary, int64_t context) {
  if (ids.dim() != 2) throw Error("ids are B x L", "text");
  if (context > 0 && ids.size(1) > context)
    throw Error(std::to_string(ids.size(1)) + " tokens do not fit into the context of " + std::to_string(context),
                "text", "shorten the text or ask for truncation");
  if (ids.numel() == 0 || is_recording()) return;
  const int64_t highest = ids.max().item<int64_t>(), lowest = ids.min().item<int64_t>();
  if (lowest < 0 || highest >= vocabulary)
    throw Error("id " + std::to_string(lowest < 0 ? lowest : highest) + " is outside the vocabulary of " +
                    std::to_string(vocabulary),
                "text", "the tokenizer and the model do not belong together");
}

}  // namespace tessera
