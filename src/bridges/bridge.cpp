#include "bridges/bridge.h"

namespace tessera {

Registry<Bridge>& bridges() {
  static Registry<Bridge> registry("bridge");
  return registry;
}

void Bridge::refuse_text(const TextBatch* text) {
  if (text && text->ids.defined())
    throw Error("an instruction was given and this bridge reads none", "bridge", "put it into the prompt");
}

}  // namespace tessera
