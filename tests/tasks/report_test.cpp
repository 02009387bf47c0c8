#include "tasks/report.h"

#include <gmock/gmock.h>

#include "support/scratch.h"
#include "tasks/tiny_models.h"

namespace tessera {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;

std::string uri_of(const std::string& bytes, const std::string& name = "picture") {
  return data_uri(Bytes(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), name);
}

TEST(DataUri, SaysTheTypeThatTheContentHas) {
  EXPECT_THAT(uri_of(testing::png_of({1, 2, 3})), ::testing::StartsWith("data:image/png;base64,iVBORw0KGgo"));
  EXPECT_THAT(uri_of("<svg xmlns='http://www.w3.org/2000/svg'/>"),
              ::testing::StartsWith("data:image/svg+xml;base64,PHN2Zy"));
  EXPECT_THAT(error_of([] { uri_of("no picture", "notes.txt"); }), HasSubstr("notes.txt: is no picture"));
}

TEST(DataUri, EncodesEveryLength) {
  const std::string head = "data:image/gif;base64,R0lGODlh";  // RFC 4648 of "GIF89a"
  EXPECT_EQ(uri_of("GIF89a"), head);
  EXPECT_EQ(uri_of("GIF89af"), head + "Zg==");
  EXPECT_EQ(uri_of("GIF89afo"), head + "Zm8=");
  EXPECT_EQ(uri_of("GIF89afoo"), head + "Zm9v");
  EXPECT_EQ(uri_of(std::string("GIF89a\xff\xfe\xfd\0\0\0", 12)), head + "//79AAAA");
}

TEST(EscapeHtml, LeavesNothingThatEndsATextOrAnAttribute) {
  EXPECT_EQ(escape_html("<b a=\"1\" c='2'>&amp;"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;");
  EXPECT_EQ(escape_html("Käse 🧀"), "Käse 🧀");
}

TEST(AnswersPage, EscapesAllThatIsForeign) {
  const auto hostile = [](const std::string& place) { return "\"'><script>" + place + "</script>&"; };
  const PictureAnswers picture{hostile("name"), hostile("uri"), {{hostile("code"), {{hostile("label"), 0.5F}}}}};
  const SearchAnswers search{hostile("language"), hostile("query"), {{0, 0.5F}}};
  const std::string page = answers_page(hostile("title"), hostile("model"), {picture}, {search});
  for (const char* place : {"name", "uri", "code", "label", "language", "query", "title", "model"})
    EXPECT_THAT(page, HasSubstr(escape_html(hostile(place)))) << place;
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
  EXPECT_THAT(page, Not(HasSubstr("\"'>")));
}

TEST(AnswersPage, ShowsEveryAnswerAndWhatWasFound) {
  const std::vector<PictureAnswers> pictures = {
      {"cat.png", "data:image/png;base64,AAAA", {{"en", {{"cat", 0.875F}, {"dog", 0.125F}}}, {"de", {{"Katze", 1}}}}},
      {"car.png", "data:image/png;base64,BBBB", {}}};
  const std::string page = answers_page("Title", "model", pictures, {{"de", "ein Auto", {{1, 0.25F}}}});
  EXPECT_THAT(page, HasSubstr("<bdi>cat</bdi><span class=\"track\"><i style=\"width:87.5%\"></i></span>"));
  EXPECT_THAT(page, HasSubstr("<section lang=\"de\"><h3>de</h3>\n<div class=\"answer\"><bdi>Katze</bdi>"));
  EXPECT_THAT(page, HasSubstr("<b lang=\"de\">ein Auto</b>\n<img src=\"data:image/png;base64,BBBB\" alt=\"car.png\" "
                              "title=\"car.png, 0.25\">"));
  EXPECT_THAT(answers_page("Title", "model", pictures, {}), Not(HasSubstr("Found by text")));
}

TEST(AnswersPage, NeedsNothingElse) {
  const std::string page = answers_page("Title", "model", {{"cat.png", "data:image/png;base64,AAAA", {}}}, {});
  EXPECT_THAT(page, Not(HasSubstr("http")));
  EXPECT_THAT(page, Not(HasSubstr("url(")));
  EXPECT_THAT(page, Not(HasSubstr("<link")));
}

}  // namespace
}  // namespace tessera
