#pragma once
#include <filesystem>
#include <istream>
#include <string>
#include <vector>

#include "models/model.h"

namespace tessera {

/// One picture that the user named.
struct PictureInput {
  std::string name;  ///< as answers call it: the path as it was given or found, or "-"
  bool standard_input = false;
};

/// Turns arguments into pictures: a file is itself; a folder stands for the pictures below it, by path; a pattern with
/// `*`, `?` or `[` that is no file stands for what it matches, by path; `-` is one picture on standard input.
/// Inside folders a picture is known by its extension, or by its first bytes; names that begin with a dot are left out.
/// @param list  paths to add after the arguments, one a line; may be null
/// @throws Error naming the argument that is missing, cannot be read or stands for no picture
std::vector<PictureInput> expand_inputs(const std::vector<std::string>& arguments, std::istream* list = nullptr);

/// The pictures below a folder by path, as expand_inputs() finds them: `folder / relative path`.
/// @throws Error when the folder, or one inside it, cannot be read
std::vector<std::filesystem::path> pictures_below(const std::filesystem::path& folder);

/// The bytes of an input, wherever they are. @throws Error when they cannot be read
std::string read_input(const PictureInput& input);

/// A picture as models take it: what is transparent lies on white. @throws Error when it is none
Image read_picture(const std::string& path);

/// The model that is used when none is named: $TESSERA_MODEL, else models/default of the source tree that the program
/// was built in, else share/tessera/models/default of where it is installed.
/// @throws Error saying how to name one
std::filesystem::path default_model_folder();

/// load_model() of the folder, or of the default one when it is empty.
/// @param precision  load_prepared_model() in this one instead (see precision_names()); empty: none, but for a folder
///                   that was prepared
/// @param device     where its weights go (see device_named()). Elsewhere than on the CPU it is loaded, moved and then
///                   prepared
/// @throws Error also for a folder that was prepared, which is for the CPU, with another device
Model open_model(const std::filesystem::path& folder, const std::string& precision = {},
                 const std::string& device = "cpu");

/// A number that tells models apart: a hash of the weights, the config and the processor's config.
/// @throws Error when they cannot be read
std::string model_fingerprint(const Model& model);

/// 64-bit hash of bytes (FNV-1a over 8-byte words); for finding changes, not against an adversary.
uint64_t hash_bytes(const void* data, size_t size, uint64_t seed = 0xcbf29ce484222325ULL);

/// JSON on one line; what is not UTF-8 (a file name may be anything) is replaced.
std::string json_line(const Json& json);

/// Flushes standard output. @throws Error when something that was printed did not arrive (a full disk)
void finish_output();

}  // namespace tessera
