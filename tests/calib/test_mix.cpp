// Mixes: what llama-quantize gives to the tensors of many kinds of models, and the sizes that published models have.
#include <doctest/doctest.h>
#include <blocq/calib/mix.hpp>
#include <cmath>
#include <gguf_builder.hpp>
#include <golden.hpp>
#include <initializer_list>
#include <string>
#include <utility>

using namespace blocq::calib;

namespace {

struct llama_shape {
  std::size_t width, hidden, kv_width, vocabulary, layers;
};

// Bits per weight of a whole file, norms in F32.
double bits(mix m, const llama_shape& s, bool importance) {
  const mix_model model{.layers = s.layers, .heads = s.width, .kv_heads = s.kv_width, .importance = importance};
  double bytes = 0, elements = 0;
  const auto add = [&](const std::string& name, std::size_t columns, std::size_t rows) {
    const auto* type = blocq::gguf::find_type(type_for(m, describe_tensor(name, columns), model));
    const double n = static_cast<double>(columns * rows);
    elements += n;
    bytes += n / static_cast<double>(type->block) * static_cast<double>(type->bytes);
  };
  add("token_embd.weight", s.width, s.vocabulary);
  add("output.weight", s.width, s.vocabulary);
  for (std::size_t i = 0; i < s.layers; ++i) {
    const std::string block = "blk." + std::to_string(i);
    add(block + ".attn_q.weight", s.width, s.width);
    add(block + ".attn_k.weight", s.width, s.kv_width);
    add(block + ".attn_v.weight", s.width, s.kv_width);
    add(block + ".attn_output.weight", s.width, s.width);
    add(block + ".ffn_gate.weight", s.width, s.hidden);
    add(block + ".ffn_up.weight", s.width, s.hidden);
    add(block + ".ffn_down.weight", s.hidden, s.width);
  }
  const double norms = static_cast<double>((2 * s.layers + 1) * s.width);
  return 8 * (bytes + 4 * norms) / (elements + norms);
}

struct published {
  mix m;
  double bits;
};

int id(std::string_view type) { return *blocq::gguf::find_type_id(type); }

}  // namespace

TEST_CASE("Llama-2-7B has its published sizes") {
  // That of Q2_K, 3.35, is of older rules.
  for (const auto& [m, expected] : std::initializer_list<published>{{mix::q2_k, 3.01},
                                                                    {mix::q3_k_s, 3.50},
                                                                    {mix::q3_k_m, 3.91},
                                                                    {mix::q3_k_l, 4.27},
                                                                    {mix::q4_k_s, 4.58},
                                                                    {mix::q4_k_m, 4.84},
                                                                    {mix::q5_k_s, 5.52},
                                                                    {mix::q5_k_m, 5.68},
                                                                    {mix::q6_k, 6.56}}) {
    const auto name = info_of(m).name;
    CAPTURE(name);
    CHECK(std::abs(bits(m, {4096, 11008, 4096, 32000, 32}, false) - expected) <= 0.005);
  }
}

TEST_CASE("Llama-3.1-8B has its published sizes, all that needs or is said to have importance weights with them") {
  for (const auto& [m, expected] : std::initializer_list<published>{
           {mix::iq1_s, 2.0042},  {mix::iq1_m, 2.1460},  {mix::iq2_xxs, 2.3824}, {mix::iq2_xs, 2.5882},
           {mix::iq2_s, 2.7403},  {mix::iq2_m, 2.9294},  {mix::iq3_xxs, 3.2548}, {mix::iq3_xs, 3.4977},
           {mix::iq3_s, 3.6606},  {mix::iq3_m, 3.7628},  {mix::iq4_xs, 4.4597},  {mix::iq4_nl, 4.6818},
           {mix::q2_k_s, 2.9697}, {mix::q2_k, 3.1593},   {mix::q3_k_s, 3.6429},  {mix::q3_k_l, 4.2979},
           {mix::q4_k_s, 4.6672}, {mix::q4_k_m, 4.8944}, {mix::q5_k_s, 5.5704},  {mix::q5_k_m, 5.7036},
           {mix::q6_k, 6.5633},   {mix::q8_0, 8.5008}}) {
    const auto name = info_of(m).name;
    CAPTURE(name);
    CHECK(std::abs(bits(m, {4096, 14336, 1024, 128256, 32}, m == mix::iq3_xxs) - expected) <= 0.00005);
  }
}

TEST_CASE("the table of mixes is in the order of the names, and finds them") {
  for (const mix_info& m : all_mixes()) {
    CHECK(find_mix(m.name) == &m);
    CHECK(&info_of(m.id) == &m);
    for (const mix_info& other : all_mixes()) CHECK((&m == &other || m.file_type != other.file_type));
  }
  CHECK(find_mix("Q4_K_M") == &info_of(mix::q4_k_m));
  CHECK(find_mix("q4_k") == &info_of(mix::q4_k_m));
  CHECK(find_mix("MXFP4_MOE") == &info_of(mix::mxfp4));
  CHECK(find_mix("q4_k_x") == nullptr);
  CHECK(find_mix("") == nullptr);
}

TEST_CASE("roles are read off the names") {
  const auto is = [](std::string_view name, tensor_role role, std::size_t layer) {
    const auto t = describe_tensor(name, 64);
    return t.role == role && t.layer == layer && t.columns == 64;
  };
  CHECK(is("token_embd.weight", tensor_role::token_embedding, 0));
  CHECK(is("output.weight", tensor_role::output, 0));
  CHECK(is("output_norm.weight", tensor_role::other, 0));
  CHECK(is("blk.17.attn_v.weight", tensor_role::attn_v, 17));
  CHECK(is("per_layer_token_embd.weight", tensor_role::token_embedding, 0));
  CHECK(is("blk.3.attn_qkv.weight", tensor_role::attn_v, 3));
  CHECK(is("blk.3.attn_kv_b.weight", tensor_role::attn_v, 3));
  CHECK(is("dec.blk.3.cross_attn_v.weight", tensor_role::attn_v, 0));
  CHECK(is("blk.3.attn_q_norm.weight", tensor_role::other, 3));
  CHECK(is("blk.203.ffn_down_exps.weight", tensor_role::ffn_down, 203));
  CHECK(is("blk.0.ffn_up_shexp.weight", tensor_role::ffn_up, 0));
  CHECK(is("blk.", tensor_role::other, 0));
  CHECK(describe_tensor("blk.1.ffn_up_exps.weight", 256, 8).stacked);
}

namespace {

std::vector<std::string> split(std::string_view s, char at) {
  std::vector<std::string> parts(1);
  for (const char c : s) {
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

// "0-3,7"
std::vector<std::size_t> numbers_in(std::string_view ranges) {
  std::vector<std::size_t> out;
  for (const std::string& part : split(ranges, ',')) {
    const auto ends = split(part, '-');
    for (std::size_t n = std::stoul(ends.front()); n <= std::stoul(ends.back()); ++n) out.push_back(n);
  }
  return out;
}
std::string ranges_of(const std::vector<std::size_t>& ns) {
  std::string out;
  for (std::size_t i = 0; i < ns.size();) {
    std::size_t j = i;
    while (j + 1 < ns.size() && ns[j + 1] == ns[j] + 1) ++j;
    out += (out.empty() ? "" : ",") + std::to_string(ns[i]) + (i == j ? "" : "-" + std::to_string(ns[j]));
    i = j + 1;
  }
  return out;
}

// A model of golden/mixes.txt as a file without data, and the words that describe its tensors.
struct described_model {
  struct group {
    std::string label;
    std::vector<std::size_t> numbers, tensors;  // the latter in the order of the file
  };
  std::string name, file;
  std::vector<group> groups;

  explicit described_model(const std::vector<std::string>& words) : name(words.at(1)) {
    builder_.string("general.architecture", words.at(2));
    for (std::size_t i = 3; i < words.size(); ++i) add_key(words[2], words[i]);
  }
  void add_tensors(const std::string& word) {
    std::string full = word.substr(0, word.find(':'));
    const std::string shape = full.size() == word.size() ? "256x32" : word.substr(full.size() + 1);
    group g{full, {}, {}};
    if (full.starts_with("blk.{")) g.label.erase(0, full.find('}') + 2);
    full = full.front() == '=' ? full.substr(1) : full + ".weight";
    std::vector<std::uint64_t> dims;
    for (const std::string& d : split(shape, 'x')) dims.push_back(std::stoul(d));
    const std::size_t open = full.find('{'), close = full.find('}');
    const bool many = open != full.npos;
    for (const std::size_t n :
         many ? numbers_in(full.substr(open + 1, close - open - 1)) : std::vector<std::size_t>{0}) {
      builder_.record(many ? full.substr(0, open) + std::to_string(n) + full.substr(close + 1) : full, 0, dims,
                      offset_);
      std::uint64_t bytes = 4;
      for (const std::uint64_t d : dims) bytes *= d;
      offset_ += (bytes + 31) / 32 * 32;
      g.numbers.push_back(n);
      g.tensors.push_back(count_++);
    }
    groups.push_back(std::move(g));
  }
  void finish() { file = builder_.build(); }
  blocq::gguf::reader reader() const {
    auto parsed = blocq::gguf::reader::parse(std::as_bytes(std::span(file)), {.header_only = true});
    REQUIRE_MESSAGE(parsed, parsed.message());
    return std::move(*parsed);
  }

  // The labels of what is no weight, as the table lists them.
  std::string kept() const {
    const auto parsed = reader();
    const auto architecture = *parsed.get<std::string_view>("general.architecture");
    std::string out;
    for (const group& g : groups) {
      const bool weight = blocq::gguf::is_weight(parsed.tensors()[g.tensors.front()], architecture);
      for (const std::size_t i : g.tensors) CHECK(blocq::gguf::is_weight(parsed.tensors()[i], architecture) == weight);
      if (!weight) out += (out.empty() ? "" : ",") + g.label;
    }
    return out;
  }

  // What of the weights has another type than the mix has for most, in the words of the table.
  std::string answer(mix m, bool importance) const {
    const auto parsed = reader();
    const auto tensors = parsed.tensors();
    const mix_model shape = describe_model(parsed, tensors, importance);
    const std::vector<int> types = types_for(m, shape, tensors);
    std::vector<std::pair<std::string, std::string>> words;  // types, labels
    for (const group& g : groups) {
      if (!blocq::gguf::is_weight(tensors[g.tensors.front()], shape.architecture)) {
        for (const std::size_t i : g.tensors) CHECK(types[i] == 0);
        continue;
      }
      std::vector<std::pair<int, std::vector<std::size_t>>> by_type;
      for (std::size_t i = 0; i < g.tensors.size(); ++i) {
        const int type = types[g.tensors[i]];
        auto found = std::find_if(by_type.begin(), by_type.end(), [&](const auto& b) { return b.first == type; });
        if (found == by_type.end()) found = by_type.insert(found, {type, {}});
        found->second.push_back(g.numbers[i]);
      }
      std::string said;
      for (const auto& [type, numbers] : by_type)
        if (type != info_of(m).type)
          said += (said.empty() ? "" : "+") + std::string(blocq::gguf::find_type(type)->name) +
                  (by_type.size() == 1 ? "" : "@" + ranges_of(numbers));
      if (said.empty()) continue;
      const auto same = std::find_if(words.begin(), words.end(), [&](const auto& w) { return w.first == said; });
      if (same == words.end())
        words.emplace_back(said, g.label);
      else
        same->second += "," + g.label;
    }
    std::string out;
    for (const auto& [said, labels] : words) out += (out.empty() ? "" : " ") + labels + "=" + said;
    return out;
  }

 private:
  void add_key(const std::string& architecture, const std::string& word) {
    const std::size_t at = word.find('=');
    const std::string key = architecture + "." + word.substr(0, at), value = word.substr(at + 1);
    if (value.front() != '[') {
      builder_.u32(key, static_cast<std::uint32_t>(std::stoul(value)));
      return;
    }
    std::string elements;
    for (const std::string& part : split(std::string_view(value).substr(1, value.size() - 2), ',')) {
      const auto factors = split(part, '*');
      for (std::size_t i = 0; i < std::stoul(factors.at(0)); ++i)
        elements += builder_.number(std::stoul(factors.at(1)), 4);
    }
    builder_.array(key, 4, elements.size() / 4, elements);
  }

  gguf_builder builder_;
  std::uint64_t offset_ = 0;
  std::size_t count_ = 0;
};

}  // namespace

TEST_CASE("every tensor of every model has the type that llama-quantize gives it") {
  std::map<std::string, std::string> answers;  // by file type, with a '+' if there are importance weights
  std::vector<described_model> models;
  std::size_t compared = 0;
  const auto check = [&] {
    if (models.empty()) return;
    const described_model& model = models.back();
    const auto& name = model.name;
    CAPTURE(name);
    CHECK(model.kept() == answers["kept"]);
    for (const mix_info& m : all_mixes())
      for (const bool importance : {false, true}) {
        auto known = answers.find(m.name + std::string(importance ? "+" : ""));
        if (known == answers.end()) known = answers.find(m.name);
        const std::string_view file_type = m.name;
        CAPTURE(file_type);
        CAPTURE(importance);
        REQUIRE(known != answers.end());
        if (known->second == "refused") continue;
        CHECK(model.answer(m.id, importance) == known->second);
        ++compared;
      }
  };
  for (const std::string& line : split(golden::text("mixes.txt"), '\n')) {
    const auto words = split(line, ' ');
    if (words.front() == "model") {
      check();
      answers.clear();
      models.emplace_back(words);
    } else if (words.front() == "tensors") {
      for (std::size_t i = 1; i < words.size(); ++i) models.back().add_tensors(words[i]);
    } else if (!line.empty() && line.front() != '#') {
      models.back().finish();
      for (const std::string& file_type : split(words.front(), ','))
        answers[file_type] = line.substr(std::min(line.size(), words.front().size() + 1));
    }
  }
  check();
  CHECK(models.size() > 60);
  CHECK(compared > 60 * all_mixes().size());
}

TEST_CASE("which types want importance weights") {
  using r = tensor_role;
  for (const char* type : {"iq1_s", "iq1_m", "iq2_xxs", "iq2_xs", "iq2_s", "iq3_xxs"}) {
    CHECK(wants_importance(id(type), r::attn_v, mix::q4_k_m));
    CHECK(wants_importance(id(type), r::other, mix::q4_k_m));
    CHECK_FALSE(wants_importance(id(type), r::output, mix::q4_k_m));
    CHECK_FALSE(wants_importance(id(type), r::token_embedding, mix::q4_k_m));
  }
  CHECK(wants_importance(id("q2_k"), r::attn_q, mix::q2_k_s));
  for (const mix m : {mix::q2_k, mix::iq1_s, mix::iq2_xs}) CHECK_FALSE(wants_importance(id("q2_k"), r::attn_q, m));
  for (const char* type : {"iq3_s", "iq4_xs", "q3_k", "tq1_0", "q1_0"})
    CHECK_FALSE(wants_importance(id(type), r::attn_q, mix::q2_k_s));
}

TEST_CASE("rows that are not whole blocks") {
  for (const auto& [wanted, instead] : std::initializer_list<std::pair<const char*, const char*>>{{"q2_0", "q4_0"},
                                                                                                  {"q2_k", "q4_0"},
                                                                                                  {"q3_k", "q4_0"},
                                                                                                  {"tq1_0", "q4_0"},
                                                                                                  {"q4_k", "q5_0"},
                                                                                                  {"q5_k", "q5_1"},
                                                                                                  {"q6_k", "q8_0"},
                                                                                                  {"iq1_s", "iq4_nl"},
                                                                                                  {"iq4_xs", "iq4_nl"},
                                                                                                  {"q4_0", "q4_0"}}) {
    CHECK(fallback_type(id(wanted), 160) == id(instead));
    CHECK(fallback_type(id(wanted), 512) == id(wanted));
    CHECK(fallback_type(id(wanted), 172) == id("f16"));
  }
  CHECK(fallback_type(id("nvfp4"), 96) == id("f16"));
  for (const int unknown : {-1, 4, 1000}) CHECK(fallback_type(unknown, 256) == id("f16"));
  CHECK(type_for(mix::q3_k_m, describe_tensor("blk.0.attn_v.weight", 160), {}) == id("q5_1"));
  static_assert(type_for(mix::q4_k_m, describe_tensor("blk.0.ffn_down.weight", 256), {.layers = 32}) == 14);
}
