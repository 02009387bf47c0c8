// A model that is packed as it is read is the one that is packed after it was read, and takes no more memory than it
// has to.
#include <gtest/gtest.h>

#include "core/process_memory.h"
#include "layers/prepare.h"
#include "models/folders.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;
using testing::Scratch;

class PackedLoading : public ::testing::TestWithParam<const char*> {
 protected:
  fs::path golden() const {
    const auto all = testing::golden_models();
    return all.contains(GetParam()) ? all.at(GetParam()) : fs::path();
  }
  /// What both ways make of the folder is the same to the byte.
  void expect_both_ways_the_same(const fs::path& folder, Precision precision) const {
    std::vector<PreparedPart> parts;
    const Model at_once = load_prepared_model(folder, precision, &parts), in_turn = load_model(folder);
    const auto expected = prepare(*in_turn.module, precision);
    ASSERT_EQ(parts.size(), expected.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      EXPECT_EQ(parts[i].path, expected[i].path);
      EXPECT_EQ(parts[i].left, expected[i].left) << parts[i].path;
      EXPECT_EQ(parts[i].bytes, expected[i].bytes) << parts[i].path;
    }
    save_prepared(*at_once.module, precision, scratch / "at-once.safetensors");
    save_prepared(*in_turn.module, precision, scratch / "in-turn.safetensors");
    EXPECT_EQ(read_file(scratch / "at-once.safetensors"), read_file(scratch / "in-turn.safetensors"));
    EXPECT_EQ(at_once.stored.size(), in_turn.stored.size());
  }
  Scratch scratch;
};

TEST_P(PackedLoading, GivesWhatPreparingAfterLoadingGives) {
  if (golden().empty()) GTEST_SKIP() << "no golden of this name";
  testing::publish(golden(), scratch / "model");
  for (const auto precision : {Precision::kFloat32, Precision::kBfloat16, Precision::kInt8, Precision::kInt4})
    expect_both_ways_the_same(scratch / "model", precision);
}

TEST_P(PackedLoading, ReadsShardsAndNarrowTypesToo) {
  if (golden().empty()) GTEST_SKIP() << "no golden of this name";
  testing::Named tensors = testing::tensors_of(golden() / "model.safetensors");
  for (auto& [name, tensor] : tensors)
    if (tensor.scalar_type() == torch::kFloat32) tensor = tensor.to(torch::kBFloat16);
  write_file(scratch / "model/config.json", testing::golden_config(golden()).dump());
  save_checkpoint(scratch / "model", tensors, {}, 5000);
  expect_both_ways_the_same(scratch / "model", Precision::kInt8);
}

INSTANTIATE_TEST_SUITE_P(Goldens, PackedLoading,
                         ::testing::Values("vit/hf-deit-distilled", "bert/bert-mlm", "clip/hf_legacy_gelu",
                                           "gpt2/gpt2-scaled", "llama/llama-gqa", "llama/qwen2",
                                           "mamba2/clamp_bias_tied", "paligemma/gemma1", "t5/t5-relu-tied",
                                           "swin/hf-padded"));

/// Of the mapping of a file in this process, by what the kernel says of it.
int64_t resident_bytes_of(const fs::path& file) {
  std::ifstream maps("/proc/self/smaps");
  int64_t sum = 0;
  bool within = false;
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" r") != std::string::npos && line.find('-') < line.find(' '))
      within = line.ends_with(file.string());
    else if (within && line.starts_with("Rss:"))
      sum += 1024 * std::stoll(line.substr(4));
  }
  return sum;
}

/// A folder of a language model in float32. @return the bytes of its weights
int64_t publish(const fs::path& folder, int64_t layers, int64_t words, bool tied) {
  const Json config = {{"model_type", "llama"},       {"architectures", {"LlamaForCausalLM"}},
                       {"hidden_size", 512},          {"intermediate_size", 1024},
                       {"num_hidden_layers", layers}, {"num_attention_heads", 8},
                       {"num_key_value_heads", 8},    {"vocab_size", words},
                       {"rms_norm_eps", 1e-5},        {"max_position_embeddings", 64},
                       {"tie_word_embeddings", tied}};
  save_model(make_model(config, "config.json"), folder);
  return static_cast<int64_t>(fs::file_size(folder / "model.safetensors"));
}

/// Some 80 MB of weights, of which the largest tensor has 4 MB.
int64_t publish_large(const fs::path& folder) { return publish(folder, 7, 1000, /*tied=*/false); }

/// Packs a folder in int8. @param more  what may be held beside the packed weights
void expect_little_memory(const fs::path& folder, int64_t more) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers hold memory of their own, and what was freed";
#endif
  give_back_freed_memory();
  if (!forget_peak()) GTEST_SKIP() << "the system does not tell the peak";
  const int64_t before = resident_bytes();
  std::vector<PreparedPart> parts;
  const Model model = load_prepared_model(folder, Precision::kInt8, &parts);
  int64_t packed = 0;
  for (const PreparedPart& part : parts) packed += part.bytes;
  EXPECT_GT(packed, int64_t{16} << 20);
  EXPECT_LT(peak_resident_bytes() - before, packed + more);
}

TEST(PackedLoadingMemory, FloatsOfAllLayersAreNeverThereAtOnce) {
  const Scratch scratch;
  const int64_t published = publish_large(scratch / "model");
  ASSERT_GT(published, int64_t{70} << 20);
  expect_little_memory(scratch / "model", published / 3);
}

TEST(PackedLoadingMemory, FloatsOfOneLargeTableAreNeverThereAtOnce) {
  const Scratch scratch;
  const int64_t published = publish(scratch / "model", 1, 50000, /*tied=*/true);
  ASSERT_GT(published, int64_t{100} << 20);
  expect_little_memory(scratch / "model", published / 2);  // its bytes once more, as rows and as panels
}

/// The file is mapped, as the table of tokens is its mapping, and next to nothing of it is in memory.
void expect_no_pages_of(const fs::path& folder) {
  const fs::path file = fs::canonical(folder / "model.safetensors");
  EXPECT_LT(resident_bytes_of(file), static_cast<int64_t>(fs::file_size(file)) / 20);
  bool mapped = false;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) mapped = mapped || line.ends_with(file.string());
  EXPECT_TRUE(mapped);
}

TEST(PackedLoadingMemory, ThePagesOfTheFileAreGivenBack) {
  const Scratch scratch;
  publish_large(scratch / "model");
  const Model model = load_prepared_model(scratch / "model", Precision::kFloat32);
  expect_no_pages_of(scratch / "model");
}

TEST(LoadingMemory, ThePagesOfWhatIsCopiedAreGivenBack) {
  const Scratch scratch;
  const Json config = {{"model_type", "gpt2"}, {"architectures", {"GPT2LMHeadModel"}},
                       {"n_embd", 512},        {"n_layer", 4},
                       {"n_head", 8},          {"n_positions", 64},
                       {"vocab_size", 500}};
  save_model(make_model(config, "config.json"), scratch / "model");
  const Model model = load_model(scratch / "model");  // its layers are transposed, which the mapping cannot be
  expect_no_pages_of(scratch / "model");
}

}  // namespace
}  // namespace tessera
