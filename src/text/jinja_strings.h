#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// What Python's strings do, for valid UTF-8; positions count characters.
namespace tessera::text::jinja {

/// A template is somebody else's program: it may not fill the memory. @throws Error
void check_size(size_t bytes);

bool is_space(char32_t c);  ///< str.isspace()
/// Without the characters of `set` (empty: white space) at the ends.
std::string strip(std::string_view text, bool left, bool right, std::string_view set = {});
/// A string literal as what it stands for: \n, \t, \xNN, \uNNNN, ...; unknown escapes stay as they are.
std::string unescaped(std::string_view literal);

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
/// str.title(): every run of letters begins with a capital.
std::string title(std::string_view text);
/// Jinja's filter of that name: words are divided by white space, hyphens and brackets.
std::string title_words(std::string_view text);

/// @param limit  cuts at most; negative: no limit
/// @param right  the cuts are counted from the end
std::vector<std::string> split(std::string_view text, std::string_view separator, int64_t limit, bool right);
std::vector<std::string> split_space(std::string_view text, int64_t limit, bool right);
std::vector<std::string> split_lines(std::string_view text, bool keep_ends);
std::string replace(std::string_view text, std::string_view from, std::string_view to, int64_t limit);
std::vector<std::string> characters(std::string_view text);

}  // namespace tessera::text::jinja
