#pragma once
#include <functional>

#include "decode/generate.h"
#include "models/model.h"
#include "text/chat_template.h"

namespace tessera {

/// A picture file as models take it: what it has of alpha is laid over white. @throws Error when it is none
Image read_picture(const std::string& path);

/// The tokens of a text that a chat template wrote. The token that begins a text is added where the text does not spell
/// it already.
Encoding encode_rendered(const Tokenizer& tokenizer, const std::string& text);

/// What takes part in an answer beside its options. All may be missing.
struct ChatHooks {
  std::function<void(const std::string& piece)> on_text = nullptr;  ///< pieces as they become certain
  std::function<bool()> interrupted = nullptr;                      ///< asked before each token; true: stop here
};

/// A conversation with a model, about pictures where it sees them.
///
/// The messages are rendered by the chat template of the model's folder; a talker, which has none, answers each message
/// about the last picture. Pictures are encoded once, and what the state has seen is not computed again.
class Conversation {
 public:
  /// @throws Error when the model does not write, or has no tokenizer or template
  explicit Conversation(const Model& model);
  ~Conversation();

  /// The picture goes with the next message. @throws Error when it cannot be read, or the model sees nothing
  void show(const std::filesystem::path& picture);
  /// Answers; an answer that is interrupted is kept as far as it came.
  /// @throws Error for an empty message, or a conversation that leaves no room in the model's context; the history is
  ///         as before then
  std::string say(const std::string& message, const GenerateOptions& options, const ChatHooks& hooks = {});
  /// Begins anew.
  void reset();
  /// [{"role": "user", "content": ...}, ...]
  const ChatJson& history() const { return messages_; }

 private:
  struct Speaker;
  struct TemplateSpeaker;
  struct TalkerSpeaker;

  Model model_;
  std::unique_ptr<Speaker> speaker_;
  ChatJson messages_ = ChatJson::array();
  std::vector<std::string> shown_;  // pictures that go with the next message
};

}  // namespace tessera
