#include <charconv>
#include <functional>

#include "core/error.h"
#include "text/metaspace.h"
#include "text/parts.h"
#include "text/pattern.h"

namespace tessera::text {
namespace {

using Tokens = std::vector<std::string>;

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// English typography: no space before punctuation and contractions.
void clean_up(std::string& text) {
  static constexpr std::pair<const char*, const char*> kRules[] = {
      {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
      {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

class DecoderSequence : public Decoder {
 public:
  explicit DecoderSequence(const JsonNode& node) {
    for (size_t i = 0; i < node.size(); ++i) steps_.push_back(make_decoder(node.at(i)));
  }
  Tokens decode(Tokens tokens) const override {
    for (const auto& step : steps_) tokens = step->decode(std::move(tokens));
    return tokens;
  }
  std::string bytes(std::string token) const override {
    for (const auto& step : steps_) token = step->bytes(std::move(token));
    return token;
  }

 private:
  std::vector<std::unique_ptr<Decoder>> steps_;
};

class ByteLevelDecoder : public Decoder {
 public:
  Tokens decode(Tokens tokens) const override {
    std::string bytes;
    for (const std::string& token : tokens) append_bytes(token, bytes);
    return {to_valid_utf8(bytes)};
  }
  std::string bytes(std::string token) const override {
    std::string bytes;
    append_bytes(token, bytes);
    return bytes;
  }

 private:
  // A token with a character outside of the alphabet is an added one, and text already.
  static void append_bytes(const std::string& token, std::string& bytes) {
    const size_t before = bytes.size();
    for (size_t i = 0; i < token.size();) {
      const auto byte = char_to_byte(next_char(token, i));
      if (!byte) {
        bytes.resize(before);
        bytes += token;
        return;
      }
      bytes.push_back(static_cast<char>(*byte));
    }
  }
};

class WordPieceDecoder : public Decoder {
 public:
  explicit WordPieceDecoder(const JsonNode& node)
      : prefix_(node.string("prefix", "##")), cleanup_(node.boolean("cleanup", true)) {}
  Tokens decode(Tokens tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && tokens[i].starts_with(prefix_)) {
        tokens[i].erase(0, prefix_.size());
      } else if (i > 0) {
        tokens[i].insert(0, " ");
      }
      if (cleanup_) clean_up(tokens[i]);
    }
    return tokens;
  }
  std::string bytes(std::string token) const override {
    return token.starts_with(prefix_) ? token.substr(prefix_.size()) : " " + token;
  }

 private:
  std::string prefix_;
  bool cleanup_;
};

class MetaspaceDecoder : public Decoder {
 public:
  explicit MetaspaceDecoder(const JsonNode& node) : options_(parse_metaspace(node)) {}
  Tokens decode(Tokens tokens) const override {
    const std::string mark = to_utf8(options_.replacement);
    for (size_t i = 0; i < tokens.size(); ++i) {
      const bool drop = i == 0 && options_.prepend != Metaspace::Prepend::Never;
      replace_all(tokens[i], mark, drop ? "" : " ");
    }
    return tokens;
  }
  std::string bytes(std::string token) const override {
    replace_all(token, to_utf8(options_.replacement), " ");
    return token;
  }

 private:
  Metaspace options_;
};

class BpeDecoder : public Decoder {
 public:
  explicit BpeDecoder(std::string suffix) : suffix_(std::move(suffix)) {}
  Tokens decode(Tokens tokens) const override {
    for (size_t i = 0; i < tokens.size(); ++i) replace_all(tokens[i], suffix_, i + 1 < tokens.size() ? " " : "");
    return tokens;
  }
  std::string bytes(std::string token) const override {
    replace_all(token, suffix_, " ");
    return token;
  }

 private:
  std::string suffix_;
};

// Runs of "<0x41>" are bytes; a run that is not UTF-8 becomes one U+FFFD for each byte.
class ByteFallback : public Decoder {
 public:
  Tokens decode(Tokens tokens) const override {
    Tokens out;
    std::string bytes;
    const auto flush = [&] {
      if (bytes.empty()) return;
      if (is_valid_utf8(bytes)) {
        out.push_back(bytes);
      } else {
        for (size_t i = 0; i < bytes.size(); ++i) out.push_back(to_utf8(kReplacement));
      }
      bytes.clear();
    };
    for (std::string& token : tokens) {
      if (const auto byte = parse(token)) {
        bytes.push_back(*byte);
      } else {
        flush();
        out.push_back(std::move(token));
      }
    }
    flush();
    return out;
  }
  std::string bytes(std::string token) const override {
    const auto byte = parse(token);
    return byte ? std::string(1, *byte) : token;
  }

 private:
  static std::optional<char> parse(const std::string& token) {
    if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
    unsigned value = 0;
    const char* end = token.data() + 5;
    if (std::from_chars(token.data() + 3, end, value, 16).ptr != end) return std::nullopt;
    return static_cast<char>(value);
  }
};

class Fuse : public Decoder {
 public:
  Tokens decode(Tokens tokens) const override {
    std::string all;
    for (const std::string& token : tokens) all += token;
    return {all};
  }
  std::string bytes(std::string token) const override { return token; }
};

class ReplaceDecoder : public Decoder {
 public:
  explicit ReplaceDecoder(const JsonNode& node) : pattern_(node.at("pattern")), content_(node.at("content").string()) {}
  Tokens decode(Tokens tokens) const override {
    for (std::string& token : tokens) {
      std::string out;
      for (const Piece& piece : pattern_.cut(token)) {
        out += piece.match ? content_ : token.substr(piece.begin, piece.end - piece.begin);
      }
      token = std::move(out);
    }
    return tokens;
  }
  std::string bytes(std::string token) const override { return decode({std::move(token)}).front(); }

 private:
  Pattern pattern_;
  std::string content_;
};

class StripDecoder : public Decoder {
 public:
  explicit StripDecoder(const JsonNode& node)
      : content_(to_utf8(node.at("content").character())),
        start_(node.at("start").integer()),
        stop_(node.at("stop").integer()) {}
  Tokens decode(Tokens tokens) const override {
    for (std::string& token : tokens) {
      for (int64_t i = 0; i < start_ && token.starts_with(content_); ++i) token.erase(0, content_.size());
      for (int64_t i = 0; i < stop_ && token.ends_with(content_); ++i) token.resize(token.size() - content_.size());
    }
    return tokens;
  }
  std::string bytes(std::string token) const override { return token; }  // it works on the ends of a text

 private:
  std::string content_;
  int64_t start_, stop_;
};

// "Connectionist Temporal Classification" (Graves et al., 2006): repetitions count once, then the blanks go.
class Ctc : public Decoder {
 public:
  explicit Ctc(const JsonNode& node)
      : pad_(node.string("pad_token", "<pad>")),
        delimiter_(node.string("word_delimiter_token", "|")),
        cleanup_(node.boolean("cleanup", true)) {}
  Tokens decode(Tokens tokens) const override {
    Tokens out;
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (i > 0 && tokens[i] == tokens[i - 1]) continue;
      std::string text = tokens[i];
      replace_all(text, pad_, "");
      if (cleanup_) {
        clean_up(text);
        replace_all(text, delimiter_, " ");
      }
      if (!text.empty()) out.push_back(std::move(text));
    }
    return out;
  }
  std::string bytes(std::string) const override {
    throw Error("tokens of a CTC decoder are no bytes of their own", "tokenizer", "use another tokenizer");
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
};

}  // namespace

std::unique_ptr<Decoder> make_decoder(const JsonNode& node) {
  const std::string type = node.type();
  if (type == "Sequence") return std::make_unique<DecoderSequence>(node.at("decoders"));
  if (type == "ByteLevel") return std::make_unique<ByteLevelDecoder>();
  if (type == "WordPiece") return std::make_unique<WordPieceDecoder>(node);
  if (type == "Metaspace") return std::make_unique<MetaspaceDecoder>(node);
  if (type == "BPEDecoder") return std::make_unique<BpeDecoder>(node.string("suffix", "</w>"));
  if (type == "ByteFallback") return std::make_unique<ByteFallback>();
  if (type == "Fuse") return std::make_unique<Fuse>();
  if (type == "Replace") return std::make_unique<ReplaceDecoder>(node);
  if (type == "Strip") return std::make_unique<StripDecoder>(node);
  if (type == "CTC") return std::make_unique<Ctc>(node);
  node.unknown("decoder");
}

}  // namespace tessera::text
