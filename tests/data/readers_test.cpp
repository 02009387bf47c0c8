#include "data/idx.h"
#include "data/image_folder.h"
#include "data/jsonl.h"
#include "fixtures.h"

namespace tessera {
namespace {

void expect_part(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

std::string big_endian(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

std::string idx_pictures(uint32_t count, uint32_t height, uint32_t width, const std::string& values) {
  return big_endian(2051) + big_endian(count) + big_endian(height) + big_endian(width) + values;
}

std::string idx_labels(const std::string& values) {
  return big_endian(2049) + big_endian(static_cast<uint32_t>(values.size())) + values;
}

std::string gzip(const std::string& bytes) {
  std::string out(bytes.size() + 1024, '\0');
  size_t used = 0;
  archive* writer = archive_write_new();
  archive_write_set_format_raw(writer);
  archive_write_add_filter_gzip(writer);
  archive_write_set_bytes_in_last_block(writer, 1);
  archive_write_open_memory(writer, out.data(), out.size(), &used);
  archive_entry* entry = archive_entry_new();
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_write_header(writer, entry);
  archive_write_data(writer, bytes.data(), bytes.size());
  archive_entry_free(entry);
  archive_write_close(writer);
  archive_write_free(writer);
  return out.substr(0, used);
}

}  // namespace

TEST(ImageFolder, SubfoldersAreClasses) {
  const testing::Scratch folder;
  write_file(folder / "dog/b.JPG", "2");
  write_file(folder / "dog/a.png", "1");
  write_file(folder / "cat/deep/c.webp", "3");
  write_file(folder / "cat/notes.txt", "no picture");
  write_file(folder / "loose.png", "in no class");
  const ImageFolder dataset(folder.path());
  ASSERT_EQ(dataset.size(), 3u);
  EXPECT_EQ(dataset.classes(), (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(dataset.get(0).bytes, "3");
  EXPECT_EQ(dataset.get(1).bytes, "1");
  EXPECT_EQ(dataset.get(2).bytes, "2");
  EXPECT_EQ(dataset.get(2).label, 1);
  EXPECT_EQ(dataset.get(2).metadata.at("class"), "dog");
  std::filesystem::remove(folder / "dog/b.JPG");
  expect_part(testing::error_of([&] { dataset.get(2); }), "b.JPG: cannot be opened");
}

TEST(ImageFolder, NothingThereIsAnError) {
  const testing::Scratch folder;
  expect_part(testing::error_of([&] { ImageFolder(folder.path()); }), "has no pictures in subfolders");
  expect_part(testing::error_of([&] { ImageFolder(folder / "absent"); }), "absent: is no folder");
}

TEST(Jsonl, ReadsTextAndLanguages) {
  const testing::Scratch folder;
  write_file(folder / "p.png", "picture");
  write_file(folder / "d.jsonl",
             "{\"image\": \"p.png\", \"text\": \"one\"}\r\n\n"
             "{\"image\": \"p.png\", \"text\": {\"de\": \"zwei\"}, \"label\": 2, \"x\": 5}");
  const JsonlDataset dataset(folder / "d.jsonl");
  ASSERT_EQ(dataset.size(), 2u);
  EXPECT_EQ(dataset.get(0).captions, (std::map<std::string, std::string>{{"en", "one"}}));
  EXPECT_EQ(dataset.get(0).bytes, "picture");
  EXPECT_EQ(dataset.get(1).captions, (std::map<std::string, std::string>{{"de", "zwei"}}));
  EXPECT_EQ(dataset.get(1).label, 2);
  EXPECT_EQ(dataset.get(1).metadata.at("x"), 5);
}

TEST(Jsonl, ErrorsNameTheLine) {
  const testing::Scratch folder;
  const auto message = [&](const std::string& text) {
    write_file(folder / "d.jsonl", text);
    return testing::error_of([&] { JsonlDataset(folder / "d.jsonl").get(0); });
  };
  const std::string good = "{\"image\": \"p.png\"}\n";
  expect_part(message(good + "\n{\"image\""), "d.jsonl: line 3: is not valid JSON");
  expect_part(message(good + "[1]"), "d.jsonl: line 2: must be a JSON object");
  expect_part(message(good + "{\"image\": 1}"), "d.jsonl: line 2: has no text 'image'");
  expect_part(message(good + "{\"image\": \"p\", \"text\": 1}"), "d.jsonl: line 2: text: must be");
  expect_part(message(good), "d.jsonl: line 1: ");
  expect_part(message(good), "p.png: cannot be opened");
  expect_part(message("\n"), "has no samples");
  expect_part(testing::error_of([&] { JsonlDataset(folder / "none"); }), "none: cannot be opened");
}

TEST(Idx, ReadsPlainAndCompressed) {
  const testing::Scratch folder;
  write_file(folder / "images", idx_pictures(2, 1, 3, std::string("\1\2\3\4\5\377", 6)));
  write_file(folder / "labels.gz", gzip(idx_labels(std::string("\0\1", 2))));
  const IdxDataset dataset(folder / "images", folder / "labels.gz", {"shoe", "bag"});
  ASSERT_EQ(dataset.size(), 2u);
  const Sample sample = dataset.get(1);
  EXPECT_EQ(picture_of(sample).pixels, (std::vector<uint8_t>{4, 5, 255}));
  EXPECT_EQ(sample.image.width, 3);
  EXPECT_EQ(sample.label, 1);
  EXPECT_EQ(sample.captions.at("en"), "bag");
}

TEST(Idx, BadFilesAreNamed) {
  const testing::Scratch folder;
  const auto message = [&](const std::string& images, const std::string& labels) {
    write_file(folder / "images", images);
    write_file(folder / "labels", labels);
    return testing::error_of([&] { IdxDataset(folder / "images", folder / "labels", {"shoe"}); });
  };
  const std::string images = idx_pictures(1, 1, 2, "ab"), labels = idx_labels(std::string(1, '\0'));
  expect_part(message(labels, images), "images: has the magic number 2049, expected 2051 (pictures)");
  expect_part(message(images + "c", labels), "holds 3 values, its header says 2");
  expect_part(message(images.substr(0, 17), labels), "holds 1 values, its header says 2");
  expect_part(message(idx_pictures(~0u, ~0u, ~0u, ""), labels), "states an impossible size");
  expect_part(message(images.substr(0, 9), labels), "is too short");
  expect_part(message("", labels), "is too short");
  expect_part(message(images, idx_labels("\1\2")), "has 1 pictures for 2 labels");
  expect_part(message(images, idx_labels("\1")), "labels: has the label 1, for which there is no name");
  const std::string packed = gzip(images);
  expect_part(message(packed.substr(0, packed.size() - 10), labels), "images: ");
  expect_part(testing::error_of([&] { open_fashion_mnist(true, folder / "absent"); }), "install the Debian package");
}

}  // namespace tessera
