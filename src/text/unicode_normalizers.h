#pragma once
#include <unicode/normalizer2.h>

#include "text/aligned_text.h"

namespace tessera::text {

/// Brings the text into a Unicode normal form; a character counts as coming from the whole run that it was made from.
void normalize_unicode(AlignedText& text, const icu::Normalizer2& form);
const icu::Normalizer2& unicode_form(const std::string& name);  ///< NFC, NFD, NFKC or NFKD

/// Lower case, character by character (a final sigma is no special case), as in the reference.
void lowercase(AlignedText& text);

}  // namespace tessera::text
