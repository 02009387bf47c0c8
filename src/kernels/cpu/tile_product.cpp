#include "kernels/cpu/tile_product.h"

#include <omp.h>

#include <cstdlib>
#include <string>
#include <unordered_map>

#include "kernels/cpu/onednn.h"

namespace tessera::cpu {
namespace {

using dnnl::memory;

struct Types {
  memory::data_type x, weight, sums;
  memory::format_tag panels;
};

Types types_of(ProductKind kind) {
  using type = memory::data_type;
  using tag = memory::format_tag;
  if (kind == ProductKind::kInt8) return {type::u8, type::s8, type::s32, tag::BA16a64b4a};
  if (kind == ProductKind::kBfloat16) return {type::bf16, type::bf16, type::f32, tag::BA16a64b2a};
  return {type::f32, type::f32, type::f32, tag::BA16a64b};
}

/// oneDNN divides a product among as many threads as there are when it plans it; ours are divided already.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

dnnl::matmul::primitive_desc plan(const TileProduct& tile) {
  const Types types = types_of(tile.kind);
  const memory::desc x({tile.rows, tile.inputs}, types.x, memory::format_tag::ab);
  const memory::desc weight({tile.inputs, tile.columns}, types.weight, types.panels);
  const memory::desc sums({tile.rows, tile.columns}, types.sums, memory::format_tag::ab);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return onednn_product(x, weight, {}, sums, attributes);
}

/// A planned product with the memories that it reads and writes, for one thread.
class Ready {
 public:
  explicit Ready(const TileProduct& tile) {
    const OneThread alone;
    const auto planned = plan(tile);
    product_ = dnnl::matmul(planned);
    x_ = memory(planned.src_desc(), onednn_engine(), nullptr);
    weight_ = memory(planned.weights_desc(), onednn_engine(), nullptr);
    sums_ = memory(planned.dst_desc(), onednn_engine(), nullptr);
    arguments_ = {{DNNL_ARG_SRC, x_},
                  {DNNL_ARG_WEIGHTS, weight_},
                  {DNNL_ARG_DST, sums_},
                  {DNNL_ARG_SCRATCHPAD, memory(planned.scratchpad_desc(), onednn_engine())}};
  }

  void run(const void* x, const void* panels, void* sums) {
    thread_local dnnl::stream stream(onednn_engine());
    x_.set_data_handle(const_cast<void*>(x));
    weight_.set_data_handle(const_cast<void*>(panels));
    sums_.set_data_handle(sums);
    product_.execute(stream, arguments_);
    stream.wait();
  }

 private:
  dnnl::matmul product_;
  memory x_, weight_, sums_;
  std::unordered_map<int, memory> arguments_;
};

struct Hash {
  size_t operator()(const TileProduct& tile) const {
    size_t hash = static_cast<size_t>(tile.kind);
    for (const int64_t part : {tile.rows, tile.columns, tile.inputs}) hash = hash * 1000003 + static_cast<size_t>(part);
    return hash;
  }
};

}  // namespace

void multiply_tile(const TileProduct& tile, const void* x, const void* panels, void* sums) {
  constexpr size_t kMost = 512;  // shapes that a thread keeps ready; oneDNN itself keeps their code
  thread_local std::unordered_map<TileProduct, Ready, Hash> ready;
  auto at = ready.find(tile);
  if (at == ready.end()) {
    if (ready.size() >= kMost) ready.clear();
    at = ready.try_emplace(tile, tile).first;
  }
  at->second.run(x, panels, sums);
}

bool has_tile_unit(ProductKind kind) {
  static const std::string wanted = std::getenv("TESSERA_PRODUCTS") ? std::getenv("TESSERA_PRODUCTS") : "";
  static const bool unit = dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core_amx;
  if (wanted == "registers" || (wanted != "onednn" && (!unit || kind == ProductKind::kFloat32))) return false;
  const auto possible = [](ProductKind of) {
    try {
      return !is_reference(plan({of, 16, 64, 64}));
    } catch (const dnnl::error&) {
      return false;
    }
  };
  static const bool known[] = {possible(ProductKind::kFloat32), possible(ProductKind::kBfloat16),
                               possible(ProductKind::kInt8)};
  return known[static_cast<size_t>(kind)];
}

}  // namespace tessera::cpu
