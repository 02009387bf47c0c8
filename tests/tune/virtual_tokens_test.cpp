#include "tune/virtual_tokens.h"

#include "tuned_models.h"

namespace tessera {
namespace {

using testing::distance;
using testing::error_of;
using testing::peft;

const Tensor kIds = torch::tensor({{3, 4, 5, 6}, {7, 8, 9, 2}}, torch::kInt64);

struct Tuned {
  testing::Subject subject;
  std::shared_ptr<LanguageModel> model;
  PeftConfig config;
};

Tuned tuned(testing::Subject subject, const char* type) {
  auto model = std::dynamic_pointer_cast<LanguageModel>(subject.module);
  return {std::move(subject), std::move(model), peft({{"peft_type", type}, {"num_virtual_tokens", 3}})};
}

std::vector<Tuned> all() {
  return {tuned(testing::llama(), "PREFIX_TUNING"), tuned(testing::gpt2(), "PREFIX_TUNING"),
          tuned(testing::llama(), "PROMPT_TUNING"), tuned(testing::gpt2(), "PROMPT_TUNING")};
}

TEST(VirtualTokens, ATextGoesOnFromTheirState) {
  const torch::NoGradGuard no_grad;
  for (const Tuned& one : all()) {
    const auto tokens = VirtualTokens::attach(one.model, one.subject.config, one.config);
    const Tensor whole = tokens.forward({kIds, {}, {}});
    LanguageState state = tokens.start(2);
    const Tensor text = one.model->forward({kIds, {}, {}}, &state);
    const Tensor masked = tokens.forward({kIds, torch::ones_like(kIds), {}});
    EXPECT_LT(distance(whole.narrow(1, whole.size(1) - 4, 4), text), 1e-4) << one.subject.name << one.config.type;
    EXPECT_LT(distance(whole, masked), 1e-4) << one.subject.name << one.config.type;
    EXPECT_GT(distance(text, one.model->forward({kIds, {}, {}})), 1e-3) << one.subject.name << one.config.type;
    EXPECT_EQ(tokens.labels(kIds).size(1), whole.size(1));
  }
}

TEST(VirtualTokens, OnlyTheirVectorsLearn) {
  for (const Tuned& one : all()) {
    const auto bytes = one.subject.bytes();
    auto tokens = VirtualTokens::attach(one.model, one.subject.config, one.config);
    tokens.train_only();
    testing::expect_gradients(*one.model, tokens.forward({kIds, {}, {}}));
    for (const auto& item : one.model->named_parameters())
      EXPECT_EQ(item.value().requires_grad(), item.value().is_same(tokens.vectors())) << item.key();
    EXPECT_EQ(one.subject.bytes(), bytes);
    tokens.detach();
    EXPECT_EQ(named_tensors(*one.model).size(), bytes.size());
  }
}

TEST(VirtualTokens, SavedAndLoadedTheyAreTheSameToTheByte) {
  const torch::NoGradGuard no_grad;
  for (const Tuned& one : all()) {
    const testing::Scratch first, second;
    auto tokens = VirtualTokens::attach(one.model, one.subject.config, one.config);
    const Tensor before = tokens.forward({kIds, {}, {}});
    tokens.save(first.path());
    tokens.detach();
    auto again = VirtualTokens::load(one.model, one.subject.config, first.path());
    EXPECT_TRUE(torch::equal(before, again.forward({kIds, {}, {}})));
    again.save(second.path());
    for (const char* file : {"adapter_config.json", "adapter_model.safetensors"})
      EXPECT_EQ(read_file(first / file), read_file(second / file)) << file;
  }
}

TEST(VirtualTokens, ThoseOfAnotherModelAreRefused) {
  const testing::Scratch folder;
  const Tuned narrow = tuned(testing::llama(), "PROMPT_TUNING"), wide = tuned(testing::llama(32), "PROMPT_TUNING");
  VirtualTokens::attach(narrow.model, narrow.subject.config, narrow.config).save(folder.path());
  const std::string message = error_of([&] { VirtualTokens::load(wide.model, wide.subject.config, folder.path()); });
  EXPECT_NE(message.find("'prompt_embeddings' has shape [3, 16], this model needs [3, 32]"), std::string::npos)
      << message;
  EXPECT_THROW(Adapter::load(*narrow.model, narrow.subject.names, folder.path()), Error);
}

}  // namespace
}  // namespace tessera
