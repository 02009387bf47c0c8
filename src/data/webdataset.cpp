#include "data/webdataset.h"

#include <glob.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>

#include "core/error.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

const char* const kPictures[] = {"png", "jpg", "jpeg", "webp", "gif", "svg"};

/// "a/noto-1f600.meta.json" -> {"a/noto-1f600", "meta.json"}: the key ends at the first dot of the file name.
std::pair<std::string, std::string> split_name(const std::string& name) {
  const size_t slash = name.rfind('/');
  const size_t dot = name.find('.', slash == std::string::npos ? 0 : slash + 1);
  if (dot == std::string::npos) return {name, ""};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

int64_t parse_label(std::string_view text, const std::string& where) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.remove_suffix(1);
  int64_t label = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
  if (error != std::errc() || end != text.data() + text.size()) throw Error("is no integer", where);
  return label;
}

std::string trimmed(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

template <class Map>
const char* find_picture(const Map& members) {
  for (const char* extension : kPictures)
    if (members.contains(extension)) return extension;
  return nullptr;
}

template <class Map>
const char* need_picture(const Map& members, const std::string& where) {
  const char* extension = find_picture(members);
  if (!extension) throw Error("has no picture (png, jpg, jpeg, webp, gif or svg)", where);
  return extension;
}

/// A sample of its members' bytes, by extension.
Sample assemble(const std::string& key, std::map<std::string, std::string> members, const std::string& where) {
  Sample sample;
  sample.key = where + ": " + key;
  sample.bytes = std::move(members.at(need_picture(members, sample.key)));
  if (const auto json = members.find("json"); json != members.end())
    read_sample_json(parse_json(json->second, sample.key + ".json"), sample.key + ".json", sample);
  if (const auto text = members.find("txt"); text != members.end()) sample.captions["en"] = trimmed(text->second);
  if (const auto label = members.find("cls"); label != members.end())
    sample.label = parse_label(label->second, sample.key + ".cls");
  return sample;
}

/// "a-{08..11}.tar" -> a-08.tar, a-09.tar, a-10.tar, a-11.tar; anything else stays as it is.
std::vector<std::string> expand_range(const std::string& pattern) {
  const size_t open = pattern.find('{'), dots = pattern.find("..", open), close = pattern.find('}', open);
  if (open == std::string::npos || dots == std::string::npos || close == std::string::npos || dots > close)
    return {pattern};
  const std::string first = pattern.substr(open + 1, dots - open - 1),
                    last = pattern.substr(dots + 2, close - dots - 2);
  const int64_t from = parse_label(first, pattern), to = parse_label(last, pattern);
  if (from < 0 || to < from || to - from > 10'000'000) throw Error("is no rising range", pattern);
  std::vector<std::string> result;
  for (int64_t number = from; number <= to; ++number) {
    std::string digits = std::to_string(number);
    digits.insert(0, first.size() - std::min(first.size(), digits.size()), '0');
    for (const std::string& rest : expand_range(pattern.substr(close + 1)))
      result.push_back(pattern.substr(0, open) + digits + rest);
  }
  return result;
}

}  // namespace

std::vector<fs::path> expand_shards(const std::vector<std::string>& patterns) {
  std::vector<fs::path> paths;
  for (const std::string& pattern : patterns)
    for (const std::string& name : expand_range(pattern)) {
      glob_t found{};
      const int status = glob(name.c_str(), 0, nullptr, &found);
      for (size_t i = 0; status == 0 && i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
      globfree(&found);
      if (status != 0) throw Error("names no file", name, "check the path of the shards");
    }
  return paths;
}

WebDataset::WebDataset(const std::vector<fs::path>& shards) {
  for (const fs::path& path : shards) add_shard(path);
}

void WebDataset::add_shard(const fs::path& path) {
  const std::string where = path.string();
  auto file = std::make_unique<MappedFile>(path);
  const std::string_view tar(reinterpret_cast<const char*>(file->data()), file->size());
  const size_t first = index_.size();
  for (TarEntry& member : index_tar(tar, where)) {
    auto [key, extension] = split_name(member.name);
    if (index_.size() == first || index_.back().key != key) index_.push_back({shards_.size(), key, {}});
    if (!index_.back().members.emplace(extension, std::move(member)).second)
      throw Error("has two members '" + extension + "'", where + ": " + key);
  }
  for (size_t i = first; i < index_.size(); ++i) need_picture(index_[i].members, where + ": " + index_[i].key);
  shards_.push_back({where, std::move(file)});
}

Sample WebDataset::get(size_t index) const {
  check_index(index);
  const Entry& entry = index_[index];
  const Shard& shard = shards_[entry.shard];
  std::map<std::string, std::string> members;
  for (const auto& [extension, member] : entry.members)
    members[extension] = std::string(reinterpret_cast<const char*>(shard.file->data()) + member.offset, member.size);
  return assemble(entry.key, std::move(members), shard.where);
}

WebDatasetStream::WebDatasetStream(std::istream& source, std::string where)
    : where_(std::move(where)),
      walker_(
          [&source](char* buffer, size_t count) {
            source.read(buffer, static_cast<std::streamsize>(count));
            return static_cast<size_t>(source.gcount());
          },
          [&source](uint64_t count) {
            source.ignore(static_cast<std::streamsize>(count));
            return static_cast<uint64_t>(source.gcount()) == count || count == 0;
          },
          where_),
      more_(walker_.next(ahead_)) {}

std::optional<Sample> WebDatasetStream::next() {
  if (!more_) return std::nullopt;
  const std::string key = split_name(ahead_.name).first;
  std::map<std::string, std::string> members;
  for (; more_ && split_name(ahead_.name).first == key; more_ = walker_.next(ahead_)) {
    const std::string extension = split_name(ahead_.name).second;
    if (!members.emplace(extension, walker_.read()).second)
      throw Error("has two members '" + extension + "'", where_ + ": " + key);
  }
  return assemble(key, std::move(members), where_);
}

}  // namespace tessera
