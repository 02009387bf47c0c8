#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>

#include "core/error.h"
#include "core/files.h"
#include "text/chat_template.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

ChatJson read_ordered(const fs::path& path) {
  if (!fs::is_regular_file(path)) return nullptr;
  const std::string bytes = read_file(path);
  parse_json(bytes, path.string());  // its errors name line and column
  return ChatJson::parse(bytes);
}

struct Source {
  std::string text;
  fs::path file;
};
/// By name; the usual one is called "default".
using Sources = std::map<std::string, Source>;

/// The key "chat_template" of a file: one template, several by name, or a list of such.
void add_key(Sources& sources, const fs::path& file) {
  const ChatJson json = read_ordered(file);
  if (!json.is_object() || !json.contains("chat_template")) return;
  const ChatJson& value = json["chat_template"];
  const auto add = [&](const std::string& name, const ChatJson& text) {
    if (!text.is_string()) throw Error("expected a string", file.string() + ": chat_template");
    sources.try_emplace(name, Source{text.get<std::string>(), file});
  };
  if (value.is_null()) return;
  if (value.is_object()) {
    for (const auto& [name, text] : value.items()) add(name, text);
  } else if (value.is_array()) {
    for (const ChatJson& item : value) {
      if (!item.is_object() || !item.contains("name") || !item["name"].is_string() || !item.contains("template"))
        throw Error("expected objects with 'name' and 'template'", file.string() + ": chat_template");
      add(item["name"].get<std::string>(), item["template"]);
    }
  } else {
    add("default", value);
  }
}

Sources find_sources(const fs::path& folder) {
  Sources sources;
  if (const fs::path file = folder / "chat_template.jinja"; fs::is_regular_file(file))
    sources["default"] = {read_file(file), file};
  if (const fs::path more = folder / "additional_chat_templates"; fs::is_directory(more))
    for (const auto& entry : fs::directory_iterator(more))
      if (entry.path().extension() == ".jinja") sources[entry.path().stem().string()] = {read_file(entry), entry};
  for (const char* name : {"chat_template.json", "processor_config.json", "tokenizer_config.json"})
    add_key(sources, folder / name);
  return sources;
}

/// A token stands as a string, or as an object with its content.
ChatJson spelled(const ChatJson& token) {
  return token.is_object() && token.contains("content") ? token["content"] : token;
}

ChatJson find_special_tokens(const fs::path& folder) {
  ChatJson tokens = ChatJson::object();
  for (const char* file : {"special_tokens_map.json", "tokenizer_config.json"}) {
    const ChatJson json = read_ordered(folder / file);
    if (!json.is_object()) continue;
    for (const auto& [key, value] : json.items()) {
      const bool role = key.ends_with("_token") && (value.is_string() || value.is_object());
      if (role) tokens[key] = spelled(value);
      if (key == "additional_special_tokens" && value.is_array()) {
        ChatJson list = ChatJson::array();
        for (const ChatJson& token : value) list.push_back(spelled(token));
        tokens[key] = list;
      }
      if ((key == "extra_special_tokens" || key == "model_specific_special_tokens") && value.is_object())
        for (const auto& [name, token] : value.items()) tokens[name] = spelled(token);
    }
  }
  return tokens;
}

}  // namespace

std::string ChatTemplate::text_of(const fs::path& folder) {
  const Sources sources = find_sources(folder);
  const auto found = sources.find("default");
  return found == sources.end() ? "" : found->second.text;
}

std::shared_ptr<const ChatTemplate> ChatTemplate::load(const fs::path& folder, const std::string& which) {
  const Sources sources = find_sources(folder);
  const auto found = sources.find(which.empty() ? "default" : which);
  if (found == sources.end()) {
    if (which.empty() && sources.empty()) return nullptr;
    std::string known;
    for (const auto& [name, source] : sources) known += (known.empty() ? "" : ", ") + name;
    throw Error("no chat template is called '" + (which.empty() ? "default" : which) + "'", folder.string(),
                known.empty() ? "the folder has none" : "there are: " + known);
  }
  return std::make_shared<ChatTemplate>(found->second.text, find_special_tokens(folder), found->second.file.string());
}

}  // namespace tessera
