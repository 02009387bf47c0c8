#include "text/metaspace.h"

namespace tessera::text {

Metaspace parse_metaspace(const JsonNode& node) {
  Metaspace options{node.at("replacement").character(), Metaspace::Prepend::Always, node.boolean("split", true)};
  const bool prefix = node.boolean("add_prefix_space", true);  // how files wrote it before prepend_scheme
  const std::string scheme = node.string("prepend_scheme", prefix ? "always" : "never");
  if (scheme == "first") {
    options.prepend = Metaspace::Prepend::First;
  } else if (scheme == "never") {
    options.prepend = Metaspace::Prepend::Never;
  } else if (scheme != "always") {
    node.at("prepend_scheme").fail("unknown prepend_scheme '" + scheme + "'");
  }
  if (!prefix && scheme != "never") node.fail("add_prefix_space does not match prepend_scheme");
  return options;
}

}  // namespace tessera::text
