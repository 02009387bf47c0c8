#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "core/error.h"
#include "support/scratch.h"

namespace tessera {
namespace {

using testing::error_of;

const ChatJson kMessages = ChatJson::parse(R"([
  {"role": "system", "content": "Be brief."},
  {"role": "user", "content": [{"type": "image", "path": "a.png"}, {"type": "text", "text": " Why? "}]},
  {"role": "assistant", "content": "Because. "}])");

std::string render(const std::string& source, const ChatOptions& options = {}) {
  return ChatTemplate(source, {{"bos_token", "<s>"}}).render(kMessages, options);
}

struct Example {
  const char *source, *rendered;
};

void expect_all(const std::vector<Example>& examples) {
  for (const auto& [source, rendered] : examples) EXPECT_EQ(render(source), rendered) << source;
}

// The expectations of these tests are what Jinja 3.1 prints for the same templates.

TEST(ChatTemplate, WhiteSpaceAroundTagsGoesAsInTheReference) {
  expect_all({{"a\n  {% if true %}\n  b\n  {% endif %}\nc\n", "a\n  b\nc"},
              {"a\n  {%- if true -%}\n  b\n  {%- endif -%}\nc\n\n", "abc\n"},
              {"a\n  {%+ if true %}\n  b\n  {% endif +%}\nc", "a\n    b\n\nc"},
              {"  {# c #}\n  x {# y #}\n{#- z -#}  w", "  x w"},
              {"{{- 'a' -}}   b   {{ 'c' }}\n{{ 'd' }}\n", "ab   c\nd"},
              {"{% raw %}{{ x }}{% y %}{% endraw %} z", "{{ x }}{% y %} z"},
              {"x {{ -1 }} {{ - 1 }}{{ 1 -}} y", "x -1 -11y"},
              {"a\r\nb\r\n", "a\nb"}});
}

TEST(ChatTemplate, ValuesPrintAsInPython) {
  expect_all(
      {{"{{ [1, 'a', none, 1.5, true] }}{{ {'a': \"it's\"} }}{{ (1,) }}",
        "[1, 'a', None, 1.5, True]{'a': \"it's\"}(1,)"},
       {"{{ 1e20 }} {{ 0.1 + 0.2 }} {{ 1e-7 }} {{ 7 / 2 }} {{ 4 / 2 }}", "1e+20 0.30000000000000004 1e-07 3.5 2.0"},
       {"{{ -7 // 2 }} {{ -7 % 3 }} {{ 2 ** 3 }} {{ 2 ** -1 }}", "-4 2 8 0.5"},
       {"{{ 'a' ~ 1 ~ none }}{{ 'ab' * 2 }}{{ 3 ~ 2 * 3 }}", "a1Noneabab36"},
       {"{{ {'b': [1, 2.5, none, 'é\"\\n<&>'], 'a': {}} | tojson }}", R"({"b": [1, 2.5, null, "é\"\n<&>"], "a": {}})"},
       {"{{ {'b': [1, {}]} | tojson(indent=2) }}", "{\n  \"b\": [\n    1,\n    {}\n  ]\n}"}});
}

TEST(ChatTemplate, SlicesAndIndicesCountCharacters) {
  expect_all(
      {{"{{ 'héllo'[1] }}{{ 'héllo'[::-1] }}{{ 'héllo' | length }}", "éolléh5"},
       {"{{ [1,2,3][-1] }}{{ [1,2,3,4,5][1:-1] }}{{ [1,2,3][2:-10:-1] }}{{ [1,2,3][9:] }}", "3[2, 3, 4][3, 2, 1][]"}});
}

TEST(ChatTemplate, LoopsKnowWhereTheyAre) {
  expect_all(
      {{"{% for i in [5,6] %}{{ loop.index }}{{ loop.revindex0 }}{{ loop.last }}{{ loop.previtem }},{% endfor %}",
        "11False,20True5,"},
       {"{% for i in range(10) if i % 2 %}{% if i == 3 %}{% continue %}{% endif %}{% if i > 6 %}{% break %}{% endif "
        "%}{{ i }}@{{ loop.index }} {% endfor %}",
        "1@1 5@3 "},
       {"{% for i in [] %}x{% else %}none{% endfor %}", "none"},
       {"{% for i in [1, [2, [3]]] recursive %}{% if i is iterable %}({{ loop(i) }}){% else %}{{ i }}@{{ loop.depth "
        "}}{% endif %}{% endfor %}",
        "1@1(2@2(3@3))"}});
}

TEST(ChatTemplate, NamesLiveAsLongAsTheirBlock) {
  expect_all(
      {{"{% set x = 1 %}{% for i in range(2) %}{{ x }}{% set x = 7 %}{{ x }}{% endfor %}{{ x }}", "17171"},
       {"{% set ns = namespace(n=0) %}{% for i in range(4) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "6"},
       {"{% if true %}{% set y = 2 %}{% endif %}{{ y }}", "2"},
       {"{% set q = 5 %}{% macro f() %}{{ q }}{% endmacro %}{% set q = 6 %}{{ f() }}", "6"}});
}

TEST(ChatTemplate, MacrosAndBlocksOfText) {
  expect_all({{"{% macro m(a, b='x') %}[{{ a }}{{ b }}]{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{{ m() }}{{ m(*[1, 2]) "
               "}}{{ m(**{'a': 3}) }}",
               "[1x][12][x][12][3x]"},
              {"{% macro m() %}<{{ caller('q') }}>{% endmacro %}{% call(x) m() %}in {{ x }}{% endcall %}", "<in q>"},
              {"{% set t | upper | trim %} abc {% endset %}[{{ t }}]", "[ABC]"},
              {"{% filter upper | replace('A', 'Z') %}banana{% endfilter %}", "BZNZNZ"},
              {"{% generation %}answer{% endgeneration %}!", "answer!"}});
}

TEST(ChatTemplate, FiltersOfLists) {
  expect_all({{"{{ messages | map(attribute='role') | join(', ') }}", "system, user, assistant"},
              {"{{ (messages | selectattr('role', 'eq', 'user') | first).content | selectattr('type', 'equalto', "
               "'image') | list | length }}",
               "1"},
              {"{{ [3,1,2] | sort(reverse=true) }}{{ ['b','A'] | sort }}{{ [1,2,2] | unique | list }}{{ {'b':1,'a':2} "
               "| dictsort }}",
               "[3, 2, 1]['A', 'b'][1, 2][('a', 2), ('b', 1)]"},
              {"{{ 'a\\nb\\n\\nc' | indent(2) }}", "a\n  b\n\n  c"}});
}

TEST(ChatTemplate, WhatIsUndefinedPrintsAsNothingAndFailsWhereItIsUsed) {
  EXPECT_EQ(render("{{ x }}{{ x is defined }}{{ x | default('d') }}{{ messages[0].zz }}"), "Falsed");
  EXPECT_EQ(error_of([] { render("a\n{{ x.y }}"); }), "chat template: line 2: 'x' is undefined");
  EXPECT_EQ(error_of([] { render("{{ messages[0].zz.y }}"); }),
            "chat template: line 1: 'dict object' has no attribute 'zz'");
  EXPECT_EQ(error_of([] { render("{{ 'a' + 1 }}"); }),
            "chat template: line 1: can only concatenate str (not \"int\") to str");
}

TEST(ChatTemplate, ARaisedExceptionIsAnErrorWithItsMessage) {
  try {
    render(
        "{% for m in messages %}\n{% if m.role == 'user' %}{{ raise_exception('no ' ~ m.role) }}{% endif %}{% endfor "
        "%}");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.problem(), "no user");
    EXPECT_EQ(error.where(), "chat template: line 2");
  }
}

TEST(ChatTemplate, WhatIsNotSupportedIsNamedWithItsLine) {
  const auto expect = [](const std::string& source, const std::string& part) {
    const std::string message = error_of([&] { render(source); });
    EXPECT_NE(message.find(part), std::string::npos) << source << ": " << message;
  };
  expect("a\n\n{% include 'x' %}", "line 3: the block 'include' is not supported");
  expect("\n{{ 1 | zzz }}", "line 2: there is no filter 'zzz'");
  expect("{{ 1 is zzz }}", "there is no test 'zzz'");
  expect("{% if x %}", "'endif' is missing");
  expect("{% break %}", "outside of a loop");
  expect("{{ [1, 2 }}", "unexpected '}'");
  expect("{{ 'abc }}", "a string has no end");
}

TEST(ChatTemplate, RunawayTemplatesAreStopped) {
  for (const char* source :
       {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ 'x' * 1000000000000 }}",
        "{% set n = namespace(x='x') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
        "{{ range(1000000000) | list }}", "{{ 9223372036854775807 + 1 }}", "{{ 1 % 0 }}"})
    EXPECT_THROW(render(source), Error) << source;
  EXPECT_THROW(render("{{ " + std::string(5000, '(') + " }}"), Error);
}

TEST(ChatTemplate, TheOptionsReachTheTemplate) {
  ChatOptions options;
  options.tools = ChatJson::parse(R"([{"z": 1, "a": 2}])");
  options.variables = {{"enable_thinking", false}};
  options.add_generation_prompt = true;
  EXPECT_EQ(render("{{ bos_token }}{{ tools | tojson }}{{ enable_thinking }}{{ documents }}{{ add_generation_prompt }}",
                   options),
            "<s>[{\"z\": 1, \"a\": 2}]FalseNoneTrue");
  options.now = 0;
  EXPECT_EQ(render("{{ strftime_now('%Y') }}", options).substr(0, 2), "19");
}

TEST(ChatTemplate, AFinalMessageIsLeftOpenToBeContinued) {
  const std::string source = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}",
                    trimming = "{% for m in messages %}<{{ m.role }}>{{ m.content | trim }}<end>{% endfor %}";
  const ChatOptions options{.continue_final_message = true};
  const std::string kept = render(source, options), trimmed = render(trimming, options);
  EXPECT_TRUE(kept.ends_with("<assistant>Because. ")) << kept;
  EXPECT_TRUE(trimmed.ends_with("<assistant>Because.")) << trimmed;
  EXPECT_THROW(render("nothing", options), Error);
  EXPECT_THROW(render(source, {.add_generation_prompt = true, .continue_final_message = true}), Error);
}

TEST(ChatTemplate, PicturesOfAConversationStandInTheirOrder) {
  EXPECT_EQ(chat_pictures(kMessages), std::vector<std::string>{"a.png"});
  const ChatJson more =
      ChatJson::parse(R"([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}},
                                            {"type": "image"}, {"type": "text", "text": "x"}]}])");
  EXPECT_EQ(chat_pictures(more), (std::vector<std::string>{"u", ""}));
  EXPECT_THROW(chat_pictures(ChatJson::parse(R"([{"content": [{"text": "x"}]}])")), Error);
}

void write(const std::filesystem::path& file, const std::string& text) { std::ofstream(file) << text; }

TEST(ChatTemplate, EveryPublishedFileIsRead) {
  const testing::Scratch scratch;
  EXPECT_EQ(ChatTemplate::load(scratch.path()), nullptr);
  const auto rendered = [&](const std::string& which = "") {
    return ChatTemplate::load(scratch.path(), which)->render(kMessages);
  };
  write(scratch / "tokenizer_config.json",
        R"({"bos_token": {"content": "<b>"}, "extra_special_tokens": {"image_token": "<i>"},
        "chat_template": [{"name": "default", "template": "list {{ bos_token }}{{ image_token }}"}, {"name": "tool_use", "template": "tools"}]})");
  EXPECT_EQ(rendered(), "list <b><i>");
  EXPECT_EQ(rendered("tool_use"), "tools");
  EXPECT_THROW(rendered("zzz"), Error);
  write(scratch / "processor_config.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(rendered(), "processor");
  write(scratch / "chat_template.json", R"({"chat_template": "json"})");
  EXPECT_EQ(rendered(), "json");
  write(scratch / "chat_template.jinja", "{{ bos_token }}\n");
  EXPECT_EQ(rendered(), "<b>");
}

TEST(ChatTemplate, MutatedTemplatesRenderOrAreErrors) {
  const std::string original =
      "{%- set ns = namespace(n=0) -%}{% macro p(x, y='z') %}{{ x | trim ~ y }}{% endmacro %}{% for m in messages if "
      "m.role "
      "is defined %}{{ p(m['role'][1:-1], loop.index0 % 2) }}{% if m.content is string and not loop.last %}{{ "
      "m.content.split"
      "(' ')[0] | tojson }}{% else %}{{ m.content | length + 1.5 }}{% endif %}{% set ns.n = ns.n + 1 %}{% endfor %}{# "
      "c #}";
  std::mt19937 random(11);
  for (int i = 0; i < 4000; ++i) {
    std::string source = original;
    for (unsigned k = 0; k <= random() % 4; ++k) {
      const size_t at = random() % source.size();
      if (random() % 3 == 0)
        source.erase(at, random() % 8);
      else
        source[at] =
            random() % 8 == 0 ? static_cast<char>(random() % 256) : "{}%#'()[]|.,-+~*0129 \nxmnif"[random() % 26];
      if (source.empty()) source = "{";
    }
    try {
      render(source);
    } catch (const Error&) {
    }
  }
  EXPECT_EQ(render(original), "yste0\"Be\"se13.5ssistan010.5");
}

}  // namespace
}  // namespace tessera
