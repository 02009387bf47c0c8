#include "text/chat_template.h"

#include "core/error.h"
#include "core/files.h"
#include "parity/golden.h"

namespace tessera::parity {
namespace {

/// The rendered text, or {"error": message}, as a golden records it.
ChatJson render(const ChatJson& record) {
  ChatJson tokens = ChatJson::object();
  for (const char* key : {"bos_token", "eos_token"})
    if (record.contains(key)) tokens[key] = record[key];
  try {
    const ChatTemplate chat(record.at("template").get<std::string>(), tokens);
    return chat.render(record.at("messages"), {.add_generation_prompt = record.value("add_generation_prompt", false),
                                               .tools = record.value("tools", ChatJson())});
  } catch (const Error& error) {
    return {{"error", error.problem()}};
  }
}

System chat_templates(const Golden& golden) {
  System system;
  system.check = [folder = golden.folder](const Case& item) {
    std::vector<std::string> differences;
    const auto records = ChatJson::parse(read_file(folder / item.file));
    for (const ChatJson& record : records.is_object() ? records.at("cases") : records)
      if (const ChatJson got = render(record); got != record.at("rendered"))
        differences.push_back(record.at("name").get<std::string>() + ": " + got.dump() + ", recorded " +
                              record.at("rendered").dump());
    return differences;
  };
  return system;
}

const AdapterRegistration registration("chat-templates", chat_templates);

}  // namespace
}  // namespace tessera::parity
