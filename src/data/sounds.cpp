#include "data/sounds.h"

#include <samplerate.h>
#include <sndfile.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <memory>
#include <set>

#include "core/error.h"
#include "core/files.h"

namespace tessera {
namespace {

namespace fs = std::filesystem;

struct Close {
  void operator()(SNDFILE* file) const { sf_close(file); }
};
using OpenFile = std::unique_ptr<SNDFILE, Close>;

/// A file in memory, for libsndfile to write.
struct Written {
  std::string bytes;
  sf_count_t at = 0;
};

sf_count_t length_of(void* user) { return static_cast<sf_count_t>(static_cast<Written*>(user)->bytes.size()); }

sf_count_t seek(sf_count_t offset, int whence, void* user) {
  auto* file = static_cast<Written*>(user);
  file->at = offset + (whence == SEEK_SET ? 0 : whence == SEEK_CUR ? file->at : length_of(user));
  return file->at;
}

sf_count_t read(void* to, sf_count_t count, void* user) {
  auto* file = static_cast<Written*>(user);
  const sf_count_t some = std::clamp<sf_count_t>(length_of(user) - file->at, 0, count);
  std::copy_n(file->bytes.data() + file->at, some, static_cast<char*>(to));
  file->at += some;
  return some;
}

sf_count_t write(const void* from, sf_count_t count, void* user) {
  auto* file = static_cast<Written*>(user);
  const auto end = static_cast<size_t>(file->at + count);
  if (file->bytes.size() < end) file->bytes.resize(end);
  std::copy_n(static_cast<const char*>(from), count, file->bytes.data() + file->at);
  file->at += count;
  return count;
}

/// Why libsndfile failed, without its full stop.
std::string reason(SNDFILE* file) {
  std::string text = sf_strerror(file);
  while (text.ends_with('.')) text.pop_back();
  return text;
}

sf_count_t tell(void* user) { return static_cast<Written*>(user)->at; }

}  // namespace

Sound read_sound(const fs::path& path) {
  if (!fs::is_regular_file(path)) throw Error("is no file", path.string(), "give a sound file");
  SF_INFO info{};
  const OpenFile file(sf_open(path.c_str(), SFM_READ, &info));
  if (!file)
    throw Error("is no sound that can be read: " + reason(nullptr), path.string(), "give a WAV, FLAC, Ogg or MP3 file");
  if (info.frames <= 0 || info.channels < 1 || info.samplerate < 1) throw Error("holds no sound", path.string());
  torch::Tensor samples = torch::empty({info.frames, info.channels});
  const sf_count_t read = sf_readf_float(file.get(), samples.data_ptr<float>(), info.frames);
  if (read <= 0) throw Error("ends before its sound: " + reason(file.get()), path.string());
  samples = samples.narrow(0, 0, read).mean(1);  // a header may promise more than there is
  if (!samples.isfinite().all().item<bool>()) throw Error("holds samples that are not finite", path.string());
  return {samples, info.samplerate};
}

Sound resampled(const Sound& sound, int64_t rate) {
  if (sound.rate == rate) return sound;
  const double ratio = static_cast<double>(rate) / static_cast<double>(sound.rate);
  const torch::Tensor from = sound.samples.contiguous();
  torch::Tensor to = torch::zeros({std::max<int64_t>(1, std::llround(static_cast<double>(from.size(0)) * ratio))});
  SRC_DATA data{};
  data.data_in = from.data_ptr<float>(), data.input_frames = static_cast<long>(from.size(0));
  data.data_out = to.data_ptr<float>(), data.output_frames = static_cast<long>(to.size(0));
  data.src_ratio = ratio;
  if (const int failure = src_simple(&data, SRC_SINC_MEDIUM_QUALITY, 1))
    throw Error("cannot be brought from " + std::to_string(sound.rate) + " to " + std::to_string(rate) +
                    " samples a second: " + src_strerror(failure),
                "sound");
  return {to, rate};
}

void write_wav(const fs::path& path, const Sound& sound) {
  SF_INFO info{};
  info.samplerate = static_cast<int>(sound.rate), info.channels = 1, info.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16;
  Written memory;
  SF_VIRTUAL_IO functions{length_of, seek, read, write, tell};
  OpenFile file(sf_open_virtual(&functions, SFM_WRITE, &info, &memory));
  const torch::Tensor samples = sound.samples.to(torch::kFloat32).contiguous();
  if (!file || sf_writef_float(file.get(), samples.data_ptr<float>(), samples.numel()) != samples.numel())
    throw Error("cannot be written as WAV: " + reason(file.get()), path.string());
  file.reset();
  write_file(path, memory.bytes);
}

bool has_sound_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  static const std::set<std::string> known = {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".aif", ".au"};
  return known.contains(extension);
}

SoundFolder read_sound_folder(const fs::path& folder) {
  if (!fs::is_directory(folder))
    throw Error("is no folder", folder.string(), "give a folder with a folder of sounds for each class");
  SoundFolder found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) found.labels.push_back(entry.path().filename().string());
  std::sort(found.labels.begin(), found.labels.end());
  if (found.labels.empty()) throw Error("has no folder of a class", folder.string());
  for (size_t label = 0; label < found.labels.size(); ++label) {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(folder / found.labels[label]))
      if (entry.is_regular_file() && has_sound_extension(entry.path())) paths.push_back(entry.path());
    if (paths.empty()) throw Error("holds no sound", (folder / found.labels[label]).string());
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) found.files.push_back({path, static_cast<int64_t>(label)});
  }
  return found;
}

}  // namespace tessera
