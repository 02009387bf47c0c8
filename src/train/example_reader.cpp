#include "train/example_reader.h"

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/progress.h"
#include "tasks/embed.h"
#include "tasks/generate_text.h"
#include "tasks/inputs.h"
#include "tasks/prompter.h"
#include "text/chat_template.h"
#include "vlm/vision_language.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// What a template that tells the date is told, so that a run that is resumed another day reads the same texts.
constexpr std::time_t kDate = 1721952000;

struct NumberedLine {
  int64_t number;
  std::string text;
};

/// The lines that are not blank.
std::vector<NumberedLine> lines_of(const fs::path& file) {
  std::ifstream in(file);
  if (!in) throw Error("cannot be opened", file.string());
  std::vector<NumberedLine> lines;
  int64_t number = 0;
  for (std::string text; std::getline(in, text);)
    if (++number; text.find_first_not_of(" \t\r") != std::string::npos) lines.push_back({number, text});
  return lines;
}

std::string text_of(const ChatJson& object, const char* key) {
  if (!object.is_object() || !object.contains(key)) throw Error("has no \"" + std::string(key) + "\"");
  if (!object.at(key).is_string()) throw Error("\"" + std::string(key) + "\" is no text");
  return object.at(key).get<std::string>();
}

/// LLaVA's way to write a turn: "<image>" stands where a picture is, on a line of its own.
ChatJson parts_of(const std::string& text) {
  const std::string mark = "<image>";
  if (text.find(mark) == std::string::npos) return text;
  ChatJson parts = ChatJson::array();
  const auto say = [&](std::string piece) {
    while (!piece.empty() && piece.front() == '\n') piece.erase(0, 1);
    while (!piece.empty() && piece.back() == '\n') piece.pop_back();
    if (!piece.empty()) parts.push_back({{"type", "text"}, {"text", piece}});
  };
  size_t from = 0;
  for (size_t at = text.find(mark); at != std::string::npos; at = text.find(mark, from)) {
    say(text.substr(from, at - from));
    parts.push_back({{"type", "image"}});
    from = at + mark.size();
  }
  say(text.substr(from));
  return parts;
}

ChatJson messages_of_llava(const ChatJson& conversations) {
  static const std::map<std::string, std::string> roles = {
      {"human", "user"}, {"user", "user"}, {"gpt", "assistant"}, {"assistant", "assistant"}, {"system", "system"}};
  if (!conversations.is_array()) throw Error("\"conversations\" is no list");
  ChatJson messages = ChatJson::array();
  for (const ChatJson& turn : conversations) {
    const std::string from = text_of(turn, "from");
    if (!roles.contains(from))
      throw Error("nobody is called '" + from + "'", "", "turns are from human, gpt or system");
    messages.push_back({{"role", roles.at(from)}, {"content", parts_of(text_of(turn, "value"))}});
  }
  return messages;
}

/// The messages of a line; null where it has a text instead.
/// @param first  becomes the number of those of a prompt, which are not learned
ChatJson messages_of(const ChatJson& line, size_t& first) {
  if (line.contains("messages")) return line.at("messages");
  if (line.contains("conversations")) return messages_of_llava(line.at("conversations"));
  if (!line.contains("prompt") || !line.at("prompt").is_array()) return nullptr;
  if (!line.contains("completion") || !line.at("completion").is_array())
    throw Error("\"prompt\" is a list of messages and \"completion\" is none", "", "both are texts, or both are lists");
  ChatJson messages = line.at("prompt");
  first = messages.size();
  for (const ChatJson& message : line.at("completion")) messages.push_back(message);
  return messages;
}

/// What "image" or "images" list.
std::vector<std::string> listed_pictures(const ChatJson& line) {
  std::vector<std::string> pictures;
  for (const char* key : {"image", "images"}) {
    if (!line.contains(key) || line.at(key).is_null()) continue;
    const ChatJson& value = line.at(key);
    for (const ChatJson& one : value.is_array() ? value : ChatJson::array({value})) {
      if (!one.is_string()) throw Error("\"" + std::string(key) + "\" names no files");
      pictures.push_back(one.get<std::string>());
    }
  }
  return pictures;
}

/// The pictures of the messages; places that name none take the listed ones.
std::vector<std::string> pictures_of(const ChatJson& messages, const std::vector<std::string>& listed) {
  std::vector<std::string> pictures = chat_pictures(messages);
  size_t next = 0;
  for (std::string& picture : pictures) {
    if (!picture.empty()) continue;
    if (next == listed.size())
      throw Error("a picture has no file", "", "name it: \"path\", or \"image\" beside the messages");
    picture = listed[next++];
  }
  if (next != listed.size())
    throw Error("lists " + std::to_string(listed.size()) + " pictures and has places for " + std::to_string(next), "",
                "write <image>, or a part of type image, where each belongs");
  return pictures;
}

ChatJson first_of(const ChatJson& messages, size_t count) {
  return ChatJson(messages.begin(), messages.begin() + static_cast<std::ptrdiff_t>(count));
}

bool is_assistant(const ChatJson& message) { return message.value("role", "") == "assistant"; }

/// The tokens of a text, of which those that begin within a stretch are learned.
TuneExample learned_within(const Model& model, const std::string& text, const std::vector<TextSpan>& stretches) {
  const Encoding encoding = prompt_encoding(model, text);
  TuneExample example{encoding.ids, std::vector<bool>(encoding.ids.size(), false), {}};
  for (size_t i = 1; i < encoding.ids.size(); ++i) {
    const TextSpan& at = encoding.offsets[i];
    if (encoding.special[i] || at.end <= at.begin) continue;
    example.learned[i] = std::any_of(stretches.begin(), stretches.end(), [&](const TextSpan& stretch) {
      return at.begin >= stretch.begin && at.begin < stretch.end;
    });
  }
  return example;
}

}  // namespace

ExampleReader::ExampleReader(const Model& model, const ExampleOptions& options)
    : model_(model), options_(options), chat_(ChatTemplate::load(model.folder)) {
  tokenizer_of(model_);
  const auto ends = default_decoding(model_).end_ids;
  if (!ends.empty()) end_ = ends.front();
}

std::vector<TuneExample> ExampleReader::read(const fs::path& file) const {
  const std::vector<NumberedLine> lines = lines_of(file);
  if (lines.empty()) throw Error("holds no examples", file.string());
  std::vector<TuneExample> examples;
  Progress progress("reading " + file.filename().string(), static_cast<int64_t>(lines.size()), "examples");
  for (const auto& [number, text] : lines) {
    const std::string where = file.string() + ":" + std::to_string(number);
    const ChatJson line = ChatJson::parse(text, nullptr, false);
    if (line.is_discarded()) throw Error("is no JSON", where, "every line is one JSON object");
    try {
      examples.push_back(example(line, file.parent_path()));
    } catch (const Error& error) {
      throw error.within(where);
    }
    progress.step();
  }
  return examples;
}

TuneExample ExampleReader::example(const ChatJson& line, const fs::path& folder) const {
  if (!line.is_object()) throw Error("is no JSON object");
  const auto located = [&](std::vector<std::string> pictures) {
    for (std::string& picture : pictures)
      if (picture.find("://") == std::string::npos) picture = (folder / picture).string();
    return pictures;
  };
  const std::vector<std::string> listed = listed_pictures(line);
  TuneExample made;
  size_t first = 0;
  if (const ChatJson messages = messages_of(line, first); !messages.is_null()) {
    made = of_messages(messages, first, located(pictures_of(messages, listed)));
  } else if (line.contains("prompt")) {
    made = of_completion(line, located(listed));
  } else {
    throw Error("is no example", "", "it has \"messages\", \"conversations\", or \"prompt\" and \"completion\"");
  }
  cut(made);
  if (std::find(made.learned.begin(), made.learned.end(), true) == made.learned.end())
    throw Error("nothing is left to learn", "", "the answer is empty, or was cut off");
  return made;
}

ImageBatch ExampleReader::read_pictures(const std::vector<std::string>& pictures, size_t count) const {
  if (count == 0) return {};
  std::vector<Image> images;
  for (size_t i = 0; i < count; ++i) images.push_back(read_picture(pictures[i]));
  return processor_of(model_)(images);
}

std::string ExampleReader::with_places(const std::string& text, const ImageBatch& pictures) const {
  if (!pictures.pixel_values.defined()) return text;
  return model_.as<VisionLanguage>("see pictures").expand_placeholders(text, pictures);
}

TuneExample ExampleReader::of_messages(const ChatJson& messages, size_t first,
                                       std::vector<std::string> pictures) const {
  if (!chat_)
    throw Error("the model ships no chat template", "",
                "put its chat_template.jinja into the folder, or write {\"prompt\": ..., \"completion\": ...}");
  if (!pictures.empty()) model_.as<VisionLanguage>("see pictures");
  std::map<size_t, ImageBatch> read;  // by how many
  const auto written = [&](size_t count, bool answer_follows) {
    const ChatJson part = first_of(messages, count);
    const size_t seen = chat_pictures(part).size();
    if (!read.contains(seen)) read[seen] = read_pictures(pictures, seen);
    return with_places(chat_->render(part, {.add_generation_prompt = answer_follows, .now = kDate}), read[seen]);
  };
  const std::string whole = written(messages.size(), false);
  std::vector<TextSpan> answers;
  for (size_t i = first; i < messages.size(); ++i) {
    if (!is_assistant(messages[i])) continue;
    const std::string before = written(i, true), after = written(i + 1, false);
    if (!whole.starts_with(after))
      throw Error("the chat template changes an earlier turn when a later one is added", "",
                  "give each turn as an example");
    // A template may begin an answer with more than it keeps of it (the place for a thought).
    const auto [left, right] = std::mismatch(before.begin(), before.end(), after.begin(), after.end());
    answers.push_back({left - before.begin(), static_cast<int64_t>(after.size())});
  }
  if (answers.empty()) throw Error("has no turn of the assistant", "", "what it says is what is learned");
  TuneExample made = learned_within(model_, whole, answers);
  made.pictures = std::move(pictures);
  return made;
}

TuneExample ExampleReader::of_completion(const ChatJson& line, std::vector<std::string> pictures) const {
  const std::string completion = text_of(line, "completion");
  const std::string prompt = with_places(text_of(line, "prompt"), read_pictures(pictures, pictures.size()));
  const auto begin = static_cast<int64_t>(prompt.size());
  TuneExample made =
      learned_within(model_, prompt + completion, {{begin, begin + static_cast<int64_t>(completion.size())}});
  if (end_ && (made.ids.empty() || made.ids.back() != *end_)) {
    made.ids.push_back(*end_);
    made.learned.push_back(true);
  } else if (end_) {
    made.learned.back() = made.learned.size() > 1;
  }
  made.pictures = std::move(pictures);
  return made;
}

void ExampleReader::cut(TuneExample& example) const {
  const auto length = static_cast<size_t>(options_.length);
  if (example.ids.size() <= length) return;
  const std::string sizes = std::to_string(example.ids.size()) + " tokens do not fit into " + std::to_string(length);
  if (!options_.truncate) throw Error(sizes, "", "give a larger --length, or cut such examples with --truncate");
  if (const auto* vision = dynamic_cast<VisionLanguage*>(model_.module.get()))
    if (std::find(example.ids.begin() + options_.length, example.ids.end(), vision->options().placeholder_id) !=
        example.ids.end())
      throw Error(sizes + ", and what would be cut holds a picture", "", "give a larger --length");
  example.ids.resize(length);
  example.learned.resize(length);
}

}  // namespace tessera
