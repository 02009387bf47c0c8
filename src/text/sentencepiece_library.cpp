#include "text/sentencepiece_library.h"

#include <dlfcn.h>

#include <filesystem>

#include "core/error.h"

namespace tessera::text {
namespace {

/// The folder of the library or program that this code was linked into.
std::filesystem::path own_folder() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&own_folder), &info) || !info.dli_fname) return {};
  return std::filesystem::path(info.dli_fname).parent_path();
}

#if defined(__SANITIZE_ADDRESS__)
constexpr int kScope = RTLD_LOCAL;  // the address sanitizer refuses private scopes
#else
constexpr int kScope = RTLD_LOCAL | RTLD_DEEPBIND;
#endif

const SentencePieceLibrary* open_library() {
  const std::string name = "libtessera_sentencepiece.so";
  void* module = dlopen((own_folder() / name).c_str(), RTLD_NOW | kScope);
  if (!module) module = dlopen(name.c_str(), RTLD_NOW | kScope);
  if (!module) throw Error(std::string("cannot be loaded: ") + dlerror(), name, "it must lie beside libtessera.so");
  using Open = const SentencePieceLibrary* (*)();
  const auto open = reinterpret_cast<Open>(dlsym(module, "tessera_sentencepiece_library"));
  if (!open) throw Error("has another version than libtessera", name);
  return open();
}

}  // namespace

const SentencePieceLibrary& sentencepiece_library() {
  static const SentencePieceLibrary* library = open_library();
  return *library;
}

}  // namespace tessera::text
