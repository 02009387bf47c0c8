#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"

namespace tessera {

/// How a file keeps its tensors of one type.
struct StoredType {
  int64_t tensors = 0, bytes = 0;
};

/// What one forward pass costs. The floating-point operations are those of the matrix products and convolutions that
/// were really run, counted where LibTorch executes them (2 per multiply-add; attention is among them, element-wise
/// work is not).
struct ForwardCost {
  std::vector<int64_t> input;  ///< shape
  int64_t flops = 0;
  double seconds = 0;            ///< median of several passes, on the threads in use
  double processor_seconds = 0;  ///< likewise, but what all threads worked: other work on the machine adds little to it
  int64_t peak_bytes = 0;        ///< by which the process grew in the first pass; 0 where the system cannot tell
};

Json to_json(const ForwardCost& cost);

struct Inspection {
  std::string family, folder;
  int64_t parameters = 0;                    ///< numbers that training changes
  int64_t buffers = 0;                       ///< numbers that it does not: running means, fixed tables
  std::map<std::string, int64_t> parts;      ///< parameters and buffers per top-level part
  std::map<std::string, StoredType> types;   ///< in the file, by type: "BF16"
  std::optional<Precision> prepared;         ///< that of a folder that was prepared
  std::optional<int64_t> vocabulary;         ///< of the tokenizer
  std::optional<ForwardCost> picture, text;  ///< of one picture and of one text, where the model reads them
};

/// Measures a loaded model.
/// @param text_tokens  length of the text, cut to what the model can read
Inspection inspect(const Model& model, int64_t text_tokens = 16);

/// Measures `pass`, which reads `input`, without gradient.
ForwardCost measure_forward(const Tensor& input, const std::function<void()>& pass);

/// Floating-point operations of what `work` runs on this thread; see ForwardCost.
int64_t count_flops(const std::function<void()>& work);

}  // namespace tessera
