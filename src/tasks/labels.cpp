#include "tasks/labels.h"

#include <map>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "core/options.h"

namespace tessera {
namespace {

std::string trimmed(const std::string& text) {
  const char* const blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

/// Labels with the checks that all forms share.
class LabelList {
 public:
  explicit LabelList(std::string unit) : unit_(std::move(unit)) {}

  /// @param number  which one it is, from 1
  void add(const std::string& label, size_t number, const std::string& where) {
    if (label.empty()) throw Error("label is empty", where + ", " + unit_ + " " + std::to_string(number));
    const auto [first, fresh] = numbers_.try_emplace(label, number);
    if (!fresh)
      throw Error("label '" + label + "' occurs twice (" + unit_ + "s " + std::to_string(first->second) + " and " +
                      std::to_string(number) + ")",
                  where);
    labels_.push_back(label);
  }
  std::vector<std::string> done(const std::string& where) {
    if (labels_.empty()) throw Error("holds no labels", where);
    return std::move(labels_);
  }

 private:
  std::string unit_;
  std::vector<std::string> labels_;
  std::map<std::string, size_t> numbers_;
};

std::string label_of(const Json& item, const std::string& where) {
  if (item.is_string()) return trimmed(item.get<std::string>());
  for (const char* key : {"label", "name"})
    if (item.is_object() && item.contains(key) && item[key].is_string()) return trimmed(item[key].get<std::string>());
  throw Error("neither a string nor an object with \"label\" or \"name\"", where);
}

std::vector<std::string> labels_of_list(const std::string& text, const std::string& where) {
  const Json list = parse_json(text, where);
  LabelList labels("entry");
  for (size_t i = 0; i < list.size(); ++i)
    labels.add(label_of(list[i], where + ", entry " + std::to_string(i + 1)), i + 1, where);
  return labels.done(where);
}

}  // namespace

std::vector<std::string> split_labels(const std::string& text) {
  const std::string where = "--labels";
  LabelList labels("label");
  size_t number = 0, begin = 0;
  while (!trimmed(text).empty() && begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    labels.add(trimmed(text.substr(begin, end - begin)), ++number, where);
    begin = end + 1;
  }
  return labels.done(where);
}

std::vector<std::string> load_labels(const std::filesystem::path& file) {
  const std::string where = file.string();
  std::string text = read_file(file);
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // a byte order mark
  text = trimmed(text);
  if (text.find('\0') != std::string::npos) throw Error("is no text", where, "give one label a line");
  if (text.starts_with('[')) return labels_of_list(text, where);
  LabelList labels("line");
  std::istringstream lines(text);
  size_t number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string at = where + ", line " + std::to_string(number);
    const bool json = line.starts_with('{') || line.starts_with('"');
    labels.add(json ? label_of(parse_json(line, at), at) : trimmed(line), number, where);
  }
  return labels.done(where);
}

std::vector<std::string> fill_templates(const std::string& label, const std::vector<std::string>& templates) {
  if (templates.empty()) return {label};
  std::vector<std::string> prompts;
  for (std::string prompt : templates) {
    size_t at = prompt.find("{}");
    if (at == std::string::npos)
      throw Error("'" + prompt + "' has no place for the label", "--template", "write {} where the label goes");
    for (; at != std::string::npos; at = prompt.find("{}", at + label.size())) prompt.replace(at, 2, label);
    prompts.push_back(prompt);
  }
  return prompts;
}

}  // namespace tessera
