#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace tessera {

/// "cat, dog, fish" -> the labels without the blanks around them.
/// @throws Error for an empty label or one that occurs twice
std::vector<std::string> split_labels(const std::string& text);

/// Labels of a file: a JSON list of strings; or one label a line, where a line may also be a JSON string or an object
/// with the key "label" or "name" (JSONL).
/// @throws Error, with the line, for an empty label, one that occurs twice, or a file without any
std::vector<std::string> load_labels(const std::filesystem::path& file);

/// Puts the label into the templates, each of which holds "{}": "a picture of {}".
/// @throws Error for a template without "{}"
std::vector<std::string> fill_templates(const std::string& label, const std::vector<std::string>& templates);

}  // namespace tessera
