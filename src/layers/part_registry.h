#pragma once
#include "core/registry.h"

namespace tessera {

/// A registry of parts that stand in the layers of a backbone: a part takes from the backbone what its options leave
/// out, as far as it has such an option ("dim", "heads", "causal").
template <class Interface>
class PartRegistry : public Registry<Interface> {
 public:
  using Registry<Interface>::Registry;

  /// Adds a part that is constructed from `Options`.
  template <class Type, class Options>
  void add_part(const std::string& kind) {
    defaults_[kind] = write_options(Options{});
    this->add(kind, [](const Json& json, const std::string& where) {
      return std::make_shared<Type>(read_options<Options>(json, where));
    });
  }

  /// @param options   {"kind": ..., ...}, or a list of them that the layers take in turn
  /// @param backbone  what the backbone has to offer, by the names of options
  /// @throws Error as make() does, and for an empty list
  std::shared_ptr<Interface> make_part(const Json& options, const Json& backbone, int64_t layer,
                                       const std::string& where) const {
    if (options.is_array() && options.empty()) throw Error("an empty list chooses nothing", where);
    Json chosen = options.is_array() ? options[static_cast<size_t>(layer) % options.size()] : options;
    if (chosen.is_object() && chosen.contains("kind") && chosen["kind"].is_string()) {
      const auto known = defaults_.find(chosen["kind"].template get<std::string>());
      if (known != defaults_.end())
        for (const auto& [key, value] : backbone.items())
          if (known->second.contains(key) && !chosen.contains(key)) chosen[key] = value;
    }
    return this->make(chosen, where);
  }

 private:
  std::map<std::string, Json> defaults_;
};

/// Adds a part to its registry when the library is loaded.
template <class Interface, class Type, class Options>
struct PartRegistration {
  PartRegistration(PartRegistry<Interface>& registry, const std::string& kind) {
    registry.template add_part<Type, Options>(kind);
  }
};

}  // namespace tessera
