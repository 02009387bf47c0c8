#include "kernels/cpu/tile_product.h"

#include <omp.h>

#include <ATen/Functions.h>

#include <dnnl.hpp>
#include <string>
#include <unordered_map>

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

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
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
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), x, weight, sums, attributes};
#else
  return {dnnl::matmul::desc(x, weight, sums), attributes, engine()};
#endif
}

/// Whether oneDNN has no better than its reference for it: before AVX-512, for weights that lie in panels.
bool is_reference(const dnnl::matmul::primitive_desc& planned) {
  return std::string(planned.impl_info_str()).starts_with("ref");
}

/// The same in float32 by LibTorch, a panel at a time.
void multiply_float32(const TileProduct& tile, const void* x, const void* panels, void* sums) {
  constexpr int64_t kPanel = 64;
  const at::AutoDispatchBelowADInplaceOrView no_autograd;
  const auto matrix = [](const void* of, int64_t rows, int64_t columns, int64_t stride) {
    return at::from_blob(const_cast<void*>(of), {rows, columns}, {stride, 1}, at::kFloat);
  };
  const int64_t width = (tile.inputs + 15) / 16 * 16;
  for (int64_t first = 0; first < tile.columns; first += kPanel) {
    const int64_t columns = std::min(kPanel, tile.columns - first);
    at::Tensor out = matrix(static_cast<float*>(sums) + first, tile.rows, columns, tile.columns);
    at::mm_out(out, matrix(x, tile.rows, tile.inputs, tile.inputs),
               matrix(static_cast<const float*>(panels) + first * width, tile.inputs, columns, kPanel));
  }
}

/// A planned product with the memories that it reads and writes, for one thread.
class Ready {
 public:
  explicit Ready(const TileProduct& tile) {
    const OneThread alone;
    const auto planned = plan(tile);
    slow_ = is_reference(planned);
    product_ = dnnl::matmul(planned);
    x_ = memory(planned.src_desc(), engine(), nullptr);
    weight_ = memory(planned.weights_desc(), engine(), nullptr);
    sums_ = memory(planned.dst_desc(), engine(), nullptr);
    arguments_ = {{DNNL_ARG_SRC, x_},
                  {DNNL_ARG_WEIGHTS, weight_},
                  {DNNL_ARG_DST, sums_},
                  {DNNL_ARG_SCRATCHPAD, memory(planned.scratchpad_desc(), engine())}};
  }

  bool slow() const { return slow_; }

  void run(const void* x, const void* panels, void* sums) {
    thread_local dnnl::stream stream(engine());
    x_.set_data_handle(const_cast<void*>(x));
    weight_.set_data_handle(const_cast<void*>(panels));
    sums_.set_data_handle(sums);
    product_.execute(stream, arguments_);
    stream.wait();
  }

 private:
  bool slow_ = false;
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

void multiply(const TileProduct& tile, const void* x, const void* panels, void* sums) {
  constexpr size_t kMost = 512;  // shapes that a thread keeps ready; oneDNN itself keeps their code
  thread_local std::unordered_map<TileProduct, Ready, Hash> ready;
  auto at = ready.find(tile);
  if (at == ready.end()) {
    if (ready.size() >= kMost) ready.clear();
    at = ready.try_emplace(tile, tile).first;
  }
  if (at->second.slow() && tile.kind == ProductKind::kFloat32) return multiply_float32(tile, x, panels, sums);
  at->second.run(x, panels, sums);
}

bool can_multiply(ProductKind kind) {
  const auto possible = [](ProductKind of) {
    try {
      return of == ProductKind::kFloat32 || !is_reference(plan({of, 16, 64, 64}));
    } catch (const dnnl::error&) {
      return false;
    }
  };
  static const bool known[] = {possible(ProductKind::kFloat32), possible(ProductKind::kBfloat16),
                               possible(ProductKind::kInt8)};
  return known[static_cast<size_t>(kind)];
}

}  // namespace tessera::cpu
