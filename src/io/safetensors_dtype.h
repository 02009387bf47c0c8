#pragma once
#include <torch/types.h>

#include <array>
#include <string_view>
#include <utility>

namespace tessera {

/// The dtypes that safetensors and LibTorch have in common.
inline constexpr std::array<std::pair<std::string_view, torch::ScalarType>, 10> kSafetensorsDtypes = {{
    {"F64", torch::kFloat64},
    {"F32", torch::kFloat32},
    {"F16", torch::kFloat16},
    {"BF16", torch::kBFloat16},
    {"I64", torch::kInt64},
    {"I32", torch::kInt32},
    {"I16", torch::kInt16},
    {"I8", torch::kInt8},
    {"U8", torch::kUInt8},
    {"BOOL", torch::kBool},
}};

/// Undefined for a dtype that LibTorch does not have.
inline torch::ScalarType scalar_type(std::string_view dtype) {
  for (const auto& [name, type] : kSafetensorsDtypes) {
    if (name == dtype) return type;
  }
  return torch::ScalarType::Undefined;
}

/// Empty for a dtype that safetensors does not have.
inline std::string_view safetensors_dtype(torch::ScalarType dtype) {
  for (const auto& [name, type] : kSafetensorsDtypes) {
    if (type == dtype) return name;
  }
  return "";
}

}  // namespace tessera
