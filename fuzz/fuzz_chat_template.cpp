// Any bytes are a chat template that renders, or an Error; nothing else.
#include "core/error.h"
#include "text/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const tessera::ChatJson messages = {{{"role", "user"}, {"content", "Hi"}},
                                      {{"role", "assistant"}, {"content", {{{"type", "text"}, {"text", "é"}}}}}};
  try {
    const tessera::ChatTemplate chat(std::string(reinterpret_cast<const char*>(data), size));
    chat.render(messages, {.add_generation_prompt = true, .now = 0});
  } catch (const tessera::Error&) {
  }
  return 0;
}
