#pragma once
#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// Where a published tensor belongs in a module.
struct Place {
  std::string path;  ///< parameter or buffer: "blocks.3.attention.qkv.weight"
  int64_t part = 0;  ///< which of `parts` parts of the first axis
  int64_t parts = 1;
  bool transposed = false;      ///< the file holds the transpose
  std::vector<int64_t> shares;  ///< the parts' sizes in relation to each other; empty: equal
};

/// One line of a name table.
///
/// Published side: `{n}` stands for a number, `{query|key|value}` for one of several words, `[vit.]` for text that may
/// be missing, `*` for the rest of the name. Module side: the same `{n}` and `*`; `[{0|1|2}]` at the end says that the
/// words are the parts of one tensor, in this order, and `[{0:4|1:1|2:1}]` that these are in the relation 4 : 1 : 1
/// (the keys and values of grouped queries); `^T` that the file holds its transpose. An empty module side says that the
/// tensor is known and not needed: it is kept, so that saving changes no byte.
///
///   {"[vit.]encoder.layer.{n}.attention.attention.{query|key|value}.*", "blocks.{n}.attention.qkv.*[{0|1|2}]"}
struct NameRule {
  // A constructor, because two rules in braces would otherwise be read as one rule of two strings made from iterators.
  NameRule(const char* published_name, const char* module_path, bool second_name = false)
      : published(published_name), path(module_path), alias(second_name) {}

  std::string published, path;
  bool alias;  ///< a second name of a tensor (tied weights): read and compared, written only where it was read
};

/// The correspondence between the names of a published checkpoint and the paths of a module, in both directions. It
/// maps tensors, their gradients and, by `modules`, the modules whose results are tapped.
class NameTable {
 public:
  NameTable() = default;
  NameTable(std::initializer_list<NameRule> rules, std::initializer_list<NameRule> modules = {});

  /// Where a tensor belongs: nothing when the table does not know the name; an empty path when it is to be ignored.
  std::optional<Place> place(const std::string& published) const;
  /// The names under which the parts of a parameter are published, in order; empty when there are none.
  std::vector<std::pair<std::string, Place>> published(const std::string& path) const;
  /// The module (or tap) that a published module name stands for.
  std::optional<std::string> module_path(const std::string& published) const;

  /// The same table for a module that stands at `path` in a larger one, published under `prefix`.
  NameTable within(const std::string& prefix, const std::string& path) const;
  /// The same names without a prefix that may be missing: "[model.]layers" becomes "layers".
  NameTable without(const std::string& prefix) const;
  /// The same names to be read only: other names of what another table publishes.
  NameTable aliases() const;
  /// Both tables; where both know a name, this one decides.
  NameTable operator+(const NameTable& other) const;

  /// All published patterns, for messages.
  std::vector<std::string> patterns() const;

 private:
  std::vector<NameRule> rules_, modules_;
};

}  // namespace tessera
