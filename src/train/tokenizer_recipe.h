#pragma once
#include <filesystem>

#include "text/tokenizer.h"
#include "train/captions.h"
#include "train/recipe.h"

namespace tessera {

/// The tokenizer of a run, kept in `folder` (run/tokenizer): loaded from there, else copied from the recipe's path,
/// else a SentencePiece model trained on the recipe's corpus or on the captions of these concepts in the recipe's
/// languages. A trained one ends every text with its end token and has a padding token.
Tokenizer provide_tokenizer(const Recipe& recipe, const std::vector<Concept>& concepts,
                            const std::filesystem::path& folder);

/// The ids of a text with the special tokens of the tokenizer.
Tokenize tokenize_with(const Tokenizer& tokenizer);

}  // namespace tessera
