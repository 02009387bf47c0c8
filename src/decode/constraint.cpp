#include "decode/constraint.h"

#include <algorithm>
#include <stdexcept>

#include "core/error.h"

namespace tessera {
namespace {

constexpr size_t kMostMasks = 4096;

class GrammarConstraint : public Constraint {
 public:
  GrammarConstraint(Grammar grammar, std::shared_ptr<const TokenBytes> tokens, const std::string& what)
      : matcher_(std::move(grammar), what), tokens_(std::move(tokens)), what_(what) {}

  State start() override { return matcher_.start(); }
  State next(State state, int64_t id) override {
    const std::string& bytes = tokens_->of(id);
    const Matcher::State next = bytes.empty() ? Matcher::kNone : matcher_.step(static_cast<int32_t>(state), bytes);
    if (next == Matcher::kNone) throw std::logic_error("a token was taken that the constraint does not allow");
    return next;
  }
  const std::vector<bool>& allowed(State state) override { return mask_of(state).allowed; }
  bool may_end(State state) override { return matcher_.complete(static_cast<int32_t>(state)); }
  bool must_end(State state) override {
    if (mask_of(state).any) return false;
    if (!may_end(state))
      throw Error("no token of the vocabulary goes on where it has to", what_, "use a tokenizer that knows all bytes");
    return true;
  }

 private:
  struct Mask {
    std::vector<bool> allowed;
    bool any = false;
  };

  const Mask& mask_of(State state) {
    if (masks_.size() > kMostMasks) masks_.clear();
    const auto [found, fresh] = masks_.try_emplace(state);
    if (fresh) fill(found->second, static_cast<Matcher::State>(state));
    return found->second;
  }

  /// Neighbours begin alike, so that each goes on from what the one before it shares with it.
  void fill(Mask& mask, Matcher::State state) {
    mask.allowed.assign(static_cast<size_t>(tokens_->size()), false);
    std::vector<Matcher::State> behind = {state};  // [n]: n bytes of the token before
    const auto& sorted = tokens_->sorted();
    for (size_t i = 0; i < sorted.size(); ++i) {
      const size_t shared = tokens_->shared()[i];
      if (shared + 1 < behind.size()) behind.resize(shared + 1);
      if (behind.back() == Matcher::kNone) continue;  // it begins with bytes that cannot come
      const std::string& bytes = tokens_->of(sorted[i]);
      while (behind.size() <= bytes.size() && behind.back() != Matcher::kNone)
        behind.push_back(matcher_.step(behind.back(), static_cast<uint8_t>(bytes[behind.size() - 1])));
      if (behind.back() == Matcher::kNone || behind.size() != bytes.size() + 1) continue;
      mask.allowed[static_cast<size_t>(sorted[i])] = mask.any = true;
    }
  }

  Matcher matcher_;
  std::shared_ptr<const TokenBytes> tokens_;
  std::string what_;
  std::unordered_map<State, Mask> masks_;
};

std::vector<std::string> bytes_of_all(const Tokenizer& tokenizer) {
  std::vector<std::string> bytes(static_cast<size_t>(tokenizer.vocab_size()));
  for (size_t id = 0; id < bytes.size(); ++id) bytes[id] = tokenizer.bytes_of(static_cast<int64_t>(id));
  return bytes;
}

}  // namespace

TokenBytes::TokenBytes(const Tokenizer& tokenizer) : TokenBytes(bytes_of_all(tokenizer)) {}

TokenBytes::TokenBytes(std::vector<std::string> bytes) : bytes_(std::move(bytes)) {
  for (size_t id = 0; id < bytes_.size(); ++id)
    if (!bytes_[id].empty()) sorted_.push_back(static_cast<int32_t>(id));
  const auto text = [&](int32_t id) -> const std::string& { return bytes_[static_cast<size_t>(id)]; };
  std::sort(sorted_.begin(), sorted_.end(), [&](int32_t a, int32_t b) { return text(a) < text(b); });
  shared_.resize(sorted_.size());
  for (size_t i = 1; i < sorted_.size(); ++i) {
    const std::string &a = text(sorted_[i - 1]), &b = text(sorted_[i]);
    const auto end =
        std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())), b.begin());
    shared_[i] = static_cast<uint32_t>(end.first - a.begin());
  }
}

std::shared_ptr<Constraint> grammar_constraint(Grammar grammar, std::shared_ptr<const TokenBytes> tokens,
                                               const std::string& what) {
  return std::make_shared<GrammarConstraint>(std::move(grammar), std::move(tokens), what);
}

}  // namespace tessera
