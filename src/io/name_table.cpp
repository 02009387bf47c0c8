#include "io/name_table.h"

#include <stdexcept>
#include <string_view>

namespace tessera {
namespace {

/// A pattern in pieces.
struct Piece {
  enum Kind { kText, kOptional, kNumber, kChoice, kRest } kind;
  std::string text;  // literal, or the name of a number
  std::vector<std::string> choices;
};

struct Captures {
  std::map<std::string, std::string> numbers;
  std::string rest;
  size_t choice = 0;
};

struct Target {
  std::vector<Piece> pieces;
  int64_t parts = 1;
  bool transposed = false;
  std::vector<int64_t> shares;
};

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> words(1);
  for (const char c : text) c == separator ? void(words.emplace_back()) : void(words.back() += c);
  return words;
}

std::vector<Piece> parse(std::string_view pattern) {
  std::vector<Piece> pieces;
  std::string text;
  const auto flush = [&] {
    if (!text.empty()) pieces.push_back({Piece::kText, std::exchange(text, {}), {}});
  };
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c != '{' && c != '[' && c != '*') {
      text += c;
      continue;
    }
    flush();
    if (c == '*') {
      pieces.push_back({Piece::kRest, "", {}});
      continue;
    }
    const size_t end = pattern.find(c == '{' ? '}' : ']', i);
    if (end == std::string_view::npos)
      throw std::logic_error("name table: unclosed bracket in " + std::string(pattern));
    const std::string inside(pattern.substr(i + 1, end - i - 1));
    if (c == '[')
      pieces.push_back({Piece::kOptional, inside, {}});
    else if (inside.find('|') != std::string::npos)
      pieces.push_back({Piece::kChoice, "", split(inside, '|')});
    else
      pieces.push_back({Piece::kNumber, inside, {}});
    i = end;
  }
  flush();
  return pieces;
}

Target parse_target(std::string_view path) {
  Target target;
  if (path.ends_with("^T")) {
    target.transposed = true;
    path.remove_suffix(2);
  }
  if (path.ends_with("}]")) {
    const size_t begin = path.rfind("[{");
    const auto words = split(path.substr(begin + 2, path.size() - begin - 4), '|');
    target.parts = static_cast<int64_t>(words.size());
    for (const std::string& word : words)
      if (const size_t colon = word.find(':'); colon != std::string::npos)
        target.shares.push_back(std::stoll(word.substr(colon + 1)));
    if (!target.shares.empty() && target.shares.size() != words.size())
      throw std::logic_error("name table: only some parts have a share in " + std::string(path));
    path = path.substr(0, begin);
  }
  target.pieces = parse(path);
  return target;
}

bool match(const std::vector<Piece>& pieces, size_t i, std::string_view name, Captures& captures) {
  if (i == pieces.size()) return name.empty();
  const Piece& piece = pieces[i];
  switch (piece.kind) {
    case Piece::kText:
      return name.starts_with(piece.text) && match(pieces, i + 1, name.substr(piece.text.size()), captures);
    case Piece::kOptional:
      return (name.starts_with(piece.text) && match(pieces, i + 1, name.substr(piece.text.size()), captures)) ||
             match(pieces, i + 1, name, captures);
    case Piece::kNumber: {
      const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
      if (digits == 0) return false;
      captures.numbers[piece.text] = name.substr(0, digits);
      return match(pieces, i + 1, name.substr(digits), captures);
    }
    case Piece::kChoice:
      for (size_t k = 0; k < piece.choices.size(); ++k) {
        captures.choice = k;
        const std::string& word = piece.choices[k];
        if (name.starts_with(word) && match(pieces, i + 1, name.substr(word.size()), captures)) return true;
      }
      return false;
    case Piece::kRest:
      for (size_t length = name.size(); length > 0; --length) {
        captures.rest = name.substr(0, length);
        if (match(pieces, i + 1, name.substr(length), captures)) return true;
      }
      return false;
  }
  return false;
}

std::string fill(const std::vector<Piece>& pieces, const Captures& captures) {
  std::string name;
  for (const Piece& piece : pieces) {
    switch (piece.kind) {
      case Piece::kText:
      case Piece::kOptional:
        name += piece.text;
        break;
      case Piece::kNumber:
        name += captures.numbers.at(piece.text);
        break;
      case Piece::kChoice:
        name += piece.choices[captures.choice];
        break;
      case Piece::kRest:
        name += captures.rest;
        break;
    }
  }
  return name;
}

}  // namespace

NameTable::NameTable(std::initializer_list<NameRule> rules, std::initializer_list<NameRule> modules)
    : rules_(rules), modules_(modules) {}

std::optional<Place> NameTable::place(const std::string& published) const {
  for (const NameRule& rule : rules_) {
    Captures captures;
    if (!match(parse(rule.published), 0, published, captures)) continue;
    if (rule.path.empty()) return Place{};
    const Target target = parse_target(rule.path);
    return Place{fill(target.pieces, captures), target.parts > 1 ? static_cast<int64_t>(captures.choice) : 0,
                 target.parts, target.transposed, target.shares};
  }
  return std::nullopt;
}

std::vector<std::pair<std::string, Place>> NameTable::published(const std::string& path) const {
  for (const NameRule& rule : rules_) {
    if (rule.alias || rule.path.empty()) continue;
    const Target target = parse_target(rule.path);
    Captures captures;
    if (!match(target.pieces, 0, path, captures)) continue;
    std::vector<std::pair<std::string, Place>> names;
    for (int64_t part = 0; part < target.parts; ++part) {
      if (target.parts > 1) captures.choice = static_cast<size_t>(part);
      names.emplace_back(fill(parse(rule.published), captures),
                         Place{path, part, target.parts, target.transposed, target.shares});
    }
    return names;
  }
  return {};
}

std::optional<std::string> NameTable::module_path(const std::string& published) const {
  for (const NameRule& rule : modules_) {
    Captures captures;
    if (match(parse(rule.published), 0, published, captures)) return fill(parse(rule.path), captures);
  }
  return std::nullopt;
}

NameTable NameTable::without(const std::string& prefix) const {
  const std::string optional = "[" + prefix + "]";
  NameTable result = *this;
  for (auto* rules : {&result.rules_, &result.modules_})
    for (NameRule& rule : *rules)
      if (rule.published.starts_with(optional)) rule.published.erase(0, optional.size());
  return result;
}

NameTable NameTable::within(const std::string& prefix, const std::string& path) const {
  NameTable table = *this;
  for (auto* rules : {&table.rules_, &table.modules_})
    for (NameRule& rule : *rules) {
      rule.published = prefix + rule.published;
      if (!rule.path.empty()) rule.path = path + rule.path;
    }
  return table;
}

NameTable NameTable::aliases() const {
  NameTable table = *this;
  for (NameRule& rule : table.rules_) rule.alias = true;
  return table;
}

NameTable NameTable::operator+(const NameTable& other) const {
  NameTable table = *this;
  table.rules_.insert(table.rules_.end(), other.rules_.begin(), other.rules_.end());
  table.modules_.insert(table.modules_.end(), other.modules_.begin(), other.modules_.end());
  return table;
}

std::vector<std::string> NameTable::patterns() const {
  std::vector<std::string> all;
  for (const NameRule& rule : rules_) all.push_back(rule.published);
  return all;
}

}  // namespace tessera
