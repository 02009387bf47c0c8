#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>

#include "core/error.h"

namespace tessera {

/// Memory that a tensor would have needed and the limit does not allow. Work that can be done in smaller pieces catches
/// it; who cannot lets it end as any Error does.
class OutOfMemory : public Error {
 public:
  /// @param needed  bytes of the whole process
  OutOfMemory(int64_t needed, int64_t limit);
};

/// The memory that this process may hold, for all tensors on the CPU from now on. Counted is what the process holds
/// otherwise, the weights, and every tensor while it lives, so that memory is free again as soon as a tensor is gone.
/// Tensors are refused once enforce_memory_limit() was called: a model that is not filled yet has memory that nobody
/// has touched. To be said before models are loaded.
/// @param bytes  0: no limit any more
void limit_memory(int64_t bytes);

/// Whether there is a limit. Prompts are read in pieces then.
bool memory_is_limited();

/// Before a model is loaded, during which nothing is refused. @throws OutOfMemory where its weights cannot fit
void check_weights_fit(int64_t weights);

/// After a model was loaded: from now on tensors that do not fit are refused.
/// @param weights  the bytes of its weights, wherever they lie: those that are mapped are counted as held. They are
///                 added to those of the models that were loaded before
/// @throws OutOfMemory where they do not fit themselves
void enforce_memory_limit(int64_t weights);

/// After work was done: what the process holds otherwise is looked at again, since the first of it touches code that
/// nobody has touched before.
void renew_memory_plan();

/// Counts memory of a tensor that LibTorch's allocator knows nothing of. @param bytes  below 0: it is given back
/// @throws OutOfMemory
void count_tensor_memory(int64_t bytes);

/// How many bytes tensors may take beside those that live; as much as there is where there is no limit.
int64_t memory_room();

/// How far the tensors have grown at most beyond what was there when it was made.
class TensorGrowth {
 public:
  TensorGrowth();
  int64_t most() const;

 private:
  int64_t before_;
};

/// Calls `work(begin, count)` for all of `count` things in turn, as many at once as memory allows: where it is refused,
/// half as many are tried, from then on. What `work` has done before it is refused must do no harm if done again.
class FittingBatches {
 public:
  template <class Work>
  void run(size_t count, const Work& work) {
    for (size_t begin = 0; begin < count;) {
      const size_t piece = most_ < count - begin ? most_ : count - begin;
      try {
        work(begin, piece);
        begin += piece;
        renew_memory_plan();
      } catch (const OutOfMemory&) {
        if (piece == 1) throw;
        most_ = piece / 2;
      }
    }
  }

 private:
  size_t most_ = std::numeric_limits<size_t>::max();
};

}  // namespace tessera
