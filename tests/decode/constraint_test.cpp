#include "decode/constraint.h"

#include <gmock/gmock.h>

#include <regex>

#include "core/error.h"
#include "core/random.h"
#include "decode/json_schema.h"
#include "decode/json_text.h"
#include "decode/regular_expression.h"

namespace tessera {
namespace {

using Schema = nlohmann::ordered_json;

bool matches(const Grammar& grammar, const std::string& text) {
  Matcher matcher(grammar, "test");
  const Matcher::State end = matcher.step(matcher.start(), text);
  return end != Matcher::kNone && matcher.complete(end);
}
bool matches(const std::string& expression, const std::string& text) {
  return matches(expression_grammar(expression), text);
}
bool allows(const char* schema, const std::string& text) {
  return matches(schema_grammar(Schema::parse(schema)), text);
}

/// Tokens as tokenizers have them: single bytes, and some that cross the borders of words and characters.
std::shared_ptr<const TokenBytes> some_tokens() {
  std::vector<std::string> bytes = {"",     "\":",    "{\"", "\", \"", "true", "12",
                                    "\xC3", "\xA9\"", "[[",  "ab",     "abc",  "}}"};
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  return std::make_shared<TokenBytes>(bytes);
}

/// A text of random tokens that the constraint allows; it ends where that is allowed, with this probability.
std::string random_text(Constraint& constraint, const TokenBytes& tokens, Random& random, double end = 0.3) {
  std::string text;
  Constraint::State state = constraint.start();
  for (int i = 0; i < 400; ++i) {
    if (constraint.may_end(state) && (constraint.must_end(state) || random.chance(end))) return text;
    std::vector<int64_t> ids;
    const auto& allowed = constraint.allowed(state);
    for (size_t id = 0; id < allowed.size(); ++id)
      if (allowed[id]) ids.push_back(static_cast<int64_t>(id));
    const int64_t id = ids.at(random.below(ids.size()));
    text += tokens.of(id);
    state = constraint.next(state, id);
  }
  return "";  // too long to judge
}

TEST(RegularExpression, MatchesWhatTheStandardLibraryMatches) {
  const std::vector<std::string> expressions = {
      "abc",          "a|bc|",      "(a|b)*c",        "a{2,3}b?", "[a-c]+[^a-c]", "\\d{2}-\\d+",      "x(ab|a)(c|bcd)",
      "^a.c$",        "(?:ab){2,}", "[\\w.]+@[a-z]+", "a{0,2}a",  "[]a]b|[^]a]c", "\\(\\[\\{\\*\\\\", "a+?b*?",
      "((a|b)c){1,2}"};
  Random random(1);
  for (const std::string& expression : expressions) {
    const Grammar grammar = expression_grammar(expression);
    const std::string standard =
        expression.find("[]a]") == std::string::npos ? expression : "[a\\]]b|[^a\\]]c";  // ECMAScript spells it so
    const std::regex reference(standard);
    for (int i = 0; i < 300; ++i) {
      std::string text;
      for (uint64_t length = random.below(7); length > 0; --length) text += "abcdx-1@(["[random.below(10)];
      EXPECT_EQ(matches(grammar, text), std::regex_match(text, reference)) << expression << " on " << text;
    }
  }
}

TEST(RegularExpression, WorksOnCharactersAndNotOnBytes) {
  EXPECT_TRUE(matches("..", "\u00e9\U0001F600"));
  EXPECT_FALSE(matches("..", "\u00e9"));
  EXPECT_TRUE(matches("[\u03b1-\u03c9]+", "\u03b2\u03b3"));
  EXPECT_FALSE(matches("[\u03b1-\u03c9]+", "b"));
  EXPECT_TRUE(matches("[^a]", "\u4e16"));
  EXPECT_TRUE(matches("\\u{1F600}\\u00e9\\x41", "\U0001F600\u00e9A"));
  EXPECT_FALSE(matches(".", "\n"));
  for (const char* no_character : {"\xED\xA0\x80", "\xC0\x80", "\xF4\x90\x80\x80", "\xFF"})
    EXPECT_FALSE(matches("[^a]", no_character)) << "surrogates, long forms and stray bytes are no characters";
}

TEST(RegularExpression, EveryCharacterIsInOneOfAClassAndItsComplement) {
  const Grammar in = expression_grammar("[\\w\u0400-\uD7F0\uFFF0-\U00010010]"),
                out = expression_grammar("[^\\w\u0400-\uD7F0\uFFF0-\U00010010]");
  Matcher one(in, "test"), other(out, "test");
  for (uint32_t c = 0; c <= 0x10FFFF;
       c += c < 0x500 || (c > 0xD700 && c < 0xE100) || (c > 0xFF00 && c < 0x10100) ? 1 : 61) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    if (c < 0x80)
      text = {static_cast<char>(c)};
    else if (c < 0x800)
      text = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    else if (c < 0x10000)
      text = {static_cast<char>(0xE0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 63)),
              static_cast<char>(0x80 | (c & 63))};
    else
      text = {static_cast<char>(0xF0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 63)),
              static_cast<char>(0x80 | (c >> 6 & 63)), static_cast<char>(0x80 | (c & 63))};
    EXPECT_NE(one.step(one.start(), text) == Matcher::kNone, other.step(other.start(), text) == Matcher::kNone) << c;
  }
}

TEST(RegularExpression, RefusesWhatItDoesNotKnow) {
  for (const char* wrong : {"(",      ")",      "a)",       "[a",      "[z-a]",       "a**",     "*a",   "a{3,2}", "a{",
                            "(a)\\1", "(?=a)b", "(?<!a)b",  "\\bword", "\\p{L}",      "a^b",     "a$b",  "(?i)a",  "\\",
                            "\\q",    "\\xZZ",  "a{99999}", "^a|b",    "[[:alpha:]]", "\\uD800", "\xFF", "a++"})
    EXPECT_THROW(expression_grammar(wrong), Error) << wrong;
}

TEST(IntegerRange, HoldsTheNumbersBetweenItsBoundsAndNoOther) {
  for (const auto& [low, high] : std::vector<std::pair<int64_t, int64_t>>{{0, 0},
                                                                          {0, 9},
                                                                          {1, 10},
                                                                          {7, 123},
                                                                          {99, 1001},
                                                                          {-5, 5},
                                                                          {-120, -3},
                                                                          {0, 255},
                                                                          {100, 999},
                                                                          {-1, 0},
                                                                          {10, 10}}) {
    Matcher matcher(expression_grammar(integer_range(low, high)), "test");
    for (int64_t value = -1300; value <= 1300; ++value) {
      const auto state = matcher.step(matcher.start(), std::to_string(value));
      EXPECT_EQ(state != Matcher::kNone && matcher.complete(state), low <= value && value <= high)
          << value << " in " << low << " to " << high;
    }
  }
}

TEST(JsonSchema, AllowsWhatItSays) {
  EXPECT_TRUE(allows(R"({"type": "integer", "minimum": -3, "exclusiveMaximum": 12})", "11"));
  EXPECT_FALSE(allows(R"({"type": "integer", "minimum": -3, "exclusiveMaximum": 12})", "12"));
  EXPECT_TRUE(allows(R"({"type": "number"})", "-1.5e-7"));
  EXPECT_FALSE(allows(R"({"type": "number"})", "01"));
  EXPECT_TRUE(allows(R"({"type": ["null", "boolean"]})", "null"));
  EXPECT_TRUE(allows(R"({"enum": ["a\"b", 3, null]})", R"("a\"b")"));
  EXPECT_FALSE(allows(R"({"enum": ["a", 3], "type": "string"})", "3"));
  EXPECT_TRUE(allows(R"({"type": "string", "minLength": 2, "maxLength": 3})", "\"\u00e9\u4e16\""));
  EXPECT_TRUE(allows(R"({"type": "string", "minLength": 2, "maxLength": 3})", R"("\n\u00e9")"))
      << "escapes are one character";
  EXPECT_FALSE(allows(R"({"type": "string", "minLength": 2, "maxLength": 3})", "\"abcd\""));
  EXPECT_TRUE(allows(R"({"type": "string", "pattern": "^a\"+$"})", R"("a\"\"")"));
  EXPECT_TRUE(allows(R"({"type": "string", "pattern": "b"})", R"("abc")")) << "a pattern need not begin the text";
  EXPECT_TRUE(allows(R"({"type": "string", "format": "date"})", R"("2024-01-31")"));
  EXPECT_FALSE(allows(R"({"type": "string", "format": "date"})", R"("2024-02-31")"));
  EXPECT_TRUE(allows(R"({"type": "array", "prefixItems": [{"type": "null"}], "items": {"type": "boolean"}})",
                     "[null, true,false]"));
  EXPECT_TRUE(allows(R"({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2})", "[true]"));
  for (const char* wrong : {"[]", "[true,true,true]", "[true,]"})
    EXPECT_FALSE(allows(R"({"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 2})", wrong))
        << wrong;
  EXPECT_TRUE(allows("true", R"({"a": [1, {"b": "\\"}], "c": null})"));
}

TEST(JsonSchema, ObjectsHaveTheirPropertiesInOrder) {
  const char* schema = R"({"type": "object", "required": ["b"], "additionalProperties": false,
      "properties": {"a": {"type": "null"}, "b": {"type": "null"}, "c": {"type": "null"}}})";
  for (const char* good :
       {R"({"b":null})", R"({"a": null, "b": null})", R"({"b":null,"c":null})", R"({"a":null,"b":null,"c":null})"})
    EXPECT_TRUE(allows(schema, good)) << good;
  for (const char* bad :
       {"{}", R"({"a":null})", R"({"b":null,"a":null})", R"({"b":null,})", R"({,"b":null})", R"({"b":null,"d":null})"})
    EXPECT_FALSE(allows(schema, bad)) << bad;
}

TEST(JsonSchema, OtherPropertiesDoNotTakeTheNamesOfTheDescribed) {
  const char* schema = R"({"type": "object", "additionalProperties": {"type": "boolean"},
      "properties": {"ab": {"type": "null"}, "\u00e9": {"type": "null"}}})";
  for (const char* good :
       {R"({"abc":true})", R"({"a":true})", R"({"ab":null,"":true,"x":false})", "{\"\u00ea\":true}", "{}"})
    EXPECT_TRUE(allows(schema, good)) << good;
  for (const char* bad : {R"({"ab":true})", "{\"\u00e9\":true}", R"({"x":null})", R"({"\u0061b":true})"})
    EXPECT_FALSE(allows(schema, bad)) << bad;
}

const char* const kTree = R"({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "required": ["value"],
    "additionalProperties": false, "properties": {"value": {"type": "integer", "minimum": 0, "maximum": 20},
    "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}}})";

TEST(JsonSchema, FollowsReferencesToThemselves) {
  EXPECT_TRUE(allows(kTree, R"({"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}, {"value": 4}]})"));
  EXPECT_FALSE(allows(kTree, R"({"value": 1, "children": [{"value": 2, "children": [{"value": 30}]}]})"));
  EXPECT_FALSE(allows(kTree, R"({"value": 1, "children": [{"value": 2}})"));
}

TEST(JsonSchema, RefusesWhatCannotBeMetOrIsNotKnown) {
  for (const char* wrong : {"false",
                            R"({"type": "integer", "minimum": 3, "maximum": 2})",
                            R"({"enum": []})",
                            R"({"type": "array", "minItems": 3, "maxItems": 2})",
                            R"({"type": "string", "minLength": 3, "maxLength": 2})",
                            R"({"$ref": "#"})",
                            R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})",
                            R"({"$ref": "#/$defs/none"})",
                            R"({"$ref": "other.json"})",
                            R"({"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}})",
                            R"({"type": "number", "minimum": 2})",
                            R"({"type": "integer", "multipleOf": 2})",
                            R"({"not": {}})",
                            R"({"type": "array", "uniqueItems": true})",
                            R"({"type": "colour"})",
                            R"({"type": "string", "format": "email"})",
                            R"({"type": "object", "required": ["a"], "additionalProperties": false})",
                            R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})",
                            R"({"const": 3, "minimum": 4})",
                            "3"})
    EXPECT_THROW(Matcher(schema_grammar(Schema::parse(wrong)), "schema"), Error) << wrong;
}

TEST(JsonSchema, OneOfIsForPartsThatExcludeEachOther) {
  const char* schema = R"({"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}, {"type": "null"}], "$defs": {
      "cat": {"type": "object", "required": ["kind"], "properties": {"kind": {"const": "cat"}}},
      "dog": {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["dog", "hound"]}}}}})";
  EXPECT_TRUE(allows(schema, R"({"kind": "hound"})"));
  EXPECT_FALSE(allows(schema, R"({"kind": "cow"})"));
}

TEST(Constraint, EveryTextThatItLetsPassIsOfItsGrammar) {
  const auto tokens = some_tokens();
  Random random(3);
  for (const char* expression : {"(ab|abc)+d?", "[\u00e9\u00e8]{3}\"?", "(true|12)*", "[a-z]{2,5}( [a-z]{2,5}){0,3}"}) {
    const auto constraint = grammar_constraint(expression_grammar(expression), tokens, "regex");
    for (int i = 0; i < 40; ++i)
      EXPECT_TRUE(matches(expression, random_text(*constraint, *tokens, random))) << expression;
  }
  for (const char* schema : {kTree, R"({"type": "object", "properties": {"\u00e9": {"type": "string", "maxLength": 3},
         "list": {"type": "array", "items": {"type": "number"}}}, "additionalProperties": {"type": "boolean"}})"}) {
    const Grammar grammar = schema_grammar(Schema::parse(schema));
    const auto constraint = grammar_constraint(grammar, tokens, "schema");
    int judged = 0;
    for (int i = 0; i < 40; ++i) {
      const std::string text = random_text(*constraint, *tokens, random, 1);
      if (text.empty()) continue;
      ++judged;
      EXPECT_TRUE(matches(grammar, text)) << text;
      EXPECT_TRUE(Schema::accept(text)) << text;
    }
    EXPECT_GT(judged, 5);
  }
}

TEST(Constraint, AllowsExactlyTheTokensThatLeadOn) {
  const auto tokens = some_tokens();
  Random random(5);
  const Grammar grammar = schema_grammar(Schema::parse(kTree));
  const auto constraint = grammar_constraint(grammar, tokens, "schema");
  Matcher matcher(grammar, "schema");
  std::string text;
  Constraint::State state = constraint->start();
  for (int step = 0; step < 60 && !constraint->must_end(state); ++step) {
    const std::vector<bool> allowed = constraint->allowed(state);
    std::vector<int64_t> ids;
    for (int64_t id = 0; id < tokens->size(); ++id) {
      const bool leads_on =
          !tokens->of(id).empty() && matcher.step(matcher.start(), text + tokens->of(id)) != Matcher::kNone;
      ASSERT_EQ(allowed[static_cast<size_t>(id)], leads_on) << text << " + " << tokens->of(id);
      if (leads_on) ids.push_back(id);
    }
    const int64_t id = ids.at(random.below(ids.size()));
    text += tokens->of(id), state = constraint->next(state, id);
  }
}

TEST(Constraint, AVocabularyThatCannotGoOnIsAnError) {
  const auto tokens = std::make_shared<TokenBytes>(std::vector<std::string>{"a", "b"});
  const auto constraint = grammar_constraint(expression_grammar("ac"), tokens, "regex");
  EXPECT_THROW(constraint->must_end(constraint->next(constraint->start(), 0)), Error);
}

}  // namespace
}  // namespace tessera
