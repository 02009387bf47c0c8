#include "text/jinja_strings.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>

#include <algorithm>

#include "core/error.h"
#include "text/utf8.h"

namespace tessera::text::jinja {
namespace {

icu::UnicodeString unicode(std::string_view text) {
  return icu::UnicodeString::fromUTF8({text.data(), static_cast<int32_t>(text.size())});
}

std::string utf8(const icu::UnicodeString& text) {
  std::string result;
  text.toUTF8String(result);
  return result;
}

std::string title_of(char32_t c) {
  return utf8(icu::UnicodeString(static_cast<UChar32>(c)).toTitle(nullptr, icu::Locale::getRoot()));
}

constexpr size_t kLargest = size_t{1} << 26;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 32);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// The character of `digits` hexadecimal digits at `at`; -1 where there are none or it is no character.
int64_t hex(std::string_view text, size_t at, size_t digits) {
  if (at + digits > text.size()) return -1;
  int64_t value = 0;
  for (size_t i = at; i < at + digits; ++i) {
    if (hex_digit(text[i]) < 0) return -1;
    value = 16 * value + hex_digit(text[i]);
  }
  const bool surrogate = value >= 0xD800 && value < 0xE000;
  return value > 0x10FFFF || surrogate ? -1 : value;
}

}  // namespace

bool is_space(char32_t c) { return u_isUWhiteSpace(static_cast<UChar32>(c)) || (c >= 0x1C && c <= 0x1F); }

std::string strip(std::string_view text, bool left, bool right, std::string_view set) {
  const auto goes = [&](size_t at, size_t end) {
    const std::string_view one = text.substr(at, end - at);
    size_t i = at;
    return set.empty() ? is_space(next_char(text, i)) : set.find(one) != std::string_view::npos;
  };
  size_t begin = 0, end = text.size();
  while (left && begin < end) {
    size_t next = begin;
    next_char(text, next);
    if (!goes(begin, next)) break;
    begin = next;
  }
  while (right && end > begin) {
    const size_t last = previous_char(text, end);
    if (!goes(last, end)) break;
    end = last;
  }
  return std::string(text.substr(begin, end - begin));
}

std::string unescaped(std::string_view literal) {
  static constexpr std::string_view kLetters = "abfnrtv\\'\"", kMeanings = "\a\b\f\n\r\t\v\\'\"";
  std::string text;
  for (size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\' || i + 1 == literal.size()) {
      text += literal[i];
      continue;
    }
    const char c = literal[++i];
    const size_t digits = c == 'x' ? 2 : (c == 'u' ? 4 : (c == 'U' ? 8 : 0));
    if (const size_t known = kLetters.find(c); known != std::string_view::npos) {
      text += kMeanings[known];
    } else if (const int64_t code = digits > 0 ? hex(literal, i + 1, digits) : -1; code >= 0) {
      append_char(text, static_cast<char32_t>(code));
      i += digits;
    } else if (c >= '0' && c <= '7') {
      char32_t octal = 0;
      const size_t end = std::min(i + 3, literal.size());
      for (; i < end && literal[i] >= '0' && literal[i] <= '7'; ++i)
        octal = 8 * octal + static_cast<char32_t>(literal[i] - '0');
      append_char(text, octal);
      --i;
    } else if (c != '\n') {
      text += {'\\', c};
    }
  }
  return text;
}

void check_size(size_t size) {
  if (size > kLargest) throw Error("a value of more than " + std::to_string(kLargest) + " bytes");
}

std::string upper(std::string_view text) { return utf8(unicode(text).toUpper(icu::Locale::getRoot())); }
std::string lower(std::string_view text) { return utf8(unicode(text).toLower(icu::Locale::getRoot())); }

std::string capitalize(std::string_view text) {
  if (text.empty()) return "";
  size_t i = 0;
  const char32_t first = next_char(text, i);
  return title_of(first) + lower(text.substr(i));
}

std::string title(std::string_view text) {
  std::string result;
  bool within = false;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    const char32_t c = next_char(text, i);
    const bool cased = u_hasBinaryProperty(static_cast<UChar32>(c), UCHAR_CASED);
    result += within ? lower(text.substr(begin, i - begin)) : title_of(c);
    within = cased;
  }
  return result;
}

std::string title_words(std::string_view text) {
  std::string result;
  size_t begin = 0;
  const auto word = [&](size_t end) {
    if (end == begin) return;
    size_t i = begin;
    const char32_t first = next_char(text, i);
    result += upper(to_utf8(first)) + lower(text.substr(i, end - i));
  };
  for (size_t i = 0; i < text.size();) {
    const size_t at = i;
    const char32_t c = next_char(text, i);
    if (!is_space(c) && std::u32string_view(U"-({[<").find(c) == std::u32string_view::npos) continue;
    word(at);
    result += text.substr(at, i - at);
    begin = i;
  }
  word(text.size());
  return result;
}

std::vector<std::string> split(std::string_view text, std::string_view separator, int64_t limit, bool right) {
  std::vector<std::string> parts;
  for (; limit != 0; --limit) {
    const size_t at = right ? text.rfind(separator) : text.find(separator);
    if (at == std::string_view::npos) break;
    const std::string_view before = text.substr(0, at), after = text.substr(at + separator.size());
    parts.emplace_back(right ? after : before);
    text = right ? before : after;
  }
  parts.emplace_back(text);
  if (right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_space(std::string_view text, int64_t limit, bool right) {
  std::vector<std::string> parts;
  std::string rest = strip(text, !right, right);
  while (!rest.empty()) {
    if (limit-- == 0) {
      parts.push_back(strip(rest, true, true).empty() ? "" : rest);
      break;
    }
    size_t cut = right ? rest.size() : 0;
    while (right ? cut > 0 : cut < rest.size()) {
      size_t at = right ? previous_char(rest, cut) : cut, next = at;
      if (is_space(next_char(rest, next))) break;
      cut = right ? at : next;
    }
    parts.push_back(right ? rest.substr(cut) : rest.substr(0, cut));
    rest = right ? strip(rest.substr(0, cut), false, true) : strip(rest.substr(cut), true, false);
  }
  if (right) std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find_first_of("\n\r\v\f", begin), text.size());
    const size_t next = end + (text.substr(end, 2) == "\r\n" ? 2 : (end < text.size() ? 1 : 0));
    lines.emplace_back(text.substr(begin, (keep_ends ? next : end) - begin));
    begin = next;
  }
  return lines;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to, int64_t limit) {
  std::string result;
  size_t at = 0;
  for (; limit != 0; --limit) {
    const size_t found = text.find(from, at);
    check_size(result.size());
    if (found == std::string_view::npos || (from.empty() && found >= text.size())) break;
    size_t next = found + from.size();
    result += std::string(text.substr(at, found - at)) + std::string(to);
    if (from.empty()) {
      next_char(text, next);
      result += text.substr(found, next - found);
    }
    at = next;
  }
  if (from.empty() && limit != 0) result += to;
  return result + std::string(text.substr(at));
}

std::vector<std::string> characters(std::string_view text) {
  std::vector<std::string> all;
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    next_char(text, i);
    all.emplace_back(text.substr(begin, i - begin));
  }
  return all;
}

}  // namespace tessera::text::jinja
