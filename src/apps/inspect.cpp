#include "tasks/inspect.h"

#include <cstdio>

#include "apps/prepared_parts.h"
#include "apps/verbs.h"
#include "layers/prepare.h"
#include "tasks/inputs.h"

namespace tessera::apps {
namespace {

struct InspectArguments {
  std::string model, prepared;
  int64_t text_tokens = 16;
  bool json = false, tensors = false;
};

std::string shape_of(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t extent : shape) text += (text.empty() ? "" : " x ") + std::to_string(extent);
  return text.empty() ? "scalar" : text;
}

const std::string& name_of(Precision precision) { return precision_names()[static_cast<size_t>(precision)]; }

Json to_json(const Inspection& found) {
  Json json = {{"family", found.family},
               {"folder", found.folder},
               {"parameters", found.parameters},
               {"buffers", found.buffers},
               {"parts", found.parts}};
  for (const auto& [name, type] : found.types) json["types"][name] = {{"tensors", type.tensors}, {"bytes", type.bytes}};
  json["prepared_in"] = found.prepared ? Json(name_of(*found.prepared)) : Json(nullptr);
  json["vocabulary"] = found.vocabulary ? Json(*found.vocabulary) : Json(nullptr);
  json["picture"] = found.picture ? to_json(*found.picture) : Json(nullptr);
  json["text"] = found.text ? to_json(*found.text) : Json(nullptr);
  return json;
}

void print_cost(const char* what, const std::optional<ForwardCost>& cost) {
  if (!cost) return;
  std::printf("%-12s %s: %sFLOP, %.2f ms, %sB of working memory\n", what, shape_of(cost->input).c_str(),
              (short_number(static_cast<double>(cost->flops)) + " ").c_str(), 1e3 * cost->seconds,
              (short_number(static_cast<double>(cost->peak_bytes)) + " ").c_str());
}

void print_text(const Inspection& found) {
  std::printf("%-12s %s\n%-12s %s\n", "folder", found.folder.c_str(), "family", found.family.c_str());
  std::printf("%-12s %s (%lld), and %lld numbers in buffers\n", "parameters",
              short_number(static_cast<double>(found.parameters)).c_str(), static_cast<long long>(found.parameters),
              static_cast<long long>(found.buffers));
  for (const auto& [name, count] : found.parts)
    std::printf("  %-22s %12lld\n", name.c_str(), static_cast<long long>(count));
  for (const auto& [name, type] : found.types)
    std::printf("%-12s %s: %lld tensors, %lld bytes\n", "file", name.c_str(), static_cast<long long>(type.tensors),
                static_cast<long long>(type.bytes));
  if (found.prepared) std::printf("%-12s %s\n", "prepared in", name_of(*found.prepared).c_str());
  if (found.vocabulary) std::printf("%-12s %lld entries\n", "tokenizer", static_cast<long long>(*found.vocabulary));
  print_cost("one picture", found.picture);
  print_cost("one text", found.text);
  if (found.picture || found.text)
    std::printf("FLOP counts the matrix products and convolutions that run, 2 for each multiply-add.\n");
}

Json tensor_list(const Model& model) {
  Json list = Json::array();
  const Checkpoint checkpoint = Checkpoint::open(model.folder);
  for (const auto& [name, info] : checkpoint.tensors())
    list.push_back({{"name", name}, {"dtype", info.dtype_name}, {"shape", info.shape}});
  return list;
}

int run(const InspectArguments& arguments) {
  const std::filesystem::path folder =
      arguments.model.empty() ? default_model_folder() : std::filesystem::path(arguments.model);
  std::optional<Precision> precision;
  if (!arguments.prepared.empty()) precision = precision_of(arguments.prepared, "--prepared");
  const bool lists_parts = precision || is_prepared_folder(folder);
  std::vector<PreparedPart> parts;
  const Model model = lists_parts ? load_prepared_model(folder, precision, &parts) : load_model(folder);
  const Inspection found = inspect(model, arguments.text_tokens);
  const Json tensors = arguments.tensors ? tensor_list(model) : Json::array();
  if (arguments.json) {
    Json json = to_json(found);
    if (arguments.tensors) json["tensors"] = tensors;
    if (lists_parts) json["prepared"] = apps::to_json(parts);
    std::printf("%s\n", json_line(json).c_str());
  } else {
    print_text(found);
    if (lists_parts) print_prepared(parts);
    for (const auto& item : tensors)
      std::printf("  %-5s %-24s %s\n", item["dtype"].get<std::string>().c_str(),
                  shape_of(item["shape"].get<std::vector<int64_t>>()).c_str(), item["name"].get<std::string>().c_str());
  }
  finish_output();
  return 0;
}

const VerbRegistration registration(
    "inspect", "What a model is made of and what it costs: parameters, shapes, FLOPs, memory", [](CLI::App& command) {
      auto arguments = std::make_shared<InspectArguments>();
      command.add_option("model", arguments->model, "Model folder (default: the shipped model)");
      command.add_option("--text-tokens", arguments->text_tokens, "Length of the text that is measured")
          ->capture_default_str()
          ->check(CLI::PositiveNumber);
      command.add_option("--prepared", arguments->prepared,
                         "Prepare it in this precision first, and list what was not swapped; of a folder that was "
                         "prepared that is listed in any case");
      command.add_flag("--json", arguments->json, "Print one JSON object");
      command.add_flag("--tensors", arguments->tensors, "List the tensors of the file too");
      command.footer("Example: tessera inspect models/default --tensors");
      return [arguments] { return run(*arguments); };
    });

}  // namespace
}  // namespace tessera::apps
