#include "data/icons.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/files.h"
#include "data/archive.h"
#include "data/codepoints.h"
#include "data/icon_plan.h"
#include "io/image.h"
#include "io/svg.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

/// Changed whenever the same input would give other bytes.
constexpr const char* kFormat = "tessera icons 1";

/// A tar file to be: some of the pictures of one stem.
struct Shard {
  std::string file;
  const IconItem* items;
  size_t count;
};

std::vector<Shard> cut(const IconPlan& plan, size_t size) {
  std::vector<Shard> shards;
  for (const auto& [stem, items] : plan.shards)
    for (size_t first = 0, index = 0; first < items.size(); first += size, ++index) {
      std::string number = std::to_string(index);
      number.insert(0, 5 - std::min<size_t>(5, number.size()), '0');
      shards.push_back({stem + "-" + number + ".tar", &items[first], std::min(size, items.size() - first)});
    }
  return shards;
}

/// What the shard's bytes depend on.
std::string fingerprint(const Shard& shard, int64_t size) {
  std::string text = std::string(kFormat) + " " + std::to_string(size);
  for (size_t i = 0; i < shard.count; ++i)
    text += "\n" + shard.items[i].key + describe(shard.items[i]).dump() + shard.items[i].icon->svg;
  return std::to_string(fnv1a64(text));
}

/// The drawing in the middle of a square.
Image draw_square(const std::string& svg, int64_t size, const std::string& name) {
  DecodeOptions options;
  options.svg_height = options.svg_width = size;
  const Bytes bytes(reinterpret_cast<const uint8_t*>(svg.data()), svg.size());
  const Image drawing = decode_svg(bytes, name, options);
  if (drawing.height == size && drawing.width == size) return drawing;
  Image square(size, size, drawing.channels);
  const int64_t top = (size - drawing.height) / 2, left = (size - drawing.width) / 2;
  for (int64_t y = 0; y < drawing.height; ++y)
    std::copy_n(drawing.row(y), drawing.width * drawing.channels, square.row(top + y) + left * drawing.channels);
  return square;
}

using LeftOut = std::map<std::string, std::string>;  // picture -> why it cannot be drawn

std::string draw(const Shard& shard, int64_t size, LeftOut& left_out) {
  std::vector<TarMember> members;
  for (size_t i = 0; i < shard.count; ++i) {
    const IconItem& item = shard.items[i];
    try {
      const std::vector<uint8_t> png = encode_png(draw_square(item.icon->svg, size, item.key));
      members.push_back({item.key + ".json", describe(item).dump() + "\n"});
      members.push_back({item.key + ".png", std::string(png.begin(), png.end())});
    } catch (const Error& error) {
      if (!item.set->uneven) throw;
      left_out[item.key] = error.what();
    }
  }
  return make_tar(members);
}

/// shards.json: what is finished. It is written after each shard, so that a kill loses none.
class Ledger {
 public:
  explicit Ledger(fs::path folder) : folder_(std::move(folder)) {
    if (fs::exists(path())) finished_ = read_json(path()).value("shards", Json::object());
  }

  bool has(const Shard& shard, const std::string& digest) const {
    if (!finished_.contains(shard.file)) return false;
    const Json& entry = finished_.at(shard.file);
    std::error_code error;
    const auto bytes = fs::file_size(folder_ / shard.file, error);
    return !error && entry.value("digest", "") == digest && entry.value("bytes", uintmax_t{0}) == bytes;
  }

  void add(const Shard& shard, const std::string& digest, const std::string& tar, const LeftOut& left_out) {
    write_file(folder_ / shard.file, tar);
    finished_[shard.file] = {{"digest", digest}, {"pictures", shard.count - left_out.size()}, {"bytes", tar.size()}};
    if (!left_out.empty()) finished_[shard.file]["left_out"] = left_out;
    write_file(path(), Json{{"shards", finished_}}.dump(1) + "\n");
  }

  /// Removes the shards of earlier options, and writes the summary with what was left out, now or by earlier runs.
  void close(const std::vector<Shard>& shards, IconSummary& summary) {
    Json kept = Json::object();
    for (const Shard& shard : shards) {
      kept[shard.file] = finished_.at(shard.file);
      summary.left_out.merge(kept[shard.file].value("left_out", LeftOut()));
    }
    for (const auto& [file, entry] : finished_.items())
      if (!kept.contains(file)) fs::remove(folder_ / file);
    write_file(path(), Json{{"shards", kept}, {"summary", to_json(summary)}}.dump(1) + "\n");
  }

 private:
  fs::path path() const { return folder_ / "shards.json"; }
  fs::path folder_;
  Json finished_ = Json::object();
};

/// Draws the missing shards on several threads; each shard is one piece of work.
class Workers {
 public:
  Workers(const std::vector<Shard>& shards, const IconOptions& options, Ledger& ledger, const IconProgress& progress)
      : shards_(shards), options_(options), ledger_(ledger), progress_(progress) {
    for (const Shard& shard : shards) total_ += static_cast<int64_t>(shard.count);
  }

  /// Returns how many shards were drawn. @throws what the first failing thread threw
  int64_t run() {
    const auto count = options_.threads > 0 ? static_cast<size_t>(options_.threads)
                                            : std::max<size_t>(1, std::thread::hardware_concurrency());
    std::vector<std::thread> threads;
    for (size_t i = 0; i < std::min(count, shards_.size()); ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
    return drawn_;
  }

 private:
  void work() {
    try {
      for (size_t index; (index = next_++) < shards_.size();) one(shards_[index]);
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      next_ = shards_.size();  // the others stop after the shard they are at
    }
  }

  void one(const Shard& shard) {
    const std::string digest = fingerprint(shard, options_.size);
    bool finished;
    {
      const std::lock_guard lock(mutex_);
      finished = ledger_.has(shard, digest);
    }
    LeftOut left_out;
    const std::string tar = finished ? "" : draw(shard, options_.size, left_out);
    const std::lock_guard lock(mutex_);
    if (!finished) ledger_.add(shard, digest, tar, left_out), ++drawn_;
    done_ += static_cast<int64_t>(shard.count);
    if (progress_) progress_(done_, total_);
  }

  const std::vector<Shard>& shards_;
  const IconOptions& options_;
  Ledger& ledger_;
  const IconProgress& progress_;
  std::mutex mutex_;
  std::atomic<size_t> next_ = 0;
  std::exception_ptr failure_;
  int64_t done_ = 0, total_ = 0, drawn_ = 0;
};

void check(const IconOptions& options) {
  if (options.size < 8 || options.size > 2048) throw Error("must be from 8 to 2048", "size");
  if (options.shard < 1) throw Error("must be at least 1", "shard");
}

void count_symbols(const IconPlan& plan, IconSummary& summary) {
  for (const auto& [id, styles] : plan.styles) {
    const Symbol& symbol = *plan.symbols.find(id);
    ++summary.symbols;
    ++(symbol.seen ? summary.seen : summary.unseen);
    for (const auto& [language, name] : symbol.names) ++summary.names[language];
  }
}

}  // namespace

Json to_json(const IconSummary& summary) {
  return {{"symbols", summary.symbols},   {"seen", summary.seen},           {"unseen", summary.unseen},
          {"pictures", summary.pictures}, {"unmatched", summary.unmatched}, {"names", summary.names},
          {"left_out", summary.left_out}};
}

IconSummary prepare_icons(const IconOptions& options, const IconProgress& progress) {
  check(options);
  IconSummary summary;
  const IconPlan plan(options, summary);
  count_symbols(plan, summary);
  const fs::path folder = options.out;
  write_file(folder / "names.jsonl", names_jsonl(plan));
  write_file(folder / "corpus.txt", caption_corpus(plan));
  const std::vector<Shard> shards = cut(plan, static_cast<size_t>(options.shard));
  Ledger ledger(folder);
  summary.drawn = Workers(shards, options, ledger, progress).run();
  summary.shards = static_cast<int64_t>(shards.size());
  ledger.close(shards, summary);
  return summary;
}

}  // namespace tessera
