#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tessera {

/// A grammar over bytes: rules that are automata and may call one another and themselves, which nests what they read
/// (a recursive transition network; Woods, 1970). A regular expression is one without calls; JSON needs them.
class Grammar {
 public:
  using Node = int32_t;
  using Rule = int32_t;

  /// The first rule that is made is what a text has to be.
  Rule rule();
  Node begin(Rule rule) const { return rules_[static_cast<size_t>(rule)].first; }
  Node end(Rule rule) const { return rules_[static_cast<size_t>(rule)].second; }

  /// @throws Error when the grammar gets too large
  Node node();
  void skip(Node from, Node to);                               ///< reads nothing
  void read(Node from, uint8_t first, uint8_t last, Node to);  ///< one byte of a range
  void read(Node from, std::string_view text, Node to);        ///< these bytes
  void call(Node from, Rule rule, Node to);                    ///< all that the rule reads

  /// Removes what leads nowhere, so that whatever has been read can be brought to an end.
  /// @return false when no text is of this grammar
  bool trim();

 private:
  friend class Matcher;
  struct Bytes {
    uint8_t first, last;
    Node to;
  };
  struct Call {
    Rule rule;
    Node to;
  };
  struct Edges {
    std::vector<Node> skips;
    std::vector<Bytes> bytes;
    std::vector<Call> calls;
    bool ends_rule = false;
  };
  std::vector<bool> productive() const;

  std::vector<Edges> nodes_;
  std::vector<std::pair<Node, Node>> rules_;
};

/// Reads a text byte by byte. What it may be in the middle of is a set of places, each with the calls that led there;
/// such sets are numbered as they are met, and what follows from each byte is remembered, so that a text that was seen
/// before costs one look-up a byte.
class Matcher {
 public:
  using State = int32_t;
  static constexpr State kNone = -1;  ///< no text of the grammar begins so

  /// @param what  for messages: "schema"
  explicit Matcher(Grammar grammar, std::string what);

  State start() { return start_; }
  /// @throws Error when a rule calls itself without having read anything
  State step(State state, uint8_t byte);
  State step(State state, std::string_view text);
  bool complete(State state) const { return states_[static_cast<size_t>(state)].complete; }

 private:
  using Stack = int32_t;  // 0: no calls
  struct Place {
    Grammar::Node node;
    Stack stack;
    auto operator<=>(const Place&) const = default;
  };
  struct Calls {
    Grammar::Node back_to;
    Stack below;
  };
  struct Set {
    std::vector<Place> places;
    bool complete = false;
    std::array<State, 256> next;
  };
  Stack push(Grammar::Node back_to, Stack below);
  State numbered(const std::vector<Place>& reached);

  Grammar grammar_;
  std::string what_;
  std::vector<Calls> stacks_;
  std::unordered_map<uint64_t, Stack> stack_of_;
  std::vector<Set> states_;
  std::unordered_map<std::string, State> number_of_;
  State start_ = kNone;
};

}  // namespace tessera
