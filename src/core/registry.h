#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/options.h"

namespace tessera {

/// The implementations of one interface, by the name that a recipe gives in "kind".
///
/// A registry is a function-local static of the seam that it belongs to, and every file that brings an implementation
/// adds itself with a static Registration; libtessera is a shared library, so no such object is dropped at link time.
template <class Interface>
class Registry {
 public:
  /// Builds the implementation from its options (a JSON object without "kind"); `where` is for messages.
  using Factory = std::function<std::shared_ptr<Interface>(const Json& options, const std::string& where)>;

  /// @param what  what is registered, for messages: "encoder"
  explicit Registry(std::string what) : what_(std::move(what)) {}

  void add(const std::string& kind, Factory factory) { factories_[kind] = std::move(factory); }

  std::vector<std::string> kinds() const {
    std::vector<std::string> names;
    for (const auto& [kind, factory] : factories_) names.push_back(kind);
    return names;
  }

  /// Builds what `options["kind"]` names from the other keys.
  /// @throws Error when "kind" is missing or unknown, or when the implementation refuses its options
  std::shared_ptr<Interface> make(const Json& options, const std::string& where) const {
    if (!options.is_object() || !options.contains("kind") || !options["kind"].is_string())
      throw Error("an object with the key \"kind\" is needed to choose the " + what_, where);
    const std::string kind = options["kind"];
    check_choice(kind, kinds(), where + ".kind");
    Json rest = options;
    rest.erase("kind");
    return factories_.at(kind)(rest, where);
  }

 private:
  std::string what_;
  std::map<std::string, Factory> factories_;
};

/// Adds `Type`, which is constructed from `Options`, to a registry when the library is loaded.
template <class Interface, class Type, class Options>
struct Registration {
  Registration(Registry<Interface>& registry, const std::string& kind) {
    registry.add(kind, [](const Json& json, const std::string& where) {
      return std::make_shared<Type>(read_options<Options>(json, where));
    });
  }
};

}  // namespace tessera
