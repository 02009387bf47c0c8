#include "decode/continuation.h"

#include <algorithm>
#include <cmath>

#include "core/memory_limit.h"

namespace tessera {
namespace {

Tensor on_cpu(const Tensor& logits) {
  const Tensor numbers = logits.to(torch::kCPU, torch::kFloat32).contiguous();
  if (numbers.isnan().any().item<bool>())
    throw Error("the logits hold NaN", "generate", "look for NaN among the weights, or take a wider type");
  return numbers;
}

Tensor index(const std::vector<int64_t>& rows, torch::Device device = torch::kCPU) {
  return torch::tensor(rows, torch::kInt64).to(device);
}

/// Which rows go on, R; all where none is said to have ended.
Tensor going_on(const std::vector<bool>& ended, int64_t rows) {
  const Tensor real = torch::ones({rows}, torch::kBool);
  for (size_t i = 0; i < ended.size(); ++i) real.data_ptr<bool>()[i] = !ended[i];
  return real;
}

constexpr int64_t kFirstPiece = 32;
constexpr int64_t kBeforeRecording = 4;  // tokens: a few are not worth it

/// Some of the tokens of a prompt.
Tokens piece_of(const Tokens& tokens, int64_t begin, int64_t count) {
  const auto part = [&](const Tensor& x) { return x.defined() ? x.narrow(1, begin, count) : x; };
  Tokens piece = tokens;
  piece.x = part(tokens.x);
  piece.mask = part(tokens.mask);
  piece.at = part(tokens.at);
  piece.ids = part(tokens.ids);
  return piece;
}

}  // namespace

Continuation::Continuation(LanguageModel& model, LanguageState& state, const Prompt& prompt, int64_t most,
                           bool keep_hidden)
    : model_(model), state_(state), left_(most) {
  const torch::NoGradGuard no_grad;
  const Tokens& tokens = prompt.tokens;
  const int64_t length = tokens.x.size(1);
  if (!state.seen.defined() && model.outgrown(1, length + most)) {
    may_outgrow_ = true;
    prompt_ = tokens;
    origin_ = torch::arange(tokens.x.size(0), tokens.x.options().dtype(torch::kInt64));
  }
  // What sees all of the prompt, or begins anew at a length, is read at once.
  if (memory_is_limited() && !keep_hidden && !tokens.span.defined() && !may_outgrow_) {
    read_in_pieces(tokens);
    return;
  }
  const Tokens read = model.hidden(tokens, &state);
  // The head is the widest layer, so it is given the last tokens alone.
  hidden_ = last_real(read.x, tokens.mask);
  logits_ = on_cpu(model.logits(hidden_));
  if (keep_hidden) prompt_hidden_ = read.x;
}

std::span<const float> Continuation::logits(int64_t row) const {
  return {logits_.data_ptr<float>() + row * logits_.size(1), static_cast<size_t>(logits_.size(1))};
}

void Continuation::read(const Tokens& tokens) {
  hidden_ = last_real(model_.hidden(tokens, &state_).x, tokens.mask);
  logits_ = on_cpu(model_.logits(hidden_));
}

/// As read(), with hidden layers for some of the tokens at a time: as many as leave half of the room, by what those
/// before them took.
void Continuation::read_in_pieces(const Tokens& tokens) {
  const int64_t length = tokens.x.size(1);
  int64_t piece = kFirstPiece;
  for (int64_t begin = 0; begin < length;) {
    const int64_t count = std::min(piece, length - begin);
    const TensorGrowth growth;
    const Tokens part = piece_of(tokens, begin, count);
    const Tensor last = last_real(model_.hidden(part, &state_).x, part.mask);
    // A row whose padding has begun ends before this piece.
    hidden_ = hidden_.defined() && part.mask.defined()
                  ? torch::where(part.mask.to(torch::kBool).any(1, /*keepdim=*/true), last, hidden_)
                  : last;
    begin += count;
    const double fitting =
        static_cast<double>(memory_room()) / 2 / static_cast<double>(std::max<int64_t>(growth.most(), 1));
    piece = std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(count) * std::min(fitting, 2.0)));
  }
  logits_ = on_cpu(model_.logits(hidden_));
}

/// One token for each row by a recorded graph. @return false where there is none
bool Continuation::read_recorded(const Tensor& next, const std::vector<bool>& ended) {
  if (may_outgrow_) return false;
  if (!recorded_ && ++singly_ == kBeforeRecording) recorded_ = RecordedStep::make(model_, state_, left_);
  if (!recorded_) return false;
  const auto result = recorded_->step(next, going_on(ended, next.size(0)));
  hidden_ = result.hidden.clone();  // which the next step overwrites
  logits_ = on_cpu(result.logits);
  if (recorded_->refused()) recorded_.reset();  // and is not tried again
  return true;
}

void Continuation::advance(const std::vector<int64_t>& ids, const std::vector<bool>& ended) {
  const torch::NoGradGuard no_grad;
  const Tensor next = index(ids, hidden_.device());
  const bool read_already = read_recorded(next, ended);
  --left_;
  if (read_already) return;
  if (may_outgrow_) {
    made_.push_back(next);
    const int64_t seen = state_.seen.max().item<int64_t>();
    if (model_.outgrown(seen, seen + 1)) return begin_anew(static_cast<int64_t>(made_.size()));
  }
  Tokens tokens;
  tokens.ids = next.unsqueeze(1);
  tokens.x = model_.embed(tokens.ids);
  if (std::find(ended.begin(), ended.end(), true) != ended.end())
    tokens.mask = going_on(ended, next.size(0)).unsqueeze(1).to(next.device());
  read(tokens);
}

/// Reads the prompt and what was made once more.
void Continuation::begin_anew(int64_t count) {
  Tokens tokens = prompt_;
  const Tensor made = torch::stack(made_, 1);  // R x count
  tokens.x = torch::cat({prompt_.x.index_select(0, origin_), model_.embed(made)}, 1);
  if (prompt_.mask.defined()) {
    const Tensor before = prompt_.mask.index_select(0, origin_).to(torch::kBool);
    tokens.mask = torch::cat({before, torch::ones({made.size(0), count}, before.options())}, 1);
  }
  if (prompt_.ids.defined()) tokens.ids = torch::cat({prompt_.ids.index_select(0, origin_), made}, 1);
  tokens.at = Tensor();
  state_ = model_.start();
  read(tokens);
}

void Continuation::select(const std::vector<int64_t>& rows) {
  const torch::NoGradGuard no_grad;
  const Tensor order = index(rows, hidden_.device());
  if (recorded_ && recorded_->rows() != order.size(0)) stop_recording();
  state_.select(order);
  logits_ = logits_.index_select(0, index(rows));
  hidden_ = hidden_.index_select(0, order);
  if (!may_outgrow_) return;
  origin_ = origin_.index_select(0, order);
  for (Tensor& made : made_) made = made.index_select(0, order);
}

void Continuation::stop_recording() {
  recorded_.reset();
  singly_ = 0;
}

Tensor Continuation::advance_all(const std::vector<int64_t>& ids) {
  const torch::NoGradGuard no_grad;
  stop_recording();
  left_ -= static_cast<int64_t>(ids.size());
  Tokens tokens;
  tokens.ids = index(ids, hidden_.device()).unsqueeze(0);
  tokens.x = model_.embed(tokens.ids);
  const Tensor hidden = model_.hidden(tokens, &state_).x;
  const Tensor logits = on_cpu(model_.logits(hidden)).squeeze(0);  // K x vocabulary
  hidden_ = hidden.select(1, hidden.size(1) - 1);
  logits_ = logits.narrow(0, logits.size(0) - 1, 1);
  return logits;
}

void Continuation::rewind(int64_t tokens) {
  stop_recording();
  left_ += tokens;
  if (tokens > 0) state_.rewind(tokens);
}

double log_probability(std::span<const float> scores, int64_t id) {
  const double largest = *std::max_element(scores.begin(), scores.end());
  double sum = 0;
  for (const float score : scores) sum += std::exp(score - largest);
  return scores[static_cast<size_t>(id)] - largest - std::log(sum);
}

}  // namespace tessera
