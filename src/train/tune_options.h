#pragma once
#include "core/options.h"

namespace tessera {

/// How a published language model is tuned on conversations while its own parameters stay as they are.
struct TuneOptions {
  std::string method = "lora";                ///< lora, dora, rslora, ia3, bottleneck, prefix or prompt
  std::vector<std::string> data, validation;  ///< files of JSON lines; see ExampleReader
  int64_t rank = 8;                           ///< of lora, dora and rslora
  double alpha = 16;                          ///< the branch counts alpha / rank (rslora: alpha / sqrt(rank)) times
  double dropout = 0;                         ///< of the branch's input
  std::vector<std::string> targets;           ///< ends of published module names, or "all-linear" alone; empty: those
                                              ///< that PEFT takes for such a model
  int64_t bottleneck = 64;                    ///< width of a bottleneck
  int64_t virtual_tokens = 20;                ///< of prefix and prompt
  int64_t length = 0;                         ///< tokens of a row; 0: as many as the model was made for, at most 1024
  bool truncate = false;                      ///< longer examples are cut at their end; else they are refused
  bool packing = true;                        ///< several examples share a row, where the model can keep them apart
  bool checkpointing = false;                 ///< blocks are computed again in the backward pass; see Recomputation
};
TESSERA_OPTIONS(TuneOptions, method, data, validation, rank, alpha, dropout, targets, bottleneck, virtual_tokens,
                length, truncate, packing, checkpointing)

/// True for the methods that put vectors in front of a text instead of changing layers.
bool adds_tokens(const TuneOptions& options);

/// @throws Error naming the value that cannot be
void check_tune(const TuneOptions& options, const std::string& where);

}  // namespace tessera
