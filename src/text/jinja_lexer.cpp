#include "text/jinja_lexer.h"

#include <algorithm>

#include "core/error.h"
#include "text/jinja_strings.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

constexpr size_t kLongestTag = 4000;

/// Line breaks as "\n", without the last one.
std::string normalized(std::string_view source) {
  std::string text;
  const std::string valid = to_valid_utf8(source);
  for (size_t i = 0; i < valid.size(); ++i) {
    if (valid[i] == '\r' && i + 1 < valid.size() && valid[i + 1] == '\n') continue;
    text += valid[i] == '\r' ? '\n' : valid[i];
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

bool name_start(char c) { return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80); }
bool is_one_of(char c, std::string_view set) { return set.find(c) != std::string_view::npos; }
bool digit(char c) { return c >= '0' && c <= '9'; }

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& name) : text_(normalized(source)), name_(name) {}

  std::vector<Token> run() {
    while (at_ < text_.size()) data();
    push(Token::kEnd, "");
    return std::move(tokens_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(what, name_ + ": line " + std::to_string(line_));
  }

  bool here(std::string_view what) const { return std::string_view(text_).substr(at_, what.size()) == what; }
  void push(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  void advance(size_t to) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<std::ptrdiff_t>(at_),
                                         text_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
    at_ = to;
  }
  void skip_space() {
    size_t to = at_;
    while (to < text_.size()) {
      size_t next = to;
      if (!is_space(next_char(text_, next))) break;
      to = next;
    }
    advance(to);
  }

  /// Text up to the next tag, and that tag.
  void data() {
    size_t tag = text_.find('{', at_);
    while (tag != std::string::npos && (tag + 1 >= text_.size() || !is_one_of(text_[tag + 1], "{%#")))
      tag = text_.find('{', tag + 1);
    const size_t end = std::min(tag, text_.size());
    std::string text = text_.substr(at_, end - at_);
    if (tag == std::string::npos) {
      if (!text.empty()) push(Token::kData, std::move(text));
      advance(end);
      return;
    }
    const char kind = text_[end + 1], sign = end + 2 < text_.size() ? text_[end + 2] : ' ';
    if (sign == '-')
      text = strip(text, false, true);
    else if (sign != '+' && kind != '{')
      strip_indentation(text);
    if (!text.empty()) push(Token::kData, std::move(text));
    advance(end + 2 + (sign == '-' || sign == '+' ? 1 : 0));
    if (kind == '#')
      comment();
    else if (kind == '%' && !raw())
      tag_body(Token::kBlockBegin, Token::kBlockEnd, "%}");
    else if (kind == '{')
      tag_body(Token::kPrintBegin, Token::kPrintEnd, "}}");
    line_begins_ = text_[at_ - 1] == '\n';
  }

  /// Takes away the white space between the beginning of the line and a tag.
  void strip_indentation(std::string& text) const {
    const size_t line_break = text.rfind('\n');
    if (line_break == std::string::npos && !line_begins_) return;
    const size_t begin = line_break == std::string::npos ? 0 : line_break + 1;
    if (strip(text.substr(begin), true, false).empty()) text.resize(begin);
  }

  /// What follows the end of a tag: its sign decides which white space goes with it.
  void finish(size_t after, char sign, bool block) {
    advance(after);
    if (sign == '-')
      skip_space();
    else if (block && sign != '+' && here("\n"))
      advance(at_ + 1);
  }

  void comment() {
    const size_t end = text_.find("#}", at_);
    if (end == std::string::npos) fail("Missing end of comment tag");
    finish(end + 2, end > at_ ? text_[end - 1] : ' ', true);
  }

  /// A tag `{% NAME %}` at `at`, of which "{%" and the sign were read; the position after "%}", or npos.
  size_t lone_tag(size_t at, std::string_view name, char& sign) const {
    const auto spaces = [&] { at = std::min(text_.find_first_not_of(" \t\n", at), text_.size()); };
    spaces();
    if (text_.compare(at, name.size(), name) != 0) return std::string::npos;
    at += name.size();
    spaces();
    sign = at < text_.size() && (text_[at] == '-' || text_[at] == '+') ? text_[at++] : ' ';
    return text_.compare(at, 2, "%}") == 0 ? at + 2 : std::string::npos;
  }

  bool raw() {
    char sign = ' ';
    const size_t begin = lone_tag(at_, "raw", sign);
    if (begin == std::string::npos) return false;
    advance(begin);
    if (sign == '-') skip_space();
    for (size_t end = text_.find("{%", at_); end != std::string::npos; end = text_.find("{%", end + 2)) {
      const char before = end + 2 < text_.size() ? text_[end + 2] : ' ';
      const size_t after = lone_tag(end + 2 + (before == '-' || before == '+' ? 1 : 0), "endraw", sign);
      if (after == std::string::npos) continue;
      std::string text = text_.substr(at_, end - at_);
      if (before == '-')
        text = strip(text, false, true);
      else if (before != '+')
        strip_indentation(text);
      if (!text.empty()) push(Token::kData, std::move(text));
      finish(after, sign, true);
      return true;
    }
    fail("Missing end of raw directive");
  }

  void tag_body(Token::Kind begin, Token::Kind end, std::string_view mark) {
    push(begin, "");
    std::string open;  // brackets
    for (const size_t first = tokens_.size();;) {
      // The syntax tree of a tag is at most as deep as its tokens are many.
      if (tokens_.size() - first > kLongestTag) fail("a tag of more than " + std::to_string(kLongestTag) + " tokens");
      skip_space();
      if (at_ >= text_.size()) fail("the template ends within a tag");
      const bool sign = text_[at_] == '-' || (text_[at_] == '+' && end == Token::kBlockEnd);
      if (open.empty() && (here(mark) || (sign && text_.compare(at_ + 1, mark.size(), mark) == 0))) {
        push(end, "");
        finish(at_ + mark.size() + (sign ? 1 : 0), sign ? text_[at_] : ' ', end == Token::kBlockEnd);
        return;
      }
      token(open);
    }
  }

  void token(std::string& open) {
    const char c = text_[at_];
    if (name_start(c)) return name();
    if (digit(c)) return number();
    if (c == '"' || c == '\'') return string(c);
    for (const char* wide : {"**", "//", "==", "!=", "<=", ">="})
      if (here(wide)) return push(Token::kOperator, wide), advance(at_ + 2);
    if (!is_one_of(c, "+-*/%~<>=.:|,;()[]{}")) fail("unexpected character '" + std::string(1, c) + "'");
    if (is_one_of(c, "([{")) open += c == '(' ? ')' : (c == '[' ? ']' : '}');
    if (is_one_of(c, ")]}")) {
      if (open.empty() || open.back() != c) fail("unexpected '" + std::string(1, c) + "'");
      open.pop_back();
    }
    push(Token::kOperator, std::string(1, c));
    advance(at_ + 1);
  }

  void name() {
    size_t end = at_;
    while (end < text_.size() && (name_start(text_[end]) || digit(text_[end]))) ++end;
    push(Token::kName, text_.substr(at_, end - at_));
    advance(end);
  }

  void number() {
    size_t end = at_;
    bool real = false;
    const auto digits = [&] {
      while (end < text_.size() && (digit(text_[end]) || text_[end] == '_')) ++end;
    };
    const auto follows = [&](size_t i) { return i < text_.size() && digit(text_[i]); };
    digits();
    if (end < text_.size() && text_[end] == '.' && follows(end + 1)) real = true, ++end, digits();
    if (end < text_.size() && (text_[end] | 32) == 'e') {
      const bool sign = end + 1 < text_.size() && (text_[end + 1] == '-' || text_[end + 1] == '+');
      if (follows(end + 1 + sign)) real = true, end += 1 + sign, digits();
    }
    std::string text = text_.substr(at_, end - at_);
    std::erase(text, '_');
    push(real ? Token::kFloat : Token::kInteger, std::move(text));
    advance(end);
  }

  void string(char quote) {
    size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote) end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) fail("a string has no end");
    push(Token::kString, unescaped(text_.substr(at_ + 1, end - at_ - 1)));
    advance(end + 1);
  }

  std::string text_;
  const std::string& name_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source, const std::string& name) { return Lexer(source, name).run(); }

}  // namespace tessera::text::jinja
