#include "tokenizer.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <fstream>
#include <iterator>
#include <unordered_map>

namespace {

using nlohmann::json;

[[noreturn]] void refuse(const std::string& what) { throw failure("tokenizer.json: " + what); }

// The kinds of tokens that GGUF knows.
enum token_kind : std::int32_t { normal = 1, unknown, control, user_defined, unused, byte };

json at(const json& object, const char* key) { return object.is_object() ? object.value(key, json()) : json(); }
std::string text_at(const json& object, const char* key) {
  const json value = at(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}
bool flag_at(const json& object, const char* key) {
  const json value = at(object, key);
  return value.is_boolean() && value.get<bool>();
}

// A pre-tokenizer or post-processor as the list of its steps.
std::vector<json> steps(const json& part, const char* list) {
  if (part.is_null()) return {};
  if (text_at(part, "type") != "Sequence") return {part};
  const json inner = at(part, list);
  return inner.is_array() ? std::vector<json>(inner.begin(), inner.end()) : std::vector<json>{};
}

struct known_expression {
  const char* pre;
  bool whole_tokens;  // a text that is a token is never taken apart ("ignore_merges")
  const char* expression;
};
constexpr known_expression expressions[] = {
    {"llama-bpe", true,
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"qwen2", false,
     R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"gpt-4o", false,
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"},
    {"tekken", true,
     R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}};

// llama.cpp's name for how this tokenizer cuts a text.
std::string pre_of(const json& root) {
  const auto parts = steps(at(root, "pre_tokenizer"), "pretokenizers");
  const bool whole_tokens = flag_at(at(root, "model"), "ignore_merges");
  const auto is = [&](std::size_t i, const char* type) {
    return i < parts.size() && text_at(parts[i], "type") == type;
  };
  if (parts.size() == 1 && is(0, "ByteLevel") && at(parts[0], "use_regex") != json(false) && !whole_tokens)
    return "gpt-2";
  if (parts.size() == 2 && is(0, "Digits") && flag_at(parts[0], "individual_digits") && is(1, "ByteLevel") &&
      at(parts[1], "use_regex") != json(false) && !whole_tokens)
    return "smollm";
  if (parts.size() == 2 && is(0, "Split") && is(1, "ByteLevel") && at(parts[1], "use_regex") == json(false)) {
    const std::string expression = text_at(at(parts[0], "pattern"), "Regex");
    for (const auto& e : expressions)
      if (expression == e.expression && whole_tokens == e.whole_tokens) return e.pre;
  }
  refuse("the way in which it cuts a text is not known; --pre NAME says what llama.cpp calls it");
}

// The text of a special token in tokenizer_config.json: a string or an object with one.
std::string special_text(const json& config, const char* key) {
  const json value = at(config, key);
  return value.is_string() ? value.get<std::string>() : text_at(value, "content");
}

std::string file_text(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// llama.cpp splits a merge at its space, so that those inside its halves are written as byte-level BPE has them.
std::string merge_half(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == ' ' ? std::string("\xc4\xa0") : std::string(1, c);
  return out;
}

struct vocabulary {
  std::vector<std::string> tokens;
  std::vector<std::int32_t> kinds;
  std::unordered_map<std::string, std::uint32_t> ids;
};

vocabulary read_vocabulary(const json& root, std::size_t size) {
  vocabulary v;
  v.tokens.resize(size);
  v.kinds.assign(size, unused);
  const auto put = [&](const std::string& token, const json& id, token_kind kind) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= size)
      refuse("token '" + printable(token, 64) + "' has a number that is not below 'vocab_size'");
    const auto i = id.get<std::uint32_t>();
    if (v.kinds[i] != unused && v.tokens[i] != token)
      refuse("tokens '" + printable(v.tokens[i], 64) + "' and '" + printable(token, 64) + "' have the same number");
    v.tokens[i] = token;
    v.kinds[i] = kind;
    v.ids[token] = i;
  };
  const json words = at(at(root, "model"), "vocab");
  if (!words.is_object()) refuse("it has no vocabulary");
  for (const auto& [token, id] : words.items()) put(token, id, normal);
  for (const json& added : at(root, "added_tokens")) {
    const std::string token = text_at(added, "content");
    const bool special = flag_at(added, "special") || (token.starts_with("<|") && token.ends_with("|>"));
    put(token, at(added, "id"), special ? control : user_defined);
  }
  for (std::size_t i = 0; i < size; ++i)
    if (v.kinds[i] == unused) v.tokens[i] = "[PAD" + std::to_string(i) + "]";
  return v;
}

std::vector<std::pair<std::string, std::string>> read_merges(const json& root) {
  std::vector<std::pair<std::string, std::string>> merges;
  for (const json& m : at(at(root, "model"), "merges")) {
    if (m.is_array() && m.size() == 2 && m[0].is_string() && m[1].is_string()) {
      merges.emplace_back(m[0].get<std::string>(), m[1].get<std::string>());
      continue;
    }
    const std::string both = m.is_string() ? m.get<std::string>() : std::string();
    const auto space = both.find(' ');
    if (space == std::string::npos || both.find(' ', space + 1) != std::string::npos)
      refuse("a merge is not two tokens");
    merges.emplace_back(both.substr(0, space), both.substr(space + 1));
  }
  return merges;
}

// One more than the highest number of a token.
std::size_t size_of(const json& root) {
  std::uint64_t size = 0;
  const auto take = [&](const json& id) {
    if (id.is_number_unsigned() && id.get<std::uint64_t>() < 0xffffffffu)
      size = std::max(size, id.get<std::uint64_t>() + 1);
  };
  const json words = at(at(root, "model"), "vocab");
  if (words.is_object())
    for (const json& id : words) take(id);
  for (const json& added : at(root, "added_tokens")) take(at(added, "id"));
  // Numbers that skip more than they name are nobody's.
  if (size > 2 * (words.size() + at(root, "added_tokens").size()) + 65536)
    refuse("numbers of tokens that skip too many");
  return static_cast<std::size_t>(size);
}

}  // namespace

void add_tokenizer(const checkpoint_files& files, const json& config, std::size_t size, const std::string& pre,
                   blocq::gguf::writer& out) {
  const auto found = files.read_json("tokenizer.json");
  if (!found) throw failure(printable(files.folder().string()) + ": tokenizer.json is not there");
  const json& root = *found;
  const json settings = files.read_json("tokenizer_config.json").value_or(json::object());
  const json model = at(root, "model");
  if (text_at(model, "type") != "BPE")
    refuse("its model is '" + printable(text_at(model, "type"), 64) + "'; BPE is known");
  if (size == 0) size = size_of(root);
  vocabulary v = read_vocabulary(root, size);
  const auto merges = read_merges(root);

  const bool sentencepiece = flag_at(model, "byte_fallback");
  if (sentencepiece) {
    // A piece is worth the more, the earlier it is merged; those that no merge makes are the last resort.
    std::vector<float> scores(size, -1e6f);
    for (std::size_t i = merges.size(); i-- > 0;)
      if (const auto id = v.ids.find(merges[i].first + merges[i].second); id != v.ids.end())
        scores[id->second] = -static_cast<float>(i);
    for (std::size_t i = 0; i < size; ++i) {
      const std::string& token = v.tokens[i];
      if (token.size() == 6 && token.starts_with("<0x") && token.back() == '>') v.kinds[i] = byte;
    }
    if (const auto id = v.ids.find(text_at(model, "unk_token")); id != v.ids.end()) v.kinds[id->second] = unknown;
    out.add("tokenizer.ggml.model", "llama").add("tokenizer.ggml.pre", "default");
    out.add_array("tokenizer.ggml.scores", std::span<const float>(scores));
    const json space = at(settings, "add_prefix_space");
    out.add("tokenizer.ggml.add_space_prefix", !space.is_boolean() || space.get<bool>());
  } else {
    out.add("tokenizer.ggml.model", "gpt2")
        .add("tokenizer.ggml.pre", std::string_view(pre.empty() ? pre_of(root) : pre));
    std::vector<std::string> texts;
    for (const auto& [left, right] : merges) texts.push_back(merge_half(left) + ' ' + merge_half(right));
    const std::vector<std::string_view> views(texts.begin(), texts.end());
    out.add_array("tokenizer.ggml.merges", std::span<const std::string_view>(views));
  }
  const std::vector<std::string_view> tokens(v.tokens.begin(), v.tokens.end());
  out.add_array("tokenizer.ggml.tokens", std::span<const std::string_view>(tokens));
  out.add_array("tokenizer.ggml.token_type", std::span<const std::int32_t>(v.kinds));

  for (const auto& [name, key] : {std::pair{"bos_token", "tokenizer.ggml.bos_token_id"},
                                  {"eos_token", "tokenizer.ggml.eos_token_id"},
                                  {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                  {"pad_token", "tokenizer.ggml.padding_token_id"}}) {
    json id;
    if (const auto token = v.ids.find(special_text(settings, name)); token != v.ids.end())
      id = token->second;
    else
      id = at(config, (std::string(name) + "_id").c_str());
    if (id.is_array() && !id.empty()) id = id.front();
    if (id.is_number_unsigned() && id.get<std::uint64_t>() < size) out.add(key, id.get<std::uint32_t>());
  }
  // Whether a text begins with the token of the beginning: the template of the post-processor, else the setting.
  bool adds_bos = flag_at(settings, "add_bos_token");
  for (const json& step : steps(at(root, "post_processor"), "processors")) {
    const json single = at(step, "single");
    if (text_at(step, "type") == "TemplateProcessing" && single.is_array() && !single.empty())
      adds_bos = single.front().contains("SpecialToken");
  }
  out.add("tokenizer.ggml.add_bos_token", adds_bos);
  std::string chat = text_at(settings, "chat_template");
  if (chat.empty()) chat = file_text(files.folder() / "chat_template.jinja");
  if (!chat.empty()) out.add("tokenizer.chat_template", std::string_view(chat));
}
