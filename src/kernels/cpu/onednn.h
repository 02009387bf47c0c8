#pragma once
#include <dnnl.hpp>
#include <string>

namespace tessera::cpu {

inline const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// @param bias  may be empty
inline dnnl::matmul::primitive_desc onednn_product(const dnnl::memory::desc& a, const dnnl::memory::desc& b,
                                                   const dnnl::memory::desc& bias, const dnnl::memory::desc& result,
                                                   const dnnl::primitive_attr& attributes) {
#if DNNL_VERSION_MAJOR >= 3
  return {onednn_engine(), a, b, bias, result, attributes};
#else
  return {dnnl::matmul::desc(a, b, bias, result), attributes, onednn_engine()};
#endif
}

/// Whether oneDNN has no better than its reference for it: before AVX-512, for what is no float32.
inline bool is_reference(const dnnl::matmul::primitive_desc& planned) {
  return std::string(planned.impl_info_str()).starts_with("ref");
}

}  // namespace tessera::cpu
