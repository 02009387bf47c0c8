#include "tasks/chat.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>

#include "apps/decoding_arguments.h"
#include "apps/max_memory.h"
#include "apps/picture_arguments.h"
#include "core/error.h"
#include "core/files.h"
#include "core/stop.h"
#include "tasks/adapt.h"
#include "tasks/generate_text.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

constexpr const char* kHelp =
    "/image FILE  show a picture with the next message\n/save FILE   write the conversation as JSON\n"
    "/reset       begin anew\n/help        this list\n/quit        end\n";

struct ChatArguments {
  DecodingArguments decoding;
  std::string model, adapter, precision, device = "cpu";
  std::vector<std::string> images;
  bool json = false;
};

/// A conversation at a terminal, or over lines of standard input.
class Terminal {
 public:
  explicit Terminal(const ChatArguments& arguments)
      : model_(open_adapted_model(arguments.model, arguments.adapter, arguments.precision, arguments.device)),
        options_(arguments.decoding.over(default_decoding(model_))),
        conversation_(model_),
        json_(arguments.json),
        prompts_(isatty(STDIN_FILENO) == 1 && !json_) {
    for (const auto& image : arguments.images) conversation_.show(image);
  }

  void run() {
    if (prompts_) std::printf("%s\n", kHelp);
    while (true) {
      if (prompts_) std::printf("> ");
      std::fflush(stdout);
      std::string line;
      if (!std::getline(std::cin, line) || line == "/quit") return;
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      try {
        take(line);
      } catch (const Error& error) {
        // A slip at a terminal does not end the conversation; in a script it is a mistake like any other.
        if (!prompts_) throw;
        std::fprintf(stderr, "%s\n", error.what());
      }
    }
  }

 private:
  void take(const std::string& line) {
    if (line.front() != '/') return say(line);
    const size_t space = line.find(' ');
    const std::string command = line.substr(0, space);
    const std::string file = space == std::string::npos ? "" : line.substr(space + 1);
    if (command == "/image" && !file.empty())
      conversation_.show(file);
    else if (command == "/save" && !file.empty())
      write_file(file, conversation_.history().dump(2) + "\n");
    else if (command == "/reset")
      conversation_.reset();
    else if (command == "/help")
      std::printf("%s", kHelp);
    else
      throw Error("is no command", line, "/help lists them");
  }

  void say(const std::string& message) {
    const StopSignals signals;  // Ctrl-C ends the answer, and the conversation goes on
    ChatHooks hooks;
    hooks.interrupted = [] { return StopSignals::came() != 0; };
    if (!json_)
      hooks.on_text = [](const std::string& piece) {
        std::fwrite(piece.data(), 1, piece.size(), stdout);
        std::fflush(stdout);
      };
    const Answer answer = conversation_.say(message, options_, hooks);
    const Json line = {{"input", message}, {"text", answer.text}, {"log_probability", answer.log_probability}};
    std::printf("%s\n", json_ ? json_line(line).c_str() : "");
    std::fflush(stdout);
  }

  Model model_;
  GenerateOptions options_;
  Conversation conversation_;
  bool json_, prompts_;
};

std::function<int()> declare(CLI::App& command) {
  auto arguments = std::make_shared<ChatArguments>();
  command.add_option("model", arguments->model, "Model folder (default: the one that Tessera ships)");
  command.add_option("--image", arguments->images, "A picture that goes with the first message; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--adapter", arguments->adapter, "A PEFT folder, as tessera tune writes it");
  add_precision(command, arguments->precision);
  add_device(command, arguments->device);
  add_fast_decode(command);
  add_max_memory(command);
  command.add_flag("--json", arguments->json, "One JSON object for each answer: input, text, log_probability");
  arguments->decoding.declare(command);
  command.footer("Example: tessera chat --image picture.png");
  return [arguments] {
    Terminal(*arguments).run();
    finish_output();
    return 0;
  };
}

const VerbRegistration registration("chat", "Hold a conversation, about pictures where the model sees them", declare);

}  // namespace
}  // namespace tessera::apps
