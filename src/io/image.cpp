#include "io/image.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "core/error.h"
#include "io/gif.h"
#include "io/jpeg.h"
#include "io/png.h"
#include "io/svg.h"
#include "io/webp.h"

namespace tessera {
namespace {

bool starts_with(Bytes bytes, std::string_view magic, size_t at = 0) {
  return bytes.size() >= at + magic.size() && std::memcmp(bytes.data() + at, magic.data(), magic.size()) == 0;
}

// An SVG may begin with a byte order mark, an XML declaration, comments and a DTD, so its root is searched for.
bool looks_like_svg(Bytes bytes) {
  constexpr size_t kWindow = 4096;
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), std::min(bytes.size(), kWindow));
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '<') return false;
  return text.find("<svg") != std::string_view::npos || text.find(":svg") != std::string_view::npos;
}

std::vector<uint8_t> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored)) {
    throw Error("cannot read the file", path, "check that it exists and is readable");
  }
  const std::streamoff size = file.tellg();
  if (size < 0) throw Error("cannot read the file", path, "give a regular file");
  std::vector<uint8_t> bytes(static_cast<size_t>(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(bytes.data()), size);
  if (!file) throw Error("reading stopped before the end of the file", path, "check the disk and try again");
  return bytes;
}

}  // namespace

namespace detail {

void check_size(int64_t height, int64_t width, const std::string& name, const DecodeOptions& options) {
  if (height <= 0 || width <= 0) throw Error("the picture has no pixels", name, "give a picture that is not empty");
  if (width > options.max_pixels / height) {
    throw Error("the picture is " + std::to_string(width) + " x " + std::to_string(height) + ", more than " +
                    std::to_string(options.max_pixels) + " pixels",
                name, "shrink it, or raise max_pixels");
  }
}

}  // namespace detail

ImageType sniff_image(Bytes bytes) {
  if (starts_with(bytes, "\xFF\xD8\xFF")) return ImageType::kJpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1A\n")) return ImageType::kPng;
  if (starts_with(bytes, "RIFF") && starts_with(bytes, "WEBP", 8)) return ImageType::kWebp;
  if (starts_with(bytes, "GIF87a") || starts_with(bytes, "GIF89a")) return ImageType::kGif;
  if (looks_like_svg(bytes)) return ImageType::kSvg;
  return ImageType::kUnknown;
}

const char* image_type_name(ImageType type) {
  switch (type) {
    case ImageType::kJpeg:
      return "JPEG";
    case ImageType::kPng:
      return "PNG";
    case ImageType::kWebp:
      return "WebP";
    case ImageType::kGif:
      return "GIF";
    case ImageType::kSvg:
      return "SVG";
    case ImageType::kUnknown:
      break;
  }
  return "unknown";
}

Image decode_image(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  if (bytes.empty()) throw Error("the file is empty", name, "give a picture");
  switch (sniff_image(bytes)) {
    case ImageType::kJpeg:
      return decode_jpeg(bytes, name, options);
    case ImageType::kPng:
      return decode_png(bytes, name, options);
    case ImageType::kWebp:
      return decode_webp(bytes, name, options);
    case ImageType::kGif:
      return std::move(decode_gif(bytes, name, options, 1).front());
    case ImageType::kSvg:
      return decode_svg(bytes, name, options);
    case ImageType::kUnknown:
      break;
  }
  throw Error("the content is no picture of a known type", name, "give a JPEG, PNG, WebP, GIF or SVG file");
}

std::vector<Image> decode_frames(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  if (sniff_image(bytes) == ImageType::kGif) return decode_gif(bytes, name, options, 0);
  std::vector<Image> one;
  one.push_back(decode_image(bytes, name, options));
  return one;
}

Image read_image(const std::string& path, const DecodeOptions& options) {
  return decode_image(read_file(path), path, options);
}

void write_png(const Image& image, const std::string& path) {
  const std::vector<uint8_t> bytes = encode_png(image);
  const std::string temporary = path + ".tmp" + std::to_string(getpid());
  std::ofstream file(temporary, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  file.close();
  if (!file || std::rename(temporary.c_str(), path.c_str()) != 0) {
    std::remove(temporary.c_str());
    throw Error("cannot write the file", path, "check that the folder exists and has room");
  }
}

}  // namespace tessera
