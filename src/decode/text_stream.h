#pragma once
#include <string>
#include <vector>

#include "decode/generate.h"
#include "text/tokenizer.h"

namespace tessera {

/// The text of tokens while they are made, which ends before the first of some strings. What may still become one of
/// them is held back, so that nothing that was given out has to be taken back; nor is half of a character given out.
class TextStream {
 public:
  /// @param before  the last tokens of the prompt, by which a tokenizer knows whether a space belongs to the text;
  ///                empty where the text is one of its own (a translation)
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops, std::span<const int64_t> before = {});

  /// @return the text that has become certain
  std::string push(int64_t id);
  /// The rest. @return what was held back, when no stop string came of it
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  std::string certain(const std::string& more, bool last);

  StreamDecoder decoder_;
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

/// Ends a text with the token that completes a stop string.
class StopStrings : public Watcher {
 public:
  explicit StopStrings(TextStream stream) : stream_(std::move(stream)) {}
  std::unique_ptr<Watcher> clone() const override { return std::make_unique<StopStrings>(*this); }
  bool push(int64_t id) override {
    stream_.push(id);
    return stream_.stopped();
  }

 private:
  TextStream stream_;
};

}  // namespace tessera
