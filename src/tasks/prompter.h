#pragma once
#include <functional>

#include "tasks/answer.h"
#include "text/chat_template.h"

namespace tessera {

/// What takes part in an answer beside its options. All may be missing.
struct ChatHooks {
  std::function<void(const std::string& piece)> on_text = nullptr;  ///< pieces as they become certain
  std::function<bool()> interrupted = nullptr;                      ///< asked before each token; true: stop here
};

/// A message of the user with its pictures before the text: {"role": "user", "content": ...}.
ChatJson user_message(const std::string& text, const std::vector<std::string>& pictures);

/// The tokens of a prompt whose pictures have all their places, as the model reads it: in the manner of its family
/// where it sees. @throws Error when the model has no tokenizer, or that has no token for a picture's places
Encoding prompt_encoding(const Model& model, const std::string& prompt);

/// Puts texts and pictures together for a language model of any kind, and has it write: what conversations and single
/// questions share.
class Prompter {
 public:
  /// @param purpose  for messages: "hold a conversation"
  /// @throws Error when the model does not write, or has no tokenizer
  Prompter(const Model& model, const std::string& purpose);

  /// Whether the model takes pictures.
  bool sees() const { return vision_; }
  /// The ids of a prompt that has one placeholder for each of the pictures.
  /// @throws Error for another number of them
  std::vector<int64_t> ids(const std::string& prompt, const ImageBatch& pictures) const;
  /// The tokens of pictures. @param instruction  what a bridge that reads one (InstructBLIP) reads beside each
  /// @throws Error where the folder lacks the tokenizer of such a bridge
  std::vector<Tensor> encode(const ImageBatch& pictures, const std::string& instruction) const;
  /// The prompt of these ids with its pictures, and the state before it.
  MultimodalPrompt begin(const std::vector<Tensor>& pictures, const std::vector<int64_t>& ids) const;

  struct Written {
    Answer answer;             ///< without the tokens that end it; its log-probability counts them
    std::vector<int64_t> ids;  ///< all that was made
  };
  /// Goes on with a prompt. @param ids  of the prompt
  Written write(const Prompt& prompt, LanguageState& state, const std::vector<int64_t>& ids, GenerateOptions options,
                const ChatHooks& hooks = {}) const;

  const Model& model() const { return model_; }
  LanguageModel& language() const { return language_; }

 private:
  bool reads_source() const;

  Model model_;
  LanguageModel& language_;
  VisionLanguage* vision_;  // null: a language model alone
};

}  // namespace tessera
