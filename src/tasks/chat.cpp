#include "tasks/chat.h"

#include <algorithm>

#include "decode/text_stream.h"
#include "tasks/answer.h"
#include "tasks/embed.h"
#include "tasks/inputs.h"

namespace tessera {

Image read_picture(const std::string& path) {
  const std::string bytes = read_input({path});
  const Image image = decode_image(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), path);
  return image.channels == 4 ? composite(image, {255, 255, 255}) : image;
}

Encoding encode_rendered(const Tokenizer& tokenizer, const std::string& text) {
  const auto begin = tokenizer.special_ids().bos;
  const auto spelled = begin ? tokenizer.id_to_token(*begin) : std::nullopt;
  return tokenizer.encode(text, !(spelled && text.starts_with(*spelled)));
}

namespace {

/// Passes on tokens as text, without those that end it.
class Speech {
 public:
  Speech(const Tokenizer& tokenizer, std::span<const int64_t> before, const std::vector<int64_t>& ends,
         const ChatHooks& hooks)
      : stream_(tokenizer, {}, before), ends_(ends), hooks_(hooks) {}

  void push(int64_t id) {
    if (std::find(ends_.begin(), ends_.end(), id) == ends_.end()) pass(stream_.push(id));
  }
  std::string finish() {
    pass(stream_.finish());
    return text_;
  }

 private:
  void pass(const std::string& piece) {
    text_ += piece;
    if (!piece.empty() && hooks_.on_text) hooks_.on_text(piece);
  }

  TextStream stream_;
  const std::vector<int64_t>& ends_;
  const ChatHooks& hooks_;
  std::string text_;
};

}  // namespace

/// How a kind of model answers the last of the messages.
struct Conversation::Speaker {
  virtual ~Speaker() = default;
  virtual bool sees() const = 0;
  virtual void show(const std::string& path) = 0;
  virtual std::string answer(const ChatJson& messages, const GenerateOptions& options, const ChatHooks& hooks) = 0;
  virtual void reset() = 0;
};

/// By the template of the folder.
struct Conversation::TemplateSpeaker : Speaker {
  TemplateSpeaker(const Model& given, std::shared_ptr<const ChatTemplate> chat)
      : model(given),
        language(model.as<LanguageModel>("hold a conversation")),
        vision(dynamic_cast<VisionLanguage*>(model.module.get())),
        format(std::move(chat)) {}

  bool sees() const override { return vision && model.processor; }

  void show(const std::string& path) override {
    images.push_back(read_picture(path));
    const torch::NoGradGuard no_gradient;
    MultimodalBatch batch;
    batch.pictures = (*model.processor)(images.back());
    for (const Tensor& tokens : vision->picture_tokens(batch)) pictures.push_back(tokens);
  }

  void reset() override {
    images.clear();
    pictures.clear();
    seen.clear();
    state = {};
  }

  /// The ids of the whole conversation, up to where the answer begins.
  std::vector<int64_t> ids_of(const ChatJson& messages) const {
    std::string text = format->render(messages, {.add_generation_prompt = true});
    if (!images.empty()) text = vision->expand_placeholders(text, (*model.processor)(images));
    return encode_rendered(*model.tokenizer, text).ids;
  }

  /// What the state has not seen of these ids. A prompt whose tokens see each other both ways is read anew.
  Prompt continued(const std::vector<int64_t>& ids) {
    const TextBatch text{torch::tensor(ids, torch::kInt64).unsqueeze(0), {}, {}};
    Tokens tokens = vision ? vision->join(pictures, text) : text_prompt(language, text).tokens;
    const auto known = static_cast<int64_t>(seen.size()), whole = tokens.x.size(1);
    const bool goes_on = known > 0 && known < whole && ids.size() == static_cast<size_t>(whole) &&
                         std::equal(seen.begin(), seen.end(), ids.begin()) && !tokens.span.defined() &&
                         !tokens.at.defined() && !language.outgrown(known, whole);
    if (goes_on)
      tokens = Tokens{.x = tokens.x.narrow(1, known, whole - known)};
    else
      state = language.start();
    return {tokens, {ids}};
  }

  std::string answer(const ChatJson& messages, const GenerateOptions& options, const ChatHooks& hooks) override {
    const torch::NoGradGuard no_gradient;
    const std::vector<int64_t> ids = ids_of(messages);
    const Prompt prompt = continued(ids);
    seen.clear();  // until it is known what the state has seen
    Speech speech(*model.tokenizer, ids, options.end_ids, hooks);
    GenerateHooks decoding{.interrupted = hooks.interrupted};
    const bool streams = options.num_beams == 1 && options.num_return_sequences == 1;
    if (streams) decoding.on_token = [&](int64_t, int64_t id, double) { speech.push(id); };
    const auto made = decode(language, prompt, state, options, decoding);
    if (!streams)
      for (const int64_t id : made.front().ids) speech.push(id);
    if (streams && options.penalty_alpha == 0 && !made.front().ids.empty()) {
      seen = ids;
      seen.insert(seen.end(), made.front().ids.begin(), made.front().ids.end() - 1);
    }
    return speech.finish();
  }

  Model model;
  LanguageModel& language;
  VisionLanguage* vision;
  std::shared_ptr<const ChatTemplate> format;
  std::vector<Image> images;
  std::vector<Tensor> pictures;  // the tokens of each
  LanguageState state;
  std::vector<int64_t> seen;  // the ids that the state has seen
};

/// About the last picture, a question at a time.
struct Conversation::TalkerSpeaker : Speaker {
  explicit TalkerSpeaker(const Model& given)
      : model(given), answerer(model.as<Talker>("hold a conversation"), *model.tokenizer) {}

  bool sees() const override { return true; }
  void show(const std::string& path) override { pixels = processor_of(model)(read_picture(path)).pixel_values; }
  void reset() override { pixels = Tensor(); }

  std::string answer(const ChatJson& messages, const GenerateOptions&, const ChatHooks& hooks) override {
    if (!pixels.defined())
      throw Error("this model talks about pictures, and was shown none", "conversation", "show one: /image FILE");
    const ChatJson& content = messages.back().at("content");
    const std::string question = (content.is_string() ? content : content.back().at("text")).get<std::string>();
    const std::string text = answerer.answer(pixels, {question}).front().text;
    if (hooks.on_text) hooks.on_text(text);
    return text;
  }

  Model model;
  Answerer answerer;
  Tensor pixels;
};

Conversation::Conversation(const Model& model) : model_(model) {
  if (!model.tokenizer) throw Error("ships no tokenizer", model.folder.string());
  if (dynamic_cast<Talker*>(model.module.get())) {
    speaker_ = std::make_unique<TalkerSpeaker>(model);
    return;
  }
  auto chat = ChatTemplate::load(model.folder);
  if (!chat)
    throw Error("ships no chat template", model.folder.string(),
                "put its chat_template.jinja into the folder, or go on with a text: tessera generate");
  speaker_ = std::make_unique<TemplateSpeaker>(model, std::move(chat));
}

Conversation::~Conversation() = default;

void Conversation::show(const std::filesystem::path& picture) {
  if (!speaker_->sees()) throw Error("a model of family '" + model_.family + "' sees no pictures", picture.string());
  speaker_->show(picture.string());
  shown_.push_back(picture.string());
}

std::string Conversation::say(const std::string& message, const GenerateOptions& options, const ChatHooks& hooks) {
  if (message.find_first_not_of(" \t\r\n") == std::string::npos) throw Error("is empty", "message");
  ChatJson content = message;
  if (!shown_.empty()) {
    content = ChatJson::array();
    for (const auto& path : shown_) content.push_back({{"type", "image"}, {"path", path}});
    content.push_back({{"type", "text"}, {"text", message}});
  }
  ChatJson messages = messages_;
  messages.push_back({{"role", "user"}, {"content", content}});
  const std::string text = speaker_->answer(messages, options, hooks);
  messages.push_back({{"role", "assistant"}, {"content", text}});
  messages_ = std::move(messages);
  shown_.clear();
  return text;
}

void Conversation::reset() {
  messages_ = ChatJson::array();
  shown_.clear();
  speaker_->reset();
}

}  // namespace tessera
