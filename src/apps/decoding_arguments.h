#pragma once
#include "apps/verbs.h"
#include "decode/options.h"

namespace tessera::apps {

/// The options of decoding as flags, one for each field of GenerateOptions: max_new_tokens is --max-new-tokens. For all
/// verbs that make text.
class DecodingArguments {
 public:
  void declare(CLI::App& command);
  /// A model's defaults with what was given in their place. Who turns sampling off turns off its defaults, too.
  GenerateOptions over(GenerateOptions defaults) const;

 private:
  std::shared_ptr<Json> given_ = std::make_shared<Json>(Json::object());
};

}  // namespace tessera::apps
