# Every dependency, in one place; docs/dependencies.md gives the reason and the Debian package of each.
find_package(Torch REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(Threads REQUIRED)
find_package(GIF REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenMP REQUIRED)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
# On Arm, NEON alone: vectors of SVE have no size, so nothing can hold them, and GCC 12 ends with an internal error where
# <arm_sve.h> follows a precompiled header.
target_compile_definitions(PkgConfig::HWY INTERFACE
                           "$<$<IN_LIST:${CMAKE_SYSTEM_PROCESSOR},aarch64;arm64>:HWY_DISABLED_TARGETS=(HWY_SVE|HWY_SVE2|HWY_SVE_256|HWY_SVE2_128)>")
find_package(dnnl REQUIRED)
pkg_check_modules(JPEG REQUIRED IMPORTED_TARGET libjpeg)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(WEBP REQUIRED IMPORTED_TARGET libwebp libwebpdemux)
pkg_check_modules(RSVG REQUIRED IMPORTED_TARGET librsvg-2.0 cairo)
pkg_check_modules(HARFBUZZ REQUIRED IMPORTED_TARGET harfbuzz)
pkg_check_modules(XML2 REQUIRED IMPORTED_TARGET libxml-2.0)
# Libraries alone: their headers stand where the compiler looks, and the folders of codecs that pkg-config adds concern
# nobody.
pkg_check_modules(SNDFILE REQUIRED sndfile)
pkg_check_modules(SAMPLERATE REQUIRED samplerate)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(ICU REQUIRED IMPORTED_TARGET icu-uc icu-i18n)
pkg_check_modules(SENTENCEPIECE REQUIRED IMPORTED_TARGET sentencepiece)
pkg_check_modules(ARCHIVE REQUIRED IMPORTED_TARGET libarchive)

# What every translation unit is compiled with. LibTorch's headers are included as system headers, so that warnings,
# which are errors, are about our code alone.
add_library(tessera_flags INTERFACE)
target_include_directories(tessera_flags INTERFACE $<BUILD_INTERFACE:${CMAKE_SOURCE_DIR}/src>)
target_include_directories(tessera_flags SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_compile_options(tessera_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wno-missing-field-initializers
                                               -Werror -pthread -fPIC)
# GCC 12 sees overlaps and overflows inside its own std::string where there are none (GCC bugs 105329 and 105651).
target_compile_options(tessera_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-stringop-overflow
                                               -Wno-stringop-overread -Wno-array-bounds>)
target_link_libraries(tessera_flags INTERFACE torch c10 nlohmann_json::nlohmann_json Threads::Threads)
# Without it, LibTorch's headers give some classes members that the library does not know.
target_compile_definitions(tessera_flags INTERFACE $<$<NOT:$<CONFIG:Release>>:NDEBUG>)
# Debian's own LibTorch has no CUDA; see docs/architecture.md, "Devices".
if(TARGET torch_cuda)
  set(torch_has_cuda ON)
endif()
option(TESSERA_CUDA "Use what needs CUDA's headers: graphs of decoding" ${torch_has_cuda})
if(TARGET c10_cuda)
  target_link_libraries(tessera_flags INTERFACE torch_cuda c10_cuda)
endif()
if(TESSERA_SANITIZE)
  # What is checked on the way hides from GCC that a value was given.
  target_compile_options(tessera_flags INTERFACE -fsanitize=${TESSERA_SANITIZE} -fno-omit-frame-pointer -Wno-maybe-uninitialized)
  target_link_options(tessera_flags INTERFACE -fsanitize=${TESSERA_SANITIZE})
endif()
