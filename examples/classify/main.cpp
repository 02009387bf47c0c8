/// Says which of some words fits a picture best: classify MODEL IMAGE WORD...
#include <core/error.h>
#include <core/threads.h>
#include <fusion/dual_encoder.h>
#include <io/image.h>
#include <models/model.h>

#include <cstdio>
#include <cstring>

using namespace tessera;

int classify(const std::string& folder, const std::string& picture, const std::vector<std::string>& words) {
  const torch::NoGradGuard no_grad;
  use_threads();
  const Model model = load_model(folder);
  auto& towers = model.as<DualEncoder>("compare pictures with words");
  if (!model.processor || !model.tokenizer) throw Error("has no processor or no tokenizer", folder);

  const TokenBatch batch =
      model.tokenizer->encode_batch(words, {.truncation = Truncation{.max_length = towers.text().context()}});
  const auto matrix = [&](const std::vector<int64_t>& rows) {
    return torch::tensor(rows).view({batch.rows, batch.length});
  };
  const torch::Tensor text = towers.encode_text({matrix(batch.ids), matrix(batch.attention_mask).to(torch::kBool), {}});
  const torch::Tensor image = towers.encode_image((*model.processor)(read_image(picture)).pixel_values);

  const torch::Tensor scores = torch::softmax(towers.logits(image, text)[0], 0);
  const torch::Tensor order = scores.argsort(-1, /*descending=*/true);
  for (int64_t i = 0; i < order.size(0); ++i) {
    const int64_t word = order[i].item<int64_t>();
    std::printf("%6.2f %%  %s\n", 100 * scores[word].item<double>(), words[static_cast<size_t>(word)].c_str());
  }
  return 0;
}

int main(int count, char** arguments) {
  const char* usage = "usage: classify MODEL IMAGE WORD...\n";
  if (count == 2 && std::strcmp(arguments[1], "--help") == 0) return std::fputs(usage, stdout), 0;
  if (count < 4) return std::fputs(usage, stderr), 2;
  try {
    return classify(arguments[1], arguments[2], {arguments + 3, arguments + count});
  } catch (const Error& error) {
    std::fprintf(stderr, "classify: %s\n", error.what());
    return 2;
  }
}
