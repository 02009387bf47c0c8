#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/options.h"

/// The safetensors format without LibTorch: eight bytes of header length, a JSON header, the data.
namespace tessera {

/// The longest header that the format allows.
inline constexpr uint64_t kSafetensorsHeaderLimit = 100'000'000;

/// One tensor of a header that was checked: `end - begin` is the size that dtype and shape give.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;           ///< as the format spells it
  std::vector<int64_t> shape;  ///< no negative extent; the number of elements fits
  size_t begin = 0, end = 0;   ///< bytes of the file, not of the data section
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> tensors;  ///< in the order of their data
  std::map<std::string, std::string> metadata;
};

/// Reads and checks the header of a whole file: the tensors cover the data without gap or overlap and within the file.
/// Touches no byte of the data.
/// @param file   the whole file
/// @param where  its name, for messages
/// @throws Error naming `where`, and the tensor where one is to blame; a file of another kind is called what it is
SafetensorsHeader parse_safetensors(std::span<const std::byte> file, const std::string& where);

/// Bytes of one element of a dtype ("F32"); 0 for one that the format does not have.
size_t safetensors_element_size(std::string_view dtype);

/// JSON in which no object has a key twice and nothing is nested deeper than a header or an index needs.
Json parse_unique_json(std::string_view text, const std::string& where);

/// A name from a file as it may stand in a one-line message: quoted, without control characters, not too long.
std::string in_quotes(std::string_view name);

}  // namespace tessera
