#include "decode/grammar.h"

#include <algorithm>
#include <set>

#include "core/error.h"

namespace tessera {
namespace {

constexpr size_t kMostNodes = 400'000;
constexpr Matcher::State kNotYet = -2;

}  // namespace

Grammar::Rule Grammar::rule() {
  const Node begin = node(), end = node();
  nodes_[static_cast<size_t>(end)].ends_rule = true;
  rules_.emplace_back(begin, end);
  return static_cast<Rule>(rules_.size()) - 1;
}

Grammar::Node Grammar::node() {
  if (nodes_.size() >= kMostNodes) throw Error("is too large", "constraint", "allow fewer repetitions");
  nodes_.emplace_back();
  return static_cast<Node>(nodes_.size()) - 1;
}

void Grammar::skip(Node from, Node to) { nodes_[static_cast<size_t>(from)].skips.push_back(to); }

void Grammar::read(Node from, uint8_t first, uint8_t last, Node to) {
  nodes_[static_cast<size_t>(from)].bytes.push_back({first, last, to});
}

void Grammar::read(Node from, std::string_view text, Node to) {
  for (const char c : text) {
    const Node next = node();
    read(from, static_cast<uint8_t>(c), static_cast<uint8_t>(c), next);
    from = next;
  }
  skip(from, to);
}

void Grammar::call(Node from, Rule rule, Node to) { nodes_[static_cast<size_t>(from)].calls.push_back({rule, to}); }

/// Of each node, whether the end of its rule can be reached.
std::vector<bool> Grammar::productive() const {
  std::vector<bool> good(nodes_.size());
  const auto is = [&](Node node) { return good[static_cast<size_t>(node)]; };
  for (bool more = true; more;) {
    more = false;
    for (size_t i = nodes_.size(); i-- > 0;) {
      if (good[i]) continue;
      const Edges& edges = nodes_[i];
      good[i] = edges.ends_rule || std::any_of(edges.skips.begin(), edges.skips.end(), is) ||
                std::any_of(edges.bytes.begin(), edges.bytes.end(), [&](const Bytes& edge) { return is(edge.to); }) ||
                std::any_of(edges.calls.begin(), edges.calls.end(),
                            [&](const Call& edge) { return is(edge.to) && is(begin(edge.rule)); });
      more = more || good[i];
    }
  }
  return good;
}

bool Grammar::trim() {
  const std::vector<bool> good = productive();
  const auto bad = [&](Node node) { return !good[static_cast<size_t>(node)]; };
  for (Edges& edges : nodes_) {
    std::erase_if(edges.skips, bad);
    std::erase_if(edges.bytes, [&](const Bytes& edge) { return bad(edge.to); });
    std::erase_if(edges.calls, [&](const Call& edge) { return bad(edge.to) || bad(begin(edge.rule)); });
  }
  return !rules_.empty() && !bad(begin(0));
}

Matcher::Matcher(Grammar grammar, std::string what) : grammar_(std::move(grammar)), what_(std::move(what)) {
  if (!grammar_.trim()) throw Error("no text can meet it", what_, "look for parts that contradict each other");
  stacks_.push_back({-1, -1});
  start_ = numbered({{grammar_.begin(0), 0}});
}

Matcher::Stack Matcher::push(Grammar::Node back_to, Stack below) {
  const uint64_t key = (static_cast<uint64_t>(static_cast<uint32_t>(back_to)) << 32) | static_cast<uint32_t>(below);
  const auto [found, fresh] = stack_of_.try_emplace(key, static_cast<Stack>(stacks_.size()));
  if (fresh) stacks_.push_back({back_to, below});
  return found->second;
}

/// Follows from these places all that reads nothing, and numbers what is then to be read.
Matcher::State Matcher::numbered(const std::vector<Place>& reached) {
  struct Open {
    Place place;
    size_t calls;  // made since the last byte
  };
  std::vector<Open> open;
  std::set<Place> seen;
  Set set;
  const auto visit = [&](Place place, size_t calls) {
    if (seen.insert(place).second) open.push_back({place, calls});
  };
  for (const Place& place : reached) visit(place, 0);
  while (!open.empty()) {
    const auto [place, calls] = open.back();
    open.pop_back();
    const auto& edges = grammar_.nodes_[static_cast<size_t>(place.node)];
    if (!edges.bytes.empty()) set.places.push_back(place);
    if (edges.ends_rule && place.stack == 0) set.complete = true;
    if (edges.ends_rule && place.stack != 0) {
      const Calls back = stacks_[static_cast<size_t>(place.stack)];
      visit({back.back_to, back.below}, calls == 0 ? 0 : calls - 1);
    }
    for (const Grammar::Node to : edges.skips) visit({to, place.stack}, calls);
    for (const auto& call : edges.calls) {
      if (calls > grammar_.rules_.size())
        throw Error("refers to itself before anything is read", what_, "put the reference into an object or a list");
      visit({grammar_.begin(call.rule), push(call.to, place.stack)}, calls + 1);
    }
  }
  if (set.places.empty() && !set.complete) return kNone;
  std::sort(set.places.begin(), set.places.end());
  std::string key(1, set.complete ? '1' : '0');
  key.append(reinterpret_cast<const char*>(set.places.data()), set.places.size() * sizeof(Place));
  const auto [found, fresh] = number_of_.try_emplace(std::move(key), static_cast<State>(states_.size()));
  if (fresh) {
    set.next.fill(kNotYet);
    states_.push_back(std::move(set));
  }
  return found->second;
}

Matcher::State Matcher::step(State state, uint8_t byte) {
  if (state == kNone) return kNone;
  const State known = states_[static_cast<size_t>(state)].next[byte];
  if (known != kNotYet) return known;
  std::vector<Place> reached;
  for (const Place& place : states_[static_cast<size_t>(state)].places)
    for (const auto& edge : grammar_.nodes_[static_cast<size_t>(place.node)].bytes)
      if (edge.first <= byte && byte <= edge.last) reached.push_back({edge.to, place.stack});
  const State next = reached.empty() ? kNone : numbered(reached);
  states_[static_cast<size_t>(state)].next[byte] = next;  // numbered() may have moved the states
  return next;
}

Matcher::State Matcher::step(State state, std::string_view text) {
  for (const char c : text) state = step(state, static_cast<uint8_t>(c));
  return state;
}

}  // namespace tessera
