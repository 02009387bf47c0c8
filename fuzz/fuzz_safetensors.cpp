// Any bytes are a header that is well, or an Error; nothing else. What is accepted lies within the file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "core/error.h"
#include "io/safetensors_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto header = tessera::parse_safetensors({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
    size_t covered = 0;
    for (const auto& entry : header.tensors) {
      if (entry.begin > entry.end || entry.end > size || entry.begin < covered) std::abort();
      covered = entry.end;
    }
  } catch (const tessera::Error&) {
  }
  return 0;
}
