#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "kernels/quantiser.h"
#include "layers/module.h"
#include "layers/preparable.h"
#include "layers/weights.h"

namespace tessera {

/// What became of one part of a model.
struct PreparedPart {
  std::string path, kind;  ///< module path; "Linear"
  int64_t parameters = 0;  ///< of the part itself
  int64_t bytes = 0;       ///< of its packed weights; 0 where it stays as it is
  std::string sparse;      ///< "2:4": so many of every so many weights are kept, see PackedLinear; empty: all
  std::string left;        ///< why it stays as it is; empty: it was swapped
};

/// How the weight of a part becomes int8 or int4 where that is not to the nearest; see Quantiser.
/// @param path  the part's
using PartQuantiser = std::function<Quantised(const std::string& path, const Tensor& weight, int64_t group)>;

/// Makes a model ready for inference on this CPU: its leaf parts (linear layers, norms, token tables, the embedding of
/// patches) take their fast forms, with weights packed in this precision. The model is in eval mode then and has no
/// gradients. Tensors between blocks stay float32. Its weights are gone: it cannot be saved as it was published, but
/// with save_prepared(). Weights may have any floating type; what is not packed is float32 then. What is packed already
/// stays as it is.
/// @param quantiser  null: numbers of int8 and int4 are the nearest
/// @return every part that has parameters of its own
std::vector<PreparedPart> prepare(Module& model, Precision precision, const PartQuantiser& quantiser = nullptr);

/// load_weights() and prepare() in one: each part is packed as soon as it is read, and the pages of the file that it
/// was read from are given back, so that no more than one part lies in memory both packed and unpacked.
/// @param model   not filled yet
/// @param stored  if not null, gets what load_weights() returns
/// @throws Error as load_weights() does; the model is of no use then
std::vector<PreparedPart> load_and_prepare(Module& model, const Checkpoint& checkpoint, const NameTable& names,
                                           Precision precision, StoredTensors* stored = nullptr);

/// Writes what prepare() made, for load_prepared(): packed weights as they are in memory, other tensors under their
/// paths. @throws Error where the file cannot be written
void save_prepared(const Module& model, Precision precision, const std::filesystem::path& file);

/// Fills a new model of the same options with it. Its packed weights are the mapping of the file, which processes share
/// and which is read when it is needed.
/// @return the precision
/// @throws Error naming the tensor that is missing, surplus or does not fit
Precision load_prepared(Module& model, const std::filesystem::path& file);

/// That of the file, which save_prepared() wrote. @throws Error where it is another's
Precision prepared_precision(const Checkpoint& file);

/// The memory that the weights of a model take, packed or not, in bytes.
int64_t weight_bytes(const Module& model);

/// Whether weights of the model are packed.
bool is_prepared(const Module& model);

}  // namespace tessera
