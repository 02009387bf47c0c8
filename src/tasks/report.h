#pragma once
#include <string>
#include <vector>

#include "io/image.h"
#include "tasks/classify.h"

namespace tessera {

/// What was answered about one picture.
struct PictureAnswers {
  std::string name;
  std::string uri;  ///< the picture itself, see data_uri()
  struct Language {
    std::string code;                 ///< "de"
    std::vector<LabelScore> answers;  ///< best first
  };
  std::vector<Language> languages;
  struct Said {
    std::string question, text;  ///< as asked and answered
  };
  std::vector<Said> said;
};

/// What a text search found.
struct SearchAnswers {
  std::string language, query;
  std::vector<std::pair<size_t, float>> found;  ///< index into the pictures, cosine; best first
};

/// A page that needs nothing else: every picture with its answers as bars, and the searches. It follows the light or
/// dark scheme of its reader, and everything that is not ours is escaped.
std::string answers_page(const std::string& title, const std::string& model,
                         const std::vector<PictureAnswers>& pictures, const std::vector<SearchAnswers>& searches);

/// The bytes of a picture as `data:image/...;base64,...`. @throws Error when they are no picture
std::string data_uri(Bytes bytes, const std::string& name);

/// Text for between tags and inside of quoted attributes.
std::string escape_html(const std::string& text);

}  // namespace tessera
