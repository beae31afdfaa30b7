// What the tests of the command-line program need and a shell does not have:
//   helper files DIRECTORY   writes small GGUF and importance files, ordinary and hostile ones
//   helper variants STORY DIRECTORY   writes the model of the demo in the forms of the llama family
//   helper long FILE N      writes a model with one tensor of two rows of 2^N zeros in binary16, on hardly any disk
//   helper large FILE       writes one with a tensor that begins beyond 4 GiB, on hardly any disk
//   helper xml FILE         fails if it is not well-formed
//   helper plot FILE        fails if a label of a plot lies on another or on the front
//   helper json POINTER      reads JSON from standard input and prints the value at that JSON pointer
#include "markup.hpp"
#include "variants.hpp"

#include <blocq/gguf/all.hpp>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace {

namespace gguf = blocq::gguf;
using dims = std::vector<std::uint64_t>;

void require(bool ok, const std::string& what) {
  if (ok) return;
  std::cerr << "helper: " << what << '\n';
  std::exit(1);
}

// Numbers of about the size of weights, the same in every run.
float number(std::uint32_t i) {
  i = (i ^ 61u ^ (i >> 16)) * 9u;
  i = (i ^ (i >> 4)) * 0x27d4eb2du;
  return static_cast<float>(static_cast<std::int32_t>(i ^ (i >> 15))) * 0x1p-35f;
}

std::uint64_t elements_of(const dims& shape) {
  std::uint64_t n = 1;
  for (const std::uint64_t d : shape) n *= d;
  return n;
}

std::vector<float> numbers(const dims& shape) {
  std::vector<float> x(elements_of(shape));
  for (std::uint32_t i = 0; i < x.size(); ++i) x[i] = number(i);
  return x;
}

class file {
 public:
  explicit file(std::string path, gguf::write_options options = {}) : path_(std::move(path)), out_(options) {
    out_.add("general.architecture", "llama");
  }
  template <class T>
  file& key(std::string_view name, const T& value) {
    out_.add(name, value);
    return *this;
  }
  template <class List>
  file& array(std::string_view name, const List& values) {
    out_.add_array(name, std::span<const typename List::value_type>(values));
    return *this;
  }
  file& floats(std::string_view name, const dims& shape, const std::vector<float>& values) {
    return tensor(name, 0, shape, values.data(), values.size() * 4);
  }
  file& floats(std::string_view name, const dims& shape) { return floats(name, shape, numbers(shape)); }
  file& tensor(std::string_view name, int type, const dims& shape, const void* data, std::size_t size) {
    out_.add_tensor(name, type, shape, size);
    const auto* bytes = static_cast<const std::byte*>(data);
    data_.emplace_back(bytes, bytes + size);
    return *this;
  }
  ~file() {
    std::ofstream stream(path_, std::ios::binary);
    auto sink = [&](const void* data, std::size_t size) {
      return bool(stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)));
    };
    const auto check = [&](const auto& r) { require(bool(r), path_ + ": " + r.message()); };
    check(out_.plan());
    check(out_.begin(sink));
    for (std::size_t i = 0; i < data_.size(); ++i) check(out_.write(i, data_[i]));
    check(out_.finish());
    require(bool(stream.flush()), path_ + ": cannot be written");
  }

 private:
  std::string path_;
  gguf::writer out_;
  std::vector<std::vector<std::byte>> data_;
};

std::vector<float> with(const dims& shape, std::size_t at, float value) {
  auto x = numbers(shape);
  x[at] = value;
  return x;
}

template <class T>
void put(std::ofstream& out, T x) {
  out.write(reinterpret_cast<const char*>(&x), sizeof x);
}
void put(std::ofstream& out, std::string_view text) {
  put(out, static_cast<std::int32_t>(text.size()));
  out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

// The legacy importance file: mean squares times the number of calls.
void legacy_importance(const std::string& path, std::string_view name, const std::vector<float>& weights) {
  std::ofstream out(path, std::ios::binary);
  put(out, std::int32_t{1});
  put(out, name);
  put(out, std::int32_t{2});
  put(out, static_cast<std::int32_t>(weights.size()));
  for (const float w : weights) put(out, w * 2);
  put(out, std::int32_t{2});
  put(out, std::string_view("text"));
}

// Mean squares and how many tokens each matrix saw; one number of tokens may be that of all.
void gguf_importance(const std::string& path, std::string_view name, std::uint64_t columns,
                     const std::vector<float>& weights, const std::vector<float>& counts) {
  const std::uint64_t matrices = weights.size() / columns;
  auto sums = weights;
  for (std::size_t i = 0; i < sums.size(); ++i) sums[i] *= counts[counts.size() == 1 ? 0 : i / columns];
  file(path)
      .key("general.type", "imatrix")
      .array("imatrix.datasets", std::vector<std::string_view>{"text"})
      .key("imatrix.chunk_count", std::uint32_t{3})
      .floats(std::string(name) + ".in_sum2", {columns, matrices}, sums)
      .floats(std::string(name) + ".counts", {1, counts.size()}, counts);
}

// The header of a model whose data are a hole in the file.
void hollow_model(const std::string& path, const std::vector<std::pair<std::string, dims>>& tensors, int type) {
  gguf::writer out;
  out.add("general.architecture", "llama");
  for (const auto& [name, shape] : tensors) out.add_tensor(name, type, shape);
  {
    std::ofstream stream(path, std::ios::binary);
    auto sink = [&](const void* data, std::size_t size) {
      return bool(stream.write(static_cast<const char*>(data), static_cast<std::streamsize>(size)));
    };
    require(bool(out.begin(sink)), path + ": cannot be written");
  }
  std::error_code error;
  std::filesystem::resize_file(path, out.file_size(), error);
  require(!error, path + ": " + error.message());
}

// A llama model whose tokens are the bytes. Where `output` is zero it takes every token for equally likely. `unnamed`
// tokens are in the model only. A `poison` is one of its weights.
void llama_model(const std::string& path, bool zero_output, std::uint64_t unnamed = 0, float poison = 0) {
  std::vector<std::string> tokens{"<unk>", "<s>", "</s>"};
  for (int i = 0; i < 256; ++i) {
    constexpr char hex[] = "0123456789ABCDEF";
    tokens.push_back(std::string("<0x") + hex[i / 16] + hex[i % 16] + '>');
  }
  const std::vector<std::string_view> views(tokens.begin(), tokens.end());
  const std::uint64_t width = 64, hidden = 96, vocabulary = tokens.size() + unnamed;
  file f(path);
  for (const auto& [key, value] : {std::pair{"embedding_length", width},
                                   {"block_count", 2},
                                   {"feed_forward_length", hidden},
                                   {"attention.head_count", 4},
                                   {"attention.head_count_kv", 2},
                                   {"context_length", 64}})
    f.key("llama." + std::string(key), static_cast<std::uint32_t>(value));
  f.key("tokenizer.ggml.model", "llama").array("tokenizer.ggml.tokens", views);
  f.array("tokenizer.ggml.scores", std::vector<float>(tokens.size()));
  f.floats("token_embd.weight", {width, vocabulary});
  for (const std::string block : {"blk.0.", "blk.1."}) {
    for (const char* norm : {"attn_norm", "ffn_norm"})
      f.floats(block + norm + ".weight", {width}, std::vector<float>(width, 1.0f));
    f.floats(block + "attn_q.weight", {width, width}).floats(block + "attn_k.weight", {width, width / 2});
    f.floats(block + "attn_v.weight", {width, width / 2}).floats(block + "attn_output.weight", {width, width});
    f.floats(block + "ffn_gate.weight", {width, hidden});
    f.floats(block + "ffn_up.weight", {width, hidden},
             poison != 0 && block == "blk.0." ? with({width, hidden}, 77, poison) : numbers({width, hidden}));
    f.floats(block + "ffn_down.weight", {hidden, width});
  }
  f.floats("output_norm.weight", {width}, std::vector<float>(width, 1.0f));
  const dims output{width, vocabulary};
  f.floats("output.weight", output, zero_output ? std::vector<float>(width * vocabulary) : numbers(output));
}

// Layers whose rows are whole blocks of every type.
void layered_model(const std::string& path, std::uint32_t layers) {
  file f(path);
  f.key("llama.block_count", layers).floats("token_embd.weight", {256, 4}).floats("output.weight", {256, 4});
  for (std::uint32_t layer = 0; layer < layers; ++layer)
    for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      f.floats("blk." + std::to_string(layer) + '.' + name + ".weight", {256, 2});
}

void write_files(const std::string& dir) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  file(dir + "/model.gguf")
      .key("general.file_type", std::uint32_t{0})
      .key("test.last", std::int8_t{-5})
      .floats("token_embd.weight", {256, 40})
      .floats("blk.0.attn_norm.weight", {256})
      .floats("blk.0.attn_q.weight", {512, 24})
      .floats("blk.0.ffn_gate_inp.weight", {256, 4})
      .floats("blk.0.ffn_norm.weight", {256, 2})
      .floats("blk.1.attn_q.weight", {512, 24});
  file(dir + "/ragged.gguf")
      .floats("by256.weight", {256, 3})
      .floats("by32.weight", {160, 5})
      .floats("by4.weight", {172, 7});
  {
    // Weights below what NVFP4 has by itself; experts of very different sizes.
    auto tiny = numbers({256, 16}), experts = numbers({256, 4, 3});
    for (float& x : tiny) x *= 1e-5f;
    for (std::size_t i = 0; i < experts.size(); ++i) experts[i] *= i < 1024 ? 1e-6f : i < 2048 ? 1.0f : 1e-3f;
    file(dir + "/small.gguf")
        .floats("blk.0.attn_q.weight", {256, 16}, tiny)
        .floats("blk.0.ffn_up_exps.weight", {256, 4, 3}, experts);

    // The same weights with scales beside them and multiplied in; powers of two, so that they are the same numbers.
    const float scales[] = {0.5f, 4.0f, 2.0f};
    auto plain = numbers({256, 4, 3}), matrix = numbers({256, 8});
    file scaled(dir + "/scaled.gguf");
    scaled.floats("blk.0.ffn_up_exps.scale", {3}, {scales, scales + 3}).floats("blk.0.ffn_up_exps.weight", {256, 4, 3});
    scaled.floats("blk.0.ffn_up_exps.input_scale", {3}, {7, 7, 7});
    scaled.floats("blk.0.attn_q.weight", {256, 8}).floats("blk.0.attn_q.scale", {1}, {-8});
    for (std::size_t i = 0; i < plain.size(); ++i) plain[i] *= scales[i / 1024];
    for (float& x : matrix) x *= -8;
    file unscaled(dir + "/unscaled.gguf");
    unscaled.floats("blk.0.ffn_up_exps.weight", {256, 4, 3}, plain).floats("blk.0.attn_q.weight", {256, 8}, matrix);
    for (file* f : {&scaled, &unscaled})
      f->floats("blk.0.ffn_gate_inp.weight", {256, 3}).floats("blk.0.ffn_gate_inp.scale", {256});
  }
  layered_model(dir + "/llama256.gguf", 4);
  file(dir + "/hostile_names.gguf")
      .floats("blk.0.</script><script>alert(1)</script>.weight", {256, 4})
      .floats("blk.1.\"onload='x' & ]]>\x1b.weight", {256, 4});
  file(dir + "/experts.gguf").floats("blk.0.ffn_up_exps.weight", {256, 6, 3});
  file(dir + "/nan.gguf")
      .floats("first.weight", {256, 4})
      .floats("second.weight", {256, 9}, with({256, 9}, 256 * 7 + 33, nan));
  file(dir + "/infinite.gguf").floats("only.weight", {256, 9}, with({256, 9}, 256 * 7 + 33, -infinity));
  file(dir + "/huge.gguf").floats("only.weight", {256, 9}, with({256, 9}, 256 * 7 + 33, -1e30f));
  {
    const std::vector<std::int32_t> integers(256 * 2, 7);
    file(dir + "/integers.gguf").tensor("table.weight", 26, {256, 2}, integers.data(), integers.size() * 4);
  }
  {
    const std::string escape =
        "\x1b[2J\xc2\x9b"
        "1m\r\n\t\\ \xff\xfe \xe2\x80\xae text \xc3\xa9";
    file f(dir + "/escape.gguf");
    f.key("test.\xc3\xa9\xe2\x80\xaekey", std::string_view(escape)).floats("na\x1b[31mme", {32, 2});
  }
  {
    file f(dir + "/types.gguf");
    f.key("test.bool", true).key("test.i64", std::int64_t{-9000000000}).key("test.u64", ~std::uint64_t{0});
    f.key("test.f64", 0.1).key("test.nan", nan).floats("x", {32, 2});
  }
  for (std::uint16_t i = 0; i < 2; ++i)
    file(dir + "/split-0000" + std::to_string(i + 1) + "-of-00002.gguf")
        .key("split.no", i)
        .key("split.count", std::uint16_t{2})
        .key("split.tensors.count", std::int32_t{4})
        .floats(i == 0 ? "a.weight" : "c.weight", {256, 3})
        .floats(i == 0 ? "b.weight" : "d.weight", {256, 5});
  file(dir + "/whole.gguf")
      .floats("a.weight", {256, 3})
      .floats("b.weight", {256, 5})
      .floats("c.weight", {256, 3})
      .floats("d.weight", {256, 5});
  file(dir + "/zeros.gguf")
      .floats("a.weight", {256, 3}, std::vector<float>(256 * 3))
      .floats("b.weight", {256, 5}, std::vector<float>(256 * 5));
  file(dir + "/adapter.gguf").floats("blk.0.attn_q.weight.lora_b", {256, 4}, std::vector<float>(256 * 4));
  file(dir + "/other_shape.gguf")
      .floats("a.weight", {256, 3})
      .floats("b.weight", {256, 6})
      .floats("e.weight", {256, 1});
  file(dir + "/big_endian.gguf", {.big_endian = true}).key("test.number", std::uint32_t{77}).floats("x", {32, 2});

  llama_model(dir + "/llama.gguf", false);
  llama_model(dir + "/uniform.gguf", true);
  llama_model(dir + "/unnamed.gguf", false, 5);
  llama_model(dir + "/llama_nan.gguf", false, 0, nan);
  llama_model(dir + "/llama_inf.gguf", false, 0, infinity);

  file(dir + "/names.gguf")
      .floats("model.diffusion_model.input_blocks.2.1.transformer_blocks.0.attn2.to_q.weight", {256, 4})
      .floats(std::string(249, 'n') + ".weight", {256, 4});
  for (const char last : {'b', 'c'}) {
    std::string blocks(160, 'b');
    blocks[100] = last;
    file(dir + (last == 'b' ? "/foreign.gguf" : "/foreign_changed.gguf"))
        .floats("token_embd.weight", {256, 4})
        .tensor("blk.0.attn_q.weight", 139, {256}, blocks.data(), 144)
        .tensor("blk.0.attn_k.weight", 200, {100, 3}, blocks.data(), 64)
        .tensor("blk.0.attn_v.weight", 31, {32, 4}, blocks.data(), 96);
  }
  for (const std::uint32_t alignment : {8u, 128u})
    file(dir + "/align" + std::to_string(alignment) + ".gguf")
        .key("general.alignment", alignment)
        .floats("a.weight", {32, 3})
        .floats("b.weight", {5})
        .floats("c.weight", {64, 2});
  file(dir + "/odd.gguf")
      .array("odd.empty", std::vector<std::string_view>{})
      .array("odd.none", std::vector<std::uint32_t>{})
      .array("odd.floats", std::vector<float>{1.5f, nan, -infinity})
      .key("odd.nan", nan)
      .array("odd.flags", std::array{true, false})
      .array("odd.texts", std::vector<std::string_view>{"", "a\nb", "\xff"})
      .floats("a.weight", {32, 3});
  file(dir + "/vocabulary.gguf").array("tokenizer.ggml.tokens", std::vector<std::string_view>{"<unk>", "<s>", "a"});

  std::vector<float> weights(512);
  for (std::uint32_t i = 0; i < weights.size(); ++i)
    weights[i] = 1.0f + static_cast<float>(i % 37) * static_cast<float>(i % 5);
  legacy_importance(dir + "/q.dat", "blk.0.attn_q.weight", weights);
  gguf_importance(dir + "/q.imatrix.gguf", "blk.0.attn_q.weight", 512, weights, {4});
  auto small = weights;
  for (std::size_t i = 0; i < small.size(); i += 3) small[i] *= 1e-9f;
  gguf_importance(dir + "/small.imatrix.gguf", "blk.0.attn_q.weight", 512, small, {4});
  legacy_importance(dir + "/stranger.dat", "blk.9.attn_q.weight", weights);
  legacy_importance(dir + "/short.dat", "blk.0.attn_q.weight", std::vector<float>(256, 1.0f));
  legacy_importance(dir + "/poison.dat", "blk.0.attn_q.weight", std::vector<float>(512, nan));
  std::vector<float> experts(256 * 3);
  for (std::uint32_t i = 0; i < experts.size(); ++i) experts[i] = 1.0f + static_cast<float>(i % 41);
  for (const auto& [kind, counts] : {std::pair{"", std::vector<float>{1, 1, 1}}, {"_some", {1, 0, 1}}, {"_one", {1}}})
    gguf_importance(dir + "/experts" + kind + ".imatrix.gguf", "blk.0.ffn_up_exps.weight", 256, experts, counts);
  legacy_importance(dir + "/experts.dat", "blk.0.ffn_up_exps.weight", experts);
  legacy_importance(dir + "/experts_short.dat", "blk.0.ffn_up_exps.weight", std::vector<float>(256, 1.0f));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc == 3 || argc == 4 ? argv[1] : "";
  if (verb == "variants" && argc == 4) {
    write_variants(argv[2], argv[3]);
  } else if (verb == "long" && argc == 4) {
    hollow_model(argv[2], {{"a.weight", {std::uint64_t{1} << std::atoi(argv[3]), 2}}}, 1);
  } else if (verb == "layers" && argc == 4) {
    layered_model(argv[2], static_cast<std::uint32_t>(std::atoi(argv[3])));
  } else if (verb == "large") {
    hollow_model(argv[2], {{"hole", {1u << 20, 1u << 11}}, {"last", {256, 4}}}, 1);
  } else if (verb == "files") {
    write_files(argv[2]);
  } else if (verb == "xml" || verb == "plot") {
    std::ifstream file(argv[2], std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    const std::string fault = verb == "xml" ? malformed(text) : labels_overlap(text);
    require(!text.empty() && fault.empty(), std::string(argv[2]) + ": " + fault);
  } else if (verb == "json") {
    const auto value = nlohmann::json::parse(std::cin).at(nlohmann::json::json_pointer(argv[2]));
    std::cout << (value.is_string() ? value.get<std::string>() : value.dump()) << '\n';
  } else {
    require(false, "see the top of helper.cpp");
  }
}
