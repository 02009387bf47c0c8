#include "core/taps.h"

#include <gmock/gmock.h>

#include "support/scratch.h"

namespace tessera {
namespace {

using testing::error_of;
using ::testing::HasSubstr;

/// Doubles, and names its half-way result.
struct Part : torch::nn::Module {
  torch::Tensor forward(const torch::Tensor& x) { return tap(*this, tap(*this, x + 1, "half") + x); }
};

struct Whole : torch::nn::Module {
  Whole() {
    first = register_module("first", std::make_shared<Part>());
    second = register_module("second", std::make_shared<Part>());
  }
  torch::Tensor forward(const torch::Tensor& x) { return tap(*this, second->forward(first->forward(x))); }
  std::shared_ptr<Part> first, second;
};

TEST(Taps, RecordOnlyWhatIsAskedFor) {
  Whole model;
  Taps taps(model, {"first", "second.half"});
  model.forward(torch::ones({1}));
  EXPECT_EQ(taps.all().size(), 2u);
  EXPECT_EQ(taps.at("first").item<float>(), 3);
  EXPECT_EQ(taps.at("second.half").item<float>(), 4);
  EXPECT_FALSE(taps.has("second"));
}

TEST(Taps, AStarAsksForAll) {
  Whole model;
  Taps taps(model, {"*"});
  model.forward(torch::ones({1}));
  EXPECT_EQ(taps.all().size(), 5u);
  EXPECT_EQ(taps.at("output").item<float>(), 7);
}

TEST(Taps, NothingIsRecordedWithoutOne) {
  Whole model;
  { const Taps taps(model, {"*"}); }
  model.forward(torch::ones({1}));
  EXPECT_FALSE(Taps::wanted(model, ""));
}

TEST(Taps, ANestedOneDoesNotHideTheOuterOne) {
  Whole model;
  Taps outer(model, {"second.half"});
  {
    Taps inner(*model.second, {"half"});  // the same result by another path, seen from another root
    model.forward(torch::ones({1}));
    EXPECT_EQ(inner.at("half").item<float>(), 4);
  }
  EXPECT_EQ(outer.at("second.half").item<float>(), 4);
  model.forward(torch::zeros({1}));
  EXPECT_EQ(outer.at("second.half").item<float>(), 2) << "the last result counts";
}

TEST(Taps, AnotherModelIsNotRecorded) {
  Whole model, other;
  const Taps taps(model, {"*"});
  other.forward(torch::ones({1}));
  EXPECT_TRUE(taps.all().empty());
}

TEST(Taps, WantedTellsAModuleWhetherToMakeAResult) {
  Whole model;
  const Taps taps(model, {"first.half"});
  EXPECT_TRUE(Taps::wanted(*model.first, "half"));
  EXPECT_FALSE(Taps::wanted(*model.second, "half"));
  EXPECT_FALSE(Taps::wanted(*model.first, ""));
}

TEST(Taps, AMissingPathNamesTheNearest) {
  Whole model;
  const Taps taps(model, {"frist"});
  model.forward(torch::ones({1}));
  EXPECT_THAT(error_of([&] { taps.at("frist"); }), HasSubstr("tap 'frist'; did you mean 'first'?"));
}

TEST(Taps, WhatIsTappedCanBeDifferentiated) {
  Whole model;
  Taps taps(model, {"first"});
  torch::Tensor x = torch::ones({1}).requires_grad_();
  model.forward(x);
  taps.at("first").sum().backward();
  EXPECT_EQ(x.grad().item<float>(), 2);
}

}  // namespace
}  // namespace tessera
