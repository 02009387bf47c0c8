#include "decode/recorded_step.h"

#include <algorithm>
#include <atomic>
#include <iostream>

#include "layers/device.h"

namespace tessera {
namespace {

constexpr int64_t kPasses = 2;      // before one is recorded
constexpr int64_t kLeastRoom = 64;  // tokens

/// Why a pass could not be recorded, which the user may want to know, once: the answers stay the same.
void warn(const std::exception& problem) {
  static std::atomic_flag warned;
  if (warned.test_and_set()) return;
  const std::string reason = problem.what();
  std::cerr << "decoding without CUDA graphs: " << reason.substr(0, reason.find('\n')) << '\n';
}

}  // namespace

std::unique_ptr<RecordedStep> RecordedStep::make(LanguageModel& model, LanguageState& state, int64_t most) {
  auto graph = make_device_graph(device_of(model));
  if (!graph || most <= kPasses || !state.seen.defined()) return nullptr;
  std::unique_ptr<RecordedStep> step(new RecordedStep(model, state, std::move(graph), most));
  return step->make_room() ? std::move(step) : nullptr;
}

RecordedStep::RecordedStep(LanguageModel& model, LanguageState& state, std::unique_ptr<DeviceGraph> graph, int64_t most)
    : model_(model), state_(state), parts_(state.mixers), graph_(std::move(graph)), left_(most) {
  const int64_t rows = state.seen.size(0);
  ids_ = torch::zeros({rows, 1}, state.seen.options());
  real_ = torch::ones({rows, 1}, state.seen.options().dtype(torch::kBool));
}

RecordedStep::~RecordedStep() {
  for (const auto& part : parts_) part->release();
}

/// As much again as there is, as ever when something grows. @return false where a part cannot
bool RecordedStep::make_room() {
  const int64_t seen = state_.seen.max().item<int64_t>();
  room_ = std::max<int64_t>(1, std::min(std::max(seen, kLeastRoom), left_));
  passes_ = 0, recorded_ = false;
  fixed_.clear();
  return std::all_of(parts_.begin(), parts_.end(), [&](const auto& part) { return part->fix(room_); });
}

std::vector<Tensor*> RecordedStep::replaced() {
  std::vector<Tensor*> all = {&state_.seen};
  for (const auto& part : parts_)
    for (Tensor* tensor : part->replaced()) all.push_back(tensor);
  return all;
}

/// Brings what a pass or a selection of rows has put in the places of the fixed tensors back into these.
void RecordedStep::settle() {
  const auto places = replaced();
  fixed_.resize(places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    Tensor& now = *places[i];
    if (!now.defined() || now.is_same(fixed_[i])) continue;
    if (!fixed_[i].defined()) {
      if (is_recording()) throw std::logic_error("a recorded step gave its state another tensor");
      fixed_[i] = now.clone();
    } else {
      fixed_[i].copy_(now);
    }
    now = fixed_[i];
  }
}

void RecordedStep::pass() {
  Tokens tokens;
  tokens.ids = ids_;
  tokens.x = model_.embed(ids_);
  if (rows() > 1) tokens.mask = real_;
  result_.hidden = model_.hidden(tokens, &state_).x.select(1, 0);
  result_.logits = model_.logits(result_.hidden);
  settle();
}

/// What cannot be recorded is done at once: recording has changed nothing but which tensors stand in the places of the
/// fixed ones.
void RecordedStep::record() {
  try {
    graph_->record([this] { pass(); });
    recorded_ = true;
  } catch (const std::exception& problem) {
    warn(problem);
    refused_ = true;
    const auto places = replaced();
    for (size_t i = 0; i < places.size(); ++i) *places[i] = fixed_[i];
  }
}

RecordedStep::Result RecordedStep::step(const Tensor& ids, const Tensor& real) {
  const torch::NoGradGuard no_gradient;
  if (room_ == 0 && !make_room()) throw std::logic_error("a state that was fixed cannot be fixed again");
  settle();
  ids_.copy_(ids.unsqueeze(1));
  real_.copy_(real.unsqueeze(1));
  if (!recorded_ && passes_ == kPasses) record();
  if (recorded_)
    graph_->replay();
  else
    graph_->run([this] { pass(); });
  for (const auto& part : parts_) part->count_token();
  ++passes_, --room_, --left_;
  return result_;
}

}  // namespace tessera
