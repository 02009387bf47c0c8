#include "core/json_log.h"

#include <fstream>

#include "core/error.h"
#include "core/files.h"

namespace tessera {

using nlohmann::json;

JsonLog::JsonLog(std::filesystem::path path) : path_(std::move(path)) {
  if (!std::filesystem::exists(path_)) return;
  const std::string text = read_file(path_);
  size_t begin = 0;
  for (size_t end = text.find('\n'); end != std::string::npos; begin = end + 1, end = text.find('\n', begin))
    lines_.push_back(
        parse_json(text.substr(begin, end - begin), path_.string() + ": line " + std::to_string(lines_.size() + 1)));
  torn_ = begin < text.size();
  if (!torn_) return;
  std::error_code failure;
  std::filesystem::resize_file(path_, begin, failure);
  if (failure) throw Error("cannot be cut to its whole lines: " + failure.message(), path_.string());
}

void JsonLog::write(const json& line) {
  std::ofstream out(path_, std::ios::app | std::ios::binary);
  out << line.dump(-1, ' ', false, json::error_handler_t::replace) << '\n' << std::flush;
  if (!out) throw Error("cannot be written", path_.string(), "make room on the disk, then start again");
}

}  // namespace tessera
