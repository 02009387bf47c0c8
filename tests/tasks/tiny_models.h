#pragma once
#include <array>
#include <functional>
#include <map>

#include "io/image.h"
#include "models/model.h"

namespace tessera::testing {

namespace fs = std::filesystem;

using Rgb = std::array<float, 3>;

/// The words that a model of colours knows.
const std::map<std::string, Rgb>& colour_words();

/// A dual encoder all of whose answers can be told by hand: the vector of a picture is its mean colour (red, green and
/// blue from 0 to 1), that of a text the mean of its words' colours. It reads eight words. Written and loaded again.
Model colour_model(const fs::path& folder, const std::map<std::string, Rgb>& words = colour_words());

/// What a model of colours calls with the number of pictures before it encodes them: for counting, and for stopping.
std::function<void(int64_t)>& before_encoding();

/// Two towers of transformers with random weights and a few thousand parameters; it reads the colour words.
Model tower_model(const fs::path& folder);

/// Tokens that a talking model makes: ASCII alone, or the end.
constexpr int64_t kWritten = 94, kEnd = 400;

/// The config of a vision-language model of any parts, and those of published families: "blip2-opt", "blip2-t5",
/// "instructblip", "florence2", "paligemma", "llava", "any".
Json talking_config(const std::string& family);

/// A vision-language model with random weights that reads bytes and pictures of 8 x 8 pixels, and writes ASCII, eight
/// tokens at most. Written and loaded again.
Model talking_model(const fs::path& folder, const std::string& family = "any", const std::string& chat_template = "");

/// A ViT with random weights that chooses among its own classes; without names, among two.
Model classifier_model(const fs::path& folder, const std::vector<std::string>& labels);

/// Writes a PNG of one colour.
void write_colour(const fs::path& file, Colour colour, int64_t side = 8);

/// A PNG of one colour, with alpha where it is given.
std::string png_of(const std::vector<uint8_t>& pixel, int64_t side = 8);

}  // namespace tessera::testing
