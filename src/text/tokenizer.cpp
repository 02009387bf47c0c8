#include "text/tokenizer.h"

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "text/encodings.h"
#include "text/tokenizer_parts.h"

namespace tessera {
namespace {

using text::AlignedText;

void push_token(const text::Token& token, const AlignedText& word, int64_t type_id, Encoding& encoding) {
  const AlignedText::Source from = word.range(token.begin, token.end);
  encoding.ids.push_back(token.id);
  encoding.type_ids.push_back(type_id);
  encoding.attention_mask.push_back(1);
  encoding.tokens.push_back(token.text);
  encoding.offsets.push_back({from.begin, from.end});
  encoding.special.push_back(false);
}

Encoding encode_one(const TokenizerParts& parts, std::string_view text, int64_t type_id) {
  Encoding encoding;
  std::vector<text::Token> tokens;
  for (auto& segment : parts.added.split(AlignedText::from(text), parts.normalizer.get())) {
    if (segment.id) {
      const size_t size = segment.text.text.size();
      push_token({*segment.id, segment.text.text, 0, size}, segment.text, type_id, encoding);
      continue;
    }
    std::vector<AlignedText> words;
    words.push_back(std::move(segment.text));
    if (parts.pre_tokenizer) parts.pre_tokenizer->split(words);
    for (const AlignedText& word : words) {
      if (word.empty()) continue;
      tokens.clear();
      parts.model->tokenize(word.text, tokens);
      for (const text::Token& token : tokens) push_token(token, word, type_id, encoding);
    }
  }
  return encoding;
}

Padding default_padding(const SpecialIds& special, const Tokenizer& tokenizer) {
  Padding padding;
  padding.id = special.pad ? *special.pad : special.eos.value_or(0);
  padding.token = tokenizer.id_to_token(padding.id).value_or("");
  return padding;
}

TokenBatch join_rows(std::vector<Encoding> encodings, const Padding& padding) {
  const int64_t length = text::padded_length(encodings, padding);
  TokenBatch batch{static_cast<int64_t>(encodings.size()), length, {}, {}, {}, {}};
  for (Encoding& encoding : encodings) {
    if (static_cast<int64_t>(encoding.size()) > length) {
      throw Error(
          "a text has " + std::to_string(encoding.size()) + " tokens, the rows of the batch " + std::to_string(length),
          "tokenizer", "truncate to the length of the padding");
    }
    text::pad(encoding, padding, length);
    batch.ids.insert(batch.ids.end(), encoding.ids.begin(), encoding.ids.end());
    batch.type_ids.insert(batch.type_ids.end(), encoding.type_ids.begin(), encoding.type_ids.end());
    batch.attention_mask.insert(batch.attention_mask.end(), encoding.attention_mask.begin(),
                                encoding.attention_mask.end());
  }
  batch.encodings = std::move(encodings);
  return batch;
}

}  // namespace

std::optional<int64_t> TokenizerParts::find(std::string_view token) const {
  const auto added_id = added.find(token);
  return added_id ? added_id : model->token_to_id(token);
}

std::optional<std::string> TokenizerParts::token(int64_t id) const {
  auto added_token = added.token(id);
  return added_token ? added_token : model->id_to_token(id);
}

Encoding Tokenizer::encode(std::string_view text, bool add_special) const {
  return encode(text, std::nullopt, {add_special, std::nullopt, std::nullopt});
}

Encoding Tokenizer::encode_pair(std::string_view text, std::string_view pair, bool add_special) const {
  return encode(text, pair, {add_special, std::nullopt, std::nullopt});
}

Encoding Tokenizer::encode(std::string_view text, const std::optional<std::string_view>& pair,
                           const BatchOptions& options) const {
  std::vector<Encoding> sequences = {encode_one(*parts_, text, 0)};
  if (pair) sequences.push_back(encode_one(*parts_, *pair, 1));
  const text::PostProcessor* post = parts_->post_processor.get();
  if (options.truncation) {
    text::truncate(sequences, *options.truncation, post && options.add_special ? post->added(pair.has_value()) : 0);
  }
  if (post) post->process(sequences, options.add_special);
  Encoding whole = sequences.empty() ? Encoding() : std::move(sequences[0]);
  for (size_t i = 1; i < sequences.size(); ++i) text::append(whole, sequences[i]);
  if (options.padding) text::pad(whole, *options.padding, text::padded_length({whole}, *options.padding));
  return whole;
}

TokenBatch Tokenizer::encode_batch(const std::vector<std::string>& texts, const BatchOptions& options) const {
  BatchOptions row = options;
  row.padding.reset();
  std::vector<Encoding> encodings;
  for (const std::string& text : texts) encodings.push_back(encode(text, std::nullopt, row));
  return join_rows(std::move(encodings), options.padding.value_or(default_padding(special_ids(), *this)));
}

TokenBatch Tokenizer::encode_pairs(const std::vector<std::pair<std::string, std::string>>& pairs,
                                   const BatchOptions& options) const {
  BatchOptions row = options;
  row.padding.reset();
  std::vector<Encoding> encodings;
  for (const auto& [first, second] : pairs) encodings.push_back(encode(first, second, row));
  return join_rows(std::move(encodings), options.padding.value_or(default_padding(special_ids(), *this)));
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int64_t id : ids) {
    if (id < 0)
      throw Error("negative token id " + std::to_string(id), "decode", "replace placeholders before decoding");
    auto token = parts_->token(id);
    if (token && !(skip_special && parts_->added.is_special(*token))) tokens.push_back(std::move(*token));
  }
  const bool spaced = !parts_->decoder;  // without a decoder, tokens are words
  if (parts_->decoder) tokens = parts_->decoder->decode(std::move(tokens));
  std::string text;
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (spaced && i > 0) text += ' ';
    text += tokens[i];
  }
  return text;
}

std::string Tokenizer::bytes_of(int64_t id) const {
  const auto token = parts_->token(id);
  if (!token || parts_->added.is_special(*token)) return "";
  if (parts_->added.token(id)) return *token;  // text as it is
  return parts_->decoder ? parts_->decoder->bytes(*token) : " " + *token;
}

std::optional<int64_t> Tokenizer::token_to_id(std::string_view token) const { return parts_->find(token); }
std::optional<std::string> Tokenizer::id_to_token(int64_t id) const { return parts_->token(id); }
int64_t Tokenizer::vocab_size() const { return std::max(parts_->model->vocab_size(), parts_->added.size()); }
const SpecialIds& Tokenizer::special_ids() const { return parts_->special; }
BatchOptions Tokenizer::file_options() const { return parts_->file_options; }

void Tokenizer::save(const std::filesystem::path& folder) const {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  for (const auto& [name, bytes] : parts_->files) {
    const std::filesystem::path target = folder / name, temporary = folder / (name + ".part");
    std::ofstream file(temporary, std::ios::binary);
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    file.close();
    if (file) std::filesystem::rename(temporary, target, failure);
    if (!file || failure) throw Error("cannot write the file", target.string(), "check the folder and the free space");
  }
}

std::vector<TextSpan> to_characters(std::string_view text, const std::vector<TextSpan>& offsets) {
  std::vector<int64_t> character(text.size() + 1);  // which character a byte belongs to
  int64_t count = 0;
  for (size_t i = 0; i < text.size(); ++count) {
    const size_t length = text::utf8_step(text, i).length;
    std::fill_n(character.begin() + static_cast<std::ptrdiff_t>(i), length, count);
    i += length;
  }
  character[text.size()] = count;
  const auto at = [&](int64_t byte) {
    return character[static_cast<size_t>(std::clamp<int64_t>(byte, 0, static_cast<int64_t>(text.size())))];
  };
  std::vector<TextSpan> out;
  for (const TextSpan& span : offsets) out.push_back({at(span.begin), at(span.end)});
  return out;
}

}  // namespace tessera
