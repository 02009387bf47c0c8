#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace tessera {

/// Symbols are named by their code points: lower-case hexadecimal without leading zeros, joined by '-', without the
/// variation selector U+FE0F, which packages add or leave out as they like: "1f600", "23-20e3", "1f9d1-200d-1f3a8".

/// Any usual spelling of a sequence ("0023-FE0F-20E3", "u1F600_200d") in the form above; empty when it is none.
std::string symbol_id(std::string_view hex);

/// The form above of text in UTF-8. @throws Error when it is not UTF-8
std::string symbol_id_of_text(std::string_view utf8);

/// The text in UTF-8 that an identifier stands for.
std::string symbol_text(std::string_view id);

/// Whether a skin-tone modifier (U+1F3FB to U+1F3FF) follows another code point.
bool has_skin_tone(std::string_view id);

/// The sequence without skin-tone modifiers.
std::string without_skin_tone(std::string_view id);

/// FNV-1a, 64 bits: small, stable everywhere and easy to write in another language.
uint64_t fnv1a64(std::string_view bytes);

/// The fixed hold-out: one tenth of the symbols, those whose fnv1a64(id) is divisible by ten, is never trained on in
/// any style. `id` is that of the symbol without skin tone, so that its variants stay on the same side.
bool is_unseen(std::string_view id);

}  // namespace tessera
