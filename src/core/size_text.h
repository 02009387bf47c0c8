#pragma once
#include <cstdint>
#include <string>

namespace tessera {

/// "800", "512M", "1.5G", "2GiB": bytes, with K, M, G or T as powers of 1024.
/// @param where  for messages: the option
/// @throws Error for anything else
int64_t parse_size(const std::string& text, const std::string& where);

/// "1.5 GB", "12 MB": for messages, in the same units.
std::string size_text(int64_t bytes);

}  // namespace tessera
