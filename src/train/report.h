#pragma once
#include <filesystem>

#include "train/recipe.h"

namespace tessera {

/// Writes report.html into a run folder: the curves of its metrics.jsonl, a table of the evaluations and the recipe.
/// The page needs nothing else.
void write_report(const std::filesystem::path& folder, const Recipe& recipe);

}  // namespace tessera
