#include "decode/text_stream.h"

#include <algorithm>

namespace tessera {
namespace {

constexpr size_t kContext = 16;  // tokens of the prompt that are enough to tell how the next one is written

/// How many bytes at the end of a text may be the beginning of a stop string.
size_t overlap(const std::string& text, const std::string& stop) {
  for (size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size)
    if (text.compare(text.size() - size, size, stop, 0, size) == 0) return size;
  return 0;
}

}  // namespace

TextStream::TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops, std::span<const int64_t> before)
    : decoder_(tokenizer), stops_(std::move(stops)) {
  for (const std::string& stop : stops_)
    if (stop.empty()) throw Error("an empty string stops nothing", "stop", "give one of at least one character");
  for (const int64_t id : before.last(std::min(before.size(), kContext)))
    if (id >= 0) decoder_.push(id);
}

std::string TextStream::push(int64_t id) { return stopped_ ? "" : certain(decoder_.push(id), false); }

std::string TextStream::finish() { return stopped_ ? "" : certain(decoder_.finish(), true); }

std::string TextStream::certain(const std::string& more, bool last) {
  held_ += more;
  size_t end = std::string::npos, keep = 0;
  for (const std::string& stop : stops_) {
    end = std::min(end, held_.find(stop));
    keep = std::max(keep, overlap(held_, stop));
  }
  stopped_ = end != std::string::npos;
  std::string out = held_.substr(0, stopped_ ? end : last ? held_.size() : held_.size() - keep);
  held_.erase(0, out.size());
  return out;
}

}  // namespace tessera
