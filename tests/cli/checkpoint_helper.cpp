// Tiny published models, the same in every run: checkpoint_helper ARCHITECTURE LAYOUT DIRECTORY
//
// Writes two safetensors files with their index, config.json, tokenizer.json and tokenizer_config.json, and beside the
// directory DIRECTORY.gguf, what they mean: every tensor in floats under GGUF's name and in its order, by the formulas
// of the layouts, without any of the library's code for them. Architectures: llama, mistral, qwen2, qwen3, qwen3_moe,
// gpt_oss. Layouts: bf16, mxfp4, nvfp4, int4, awq, fp8; of qwen3_moe also stacked, which is bf16 with all experts in
// one tensor; and nan, which is mxfp4 with scales that are no numbers.
#include <blocq/gguf/writer.hpp>
#include <blocq/safetensors/writer.hpp>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

using blocq::safetensors::dtype;
using json = nlohmann::ordered_json;

void require(bool ok, const std::string& what) {
  if (ok) return;
  std::cerr << "checkpoint_helper: " << what << '\n';
  std::exit(1);
}

std::uint32_t random_bits() {
  static std::uint64_t state = 0x5eed;
  state += 0x9e3779b97f4a7c15u;
  std::uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return static_cast<std::uint32_t>(z >> 32);
}
std::uint32_t below(std::uint32_t n) { return random_bits() % n; }
float uniform() { return static_cast<float>(static_cast<std::int32_t>(random_bits())) * 0x1p-31f; }

std::uint32_t bits_of(float x) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &x, 4);
  return bits;
}
float bf16(float x) {  // nearest below: which one does not matter here
  const std::uint32_t bits = bits_of(x) & 0xffff0000u;
  std::memcpy(&x, &bits, 4);
  return x;
}

struct bytes {
  std::string text;
  bytes& put(std::uint64_t x, unsigned n) {
    for (unsigned i = 0; i < n; ++i) text += static_cast<char>(x >> (8 * i));
    return *this;
  }
};

struct published {
  std::string name;
  dtype type;
  std::vector<std::uint64_t> shape;
  std::string data;
};
struct expected {
  std::string name;
  std::vector<std::uint64_t> dims;
  std::vector<float> values;
};

struct model {
  std::string architecture, layout;
  bool nan = false;
  std::vector<published> tensors;
  std::vector<expected> gguf;
  std::uint64_t width = 64, hidden = 192, heads = 4, kv_heads = 2, head_width = 16, layers = 2;
  std::uint64_t experts = 4, expert_hidden = 64;

  void add(std::string name, dtype type, std::vector<std::uint64_t> shape, std::string data) {
    tensors.push_back({std::move(name), type, std::move(shape), std::move(data)});
  }

  // Rows of heads in GGUF's order for llama: the two halves of a head interleaved.
  std::vector<float> ordered(const std::vector<float>& x, std::uint64_t rows, std::uint64_t n_heads) const {
    if (n_heads == 0) return x;
    const std::uint64_t columns = x.size() / rows, half = rows / n_heads / 2;
    std::vector<float> y;
    for (std::uint64_t h = 0; h < n_heads; ++h)
      for (std::uint64_t i = 0; i < half; ++i)
        for (std::uint64_t j = 0; j < 2; ++j) {
          const auto row = x.begin() + static_cast<std::ptrdiff_t>(((h * 2 + j) * half + i) * columns);
          y.insert(y.end(), row, row + static_cast<std::ptrdiff_t>(columns));
        }
    return y;
  }

  void plain(const std::string& name, const std::string& gguf_name, std::vector<std::uint64_t> shape, float scale,
             float offset = 0, std::uint64_t n_heads = 0) {
    std::uint64_t n = 1;
    for (const auto d : shape) n *= d;
    std::vector<float> x(n);
    bytes data;
    for (float& v : x) {
      v = bf16(offset + scale * uniform());
      data.put(bits_of(v) >> 16, 2);
    }
    add(name, dtype::bf16, shape, data.text);
    const std::vector<std::uint64_t> dims(shape.rbegin(), shape.rend());
    gguf.push_back({gguf_name, dims, ordered(x, shape[0], n_heads)});
  }

  // A matrix in the model's layout.
  void matrix(const std::string& module, const std::string& gguf_name, std::uint64_t rows, std::uint64_t columns,
              std::uint64_t n_heads = 0) {
    constexpr float e2m1[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    std::vector<float> x(rows * columns);
    bytes codes, scales;
    if (layout == "bf16") return plain(module + ".weight", gguf_name + ".weight", {rows, columns}, 0.2f, 0, n_heads);
    if (layout == "mxfp4" || layout == "nvfp4") {
      const std::uint64_t group = layout == "mxfp4" ? 32 : 16;
      std::vector<float> steps;
      for (std::uint64_t i = 0; i < rows * columns / group; ++i) {
        // E8M0: 2^-6 and the like; E4M3: exponents around 2, any mantissa.
        const std::uint32_t scale = layout == "mxfp4" ? 120 + below(3) : 56 + below(24);
        steps.push_back(layout == "mxfp4"
                            ? std::ldexp(1.0f, static_cast<int>(scale) - 127)
                            : std::ldexp(1 + static_cast<float>(scale % 8) / 8, static_cast<int>(scale / 8) - 7));
        scales.put(nan && i == 5 ? 255 : scale, 1);
      }
      for (std::uint64_t i = 0; i < x.size(); i += 2) {
        const std::uint32_t pair = below(256);
        for (unsigned k = 0; k < 2; ++k) {
          const std::uint32_t code = pair >> (4 * k) & 15;
          x[i + k] = (code < 8 ? e2m1[code] : -e2m1[code - 8]) * steps[(i + k) / group];
        }
        codes.put(pair, 1);
      }
      const char* packed = layout == "mxfp4" ? ".weight_packed" : ".weight";
      add(module + packed, dtype::u8, {rows, columns / 2}, codes.text);
      add(module + ".weight_scale", layout == "mxfp4" ? dtype::u8 : dtype::f8_e4m3, {rows, columns / group},
          scales.text);
      if (layout == "nvfp4") {
        add(module + ".weight_scale_2", dtype::f32, {}, bytes().put(bits_of(0.01f), 4).text);
        add(module + ".input_scale", dtype::f32, {}, bytes().put(bits_of(0.5f), 4).text);
        gguf.push_back({gguf_name + ".scale", {1}, {0.01f}});
        gguf.push_back({gguf_name + ".input_scale", {1}, {0.5f}});
      }
    } else if (layout == "int4" || layout == "awq") {
      // Scales are powers of two with a bit more, exact in binary16.
      const std::uint64_t groups = columns / 32;
      std::vector<std::uint32_t> q(x.size()), z(rows * groups, 8), s(rows * groups);
      for (auto& v : q) v = below(16);
      if (layout == "awq")
        for (auto& v : z) v = below(16);
      for (auto& v : s) v = 0x2000 + below(0x800);  // binary16, 2^-7 to 2^-5
      for (std::uint64_t i = 0; i < x.size(); ++i) {
        const std::uint64_t g = i / 32;
        const float step = std::ldexp(1 + static_cast<float>(s[g] & 0x3ff) / 1024, static_cast<int>(s[g] >> 10) - 15);
        x[i] = static_cast<float>(static_cast<int>(q[i]) - static_cast<int>(z[g])) * step;
      }
      if (layout == "int4") {
        for (std::uint64_t i = 0; i < q.size(); i += 2) codes.put(q[i] | q[i + 1] << 4, 1);
        for (const auto v : s) scales.put(v, 2);
        add(module + ".weight_packed", dtype::i32, {rows, columns / 8}, codes.text);
        add(module + ".weight_scale", dtype::f16, {rows, groups}, scales.text);
        add(module + ".weight_shape", dtype::i64, {2}, bytes().put(rows, 8).put(columns, 8).text);
      } else {
        constexpr unsigned order[] = {0, 2, 4, 6, 1, 3, 5, 7};
        bytes zeros;
        const auto word = [&](auto&& number) {
          std::uint32_t w = 0;
          for (unsigned j = 0; j < 8; ++j) w |= number(order[j]) << (4 * j);
          return w;
        };
        for (std::uint64_t k = 0; k < columns; ++k)
          for (std::uint64_t c = 0; c < rows; c += 8)
            codes.put(word([&](unsigned j) { return q[(c + j) * columns + k]; }), 4);
        for (std::uint64_t g = 0; g < groups; ++g) {
          for (std::uint64_t c = 0; c < rows; c += 8)
            zeros.put(word([&](unsigned j) { return z[(c + j) * groups + g]; }), 4);
          for (std::uint64_t r = 0; r < rows; ++r) scales.put(s[r * groups + g], 2);
        }
        add(module + ".qweight", dtype::i32, {columns, rows / 8}, codes.text);
        add(module + ".qzeros", dtype::i32, {groups, rows / 8}, zeros.text);
        add(module + ".scales", dtype::f16, {groups, rows}, scales.text);
      }
    } else {
      require(layout == "fp8", "no layout '" + layout + "'");
      // Blocks of 128 x 128 that the matrices do not fill; codes of magnitudes below 2.
      const std::uint64_t across = (columns + 127) / 128, down = (rows + 127) / 128;
      std::vector<float> steps(across * down);
      for (float& step : steps) {
        step = 0.1f + 0.02f * uniform();
        scales.put(bits_of(step), 4);
      }
      for (std::uint64_t i = 0; i < x.size(); ++i) {
        const std::uint32_t code = 40 + below(24), sign = below(2);
        const float magnitude = std::ldexp(1 + static_cast<float>(code % 8) / 8, static_cast<int>(code / 8) - 7);
        x[i] = (sign != 0 ? -magnitude : magnitude) * steps[i / columns / 128 * across + i % columns / 128];
        codes.put(code | sign << 7, 1);
      }
      add(module + ".weight", dtype::f8_e4m3, {rows, columns}, codes.text);
      add(module + ".weight_scale_inv", dtype::f32, {down, across}, scales.text);
    }
    gguf.push_back({gguf_name + ".weight", {columns, rows}, ordered(x, rows, n_heads)});
  }

  // The tensors that were expected since there were `count`, of `n` matrices, as stacks: one for each kind of them.
  void stack(std::size_t count, std::uint64_t n) {
    std::vector<expected> all;
    for (std::size_t i = count; i < gguf.size(); ++i) {
      expected& t = gguf[i];
      const auto same = std::find_if(all.begin(), all.end(), [&](const expected& a) { return a.name == t.name; });
      if (same == all.end()) {
        all.push_back(t);
        if (t.name.ends_with("weight") || t.name.ends_with("bias"))
          all.back().dims.push_back(n);
        else
          all.back().dims = {n};
      } else {
        same->values.insert(same->values.end(), t.values.begin(), t.values.end());
      }
    }
    gguf.resize(count);
    gguf.insert(gguf.end(), all.begin(), all.end());
  }

  // The experts of qwen3_moe, one tensor each.
  void expert_matrices(const std::string& module, const char* published_name, const std::string& gguf_name,
                       std::uint64_t rows, std::uint64_t columns) {
    const std::size_t count = gguf.size();
    for (std::uint64_t e = 0; e < experts; ++e)
      matrix(module + std::to_string(e) + "." + published_name, gguf_name, rows, columns);
    stack(count, experts);
  }

  // Rows of a stack that is the last one expected: those that are row(r) of the published, as a tensor of their own.
  template <class F>
  static expected share(const expected& from, std::string name, const F& row) {
    const bool bias = from.dims.size() == 2;
    const std::uint64_t columns = bias ? 1 : from.dims[0], rows = from.dims[bias ? 0 : 1], n = from.dims.back();
    expected t{std::move(name), from.dims, {}};
    t.dims[bias ? 0 : 1] = rows / 2;
    for (std::uint64_t e = 0; e < n; ++e)
      for (std::uint64_t r = 0; r < rows / 2; ++r) {
        const auto at = from.values.begin() + static_cast<std::ptrdiff_t>((e * rows + row(r)) * columns);
        t.values.insert(t.values.end(), at, at + static_cast<std::ptrdiff_t>(columns));
      }
    return t;
  }

  // All experts in one tensor: gates and ups in halves (qwen3_moe) or in turn (gpt_oss). Those of gpt_oss are
  // transposed but in MXFP4; of NVFP4 (ModelOpt's) the scales of whole matrices are multiplied into what is expected.
  void expert_stack(const std::string& module, const std::string& gguf_name, std::uint64_t rows,
                    std::uint64_t columns) {
    const std::size_t count = gguf.size(), published_count = tensors.size();
    for (std::uint64_t e = 0; e < experts; ++e) matrix(module, gguf_name, rows, columns);
    stack(count, experts);
    std::vector<std::string> kinds = {""};  // of the tensors of a matrix, in their order
    if (layout == "mxfp4") kinds = {"_blocks", "_scales"};
    if (layout == "nvfp4") {
      kinds = {"", "_weight_scale", "_weight_scale_2", "_input_scale"};
      const auto first = gguf.begin() + static_cast<std::ptrdiff_t>(count);
      gguf.erase(first, first + 2);
      for (float& x : gguf[count].values) x *= 0.01f;
    }
    // One tensor of each kind, the experts one after the other.
    std::vector<published> all(kinds.size());
    for (std::size_t i = published_count; i < tensors.size(); ++i) {
      const published& t = tensors[i];
      const std::size_t kind = (i - published_count) % kinds.size();
      published& to = all[kind];
      const bool transposes = architecture == "gpt_oss" && layout != "mxfp4" && t.shape.size() == 2;
      to.name = module + kinds[kind];
      to.type = t.type;
      to.shape = t.shape;
      if (kinds[kind] == "_blocks") to.shape = {rows, columns / 32, 16};
      if (transposes) std::reverse(to.shape.begin(), to.shape.end());
      to.shape.insert(to.shape.begin(), experts);
      if (!transposes) {
        to.data += t.data;
        continue;
      }
      const std::uint64_t across = t.shape[1], size = t.data.size() / (rows * across);
      for (std::uint64_t k = 0; k < across; ++k)
        for (std::uint64_t r = 0; r < rows; ++r) to.data += t.data.substr((r * across + k) * size, size);
    }
    tensors.resize(published_count);
    tensors.insert(tensors.end(), all.begin(), all.end());
    if (architecture == "gpt_oss") plain(module + "_bias", gguf_name + ".bias", {experts, rows}, 0.1f);
  }
  void gate_and_up(const std::string& module, const std::string& block) {
    const std::size_t count = gguf.size();
    expert_stack(module, "both", 2 * expert_hidden, width);
    const std::vector<expected> both(gguf.begin() + static_cast<std::ptrdiff_t>(count), gguf.end());
    gguf.resize(count);
    const bool turns = architecture == "gpt_oss";
    for (const expected& t : both) {
      const std::string kind = t.name.substr(4);
      gguf.push_back(share(t, block + "ffn_gate_exps" + kind, [&](auto r) { return turns ? 2 * r : r; }));
      gguf.push_back(
          share(t, block + "ffn_up_exps" + kind, [&](auto r) { return turns ? 2 * r + 1 : expert_hidden + r; }));
    }
  }
};

void write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary);
  require(bool(out << text) && bool(out.flush()), path.string() + " cannot be written");
}

std::string utf8(std::uint32_t code) {
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
}

// Byte-level BPE over all bytes and a few words, or BPE with a byte fallback. The first two tokens begin and end a
// text.
json tokenizer(const std::string& architecture, std::size_t& size) {
  json vocab = json::object(), merges = json::array(), added = json::array();
  const auto token = [&](const std::string& text) { vocab[text] = size++; };
  const bool pieces = architecture == "mistral";
  const std::string begin = pieces ? "<s>" : "<|begin_of_text|>", end = pieces ? "</s>" : "<|end_of_text|>";
  if (pieces) token("<unk>");
  for (const auto& special : {begin, end}) {
    added.push_back({{"id", size},
                     {"content", special},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    if (pieces)
      token(special);
    else
      ++size;
  }
  const std::string space = pieces ? "\xe2\x96\x81" : "\xc4\xa0";
  if (pieces) {
    for (int i = 0; i < 256; ++i) {
      char text[8];
      std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(i));
      token(text);
    }
    token(space);
    for (char c = 'a'; c <= 'z'; ++c) token(std::string(1, c));
  } else {
    std::uint32_t other = 256;  // bytes that are no printable characters
    for (std::uint32_t i = 0; i < 256; ++i) {
      const bool printable = (i >= 33 && i <= 126) || (i >= 161 && i <= 172) || i >= 174;
      token(utf8(printable ? i : other++));
    }
  }
  for (const auto& [left, right] : std::vector<std::pair<std::string, std::string>>{
           {space, "t"}, {"h", "e"}, {space + "t", "he"}, {"i", "n"}, {space, "a"}, {"r", "e"}, {"o", "n"}}) {
    merges.push_back(architecture == "qwen2" || architecture == "gpt_oss" ? json(left + " " + right)
                                                                          : json::array({left, right}));
    token(left + right);
  }
  json root = {{"version", "1.0"}, {"added_tokens", added}};
  if (pieces) {
    root["normalizer"] = {{"type", "Sequence"},
                          {"normalizers",
                           {{{"type", "Prepend"}, {"prepend", space}},
                            {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", space}}}}};
  } else {
    const std::string digits = architecture == "llama" ? R"(\p{N}{1,3})" : R"(\p{N})";
    const std::string upper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])", lower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])",
                      first = R"([^\r\n\p{L}\p{N}]?)", ends = "(?i:'s|'t|'re|'ve|'m|'ll|'d)",
                      spaces = R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
    const std::string expression =
        architecture == "gpt_oss"
            ? first + upper + "*" + lower + "+" + ends + "?|" + first + upper + "+" + lower + "*" + ends +
                  R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" + spaces
            : ends + "|" + first + R"(\p{L}+|)" + digits + R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|)" + spaces;
    root["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", {{"Regex", expression}}}, {"behavior", "Isolated"}, {"invert", false}},
          {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}}}}};
    root["decoder"] = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  }
  if (architecture == "llama" || pieces)
    root["post_processor"] = {
        {"type", "TemplateProcessing"},
        {"single",
         {{{"SpecialToken", {{"id", begin}, {"type_id", 0}}}}, {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
        {"pair", json::array()},
        {"special_tokens", {{begin, {{"id", begin}, {"ids", {pieces ? 1 : 0}}, {"tokens", {begin}}}}}}};
  root["model"] = {{"type", "BPE"},      {"byte_fallback", pieces}, {"ignore_merges", architecture == "llama"},
                   {"fuse_unk", pieces}, {"vocab", vocab},          {"merges", merges}};
  if (pieces) root["model"]["unk_token"] = "<unk>";
  return root;
}

}  // namespace

int main(int argc, char** argv) {
  require(argc == 4, "ARCHITECTURE LAYOUT DIRECTORY");
  model m;
  m.architecture = argv[1];
  m.layout = argv[2];
  if (m.layout == "nan") m.layout = "mxfp4", m.nan = true;
  const std::filesystem::path dir = argv[3];
  std::filesystem::create_directories(dir);
  const bool pieces = m.architecture == "mistral", permutes = m.architecture == "llama" || pieces;

  std::size_t vocabulary = 0;
  const json words = tokenizer(m.architecture, vocabulary);
  vocabulary = (vocabulary + 31) / 32 * 32;  // some are nobody's
  write_file(dir / "tokenizer.json", words.dump(1));
  const std::string begin = pieces ? "<s>" : "<|begin_of_text|>", end = pieces ? "</s>" : "<|end_of_text|>";
  write_file(dir / "tokenizer_config.json", json{{"bos_token", {{"__type", "AddedToken"}, {"content", begin}}},
                                                 {"eos_token", end},
                                                 {"add_bos_token", permutes},
                                                 {"tokenizer_class", "PreTrainedTokenizerFast"},
                                                 {"chat_template", "{{ messages[0]['content'] }}"}}
                                                .dump(1));
  const std::map<std::string, std::string> names = {{"llama", "Llama"},        {"mistral", "Mistral"},
                                                    {"qwen2", "Qwen2"},        {"qwen3", "Qwen3"},
                                                    {"qwen3_moe", "Qwen3Moe"}, {"gpt_oss", "GptOss"}};
  require(names.count(m.architecture) != 0, "no architecture '" + m.architecture + "'");
  const bool tied = m.architecture == "qwen3";
  json config = {{"architectures", {names.at(m.architecture) + "ForCausalLM"}},
                 {"model_type", m.architecture},
                 {"hidden_size", m.width},
                 {"intermediate_size", m.hidden},
                 {"num_hidden_layers", m.layers},
                 {"num_attention_heads", m.heads},
                 {"num_key_value_heads", m.kv_heads},
                 {"max_position_embeddings", 512},
                 {"vocab_size", vocabulary},
                 {"rms_norm_eps", 1e-5},
                 {"rope_theta", 10000.0},
                 {"hidden_act", "silu"},
                 {"tie_word_embeddings", tied},
                 {"bos_token_id", pieces ? 1 : 0},
                 {"eos_token_id", pieces ? 2 : 1},
                 {"torch_dtype", "bfloat16"}};
  const bool qwen3 = m.architecture.starts_with("qwen3"), moe = m.architecture == "qwen3_moe",
             gpt_oss = m.architecture == "gpt_oss";
  if (qwen3 || gpt_oss) config["head_dim"] = m.head_width;
  if (moe)
    config.update({{"num_experts", m.experts},
                   {"num_experts_per_tok", 2},
                   {"moe_intermediate_size", m.expert_hidden},
                   {"norm_topk_prob", true},
                   {"decoder_sparse_step", 1},
                   {"mlp_only_layers", json::array()}});
  if (gpt_oss)
    config.update({{"num_local_experts", m.experts},
                   {"num_experts_per_tok", 2},
                   {"intermediate_size", m.expert_hidden},
                   {"attention_bias", true},
                   {"sliding_window", 4},
                   {"swiglu_limit", 7.0},
                   {"layer_types", {"sliding_attention", "full_attention"}},
                   {"rope_scaling",
                    {{"rope_type", "yarn"},
                     {"factor", 8.0},
                     {"beta_fast", 32.0},
                     {"beta_slow", 1.0},
                     {"truncate", true},
                     {"original_max_position_embeddings", 64}}}});
  if (m.architecture == "llama")
    config["rope_scaling"] = {{"rope_type", "llama3"},
                              {"factor", 8.0},
                              {"low_freq_factor", 1.0},
                              {"high_freq_factor", 4.0},
                              {"original_max_position_embeddings", 64}};
  const std::map<std::string, json> quantization = {
      {"bf16", nullptr},
      {"stacked", nullptr},
      {"mxfp4", {{"quant_method", "compressed-tensors"}, {"format", "mxfp4-pack-quantized"}}},
      {"nvfp4", {{"quant_method", "modelopt"}, {"quant_algo", "NVFP4"}}},
      {"int4",
       {{"quant_method", "compressed-tensors"},
        {"format", "pack-quantized"},
        {"config_groups",
         {{"group_0", {{"weights", {{"num_bits", 4}, {"type", "int"}, {"group_size", 32}, {"symmetric", true}}}}}}}}},
      {"awq", {{"quant_method", "awq"}, {"bits", 4}, {"group_size", 32}, {"version", "gemm"}}},
      {"fp8", {{"quant_method", "fp8"}, {"weight_block_size", {128, 128}}}}};
  require(quantization.count(m.layout) != 0, "no layout '" + m.layout + "'");
  if (!quantization.at(m.layout).is_null()) config["quantization_config"] = quantization.at(m.layout);
  if (gpt_oss && m.layout == "mxfp4") config["quantization_config"] = {{"quant_method", "mxfp4"}};
  write_file(dir / "config.json", config.dump(1));

  const std::uint64_t heads = permutes ? m.heads : 0, kv_heads = permutes ? m.kv_heads : 0;
  m.plain("model.embed_tokens.weight", "token_embd.weight", {vocabulary, m.width}, 1.0f);
  for (std::uint64_t i = 0; i < m.layers; ++i) {
    const std::string from = "model.layers." + std::to_string(i) + ".", to = "blk." + std::to_string(i) + ".";
    m.plain(from + "input_layernorm.weight", to + "attn_norm.weight", {m.width}, 0.2f, 1);
    m.plain(from + "post_attention_layernorm.weight", to + (gpt_oss ? "post_attention_norm" : "ffn_norm") + ".weight",
            {m.width}, 0.2f, 1);
    const std::uint64_t q = m.heads * m.head_width, kv = m.kv_heads * m.head_width;
    // Of gpt_oss and the stacks only the experts are quantized.
    const std::string experts_layout = m.layout;
    if (gpt_oss || m.layout == "stacked") m.layout = "bf16";
    m.matrix(from + "self_attn.q_proj", to + "attn_q", q, m.width, heads);
    m.matrix(from + "self_attn.k_proj", to + "attn_k", kv, m.width, kv_heads);
    m.matrix(from + "self_attn.v_proj", to + "attn_v", kv, m.width);
    m.matrix(from + "self_attn.o_proj", to + "attn_output", m.width, q);
    if (m.architecture == "qwen2" || gpt_oss) {
      m.plain(from + "self_attn.q_proj.bias", to + "attn_q.bias", {q}, 0.1f);
      m.plain(from + "self_attn.k_proj.bias", to + "attn_k.bias", {kv}, 0.1f);
      m.plain(from + "self_attn.v_proj.bias", to + "attn_v.bias", {kv}, 0.1f);
    }
    if (qwen3) {
      m.plain(from + "self_attn.q_norm.weight", to + "attn_q_norm.weight", {m.head_width}, 0.2f, 1);
      m.plain(from + "self_attn.k_norm.weight", to + "attn_k_norm.weight", {m.head_width}, 0.2f, 1);
    }
    if (gpt_oss) {
      m.plain(from + "self_attn.o_proj.bias", to + "attn_output.bias", {m.width}, 0.1f);
      m.plain(from + "self_attn.sinks", to + "attn_sinks.weight", {m.heads}, 1.0f);
      m.plain(from + "mlp.router.weight", to + "ffn_gate_inp.weight", {m.experts, m.width}, 0.3f);
      m.plain(from + "mlp.router.bias", to + "ffn_gate_inp.bias", {m.experts}, 0.3f);
    } else if (moe) {
      m.plain(from + "mlp.gate.weight", to + "ffn_gate_inp.weight", {m.experts, m.width}, 0.3f);
    }
    if (gpt_oss || experts_layout == "stacked") {
      m.layout = gpt_oss ? experts_layout : "bf16";
      m.gate_and_up(from + "mlp.experts.gate_up_proj", to);
      m.expert_stack(from + "mlp.experts.down_proj", to + "ffn_down_exps", m.width, m.expert_hidden);
    } else if (moe) {
      m.expert_matrices(from + "mlp.experts.", "gate_proj", to + "ffn_gate_exps", m.expert_hidden, m.width);
      m.expert_matrices(from + "mlp.experts.", "up_proj", to + "ffn_up_exps", m.expert_hidden, m.width);
      m.expert_matrices(from + "mlp.experts.", "down_proj", to + "ffn_down_exps", m.width, m.expert_hidden);
    } else {
      m.matrix(from + "mlp.gate_proj", to + "ffn_gate", m.hidden, m.width);
      m.matrix(from + "mlp.up_proj", to + "ffn_up", m.hidden, m.width);
      m.matrix(from + "mlp.down_proj", to + "ffn_down", m.width, m.hidden);
    }
    m.layout = experts_layout;
  }
  m.plain("model.norm.weight", "output_norm.weight", {m.width}, 0.2f, 1);
  if (!tied) m.plain("lm_head.weight", "output.weight", {vocabulary, m.width}, 0.3f);
  if (m.architecture == "llama") {
    std::vector<float> factors;
    for (std::uint64_t i = 0; i < m.head_width; i += 2) {
      const double wave =
          2 * 3.14159265358979323846 * std::pow(10000.0, static_cast<double>(i) / static_cast<double>(m.head_width));
      const double smooth = (64 / wave - 1) / (4 - 1);
      factors.push_back(static_cast<float>(wave < 16 ? 1 : wave > 64 ? 8 : 1 / ((1 - smooth) / 8 + smooth)));
    }
    m.gguf.push_back({"rope_freqs.weight", {factors.size()}, factors});
  }

  // Tensors take turns, so that codes and scales lie in different files.
  json map = json::object();
  for (unsigned shard = 0; shard < 2; ++shard) {
    const std::string file = "model-0000" + std::to_string(shard + 1) + "-of-00002.safetensors";
    std::ofstream stream(dir / file, std::ios::binary);
    auto sink = [&](const void* data, std::size_t size) {
      return bool(stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)));
    };
    blocq::safetensors::writer out;
    out.add_metadata("format", "pt");
    for (std::size_t i = shard; i < m.tensors.size(); i += 2) {
      out.add(m.tensors[i].name, m.tensors[i].type, m.tensors[i].shape);
      map[m.tensors[i].name] = file;
    }
    const auto check = [&](const auto& r) { require(bool(r), r.message()); };
    check(out.begin(sink));
    for (std::size_t i = shard, k = 0; i < m.tensors.size(); i += 2, ++k)
      check(out.write(k, std::as_bytes(std::span(m.tensors[i].data))));
    check(out.finish());
    require(bool(stream.flush()), file + " cannot be written");
  }
  write_file(dir / "model.safetensors.index.json",
             json{{"metadata", {{"total_size", 0}}}, {"weight_map", map}}.dump(1));

  blocq::gguf::writer out;
  out.add("general.architecture", "test");
  for (const auto& t : m.gguf) out.add_tensor(t.name, 0, t.dims);
  std::ofstream stream(dir.string() + ".gguf", std::ios::binary);
  auto sink = [&](const void* data, std::size_t size) {
    return bool(stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)));
  };
  const auto check = [&](const auto& r) { require(bool(r), r.message()); };
  check(out.begin(sink));
  for (std::size_t i = 0; i < m.gguf.size(); ++i) check(out.write(i, std::as_bytes(std::span(m.gguf[i].values))));
  check(out.finish());
  require(bool(stream.flush()), "the GGUF file cannot be written");
}
