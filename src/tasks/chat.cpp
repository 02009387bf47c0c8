#include "tasks/chat.h"

#include <algorithm>
#include <optional>

#include "processors/fast_decode.h"
#include "tasks/embed.h"
#include "tasks/inputs.h"

namespace tessera {
namespace {

constexpr const char* kPurpose = "hold a conversation";

/// The words of the last message.
std::string words_of(const ChatJson& messages) {
  const ChatJson& content = messages.back().at("content");
  return (content.is_string() ? content : content.back().at("text")).get<std::string>();
}

/// As read_picture(), for this model alone.
Image picture_for(const Model& model, const std::string& path) {
  const std::string bytes = read_input({path});
  const Bytes view(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  return decode_for(processor_of(model).options(), view, path);
}

}  // namespace

/// How a kind of model answers the last of the messages.
struct Conversation::Speaker {
  virtual ~Speaker() = default;
  virtual bool sees() const = 0;
  virtual void show(const std::string& path) = 0;
  virtual Answer answer(const ChatJson& messages, const GenerateOptions& options, const ChatHooks& hooks) = 0;
  virtual void reset() = 0;
};

/// By the template of the folder.
struct Conversation::TemplateSpeaker : Speaker {
  TemplateSpeaker(const Model& model, std::shared_ptr<const ChatTemplate> chat)
      : prompter(model, kPurpose), format(std::move(chat)) {}

  bool sees() const override { return prompter.sees(); }

  void show(const std::string& path) override {
    const Image image = picture_for(prompter.model(), path);
    fresh.push_back(processor_of(prompter.model())(image));
    images.push_back(image);
    all.reset();
  }

  void reset() override {
    images.clear();
    all.reset();
    fresh.clear();
    pictures.clear();
    seen.clear();
    state = {};
  }

  /// What the state has not seen of these ids. A prompt whose tokens see each other both ways is read anew, and so is
  /// one that an encoder reads.
  Prompt continued(const std::vector<int64_t>& ids) {
    MultimodalPrompt prompt = prompter.begin(pictures, ids);
    Tokens& tokens = prompt.tokens;
    const auto known = static_cast<int64_t>(seen.size()), whole = tokens.x.size(1);
    const bool goes_on = known > 0 && known < whole && ids.size() == static_cast<size_t>(whole) &&
                         std::equal(seen.begin(), seen.end(), ids.begin()) && !tokens.span.defined() &&
                         !tokens.at.defined() && !prompter.language().outgrown(known, whole);
    if (goes_on)
      tokens = Tokens{.x = tokens.x.narrow(1, known, whole - known)};
    else
      state = std::move(prompt.state);
    return {tokens, prompt.ids};
  }

  Answer answer(const ChatJson& messages, const GenerateOptions& options, const ChatHooks& hooks) override {
    if (!all) all = images.empty() ? ImageBatch{} : processor_of(prompter.model())(images);
    const auto ids = prompter.ids(format->render(messages, {.add_generation_prompt = true}), *all);
    std::vector<Tensor> more;
    for (const ImageBatch& picture : fresh)
      for (const Tensor& tokens : prompter.encode(picture, words_of(messages))) more.push_back(tokens);
    pictures.insert(pictures.end(), more.begin(), more.end());
    fresh.clear();
    const Prompt prompt = continued(ids);
    seen.clear();  // until it is known what the state has seen
    const auto written = prompter.write(prompt, state, ids, options, hooks);
    const bool by_token = options.num_beams == 1 && options.num_return_sequences == 1 && options.penalty_alpha == 0;
    if (by_token && !written.ids.empty()) {
      seen = ids;
      seen.insert(seen.end(), written.ids.begin(), written.ids.end() - 1);
    }
    return written.answer;
  }

  Prompter prompter;
  std::shared_ptr<const ChatTemplate> format;
  std::vector<Image> images;
  std::optional<ImageBatch> all;  // the images as the processor makes them; none where one was added since
  std::vector<ImageBatch> fresh;  // of them, those that are not encoded yet
  std::vector<Tensor> pictures;   // the tokens of the others
  LanguageState state;
  std::vector<int64_t> seen;  // the ids that the state has seen
};

/// About the last picture, a question at a time.
struct Conversation::TalkerSpeaker : Speaker {
  explicit TalkerSpeaker(const Model& given)
      : model(given), answerer(model.as<Talker>(kPurpose), tokenizer_of(model)) {}

  bool sees() const override { return true; }
  void show(const std::string& path) override { pixels = processor_of(model)(picture_for(model, path)).pixel_values; }
  void reset() override { pixels = Tensor(); }

  Answer answer(const ChatJson& messages, const GenerateOptions&, const ChatHooks& hooks) override {
    if (!pixels.defined())
      throw Error("this model talks about pictures, and was shown none", "conversation", "show one: /image FILE");
    const Answer answer = answerer.answer(pixels, {words_of(messages)}).front();
    if (hooks.on_text) hooks.on_text(answer.text);
    return answer;
  }

  Model model;
  Answerer answerer;
  Tensor pixels;
};

Conversation::Conversation(const Model& model) : model_(model) {
  if (dynamic_cast<Talker*>(model.module.get())) {
    speaker_ = std::make_unique<TalkerSpeaker>(model);
    return;
  }
  model.as<LanguageModel>(kPurpose);
  auto chat = ChatTemplate::load(model.folder);
  if (!chat) {
    const bool vision = dynamic_cast<VisionLanguage*>(model.module.get());
    throw Error("ships no chat template", model.folder.string(),
                "put its chat_template.jinja into the folder, or " +
                    std::string(vision ? "ask without one: tessera ask" : "go on with a text: tessera generate"));
  }
  speaker_ = std::make_unique<TemplateSpeaker>(model, std::move(chat));
}

Conversation::~Conversation() = default;

void Conversation::show(const std::filesystem::path& picture) {
  if (!speaker_->sees()) throw Error("a model of family '" + model_.family + "' sees no pictures", picture.string());
  speaker_->show(picture.string());
  shown_.push_back(picture.string());
}

Answer Conversation::say(const std::string& message, const GenerateOptions& options, const ChatHooks& hooks) {
  if (message.find_first_not_of(" \t\r\n") == std::string::npos) throw Error("is empty", "message");
  ChatJson messages = messages_;
  messages.push_back(user_message(message, shown_));
  const Answer answer = speaker_->answer(messages, options, hooks);
  messages.push_back({{"role", "assistant"}, {"content", answer.text}});
  messages_ = std::move(messages);
  shown_.clear();
  return answer;
}

void Conversation::reset() {
  messages_ = ChatJson::array();
  shown_.clear();
  speaker_->reset();
}

}  // namespace tessera
