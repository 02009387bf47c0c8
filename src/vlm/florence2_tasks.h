#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "vlm/picture_region.h"

namespace tessera {

/// What Florence-2 was trained to be asked for a task: "<OD>" becomes "Locate the objects with category name in the
/// image.", and "<OPEN_VOCABULARY_DETECTION>a dog" "Locate a dog in the image.". A text that begins with no task stays.
/// @throws Error where the task takes no text and there is one, or the reverse, or for an unknown task
std::string florence2_prompt(const std::string& text);

/// The tasks, as prompts begin with them.
std::vector<std::string> florence2_tasks();

/// Whether what is asked begins with a task that is answered with places in the picture, such as "<OD>".
bool florence2_asks_for_places(const std::string& text);

struct Florence2Answer {
  std::string text;                    ///< of a task that answers in words
  std::vector<PictureRegion> regions;  ///< of a task that answers with places
};

/// Reads what the model wrote for a task, special tokens included: labels, and places as "<loc_0>" ... "<loc_999>",
/// each the centre of a thousandth of the picture's width or height. What breaks off within a place is left out.
/// @param task  or a prompt that begins with one
/// @param width, height  of the picture as it was given
/// @throws Error for an unknown task, or a size that is not positive
Florence2Answer florence2_answer(const std::string& task, const std::string& written, int64_t width, int64_t height);

}  // namespace tessera
