#include <unicode/uscript.h>

#include <functional>

#include "text/characters.h"
#include "text/metaspace.h"
#include "text/parts.h"
#include "text/pattern.h"

namespace tessera::text {
namespace {

// Cuts every word by a function from its text to the pieces that stay.
template <class Cut>
void split_each(std::vector<AlignedText>& words, Cut cut) {
  std::vector<AlignedText> out;
  for (AlignedText& word : words) {
    const std::vector<Piece> pieces = cut(word.text);
    if (pieces.size() == 1 && pieces[0].begin == 0 && pieces[0].end == word.text.size()) {
      out.push_back(std::move(word));
    } else {
      for (const Piece& piece : pieces) out.push_back(word.slice(piece.begin, piece.end));
    }
  }
  words = std::move(out);
}

// One piece for each character of a kind, and one for each stretch between.
std::vector<Piece> cut_at(std::string_view text, const std::function<bool(char32_t)>& kind) {
  std::vector<Piece> pieces;
  size_t done = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (!kind(next_char(text, i))) continue;
    if (done < begin) pieces.push_back({done, begin, false});
    pieces.push_back({begin, i, true});
    done = i;
  }
  if (done < text.size()) pieces.push_back({done, text.size(), false});
  return pieces;
}

class PreTokenizerSequence : public PreTokenizer {
 public:
  explicit PreTokenizerSequence(const JsonNode& node) {
    for (size_t i = 0; i < node.size(); ++i) steps_.push_back(make_pre_tokenizer(node.at(i)));
  }
  void split(std::vector<AlignedText>& words) const override {
    for (const auto& step : steps_) step->split(words);
  }

 private:
  std::vector<std::unique_ptr<PreTokenizer>> steps_;
};

class SplitByPattern : public PreTokenizer {
 public:
  SplitByPattern(Pattern pattern, Behavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}
  void split(std::vector<AlignedText>& words) const override {
    split_each(words, [this](std::string_view text) {
      std::vector<Piece> pieces = pattern_.cut(text);
      if (invert_) {
        for (Piece& piece : pieces) piece.match = !piece.match;
      }
      return apply_behavior(pieces, behavior_);
    });
  }

 private:
  Pattern pattern_;
  Behavior behavior_;
  bool invert_;
};

// Splits at each character of one kind after another.
class SplitByCharacter : public PreTokenizer {
 public:
  SplitByCharacter(std::function<bool(char32_t)> kind, Behavior behavior)
      : kind_(std::move(kind)), behavior_(behavior) {}
  void split(std::vector<AlignedText>& words) const override {
    split_each(words, [this](std::string_view text) { return apply_behavior(cut_at(text, kind_), behavior_); });
  }

 private:
  std::function<bool(char32_t)> kind_;
  Behavior behavior_;
};

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const JsonNode& node)
      : prefix_space_(node.at("add_prefix_space").boolean()),
        use_regex_(node.boolean("use_regex", true)),
        words_("'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", node.where()) {}
  void split(std::vector<AlignedText>& words) const override {
    if (prefix_space_) {
      for (AlignedText& word : words) {
        if (!word.text.starts_with(' ')) word.prepend(" ");
      }
    }
    if (use_regex_) {
      split_each(words, [this](std::string_view text) { return apply_behavior(words_.cut(text), Behavior::Isolated); });
    }
    for (AlignedText& word : words) to_byte_level(word);
  }

 private:
  bool prefix_space_, use_regex_;
  Pattern words_;
};

class BertPreTokenizer : public PreTokenizer {
 public:
  void split(std::vector<AlignedText>& words) const override {
    split_each(words, [](std::string_view text) {
      return apply_behavior(cut_at(text, [](char32_t c) { return is_whitespace(c); }), Behavior::Removed);
    });
    split_each(words, [](std::string_view text) { return cut_at(text, [](char32_t c) { return is_punctuation(c); }); });
  }
};

class MetaspacePreTokenizer : public PreTokenizer {
 public:
  explicit MetaspacePreTokenizer(const JsonNode& node) : options_(parse_metaspace(node)) {}
  void split(std::vector<AlignedText>& words) const override {
    const std::string mark = to_utf8(options_.replacement);
    for (AlignedText& word : words) {
      replace_spaces(word);
      const bool first = word.empty() || word.source[0].begin == 0;
      const bool wanted =
          options_.prepend == Metaspace::Prepend::Always || (options_.prepend == Metaspace::Prepend::First && first);
      if (wanted && !word.text.starts_with(mark)) word.prepend(mark);
    }
    if (!options_.split) return;
    const auto is_mark_char = [this](char32_t c) { return c == options_.replacement; };
    split_each(words, [&](std::string_view text) {
      return apply_behavior(cut_at(text, is_mark_char), Behavior::MergedWithNext);
    });
  }

 private:
  void replace_spaces(AlignedText& word) const {
    if (word.text.find(' ') == std::string::npos) return;
    rewrite_chars(word, [this](char32_t c, AlignedText::Source from, AlignedText& out) {
      out.push(c == U' ' ? options_.replacement : c, from);
    });
  }

  Metaspace options_;
};

// Kana and the long-vowel mark count as Han; a space, like a character of no script, belongs to what stands before it.
std::optional<UScriptCode> script_of(char32_t c) {
  if (c == U' ') return std::nullopt;
  if (c == 0x30FC) return USCRIPT_HAN;
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  if (script == USCRIPT_UNKNOWN) return std::nullopt;  // unassigned and private characters
  return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ? USCRIPT_HAN : script;
}

class UnicodeScripts : public PreTokenizer {
 public:
  void split(std::vector<AlignedText>& words) const override {
    split_each(words, [](std::string_view text) {
      std::vector<Piece> pieces;
      std::optional<UScriptCode> last;
      for (size_t i = 0; i < text.size();) {
        const size_t begin = i;
        const auto script = script_of(next_char(text, i));
        if (script && script != last) pieces.push_back({begin, i, false});
        if (script) last = script;
        if (!pieces.empty()) pieces.back().end = i;  // spaces before the first script are dropped, as in the reference
      }
      return pieces;
    });
  }
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(const JsonNode& node) : length_(node.integer("length", 5)) {
    if (length_ < 1) node.fail("length must be at least 1");
  }
  void split(std::vector<AlignedText>& words) const override {
    split_each(words, [this](std::string_view text) {
      std::vector<Piece> pieces;
      int64_t count = 0;
      for (size_t i = 0; i < text.size();) {
        if (count++ % length_ == 0) pieces.push_back({i, i, false});
        next_char(text, i);
        pieces.back().end = i;
      }
      return pieces;
    });
  }

 private:
  int64_t length_;
};

std::unique_ptr<PreTokenizer> make_digits(const JsonNode& node) {
  const bool individual = node.boolean("individual_digits", false);
  return std::make_unique<SplitByCharacter>(is_numeric, individual ? Behavior::Isolated : Behavior::Contiguous);
}

std::unique_ptr<PreTokenizer> make_punctuation(const JsonNode& node) {
  const Behavior behavior = node.has("behavior") ? parse_behavior(node.at("behavior")) : Behavior::Isolated;
  return std::make_unique<SplitByCharacter>(is_punctuation, behavior);
}

// \w+|[^\w\s]+, with the \w of Rust, which knows no fractions but joiners.
std::unique_ptr<PreTokenizer> make_whitespace(const JsonNode& node) {
  const std::string word = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
  return std::make_unique<SplitByPattern>(Pattern("[" + word + "]+|[^" + word + "\\s]+", node.where()),
                                          Behavior::Removed, true);
}

}  // namespace

std::unique_ptr<PreTokenizer> make_pre_tokenizer(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") return std::make_unique<PreTokenizerSequence>(node.at("pretokenizers"));
  if (type == "ByteLevel") return std::make_unique<ByteLevel>(node);
  if (type == "BertPreTokenizer") return std::make_unique<BertPreTokenizer>();
  if (type == "Metaspace") return std::make_unique<MetaspacePreTokenizer>(node);
  if (type == "Split") {
    return std::make_unique<SplitByPattern>(Pattern(node.at("pattern")), parse_behavior(node.at("behavior")),
                                            node.boolean("invert", false));
  }
  if (type == "Whitespace") return make_whitespace(node);
  if (type == "WhitespaceSplit") return std::make_unique<SplitByCharacter>(is_whitespace, Behavior::Removed);
  if (type == "Punctuation") return make_punctuation(node);
  if (type == "Digits") return make_digits(node);
  if (type == "CharDelimiterSplit") {
    const char32_t delimiter = node.at("delimiter").character();
    return std::make_unique<SplitByCharacter>([=](char32_t c) { return c == delimiter; }, Behavior::Removed);
  }
  if (type == "UnicodeScripts") return std::make_unique<UnicodeScripts>();
  if (type == "FixedLength") return std::make_unique<FixedLength>(node);
  node.unknown("pre-tokenizer");
}

}  // namespace tessera::text
