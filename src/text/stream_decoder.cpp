#include <algorithm>

#include "text/tokenizer.h"
#include "text/utf8.h"

namespace tessera {
namespace {

// Tokens at the beginning of a text decode differently (a space is dropped), so new ids are decoded together with some
// before them. These are enough when they give visible text of their own.
bool has_visible_text(const std::string& text) { return text.find_first_not_of(" \t\r\n") != std::string::npos; }

}  // namespace

std::string StreamDecoder::push(int64_t id) {
  const auto& skipped = tokenizer_.special_ids().all;
  const bool skip = skip_special_ && std::binary_search(skipped.begin(), skipped.end(), id);
  if (skip || (id >= 0 && !tokenizer_.id_to_token(id))) return "";  // what `decode` leaves out is no context either
  window_.push_back(id);
  return emit(false);
}

std::string StreamDecoder::finish() {
  std::string rest = emit(true);
  window_.clear();
  context_ = 0;
  return rest;
}

std::string StreamDecoder::emit(bool last) {
  const std::span<const int64_t> window(window_);
  const std::string known = tokenizer_.decode(window.first(context_), skip_special_);
  const std::string whole = tokenizer_.decode(window, skip_special_);
  if (!last && whole.ends_with("\xEF\xBF\xBD")) return "";  // half of a character may have come
  // Bytes that spell no text at all change what stands before them; then the new ids speak for themselves.
  const std::string fresh = whole.starts_with(known) ? whole.substr(known.size())
                                                     : tokenizer_.decode(window.subspan(context_), skip_special_);
  if (fresh.empty()) return "";
  if (has_visible_text(tokenizer_.decode(window.subspan(context_), skip_special_))) {
    window_.erase(window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(context_));
  }
  context_ = window_.size();
  return fresh;
}

}  // namespace tessera
