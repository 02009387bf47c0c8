#pragma once
#include <vector>

#include "text/tokenizer.h"

namespace tessera::text {

/// A token that no text stands for.
void push_special(Encoding& encoding, int64_t id, const std::string& token, int64_t type_id);
void append(Encoding& encoding, const Encoding& other);

/// Shortens one or two encoded texts so that they have at most `options.max_length` tokens with the `added` ones.
void truncate(std::vector<Encoding>& parts, const Truncation& options, int64_t added);
/// Fills up to `length` tokens.
void pad(Encoding& encoding, const Padding& options, int64_t length);
/// The length that encodings are padded to: the longest of them or the fixed one, rounded up.
int64_t padded_length(const std::vector<Encoding>& encodings, const Padding& options);

}  // namespace tessera::text
