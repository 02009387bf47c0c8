#pragma once
#include <ctime>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace tessera {

/// Messages keep the order of their keys, since a template may print them.
using ChatJson = nlohmann::ordered_json;

struct ChatOptions {
  bool add_generation_prompt = false;             ///< end with the beginning of the assistant's answer
  bool continue_final_message = false;            ///< end within the last message, so that a model goes on with it
  ChatJson tools, documents;                      ///< null: none
  ChatJson variables = ChatJson::object();        ///< what else the template sees, such as enable_thinking
  std::optional<std::time_t> now = std::nullopt;  ///< the time that strftime_now() tells; none: the present
};

/// A conversation to the prompt that a model was trained with, by the Jinja template that its folder ships, equal to
/// transformers to the character. A copy is cheap, and every call may run in several threads at once.
class ChatTemplate {
 public:
  /// @param special_tokens  "bos_token" and the like, as the template sees them
  /// @param name            how errors call it
  /// @throws Error naming the line of what it cannot read
  explicit ChatTemplate(const std::string& source, ChatJson special_tokens = ChatJson::object(),
                        std::string name = "chat template");

  /// The template of a folder: of chat_template.jinja, chat_template.json, processor_config.json or
  /// tokenizer_config.json, the first that has one; null where none has. The special tokens come from
  /// tokenizer_config.json and special_tokens_map.json.
  /// @param which  one of several named templates; empty: the usual one
  /// @throws Error when the folder has no template of this name
  static std::shared_ptr<const ChatTemplate> load(const std::filesystem::path& folder, const std::string& which = "");

  /// The text of a folder's usual template, which need not be one that can be read; empty where it has none.
  static std::string text_of(const std::filesystem::path& folder);

  /// @param messages  [{"role": "user", "content": "Hi"}], where a content may be a list of parts:
  ///                  [{"type": "image", "path": "cat.png"}, {"type": "text", "text": "What is this?"}]
  /// @throws Error: with the template's own message as problem() where it raises an exception
  std::string render(const ChatJson& messages, const ChatOptions& options = {}) const;

  const std::string& source() const;

 private:
  struct Parts;
  std::shared_ptr<const Parts> parts_;
};

/// The pictures of a conversation in the order in which they stand in it: of every part of type "image" or "image_url"
/// the path, URL or data that it names; empty for one that only marks a place. @throws Error for a malformed message
std::vector<std::string> chat_pictures(const ChatJson& messages);

}  // namespace tessera
