#include "data/webdataset.h"

#include <sstream>

#include "data/archive.h"
#include "fixtures.h"

namespace tessera {
namespace {

std::string png(uint8_t value) {
  Image image(1, 1, 1);
  image.pixels = {value};
  const std::vector<uint8_t> bytes = encode_png(image);
  return {bytes.begin(), bytes.end()};
}

const std::vector<TarMember> kMembers = {
    {"a/one.png", png(1)},  {"a/one.json", R"({"captions": {"de": "eins"}, "label": 4, "more": true})"},
    {"a/two.txt", "two\n"}, {"a/two.png", png(2)},
    {"a/two.cls", "7\n"},
};

void expect_members(const Sample& one, const Sample& two) {
  EXPECT_NE(one.key.find("a/one"), std::string::npos);
  EXPECT_EQ(picture_of(one).pixels, std::vector<uint8_t>{1});
  EXPECT_EQ(one.captions, (std::map<std::string, std::string>{{"de", "eins"}}));
  EXPECT_EQ(one.label, 4);
  EXPECT_EQ(one.metadata.at("more"), true);
  EXPECT_EQ(picture_of(two).pixels, std::vector<uint8_t>{2});
  EXPECT_EQ(two.captions, (std::map<std::string, std::string>{{"en", "two"}}));
  EXPECT_EQ(two.label, 7);
}

std::vector<Sample> stream(const std::string& tar) {
  std::istringstream source(tar);
  WebDatasetStream samples(source, "pipe");
  std::vector<Sample> result;
  while (auto sample = samples.next()) result.push_back(std::move(*sample));
  return result;
}

/// A tar header block of a member.
std::string header(std::string block) {
  block.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char byte : block) sum += static_cast<unsigned char>(byte);
  char digits[8];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  block.replace(148, 7, digits, 7);
  return block;
}

}  // namespace

TEST(WebDataset, RandomAccess) {
  const testing::Scratch folder;
  write_file(folder / "s-00000.tar", make_tar(kMembers));
  write_file(folder / "s-00001.tar", make_tar({{"three.gif", "bytes"}}));
  const WebDataset dataset(expand_shards({(folder / "s-{00000..00001}.tar").string()}));
  ASSERT_EQ(dataset.size(), 3u);
  expect_members(dataset.get(0), dataset.get(1));
  EXPECT_EQ(dataset.get(2).bytes, "bytes");
  EXPECT_THROW(dataset.get(3), std::out_of_range);
}

TEST(WebDataset, StreamingGivesTheSame) {
  const std::vector<Sample> samples = stream(make_tar(kMembers));
  ASSERT_EQ(samples.size(), 2u);
  expect_members(samples[0], samples[1]);
  EXPECT_TRUE(stream(make_tar({})).empty());
}

TEST(WebDataset, ATarCutAnywhereIsAnError) {
  const testing::Scratch folder;
  const std::string tar = make_tar(kMembers);
  size_t end = tar.size();
  while (tar[end - 1] == 0) --end;
  end = (end + 511) / 512 * 512 + 1024;  // all members and the end mark; libarchive may pad it further
  ASSERT_LE(end, tar.size());
  for (size_t size = 0; size < end; size += 512)
    for (const size_t length : {size, size + 1, size + 511}) {
      if (length >= end) continue;
      const std::string cut = tar.substr(0, length);
      write_file(folder / "cut.tar", cut);
      const std::string message = testing::error_of([&] { WebDataset({folder / "cut.tar"}); });
      EXPECT_NE(message.find("cut.tar: ends w"), std::string::npos) << length << ": " << message;
      EXPECT_NE(testing::error_of([&] { stream(cut); }).find("pipe: ends w"), std::string::npos) << length;
    }
  EXPECT_EQ(stream(tar.substr(0, end)).size(), 2u);
}

TEST(WebDataset, LongNamesOfGnuTarAndPax) {
  const std::string name = "folder/" + std::string(120, 'x') + ".png";
  std::string gnu(512, '\0'), pax(512, '\0'), plain(512, '\0');
  plain.replace(0, 4, "x.py");
  plain.replace(124, 11, "00000000003");
  plain[156] = '0';
  gnu.replace(0, 13, "././@LongLink");
  gnu.replace(124, 11, "00000000204");  // 132: the name and its zero
  gnu[156] = 'L';
  std::string name_block = name;
  name_block.resize(512);
  const std::string record = " path=" + name + "\n";
  std::string pax_block = std::to_string(record.size() + 3) + record;
  char digits[12];
  std::snprintf(digits, sizeof digits, "%011o", static_cast<unsigned>(pax_block.size()));
  pax.replace(124, 11, digits);
  pax[156] = 'x';
  pax_block.resize(512);
  std::string body = "abc";
  body.resize(512);
  for (const std::string& front : {header(gnu) + name_block, header(pax) + pax_block}) {
    const auto samples = index_tar(front + header(plain) + body + std::string(1024, '\0'), "t");
    ASSERT_EQ(samples.size(), 1u);
    EXPECT_EQ(samples[0].name, name);
    EXPECT_EQ(samples[0].offset, 1536u);
    EXPECT_EQ(samples[0].size, 3u);
  }
}

TEST(WebDataset, BadShardsAreNamed) {
  const testing::Scratch folder;
  const auto message = [&](const std::string& tar) {
    write_file(folder / "bad.tar", tar);
    return testing::error_of([&] { WebDataset({folder / "bad.tar"}).get(0); });
  };
  const auto has = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  has(message(make_tar({{"a.json", "{}"}})), "bad.tar: a: has no picture");
  has(message(make_tar({{"a.png", "x"}, {"a.png", "y"}})), "a: has two members 'png'");
  has(message(make_tar({{"a.png", "x"}, {"a.json", "{"}})), "a.json: is not valid JSON");
  has(message(make_tar({{"a.png", "x"}, {"a.json", "[]"}})), "a.json: must be a JSON object");
  has(message(make_tar({{"a.png", "x"}, {"a.json", R"({"label": "x"})"}})), "a.json: label: must be an integer");
  has(message(make_tar({{"a.png", "x"}, {"a.json", R"({"captions": {"en": 1}})"}})), "captions.en: must be text");
  has(message(make_tar({{"a.png", "x"}, {"a.cls", "one"}})), "a.cls: is no integer");
  std::string damaged = make_tar(kMembers);
  damaged[10] = '?';
  has(message(damaged), "bad.tar: is no tar: wrong checksum of a header at byte 0");
  has(message(std::string(4096, 'x')), "is no tar");
  has(testing::error_of([&] { expand_shards({(folder / "none-*.tar").string()}); }), "names no file");
  has(testing::error_of([&] { expand_shards({"a-{5..2}.tar"}); }), "is no rising range");
  has(testing::error_of([&] { expand_shards({"a-{5..x}.tar"}); }), "is no integer");
}

TEST(WebDataset, RandomDamageNeverCrashes) {
  const std::string good = make_tar(kMembers);
  uint64_t state = 1;
  for (int round = 0; round < 2000; ++round) {
    std::string bad = good;
    for (int i = 0; i < 4; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      bad[(state >> 33) % bad.size()] = static_cast<char>(state >> 25);
    }
    try {
      stream(bad);
    } catch (const Error&) {
    }
  }
}

}  // namespace tessera
