#pragma once
#include <memory>

#include "core/device_graph.h"
#include "language/language_model.h"

namespace tessera {

/// One more token for each of some sequences, as a graph of the device (core/device_graph.h): a token is thousands of
/// small kernels, for which a host asks more slowly than a GPU runs them. The first calls are as ever, the next one is
/// recorded, and those that follow repeat it. Whenever the caches are full, they are given as much room again and the
/// step is recorded anew.
///
/// While it lives the state is for step() and LanguageState::select() with as many rows alone; afterwards it is as if
/// the tokens had been read without it.
class RecordedStep {
 public:
  struct Result {
    Tensor hidden;  ///< R x D
    Tensor logits;  ///< R x vocabulary, valid until the next call
  };

  /// @param state  of sequences of which something was seen
  /// @param most   how many tokens will come at most
  /// @return null where the device has no graphs, or a part of the state grows in a way that cannot be recorded
  static std::unique_ptr<RecordedStep> make(LanguageModel& model, LanguageState& state, int64_t most);
  ~RecordedStep();
  RecordedStep(const RecordedStep&) = delete;
  RecordedStep& operator=(const RecordedStep&) = delete;

  /// @param ids   R, int64
  /// @param real  R, bool: the rows that go on; the others stay where they are
  Result step(const Tensor& ids, const Tensor& real);
  int64_t rows() const { return ids_.size(0); }
  /// Whether it could not be recorded: it is of no use from then on.
  bool refused() const { return refused_; }

 private:
  RecordedStep(LanguageModel& model, LanguageState& state, std::unique_ptr<DeviceGraph> graph, int64_t most);
  bool make_room();
  std::vector<Tensor*> replaced();
  void settle();
  void pass();
  void record();

  LanguageModel& model_;
  LanguageState& state_;
  std::vector<std::shared_ptr<State>> parts_;
  std::unique_ptr<DeviceGraph> graph_;
  Tensor ids_, real_;          // R x 1: what the step reads
  std::vector<Tensor> fixed_;  // the tensors that stand in the places of replaced()
  Result result_;
  int64_t left_, room_ = 0;  // tokens that may come, and for how many there is room
  int64_t passes_ = 0;       // since there was room
  bool recorded_ = false, refused_ = false;
};

}  // namespace tessera
