#pragma once
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "core/files.h"
#include "models/model.h"
#include "support/scratch.h"

namespace tessera::testing {

namespace fs = std::filesystem;

/// The config.json that a golden's folder would have as published; null where it records a layer and no model. (Some
/// records are without their type, or have the config inside of their own.)
inline Json golden_config(const fs::path& golden) {
  const Json record = read_json(golden / "golden.json");
  const std::string system = record.at("system"), arch = record.value("arch", "");
  Json config = record.at("config");
  const auto typed = [](Json of_type, const char* type) {
    of_type["model_type"] = type;
    return of_type;
  };
  if (system == "clip" && !config.contains("vision_cfg"))
    return typed(config, arch == "SiglipModel" ? "siglip" : "clip");
  if (system == "xlstm") return config["impl"] == "official" ? config["config"] : typed(config["config"], "xlstm");
  if (arch == "ASTForAudioClassification") return typed(config, "audio-spectrogram-transformer");
  if (arch == "ACTIVATORImageClassification (only GEGLU)") config["feed_forward"] = false;
  if (arch == "Ngram" || arch.starts_with("Poly") || config.contains("att_type")) return {};
  if (system != "mamba-360") return config;
  for (const char* type : {"mamba", "rwkv", "gss_lm"})
    if (arch == type) return typed(config["args"], type == std::string("gss_lm") ? "gss" : type);
  return {};
}

/// The recorded models: of every golden the folder in the repository, or the one beside it.
inline std::map<std::string, fs::path> golden_models() {
  std::map<std::string, fs::path> found;
  const fs::path source = TESSERA_SOURCE_DIR;
  for (const fs::path& root : {source / "tests/goldens", source.parent_path() / "shared/goldens"})
    for (const char* system :
         {"vit",       "vit-mae", "bert",   "clip",      "gpt2",  "opt",       "llama",      "phi3",
          "t5",        "mamba2",  "blip2",  "florence2", "llava", "paligemma", "cephalo",    "swin",
          "tnt",       "t2t-vit", "hornet", "vitamin",   "rmt",   "vir",       "vit-resnas", "illama",
          "activator", "vil",     "ssast",  "xlstm",     "icll",  "polycom",   "combiner",   "frozen-llm-encoder",
          "mamba-360"}) {
      if (!fs::is_directory(root / system)) continue;
      for (const auto& entry : fs::directory_iterator(root / system))
        if (fs::exists(entry.path() / "model.safetensors") && !golden_config(entry.path()).is_null() &&
            (system != std::string("cephalo") ||
             entry.path().filename() == "idefics2"))  // the others: parts of a model
          found.try_emplace(std::string(system) + "/" + entry.path().filename().string(), entry.path());
    }
  return found;
}

/// A model folder as published, made from a golden.
inline void publish(const fs::path& golden, const fs::path& folder) {
  write_file(folder / "config.json", golden_config(golden).dump(2));
  fs::copy_file(golden / "model.safetensors", folder / "model.safetensors", fs::copy_options::overwrite_existing);
}

using Named = std::vector<std::pair<std::string, Tensor>>;

inline Named tensors_of(const fs::path& file) {
  const Checkpoint checkpoint = Checkpoint::open(file);
  Named tensors;
  for (const auto& [name, info] : checkpoint.tensors()) tensors.emplace_back(name, checkpoint.tensor(name).clone());
  return tensors;
}

inline std::string bytes_of(const Tensor& tensor) {
  const Tensor packed = tensor.contiguous();
  return {static_cast<const char*>(packed.data_ptr()), packed.nbytes()};
}

/// Same names, types, shapes and bytes.
inline void expect_same_tensors(const fs::path& before, const fs::path& after) {
  const Checkpoint a = Checkpoint::open(before), b = Checkpoint::open(after);
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  for (const auto& [name, info] : a.tensors()) {
    ASSERT_TRUE(b.has(name)) << name;
    EXPECT_EQ(info.dtype_name, b.tensors().at(name).dtype_name) << name;
    EXPECT_EQ(info.shape, b.tensors().at(name).shape) << name;
    EXPECT_EQ(bytes_of(a.tensor(name)), bytes_of(b.tensor(name))) << name;
  }
}

/// For tests of a folder that is published from a golden and then changed.
class PublishedFolder : public ::testing::Test {
 protected:
  /// @return false where there is no golden of this name
  bool publish_golden(const std::string& name) {
    const auto all = golden_models();
    if (!all.contains(name)) return false;
    publish(all.at(name), folder());
    config = read_json(folder() / "config.json");
    return true;
  }
  fs::path folder() const { return scratch / "model"; }
  /// The message of the Error with which the folder does not load with another config.
  std::string with_config(const Json& changed) {
    write_file(folder() / "config.json", changed.dump());
    return error_of([&] { load_model(folder()); });
  }

  Scratch scratch;
  Json config;
};

}  // namespace tessera::testing
