#include "text/chat_template.h"

#include "core/error.h"
#include "text/jinja_parser.h"
#include "text/jinja_render.h"
#include "text/jinja_strings.h"

namespace tessera {
namespace {

/// What the last message says, or the last text among its parts.
std::string final_text(const ChatJson& messages) {
  const ChatJson content = messages.empty() ? ChatJson() : messages.back().value("content", ChatJson());
  if (content.is_string()) return content.get<std::string>();
  if (content.is_array())
    for (auto part = content.rbegin(); part != content.rend(); ++part)
      if (part->is_object() && part->contains("text") && (*part)["text"].is_string())
        return (*part)["text"].get<std::string>();
  throw Error("the last message holds no text to go on with", "messages", "leave out continue_final_message");
}

/// Cuts what the template adds behind the last message.
void end_within(std::string& text, const std::string& last) {
  const std::string bare = text::jinja::strip(last, true, true), with_end = text::jinja::strip(last, true, false);
  const size_t at = text.rfind(bare);
  if (at == std::string::npos)
    throw Error("the last message does not appear in what the template prints", "messages",
                "this template changes messages, so that they cannot be continued");
  // White space at the end of the message stays where the template keeps it.
  const bool kept = with_end == last && text.compare(at, with_end.size(), with_end) == 0;
  text.resize(at + (kept ? with_end : bare).size());
}

void check_messages(const ChatJson& messages) {
  if (!messages.is_array()) throw Error("expected a list of messages", "messages");
  for (size_t i = 0; i < messages.size(); ++i)
    if (!messages[i].is_object())
      throw Error("expected an object with 'role' and 'content'", "messages[" + std::to_string(i) + "]");
}

/// What a part of a message says of its picture.
std::string picture_of(const ChatJson& part) {
  for (const char* key : {"image_url", "image", "path", "url", "base64"}) {
    if (!part.contains(key)) continue;
    const ChatJson& value = part[key];
    if (value.is_string()) return value.get<std::string>();
    if (value.is_object() && value.contains("url") && value["url"].is_string()) return value["url"].get<std::string>();
  }
  return "";
}

}  // namespace

struct ChatTemplate::Parts {
  std::string source, name;
  ChatJson special_tokens;
  text::jinja::Statements statements;
};

ChatTemplate::ChatTemplate(const std::string& source, ChatJson special_tokens, std::string name) {
  auto parts = std::make_shared<Parts>();
  parts->statements = text::jinja::parse(source, name);
  parts->source = source;
  parts->name = std::move(name);
  parts->special_tokens = std::move(special_tokens);
  parts_ = std::move(parts);
}

const std::string& ChatTemplate::source() const { return parts_->source; }

std::string ChatTemplate::render(const ChatJson& messages, const ChatOptions& options) const {
  check_messages(messages);
  if (options.continue_final_message && options.add_generation_prompt)
    throw Error("a message cannot be continued and a new one begun", "continue_final_message",
                "leave out add_generation_prompt");
  text::jinja::Dict variables;
  variables.set("messages", text::jinja::from_json(messages));
  variables.set("tools", text::jinja::from_json(options.tools));
  variables.set("documents", text::jinja::from_json(options.documents));
  variables.set("add_generation_prompt", options.add_generation_prompt);
  for (const ChatJson* more : {&parts_->special_tokens, &options.variables})
    for (const auto& [name, value] : more->items()) variables.set(name, text::jinja::from_json(value));
  std::string text =
      text::jinja::render(parts_->statements, variables, parts_->name, options.now ? *options.now : std::time(nullptr));
  if (options.continue_final_message) end_within(text, final_text(messages));
  return text;
}

std::vector<std::string> chat_pictures(const ChatJson& messages) {
  check_messages(messages);
  std::vector<std::string> pictures;
  for (const ChatJson& message : messages) {
    if (!message.contains("content") || !message["content"].is_array()) continue;
    for (const ChatJson& part : message["content"]) {
      const std::string type =
          part.is_object() && part.contains("type") && part["type"].is_string() ? part["type"].get<std::string>() : "";
      if (type.empty()) throw Error("a part of a message has no type", "messages", "its type is \"text\" or \"image\"");
      if (type == "image" || type == "image_url") pictures.push_back(picture_of(part));
    }
  }
  return pictures;
}

}  // namespace tessera
