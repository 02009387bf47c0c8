#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace tessera {

/// What an icon of a set draws, where its name misleads or is nobody else's: Firefox OS calls the cat face "cat" and
/// the cat "catside". Each entry was checked by eye. An empty text: the picture is no emoji, or is drawn wrongly.
/// nullopt: the name can be trusted to SymbolTable::find_name().
std::optional<std::string> odd_spelling(std::string_view set, std::string_view icon);

}  // namespace tessera
