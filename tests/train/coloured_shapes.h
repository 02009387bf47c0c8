#pragma once
#include "core/files.h"
#include "data/archive.h"
#include "support/training.h"

namespace tessera::testing {

/// Two colours times two shapes, each in several sizes, as a shard with a tokenizer beside it.
class ColouredShapes : public TrainingTest {
 protected:
  ColouredShapes() : TrainingTest("") {}

  void SetUp() override {
    write_shard("train", 4, 9);
    write_shard("test", 5, 8);
    write_file(folder_ / "words" / "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nblue\nsquare\nbar\n");
  }

  static Image draw(bool red, bool square, int64_t radius) {
    Image image(24, 24, 4);
    for (int64_t y = 0; y < 24; ++y)
      for (int64_t x = 0; x < 24; ++x) {
        const int64_t dy = std::abs(y - 12), dx = std::abs(x - 12);
        const bool inside = dx < radius && dy < (square ? radius : 2);
        if (inside) image.at(y, x, red ? 0 : 2) = image.at(y, x, 3) = 255;
      }
    return image;
  }

  void write_shard(const std::string& name, int64_t smallest, int64_t largest, const std::string& split = "train") {
    std::vector<TarMember> members;
    for (int64_t radius = smallest; radius <= largest; ++radius)
      for (int kind = 0; kind < 4; ++kind) {
        const std::string colour = kind < 2 ? "red" : "blue", shape = kind % 2 == 0 ? "square" : "bar";
        const std::string key = colour + "-" + shape + "-" + std::to_string(radius);
        const std::vector<uint8_t> png = encode_png(draw(kind < 2, kind % 2 == 0, radius));
        members.push_back({key + ".png", std::string(png.begin(), png.end())});
        const Json json = {{"id", colour + shape}, {"captions", {{"en", colour + " " + shape}}}, {"split", split}};
        members.push_back({key + ".json", json.dump()});
      }
    write_file(folder_ / (name + ".tar"), make_tar(members));
  }

  Json recipe_json() const {
    return {{"model",
             {{"image",
               {{"kind", "vit"},
                {"image", {16, 16}},
                {"patch", {4, 4}},
                {"dim", 32},
                {"depth", 2},
                {"heads", 2},
                {"ffn", 64},
                {"drop_path", 0.1}}},
              {"text",
               {{"kind", "text-transformer"},
                {"context", 8},
                {"dim", 32},
                {"depth", 1},
                {"heads", 2},
                {"ffn", 64},
                {"causal", false}}},
              {"text_pool", "mean"},
              {"dim", 16}}},
            {"tokenizer", {{"path", (folder_ / "words").string()}}},
            {"data", {{"sources", {{{"shards", {(folder_ / "train.tar").string()}}}}}, {"size", 16}}},
            {"captions", {{"candidates", 4}}},
            {"augment",
             {{"any_hue", 0}, {"hue", 0}, {"grayscale", 0}, {"cutout", 0}, {"invert", 0}, {"saturation_min", 1}}},
            {"objective", {{"image_proxies", 0.5}, {"text_proxies", 0.5}}},
            {"optimizer", {{"learning_rate", 3e-3}}},
            {"schedule", {{"warmup", 5}}},
            {"evaluation", {{"every", 10}, {"shards", {(folder_ / "test.tar").string()}}}},
            {"steps", 20},
            {"batch", 16},
            {"precision", "float32"},
            {"ema", 0.9},
            {"workers", 2},
            {"checkpoint_every", 7},
            {"threads", 1}};
  }
};

}  // namespace tessera::testing
