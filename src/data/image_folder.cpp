#include "data/image_folder.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"

namespace tessera {

namespace fs = std::filesystem;

bool has_picture_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  for (char& letter : extension) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  const char* const known[] = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".svg"};
  return std::any_of(std::begin(known), std::end(known), [&](const char* one) { return extension == one; });
}

ImageFolder::ImageFolder(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw Error("is no folder", folder.string());
  std::vector<fs::path> classes;
  try {
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.is_directory()) classes.push_back(entry.path());
    std::sort(classes.begin(), classes.end());
    for (const fs::path& path : classes) {
      std::vector<File> files;
      for (const auto& entry : fs::recursive_directory_iterator(path))
        if (entry.is_regular_file() && has_picture_extension(entry.path()))
          files.push_back({entry.path(), static_cast<int64_t>(classes_.size())});
      std::sort(files.begin(), files.end(), [](const File& a, const File& b) { return a.path < b.path; });
      files_.insert(files_.end(), files.begin(), files.end());
      classes_.push_back(path.filename().string());
    }
  } catch (const fs::filesystem_error& error) {
    throw Error(std::string("cannot be read: ") + error.code().message(), error.path1().string());
  }
  if (files_.empty())
    throw Error("has no pictures in subfolders", folder.string(),
                "put the pictures of each class into a folder of its own");
}

Sample ImageFolder::get(size_t index) const {
  check_index(index);
  const File& file = files_[index];
  Sample sample;
  sample.key = file.path.string();
  sample.bytes = read_file(file.path);
  sample.label = file.label;
  sample.metadata = {{"path", sample.key}, {"class", classes_[static_cast<size_t>(file.label)]}};
  return sample;
}

}  // namespace tessera
