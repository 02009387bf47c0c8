#include "text/pattern.h"

#include "text/utf8.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>

#include "core/error.h"

namespace tessera::text {
namespace {

struct MatchData {
  explicit MatchData(const pcre2_code* code) : data(pcre2_match_data_create_from_pattern(code, nullptr)) {}
  ~MatchData() { pcre2_match_data_free(data); }
  MatchData(const MatchData&) = delete;
  MatchData& operator=(const MatchData&) = delete;
  pcre2_match_data* data;
};

// Machine code needs a stack of its own, one per thread; the default of 32 KiB is too small for patterns that repeat a
// group over a long text.
struct JitStack {
  JitStack() : context(pcre2_match_context_create(nullptr)), stack(pcre2_jit_stack_create(32 << 10, 8 << 20, nullptr)) {
    pcre2_jit_stack_assign(context, nullptr, stack);
  }
  ~JitStack() {
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
  JitStack(const JitStack&) = delete;
  JitStack& operator=(const JitStack&) = delete;
  pcre2_match_context* context;
  pcre2_jit_stack* stack;
};

std::string error_message(int code) {
  PCRE2_UCHAR buffer[256];
  pcre2_get_error_message(code, buffer, sizeof(buffer));
  return reinterpret_cast<const char*>(buffer);
}

// What \w means to Oniguruma: letters, marks, numbers and connectors. PCRE2 has letters, numbers and the underscore.
std::string translate_word_class(const std::string& regex) {
  constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{N}\\p{Pc}";
  std::string out;
  int depth = 0;  // of brackets
  for (size_t i = 0; i < regex.size(); ++i) {
    const bool escape = regex[i] == '\\' && i + 1 < regex.size();
    if (escape && regex[i + 1] == 'w') {
      out.append(depth == 0 ? "[" : "").append(kWord).append(depth == 0 ? "]" : "");
    } else if (escape && regex[i + 1] == 'W' && depth == 0) {
      out.append("[^").append(kWord).append("]");
    } else {
      if (regex[i] == '[') depth = 1;
      if (regex[i] == ']') depth = 0;
      out += regex[i];
      if (escape) out += regex[i + 1];
    }
    if (escape) ++i;
  }
  return out;
}

void push_piece(std::vector<Piece>& pieces, size_t begin, size_t end, bool match) {
  if (match || begin < end) pieces.push_back({begin, end, match});
}

}  // namespace

struct Pattern::Code {
  pcre2_code* code;
  explicit Code(pcre2_code* compiled) : code(compiled) {}
  ~Code() { pcre2_code_free(code); }
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
};

Pattern::Pattern(const JsonNode& node) : where_(node.where()) {
  if (node.value().is_string()) {
    literal_ = node.string();
  } else if (node.has("String")) {
    literal_ = node.at("String").string();
  } else if (node.has("Regex")) {
    compile(node.at("Regex").string(), node.at("Regex").where());
  } else {
    node.fail("expected a pattern {\"String\": ...} or {\"Regex\": ...}");
  }
}

Pattern::Pattern(const std::string& regex, const std::string& where) : where_(where) { compile(regex, where); }
Pattern::~Pattern() = default;
Pattern::Pattern(Pattern&&) noexcept = default;

void Pattern::compile(const std::string& regex, const std::string& where) {
  // Oniguruma's intersection of classes is not in PCRE2, which would read it as two ampersands.
  if (regex.find("&&[") != std::string::npos) {
    throw Error("regular expression with an intersection of character classes (&&)", where,
                "rewrite it with a look-ahead: (?![B])[A]");
  }
  int code = 0;
  size_t offset = 0;
  const std::string ours = translate_word_class(regex);
  pcre2_code* compiled = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(ours.data()), ours.size(), PCRE2_UTF | PCRE2_UCP,
                                       &code, &offset, nullptr);
  if (!compiled) {
    throw Error("regular expression '" + regex + "': " + error_message(code), where);
  }
  code_ = std::make_unique<Code>(compiled);
  pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);  // where it fails, the interpreter runs
}

std::vector<Piece> Pattern::cut_literal(std::string_view text) const {
  std::vector<Piece> pieces;
  size_t done = 0;
  if (!literal_.empty()) {
    for (size_t at = 0; (at = text.find(literal_, done)) != std::string_view::npos; done = at + literal_.size()) {
      push_piece(pieces, done, at, false);
      push_piece(pieces, at, at + literal_.size(), true);
    }
  }
  push_piece(pieces, done, text.size(), false);
  return pieces;
}

std::vector<Piece> Pattern::cut(std::string_view text) const {
  if (!code_) return cut_literal(text);
  thread_local JitStack jit;
  const MatchData match(code_->code);
  const auto subject = reinterpret_cast<PCRE2_SPTR>(text.data());
  std::vector<Piece> pieces;
  size_t done = 0;  // everything before is in `pieces`
  for (size_t from = 0; from <= text.size();) {
    // The text is known to be valid UTF-8, so PCRE2 need not check it again for every match.
    int found = pcre2_match(code_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK, match.data, jit.context);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
      found = pcre2_match(code_->code, subject, text.size(), from, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match.data,
                          jit.context);
    }
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) throw Error("regular expression failed: " + error_message(found), where_);
    const size_t* bounds = pcre2_get_ovector_pointer(match.data);
    const size_t begin = std::max(bounds[0], done), end = std::max(bounds[1], begin);  // \K may turn them around
    push_piece(pieces, done, begin, false);
    push_piece(pieces, begin, end, true);
    done = from = end;
    if (begin == end) {  // an empty match: go on behind the next character
      if (from == text.size()) break;
      next_char(text, from);
    }
  }
  push_piece(pieces, done, text.size(), false);
  return pieces;
}

Behavior parse_behavior(const JsonNode& node) {
  const std::string name = node.string();
  if (name == "Removed") return Behavior::Removed;
  if (name == "Isolated") return Behavior::Isolated;
  if (name == "MergedWithPrevious") return Behavior::MergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::MergedWithNext;
  if (name == "Contiguous") return Behavior::Contiguous;
  node.fail("unknown split behavior '" + name + "'");
}

namespace {

// Runs of equal kind become one piece.
std::vector<Piece> contiguous(const std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  for (const Piece& piece : pieces) {
    if (!out.empty() && out.back().match == piece.match) {
      out.back().end = piece.end;
    } else {
      out.push_back(piece);
    }
  }
  return out;
}

// The first match of a run joins what stands before it; the others of the run stand alone.
std::vector<Piece> merged_with_previous(const std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  bool previous = false;
  for (const Piece& piece : pieces) {
    if (piece.match && !previous && !out.empty()) {
      out.back().end = piece.end;
    } else {
      out.push_back(piece);
    }
    previous = piece.match;
  }
  return out;
}

std::vector<Piece> merged_with_next(const std::vector<Piece>& pieces) {
  std::vector<Piece> out;
  bool previous = false;
  for (auto piece = pieces.rbegin(); piece != pieces.rend(); ++piece) {
    if (piece->match && !previous && !out.empty()) {
      out.back().begin = piece->begin;
    } else {
      out.push_back(*piece);
    }
    previous = piece->match;
  }
  std::reverse(out.begin(), out.end());
  return out;
}

}  // namespace

std::vector<Piece> apply_behavior(const std::vector<Piece>& pieces, Behavior behavior) {
  std::vector<Piece> out;
  switch (behavior) {
    case Behavior::Removed:
      std::copy_if(pieces.begin(), pieces.end(), std::back_inserter(out), [](const Piece& p) { return !p.match; });
      break;
    case Behavior::Isolated:
      out = pieces;
      break;
    case Behavior::Contiguous:
      out = contiguous(pieces);
      break;
    case Behavior::MergedWithPrevious:
      out = merged_with_previous(pieces);
      break;
    case Behavior::MergedWithNext:
      out = merged_with_next(pieces);
      break;
  }
  std::erase_if(out, [](const Piece& p) { return p.begin == p.end; });
  return out;
}

}  // namespace tessera::text
