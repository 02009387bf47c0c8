#include "parity/golden.h"
#include "processors/image_processor.h"

namespace tessera::parity {
namespace {

System image_processing(const Golden& golden) {
  const auto processor =
      std::make_shared<ImageProcessor>(ImageProcessor::load((golden.folder / "preprocessor_config.json").string()));
  System system;
  system.call = [processor, folder = golden.folder](const Case& item, const Inputs&) -> Outputs {
    const ImageBatch batch = (*processor)(read_image((folder / item.file).string()));
    Outputs out{{"pixel_values", batch.pixel_values}, {"image_sizes", batch.image_sizes}};
    if (batch.pixel_mask.defined()) out["pixel_mask"] = batch.pixel_mask;
    return out;
  };
  return system;
}

const AdapterRegistration registration("image-processing", image_processing);

}  // namespace
}  // namespace tessera::parity
