#pragma once
#include "processors/options.h"

namespace tessera {

/// From now on decode_for() may decode pictures fast: JPEG files no larger than the model needs them, with faster
/// arithmetic. Vectors and answers differ a little from those of the published processors. For the whole process, to be
/// said before pictures are read.
void use_fast_decoding(bool fast);

/// decode_image() for a processor of these options, on white where it is transparent: exact, unless fast decoding is
/// used. @throws Error likewise
Image decode_for(const ImageProcessorOptions& processor, Bytes bytes, const std::string& name,
                 const DecodeOptions& options = {});

}  // namespace tessera
