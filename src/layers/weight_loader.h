#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/file_pages.h"
#include "layers/weights.h"

namespace tessera {

/// load_weights(), one part of the module after the other, so that what was read of the file may be given back before
/// the next is read. Module, checkpoint and names must outlive it.
class WeightLoader {
 public:
  /// Holds the names of the file against those of the module, and touches no weights.
  /// @param keep_types  see load_weights()
  /// @throws Error naming what is surplus or missing
  WeightLoader(Module& module, const Checkpoint& checkpoint, const NameTable& names, bool keep_types);

  /// Fills what stands in the part itself, not in its children.
  /// @param part  module path; empty: the module
  /// @throws Error naming the tensor that does not fit
  void fill(const std::string& part);
  /// Fills all that is not filled yet. @throws Error likewise
  void fill_rest();
  /// The pages of the file that fill() reads for this part (core/file_pages.h).
  std::vector<MemoryRange> pages(const std::string& part) const;

  const StoredTensors& stored() const { return stored_; }

 private:
  /// A tensor of the file, and what of the module's it fills.
  struct Source {
    std::string name;
    Place place;
  };

  /// Of a source in the mapped file; empty where it was not mapped.
  MemoryRange pages_of(const Source& source) const;
  void plan();
  [[noreturn]] void refuse_unknown(const std::vector<std::string>& unknown) const;
  void refuse_missing() const;
  void fill_tensor(const std::string& path);
  void fill_from(const Source& source, Tensor& target, bool is_first) const;
  void compare(const Source& source, const Tensor& target) const;
  /// The numbers of a source as the module lays them out. @throws Error where the shape is another
  Tensor fitted(const Source& source, const Tensor& target) const;

  const Checkpoint& checkpoint_;
  const NameTable& names_;
  bool keep_types_;
  std::map<std::string, Tensor> targets_;                    // by path
  std::map<std::string, std::vector<Source>> sources_;       // by the path that they fill, in the order of their names
  std::map<std::string, std::vector<std::string>> of_part_;  // the paths that stand in a part
  std::set<std::string> filled_;                             // paths
  StoredTensors stored_;
};

}  // namespace tessera
