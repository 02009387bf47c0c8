#include "train/tune_options.h"

#include "core/error.h"

namespace tessera {

bool adds_tokens(const TuneOptions& options) { return options.method == "prefix" || options.method == "prompt"; }

void check_tune(const TuneOptions& o, const std::string& where) {
  check_choice(o.method, {"lora", "dora", "rslora", "ia3", "bottleneck", "prefix", "prompt"}, where + ".method");
  if (o.data.empty()) throw Error("names no data", where + ".data", "give files of JSON lines");
  const auto positive = [&](int64_t value, const char* key) {
    if (value < 1) throw Error("must be positive", where + "." + key);
  };
  positive(o.rank, "rank");
  positive(o.bottleneck, "bottleneck");
  positive(o.virtual_tokens, "virtual_tokens");
  if (o.alpha <= 0) throw Error("must be positive", where + ".alpha");
  if (o.dropout < 0 || o.dropout >= 1) throw Error("must lie in [0, 1)", where + ".dropout");
  if (o.length < 0) throw Error("must not be negative", where + ".length");
  if (o.checkpointing && o.method == "prefix")
    throw Error("a prefix is a state, and blocks that go on from a state are not computed again",
                where + ".checkpointing", "leave it out, or take method prompt");
}

}  // namespace tessera
