#include "text/vocabulary.h"

#include "core/error.h"

namespace tessera::text {

Vocabulary Vocabulary::from(const JsonNode& node) {
  if (!node.value().is_object()) node.fail("expected an object of tokens and ids");
  Vocabulary vocabulary;
  vocabulary.ids_.reserve(node.value().size());
  for (const auto& [token, id] : node.value().items()) {
    if (!id.is_number_integer() || id.get<int64_t>() < 0 || id.get<int64_t>() >= kMaxId) {
      node.fail("id of token '" + token + "' is no integer from 0 to " + std::to_string(kMaxId - 1));
    }
    vocabulary.add(token, id.get<int64_t>());
  }
  return vocabulary;
}

void Vocabulary::add(std::string token, int64_t id) {
  if (id < 0 || id >= kMaxId) throw Error("token id " + std::to_string(id) + " is out of range", "vocabulary");
  if (static_cast<size_t>(id) >= by_id_.size()) by_id_.resize(static_cast<size_t>(id) + 1, nullptr);
  tokens_.push_back(std::move(token));
  by_id_[static_cast<size_t>(id)] = &tokens_.back();
  ids_[tokens_.back()] = id;
}

std::optional<int64_t> Vocabulary::find(std::string_view token) const {
  const auto found = ids_.find(token);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<std::string> Vocabulary::token(int64_t id) const {
  if (id < 0 || id >= size() || !by_id_[static_cast<size_t>(id)]) return std::nullopt;
  return *by_id_[static_cast<size_t>(id)];
}

}  // namespace tessera::text
