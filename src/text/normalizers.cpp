#include <algorithm>

#include "text/characters.h"
#include "text/parts.h"
#include "text/pattern.h"

namespace tessera::text {
namespace {

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(const JsonNode& node) {
    for (size_t i = 0; i < node.size(); ++i) steps_.push_back(make_normalizer(node.at(i)));
  }
  void normalize(AlignedText& text) const override {
    for (const auto& step : steps_) step->normalize(text);
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> steps_;
};

class Replace : public Normalizer {
 public:
  explicit Replace(const JsonNode& node) : pattern_(node.at("pattern")), content_(node.at("content").string()) {}
  void normalize(AlignedText& text) const override {
    const std::vector<Piece> pieces = pattern_.cut(text.text);
    if (std::none_of(pieces.begin(), pieces.end(), [](const Piece& p) { return p.match; })) return;
    AlignedText out;
    for (const Piece& piece : pieces) {
      if (piece.match) {
        out.push(content_, text.range(piece.begin, piece.end));
      } else {
        out.push(text, piece.begin, piece.end);
      }
    }
    text = std::move(out);
  }

 private:
  Pattern pattern_;
  std::string content_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string content) : content_(std::move(content)) {}
  void normalize(AlignedText& text) const override { text.prepend(content_); }

 private:
  std::string content_;
};

class Append : public Normalizer {
 public:
  explicit Append(std::string content) : content_(std::move(content)) {}
  void normalize(AlignedText& text) const override { text.append(content_); }

 private:
  std::string content_;
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void normalize(AlignedText& text) const override {
    size_t begin = 0, end = text.text.size();
    for (size_t next = 0; left_ && begin < end && is_whitespace(next_char(text.text, next));) begin = next;
    while (right_ && end > begin) {
      size_t at = previous_char(text.text, end);
      const size_t start = at;
      if (!is_whitespace(next_char(text.text, at))) break;
      end = start;
    }
    if (begin > 0 || end < text.text.size()) text = text.slice(begin, end);
  }

 private:
  bool left_, right_;
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void normalize(AlignedText& text) const override { to_byte_level(text); }
};

}  // namespace

std::unique_ptr<Normalizer> make_normalizer(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") return std::make_unique<NormalizerSequence>(node.at("normalizers"));
  if (type == "Replace") return std::make_unique<Replace>(node);
  if (type == "Prepend") return std::make_unique<Prepend>(node.at("prepend").string());
  if (type == "Append") return std::make_unique<Append>(node.at("append").string());
  if (type == "Strip") {
    return std::make_unique<Strip>(node.boolean("strip_left", true), node.boolean("strip_right", true));
  }
  if (type == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  if (type == "BertNormalizer" || type == "Bert") return make_bert_normalizer(node);
  if (type == "Precompiled") return make_precompiled_normalizer(node);
  if (auto unicode = make_unicode_normalizer(node)) return unicode;
  node.unknown("normalizer");
}

}  // namespace tessera::text
