#pragma once
#include "models/model.h"
#include "text/chat_template.h"

namespace tessera {

/// A text of which a part is learned: the answers of a conversation, or what completes a prompt.
struct TuneExample {
  std::vector<int64_t> ids;
  std::vector<bool> learned;          ///< of each id whether it is predicted; the first one never is
  std::vector<std::string> pictures;  ///< files, in the order of their places in the text
};

struct ExampleOptions {
  int64_t length = 1024;  ///< tokens that an example may have
  bool truncate = false;  ///< what is longer loses its end; else that is an Error
};

/// Reads examples from JSON lines, each an object of one of these forms:
///
///   {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}
///   {"prompt": "2 + 2 =", "completion": " 4"}
///   {"image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value":
///   "..."}]}
///
/// Messages (a content may be parts, {"type": "image", "path": ...} among them) are written by the chat template of the
/// model's folder, and what it adds for each turn of the assistant is learned, the end of the turn included. A
/// completion, behind which the end token is put, is learned and its prompt is not; both are taken as they are, or are
/// lists of messages. "image"
/// or "images" name the pictures of places that name none themselves. Paths are relative to the file.
class ExampleReader {
 public:
  /// @throws Error when the model has no tokenizer
  ExampleReader(const Model& model, const ExampleOptions& options);

  /// All examples of a file. @throws Error naming file and line
  std::vector<TuneExample> read(const std::filesystem::path& file) const;
  /// One of them. @param folder  what paths are relative to
  TuneExample example(const ChatJson& line, const std::filesystem::path& folder) const;

 private:
  /// @param first  the message from which on the assistant's turns are learned
  TuneExample of_messages(const ChatJson& messages, size_t first, std::vector<std::string> pictures) const;
  TuneExample of_completion(const ChatJson& line, std::vector<std::string> pictures) const;
  /// Pictures from the files: the first `count`, as the processor makes them.
  ImageBatch read_pictures(const std::vector<std::string>& pictures, size_t count) const;
  std::string with_places(const std::string& text, const ImageBatch& pictures) const;
  void cut(TuneExample& example) const;

  Model model_;
  ExampleOptions options_;
  std::shared_ptr<const ChatTemplate> chat_;
  std::optional<int64_t> end_;  // the token behind a completion
};

}  // namespace tessera
