#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <random>
#include <span>

#include "checkpoint_files.h"
#include "io/safetensors_header.h"

namespace tessera {
namespace {
namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;

using CheckpointsMalformed = CheckpointFolder;

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape, const std::string& at) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + at + "}";
}

struct Malformed {
  std::string header, data, message;
};

TEST_F(CheckpointsMalformed, EveryKindOfBadHeaderIsAnErrorThatNamesFileAndTensor) {
  const std::string four(4, '\0'), eight(8, '\0');
  const std::string w = entry("w", "F32", "[1]", "[0,4]");
  const std::vector<Malformed> cases = {
      {"{" + w, four, "not valid JSON"},
      {"[1]", "", "not a JSON object"},
      {"", "", "not a JSON object"},
      {"{" + w + "}" + std::string(3, '\0'), four, "zero byte"},
      {"{\"\xff\":1}", "", "not valid JSON"},
      {"{" + w + "," + w + "}", four, "the key 'w' twice"},
      {"{\"w\":{\"dtype\":\"F32\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,4]}}", four,
       "the key 'dtype' twice"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[[[[[1]]]]],\"data_offsets\":[0,4]}}", four, "nested too deeply"},
      {"{\"w\":7}", "", "tensor 'w' is not described by a JSON object"},
      {"{\"w\":{\"shape\":[1],\"data_offsets\":[0,4]}}", four, "tensor 'w' has no dtype"},
      {"{\"w\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", four, "tensor 'w' has no shape"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1]}}", four, "tensor 'w' has no data_offsets"},
      {"{\"w\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"x\":1}}", four,
       "tensor 'w' has fields beyond"},
      {"{\"w\":{\"dtype\":5,\"shape\":[1],\"data_offsets\":[0,4]}}", four, "dtype that is no string"},
      {"{" + entry("w", "F33", "[1]", "[0,4]") + "}", four, "tensor 'w' has the unknown dtype 'F33'"},
      {"{" + entry("w", "F32", "1", "[0,4]") + "}", four, "shape that are no list"},
      {"{" + entry("w", "F32", "[-1]", "[0,4]") + "}", four, "not non-negative"},
      {"{" + entry("w", "F32", "[1.0]", "[0,4]") + "}", four, "not non-negative"},
      {"{" + entry("w", "F32", "[9223372036854775808]", "[0,4]") + "}", four, "not non-negative"},
      {"{" + entry("w", "F32", "[4294967296,4294967296]", "[0,4]") + "}", four, "overflows"},
      {"{" + entry("w", "F32", "[0,9223372036854775807]", "[0,0]") + "}", "", "overflows"},
      {"{" + entry("w", "F32", "[2]", "[0,4]") + "}", four, "tensor 'w' has 4 bytes, its dtype and shape need 8"},
      {"{" + entry("w", "F32", "[1]", "[0]") + "}", four, "no range"},
      {"{" + entry("w", "F32", "[1]", "[4,0]") + "}", four, "no range"},
      {"{" + entry("w", "F32", "[1]", "[4,8]") + "}", four, "ends at byte 8 of the data, which has 4"},
      {"{" + w + "," + entry("v", "F32", "[1]", "[2,6]") + "}", eight, "tensor 'v' overlaps"},
      {"{" + w + "," + entry("v", "I16", "[1]", "[6,8]") + "}", eight, "tensor 'v' leaves a hole"},
      {"{" + entry("v", "F32", "[1]", "[4,8]") + "}", eight, "tensor 'v' leaves a hole"},
      {"{" + w + "}", eight, "4 bytes behind its last tensor"},
      {"{\"__metadata__\":[]}", "", "__metadata__ that is no object"},
      {"{\"__metadata__\":{\"a\":1}}", "", "__metadata__ 'a' that is no string"}};
  for (const Malformed& malformed : cases) {
    const auto path = write("bad.safetensors", safetensors(malformed.header, malformed.data));
    EXPECT_THAT(open_error(path), AllOf(HasSubstr(malformed.message), HasSubstr("bad.safetensors")))
        << malformed.header;
  }
}

TEST_F(CheckpointsMalformed, HeaderLengthIsBoundedByTheFormatAndTheFile) {
  std::string file = safetensors("{}");
  file[7] = '\x7f';
  EXPECT_THAT(open_error(write("a.safetensors", file)), HasSubstr("at most 100000000"));
  file = safetensors("{}");
  file[0] = 3;
  EXPECT_THAT(open_error(write("a.safetensors", file)), HasSubstr("a header of 3 bytes, the file has 10"));
}

TEST_F(CheckpointsMalformed, FilesOfOtherKindsAreCalledWhatTheyAre) {
  EXPECT_THAT(open_error(write("a.safetensors", "")), HasSubstr("is empty"));
  EXPECT_THAT(open_error(write("a.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")),
              AllOf(HasSubstr("git-lfs pointer"), HasSubstr("git lfs pull")));
  EXPECT_THAT(open_error(write("pytorch_model.bin", std::string("PK\x03\x04\0\0\x08\x08\0\0\0\0", 12))),
              AllOf(HasSubstr("PyTorch"), HasSubstr("convert it to safetensors")));
  EXPECT_THAT(open_error(write("old.bin", "\x80\x02}q\x01X\x05\x06\x07\x08")), HasSubstr("pickle"));
  EXPECT_THAT(open_error(write("a.safetensors", "<!DOCTYPE html><html>")), HasSubstr("web page"));
}

TEST_F(CheckpointsMalformed, PathsThatLeadToNoCheckpointSayWhatIsThere) {
  EXPECT_THAT(open_error(folder / "no.safetensors"), HasSubstr("does not exist"));
  EXPECT_THAT(open_error(""), HasSubstr("does not exist"));
  EXPECT_THAT(open_error(folder), HasSubstr("holds no safetensors"));
  EXPECT_THAT(open_error("/dev/null"), HasSubstr("not a regular file"));
  write("pytorch_model.bin", "x");
  EXPECT_THAT(open_error(folder), AllOf(HasSubstr("only pytorch_model.bin"), HasSubstr("convert")));
  write("a.safetensors", safetensors("{}"));
  EXPECT_EQ(Checkpoint::open(folder).path(), folder / "a.safetensors");
  write("b.safetensors", safetensors("{}"));
  EXPECT_THAT(open_error(folder), AllOf(HasSubstr("2 safetensors files"), HasSubstr("no index")));
  write("open_clip_model.safetensors", safetensors("{}"));
  EXPECT_EQ(Checkpoint::open(folder).path(), folder / "open_clip_model.safetensors");
}

TEST_F(CheckpointsMalformed, IndexAndShardsMustAgree) {
  const std::string four(4, '\0');
  write("1.safetensors", safetensors("{" + entry("a", "F32", "[1]", "[0,4]") + "}", four));
  write("2.safetensors", safetensors("{" + entry("b", "F32", "[1]", "[0,4]") + "}", four));
  write("3.safetensors", safetensors("{" + entry("b", "F32", "[1]", "[0,4]") + "}", four));
  const auto error = [&](const std::string& map) {
    return open_error(
        write("m.safetensors.index.json", "{\"metadata\":{\"total_size\":8},\"weight_map\":" + map + "}"));
  };
  EXPECT_EQ(
      Checkpoint::open(write("m.safetensors.index.json", R"({"weight_map":{"a":"1.safetensors","b":"2.safetensors"}})"))
          .tensors()
          .size(),
      2u);
  EXPECT_THAT(error(R"({"a":"1.safetensors","b":"9.safetensors"})"), HasSubstr("shard '9.safetensors' is missing"));
  EXPECT_THAT(error(R"({"a":"1.safetensors","b":"1.safetensors"})"), HasSubstr("tensor 'b' is not in the shard"));
  EXPECT_THAT(error(R"({"a":"2.safetensors","b":"1.safetensors"})"), HasSubstr("tensor 'a' is not in the shard"));
  EXPECT_THAT(error(R"({"a":"1.safetensors","c":"2.safetensors"})"), HasSubstr("tensor 'c' is not in the shard"));
  write("4.safetensors",
        safetensors("{" + entry("c", "I16", "[1]", "[0,2]") + "," + entry("d", "I16", "[1]", "[2,4]") + "}", four));
  EXPECT_THAT(error(R"({"a":"1.safetensors","c":"4.safetensors"})"), HasSubstr("tensor 'd' is not in the index"));
  EXPECT_THAT(error(R"({"b":"2.safetensors","c":"3.safetensors"})"),
              HasSubstr("tensor 'b' stands in 2.safetensors too"));
  EXPECT_THAT(error(R"({"a":"1.safetensors","a":"2.safetensors"})"), HasSubstr("twice"));
  EXPECT_THAT(error(R"({"a":"../1.safetensors"})"), HasSubstr("outside the folder"));
  EXPECT_THAT(error(R"({"a":"/etc/passwd"})"), HasSubstr("outside the folder"));
  EXPECT_THAT(error(R"({"a":3})"), HasSubstr("no file"));
  EXPECT_THAT(error("{}"), HasSubstr("empty weight_map"));
  EXPECT_THAT(error("[]"), HasSubstr("no weight_map"));
}

TEST_F(CheckpointsMalformed, DtypesThatLibTorchLacksAreListedButNotRead) {
  for (const std::string dtype : {"F8_E4M3", "F8_E5M2", "U16", "U32", "U64"}) {
    const size_t size = dtype[0] == 'F' ? 1 : std::stoul(dtype.substr(1)) / 8;
    const std::string at = "[0," + std::to_string(size) + "]";
    const Checkpoint checkpoint = Checkpoint::open(
        write("a.safetensors", safetensors("{" + entry("w", dtype, "[1]", at) + "}", std::string(size, '\0'))));
    EXPECT_EQ(checkpoint.tensors().at("w").dtype_name, dtype);
    EXPECT_THAT(error_of([&] { checkpoint.tensor("w"); }),
                AllOf(HasSubstr("'w' is " + dtype), HasSubstr("a.safetensors")));
  }
}

TEST_F(CheckpointsMalformed, UnknownTensorsAndBoolsThatAreNoneAreErrors) {
  const Checkpoint checkpoint =
      Checkpoint::open(write("a.safetensors", safetensors("{" + entry("w", "BOOL", "[1]", "[0,1]") + "}", "\x02")));
  EXPECT_THAT(error_of([&] { checkpoint.tensor("w"); }), HasSubstr("other values than 0 and 1"));
  EXPECT_THAT(error_of([&] { checkpoint.tensor("v"); }), HasSubstr("no tensor 'v'"));
}

/// A small file with everything in it that a file can have.
std::string small_file(const fs::path& folder) {
  save_checkpoint(folder / "small.safetensors",
                  {{"a", at::ones({2, 3})}, {"b", at::ones({3}, torch::kBool)}, {"c", at::ones({2}, torch::kInt64)}});
  return bytes_of_file(folder / "small.safetensors");
}

TEST_F(CheckpointsMalformed, TruncationAtEveryByteIsAnError) {
  const std::string whole = small_file(folder);
  for (size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THROW(Checkpoint::open(write("cut.safetensors", whole.substr(0, length))), Error) << length;
  }
}

TEST_F(CheckpointsMalformed, MutatedFilesAreReadOrRefusedAndNeverCrash) {
  const std::string whole = small_file(folder);
  std::mt19937 random(17);
  const auto below = [&](size_t end) { return std::uniform_int_distribution<size_t>(0, end - 1)(random); };
  for (int round = 0; round < 20'000; ++round) {
    std::string file = whole;
    for (size_t changes = 1 + below(3); changes-- > 0;) {
      const size_t at = below(file.size());
      const char value = below(2) ? static_cast<char>(below(256)) : "0123456789[]{},:\""[below(17)];
      if (const size_t kind = below(8); kind == 0)
        file.erase(at, 1 + below(4));
      else if (kind == 1)
        file.insert(at, 1, value);
      else
        file[at] = value;
    }
    try {
      parse_safetensors(std::as_bytes(std::span(file)), "mutated");  // in memory: most are refused, and files are slow
      const Checkpoint checkpoint = Checkpoint::open(write("mutated.safetensors", file));
      for (const auto& [name, info] : checkpoint.tensors()) checkpoint.tensor(name).clone();
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace tessera
