#include <algorithm>
#include <map>

#include "core/error.h"
#include "text/characters.h"
#include "text/encodings.h"
#include "text/parts.h"

namespace tessera::text {
namespace {

struct SpecialToken {
  std::vector<int64_t> ids;
  std::vector<std::string> tokens;
};

Encoding with_type(Encoding encoding, int64_t type_id) {
  encoding.type_ids.assign(encoding.size(), type_id);
  return encoding;
}

// "[CLS] $A [SEP] $B:1 [SEP]:1", as a list of pieces, one for a text and one for a pair.
class Template : public PostProcessor {
 public:
  explicit Template(const JsonNode& node) {
    read_special(node.at("special_tokens"));
    single_ = read_pieces(node.at("single"));
    pair_ = read_pieces(node.at("pair"));
    if (uses(single_, 1)) node.at("single").fail("uses the sequence B, which there is none");
  }

  int64_t added(bool pair) const override {
    int64_t count = 0;
    for (const Part& part : pair ? pair_ : single_) {
      if (part.sequence < 0) count += static_cast<int64_t>(special_.at(part.special).ids.size());
    }
    return count;
  }

  void process(std::vector<Encoding>& parts, bool add_special) const override {
    if (parts.empty() || parts.size() > 2) throw Error("a template takes one or two texts", "post_processor");
    std::vector<Encoding> out;
    for (const Part& part : parts.size() == 2 ? pair_ : single_) {
      if (part.sequence >= 0) {
        out.push_back(with_type(parts[static_cast<size_t>(part.sequence)], part.type_id));
      } else if (add_special) {
        const SpecialToken& token = special_.at(part.special);
        Encoding& special = out.emplace_back();
        for (size_t i = 0; i < token.ids.size(); ++i)
          push_special(special, token.ids[i], token.tokens[i], part.type_id);
      }
    }
    parts = std::move(out);
  }

 private:
  struct Part {
    int sequence;  // 0: A, 1: B, -1: a special token
    std::string special;
    int64_t type_id;
  };

  static bool uses(const std::vector<Part>& parts, int sequence) {
    return std::any_of(parts.begin(), parts.end(), [=](const Part& part) { return part.sequence == sequence; });
  }

  void read_special(const JsonNode& node) {
    for (const auto& [name, unused] : node.value().items()) {
      const JsonNode entry = node.at(name), ids = entry.at("ids"), tokens = entry.at("tokens");
      SpecialToken& token = special_[name];
      for (size_t i = 0; i < ids.size(); ++i) token.ids.push_back(ids.at(i).integer());
      for (size_t i = 0; i < tokens.size(); ++i) token.tokens.push_back(tokens.at(i).string());
      if (token.ids.size() != token.tokens.size()) entry.fail("as many ids as tokens are needed");
    }
  }

  std::vector<Part> read_pieces(const JsonNode& node) const {
    std::vector<Part> parts;
    for (size_t i = 0; i < node.size(); ++i) {
      const JsonNode piece = node.at(i);
      if (piece.has("Sequence")) {
        const JsonNode sequence = piece.at("Sequence");
        const std::string id = sequence.at("id").string();
        if (id != "A" && id != "B") sequence.fail("unknown sequence '" + id + "'");
        parts.push_back({id == "A" ? 0 : 1, "", sequence.integer("type_id", 0)});
      } else {
        const JsonNode special = piece.at("SpecialToken");
        const std::string id = special.at("id").string();
        if (!special_.contains(id)) special.fail("'" + id + "' is not among the special_tokens");
        parts.push_back({-1, id, special.integer("type_id", 0)});
      }
    }
    return parts;
  }

  std::map<std::string, SpecialToken> special_;
  std::vector<Part> single_, pair_;
};

// Offsets without the white space that byte-level tokens begin or end with.
class TrimOffsets {
 public:
  TrimOffsets(bool trim, bool prefix_space) : trim_(trim), prefix_space_(prefix_space) {}

  void operator()(std::vector<Encoding>& parts) const {
    if (!trim_) return;
    for (Encoding& part : parts) {
      for (size_t i = 0; i < part.size(); ++i) trim(part.tokens[i], part.offsets[i], i == 0);
    }
  }

 private:
  static bool is_space(char32_t c) { return c == byte_to_char(' ') || is_whitespace(c); }

  void trim(const std::string& token, TextSpan& span, bool first) const {
    int64_t leading = 0, trailing = 0;
    for (size_t i = 0; i < token.size() && is_space(next_char(token, i));) ++leading;
    for (size_t end = token.size(); end > 0; ++trailing) {
      const size_t begin = previous_char(token, end);
      size_t at = begin;
      if (!is_space(next_char(token, at))) break;
      end = begin;
    }
    // One space at the very beginning is the one that the pre-tokenizer added, which is not in the text.
    if (leading == 1 && prefix_space_ && (first || span.begin == 0)) leading = 0;
    span.begin = std::min(span.begin + leading, span.end);
    if (span.end >= trailing) span.end = std::max(span.end - trailing, span.begin);
  }

  bool trim_, prefix_space_;
};

class ByteLevelProcessor : public PostProcessor {
 public:
  explicit ByteLevelProcessor(const JsonNode& node)
      : trim_(node.boolean("trim_offsets", true), node.boolean("add_prefix_space", true)) {}
  int64_t added(bool) const override { return 0; }
  void process(std::vector<Encoding>& parts, bool) const override { trim_(parts); }

 private:
  TrimOffsets trim_;
};

struct NamedToken {
  std::string token;
  int64_t id;
  explicit NamedToken(const JsonNode& node) : token(node.at(size_t{0}).string()), id(node.at(1).integer()) {}
};

// [CLS] A [SEP] B [SEP], where the second text has type 1.
class BertProcessing : public PostProcessor {
 public:
  explicit BertProcessing(const JsonNode& node) : sep_(node.at("sep")), cls_(node.at("cls")) {}
  int64_t added(bool pair) const override { return pair ? 3 : 2; }
  void process(std::vector<Encoding>& parts, bool add_special) const override {
    if (!add_special) return;
    for (size_t i = 0; i < parts.size(); ++i) {
      const auto type_id = static_cast<int64_t>(i);
      Encoding whole;
      if (i == 0) push_special(whole, cls_.id, cls_.token, 0);
      append(whole, with_type(std::move(parts[i]), type_id));
      push_special(whole, sep_.id, sep_.token, type_id);
      parts[i] = std::move(whole);
    }
  }

 private:
  NamedToken sep_, cls_;
};

// <s> A </s> </s> B </s>, all of type 0.
class RobertaProcessing : public PostProcessor {
 public:
  explicit RobertaProcessing(const JsonNode& node)
      : sep_(node.at("sep")),
        cls_(node.at("cls")),
        trim_(node.boolean("trim_offsets", true), node.boolean("add_prefix_space", true)) {}
  int64_t added(bool pair) const override { return pair ? 4 : 2; }
  void process(std::vector<Encoding>& parts, bool add_special) const override {
    trim_(parts);
    for (size_t i = 0; i < parts.size(); ++i) {
      Encoding whole;
      const NamedToken& before = i == 0 ? cls_ : sep_;
      if (add_special) push_special(whole, before.id, before.token, 0);
      append(whole, with_type(std::move(parts[i]), 0));
      if (add_special) push_special(whole, sep_.id, sep_.token, 0);
      parts[i] = std::move(whole);
    }
  }

 private:
  NamedToken sep_, cls_;
  TrimOffsets trim_;
};

class PostProcessorSequence : public PostProcessor {
 public:
  explicit PostProcessorSequence(const JsonNode& node) {
    for (size_t i = 0; i < node.size(); ++i) steps_.push_back(make_post_processor(node.at(i)));
  }
  int64_t added(bool pair) const override {
    int64_t count = 0;
    for (const auto& step : steps_) count += step->added(pair);
    return count;
  }
  void process(std::vector<Encoding>& parts, bool add_special) const override {
    for (const auto& step : steps_) step->process(parts, add_special);
  }

 private:
  std::vector<std::unique_ptr<PostProcessor>> steps_;
};

}  // namespace

std::unique_ptr<PostProcessor> make_post_processor(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "TemplateProcessing") return std::make_unique<Template>(node);
  if (type == "ByteLevel") return std::make_unique<ByteLevelProcessor>(node);
  if (type == "BertProcessing") return std::make_unique<BertProcessing>(node);
  if (type == "RobertaProcessing") return std::make_unique<RobertaProcessing>(node);
  if (type == "Sequence") return std::make_unique<PostProcessorSequence>(node.at("processors"));
  node.unknown("post-processor");
}

}  // namespace tessera::text
