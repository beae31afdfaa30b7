// Mixes: which block format each tensor of a model gets, by its role, its place and the model's shape. A mix spends
// more bits where models are known to be sensitive: values, the way down, the first layers, the output. The names
// (q4_k_m, iq2_xs) and the rules are those of llama.cpp's file types, as llama-quantize 0.7.0 has them; docs/cli.md
// shows a mix at work.
#ifndef BLOCQ_CALIB_MIX_HPP
#define BLOCQ_CALIB_MIX_HPP

#include <blocq/format/all.hpp>
#include <blocq/gguf/reader.hpp>
#include <blocq/gguf/weights.hpp>

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// clang-format off
enum class mix : std::uint8_t {
  q4_0, q4_1, q5_0, q5_1, q8_0, q2_k_s, q2_k, q3_k_s, q3_k_m, q3_k_l, q4_k_s, q4_k_m, q5_k_s, q5_k_m, q6_k, iq1_s,
  iq1_m, iq2_xxs, iq2_xs, iq2_s, iq2_m, iq3_xxs, iq3_xs, iq3_s, iq3_m, iq4_nl, iq4_xs, tq1_0, tq2_0, mxfp4, q1_0, q2_0,
  f16, bf16, f32,
};
// clang-format on

enum class tensor_role : std::uint8_t {
  other,
  token_embedding,  // per layer, too
  output,
  attn_q,
  attn_k,
  attn_v,  // or what values are made with others in: attn_qkv, attn_kv_b
  attn_output,
  ffn_gate,
  ffn_up,
  ffn_down,
};

// What the rules ask of a model.
struct mix_model {
  std::string_view architecture = "llama";
  std::size_t layers = 1;
  std::size_t heads = 1, kv_heads = 1;  // of the first layer: query heads, and heads of keys and values
  std::size_t experts = 0;
  bool importance = false;   // there are importance weights
  bool tied_output = false;  // the token embedding is the output too
};

// And of one of its matrices.
struct mix_tensor {
  tensor_role role = tensor_role::other;
  std::size_t layer = 0;      // its place among `layers` of its kind, from 0
  std::size_t layers = 0;     // 0: those of the model
  std::size_t columns = 256;  // elements of a row
  bool stacked = false;       // one matrix per expert
};

// From the metadata of a model's first file and the tensors of all its files. What the metadata do not say is zero. The
// architecture is a view of the file's bytes.
mix_model describe_model(const gguf::reader& file, std::span<const gguf::tensor_info> tensors, bool importance);

// Role and layer from a name as GGUF files have it: "blk.7.ffn_down.weight" or "blk.7.ffn_down_exps.weight".
constexpr mix_tensor describe_tensor(std::string_view name, std::size_t columns, std::size_t matrices = 1) noexcept;

// All tensors of a model, in their order, as the rules of a mix count them: layer by layer and by name within a layer,
// over the weights that exist, whatever the numbers in their names; only where a model has experts are those numbers
// the layers of feed-forward matrices, except in mixes of less than three bits.
std::vector<mix_tensor> describe_tensors(mix m, const mix_model& model, std::span<const gguf::tensor_info> tensors);

// The type that a matrix gets, as a GGUF type id: the one that the mix has for it or, if its rows are not whole blocks
// of that, fallback_type of it.
constexpr int type_for(mix m, const mix_tensor& tensor, const mix_model& model) noexcept;

// The types of all tensors of a model, in their order. What is not a weight (gguf::is_weight) keeps its own.
std::vector<int> types_for(mix m, const mix_model& model, std::span<const gguf::tensor_info> tensors);

// Whether llama.cpp refuses to quantize a matrix to this type without importance weights, since what comes out is of
// little use: to less than three bits (or IQ3_XXS), but for both ends of a model; to Q2_K in the mix q2_k_s only.
constexpr bool wants_importance(int type, tensor_role role, mix m) noexcept;

// What a matrix gets whose rows are not whole blocks of a type: one of about the same size in blocks of 32, or F16. An
// id that is not known gets F16, too.
constexpr int fallback_type(int type, std::size_t columns) noexcept;

struct mix_info {
  mix id;
  const char* name;
  int type;                 // what a matrix gets that no rule names
  std::uint32_t file_type;  // the value of "general.file_type"
};

namespace detail {

template <class B>
inline constexpr int id_of = format_traits<B>::gguf_id;

inline constexpr mix_info mixes[] = {
    {mix::q4_0, "q4_0", id_of<q4_0>, 2},
    {mix::q4_1, "q4_1", id_of<q4_1>, 3},
    {mix::q5_0, "q5_0", id_of<q5_0>, 8},
    {mix::q5_1, "q5_1", id_of<q5_1>, 9},
    {mix::q8_0, "q8_0", id_of<q8_0>, 7},
    {mix::q2_k_s, "q2_k_s", id_of<q2_k>, 21},
    {mix::q2_k, "q2_k", id_of<q2_k>, 10},
    {mix::q3_k_s, "q3_k_s", id_of<q3_k>, 11},
    {mix::q3_k_m, "q3_k_m", id_of<q3_k>, 12},
    {mix::q3_k_l, "q3_k_l", id_of<q3_k>, 13},
    {mix::q4_k_s, "q4_k_s", id_of<q4_k>, 14},
    {mix::q4_k_m, "q4_k_m", id_of<q4_k>, 15},
    {mix::q5_k_s, "q5_k_s", id_of<q5_k>, 16},
    {mix::q5_k_m, "q5_k_m", id_of<q5_k>, 17},
    {mix::q6_k, "q6_k", id_of<q6_k>, 18},
    {mix::iq1_s, "iq1_s", id_of<iq1_s>, 24},
    {mix::iq1_m, "iq1_m", id_of<iq1_m>, 31},
    {mix::iq2_xxs, "iq2_xxs", id_of<iq2_xxs>, 19},
    {mix::iq2_xs, "iq2_xs", id_of<iq2_xs>, 20},
    {mix::iq2_s, "iq2_s", id_of<iq2_xs>, 28},
    {mix::iq2_m, "iq2_m", id_of<iq2_s>, 29},
    {mix::iq3_xxs, "iq3_xxs", id_of<iq3_xxs>, 23},
    {mix::iq3_xs, "iq3_xs", id_of<iq3_s>, 22},
    {mix::iq3_s, "iq3_s", id_of<iq3_s>, 26},
    {mix::iq3_m, "iq3_m", id_of<iq3_s>, 27},
    {mix::iq4_nl, "iq4_nl", id_of<iq4_nl>, 25},
    {mix::iq4_xs, "iq4_xs", id_of<iq4_xs>, 30},
    {mix::tq1_0, "tq1_0", id_of<tq1_0>, 36},
    {mix::tq2_0, "tq2_0", id_of<tq2_0>, 37},
    {mix::mxfp4, "mxfp4", id_of<mxfp4>, 38},
    {mix::q1_0, "q1_0", id_of<q1_0>, 40},
    {mix::q2_0, "q2_0", id_of<q2_0>, 41},
    {mix::f16, "f16", id_of<f16>, 1},
    {mix::bf16, "bf16", id_of<bf16>, 32},
    {mix::f32, "f32", 0, 0},
};

// Other names that llama.cpp has for some.
inline constexpr struct {
  const char* name;
  mix id;
} mix_aliases[] = {{"q3_k", mix::q3_k_m}, {"q4_k", mix::q4_k_m}, {"q5_k", mix::q5_k_m}, {"mxfp4_moe", mix::mxfp4}};

// Conditions of a rule, all of which must hold. Layers are counted from 0 and fractions of them rounded down.
enum condition : unsigned {
  always = 0,
  gqa4 = 1,         // at least four query heads share keys and values
  experts4 = 2,     // at least four experts
  experts8 = 4,     // exactly eight
  stacked = 8,      // a matrix per expert
  weighted = 16,    // with importance weights
  unweighted = 32,  // without
  first2 = 64,      // one of the first two layers
  first4 = 128,     // of the first four
  first_sixteenth = 256,
  first_eighth = 512,
  middle = 1024,       // neither the first eighth nor the last
  alternating = 2048,  // not in the middle, and every third there
  falcon = 4096,       // the architecture
};

// Eighty layers that share keys and values: the values cost little and matter much.
constexpr bool large(const mix_model& m) noexcept {
  if (m.layers != 80) return false;
  if (m.architecture == "llama" || m.architecture == "llama-embed") return m.heads != m.kv_heads;
  return m.architecture == "qwen2" || m.architecture == "deci" || m.architecture == "olmo";
}

constexpr unsigned conditions_of(const mix_tensor& t, const mix_model& m) noexcept {
  const std::size_t layers = t.layers != 0 ? t.layers : m.layers, eighth = layers / 8;
  // One architecture has a stack for the heads, too.
  const bool experts = t.stacked && (m.architecture != "bailingmoe3" || t.role >= tensor_role::ffn_gate);
  const bool in_middle = t.layer >= eighth && t.layer < 7 * layers / 8;
  const auto bit = [](bool holds, condition c) { return holds ? static_cast<unsigned>(c) : 0u; };
  return bit(m.kv_heads != 0 && m.heads / m.kv_heads >= 4, gqa4) | bit(m.experts >= 4, experts4) |
         bit(m.experts == 8, experts8) | bit(experts, stacked) | bit(m.importance, weighted) |
         bit(!m.importance, unweighted) | bit(t.layer < 2, first2) | bit(t.layer < 4, first4) |
         bit(t.layer < layers / 16, first_sixteenth) | bit(t.layer < eighth, first_eighth) | bit(in_middle, middle) |
         bit(!in_middle || (t.layer - eighth) % 3 == 2, alternating) | bit(m.architecture == "falcon", falcon);
}

template <class... E>
constexpr std::uint64_t set_of(E... members) noexcept {
  return ((std::uint64_t{1} << static_cast<unsigned>(members)) | ...);
}

// Those of less than three bits, which have rules of their own.
inline constexpr std::uint64_t tiny_mixes =
    set_of(mix::iq1_s, mix::iq1_m, mix::iq2_xxs, mix::iq2_xs, mix::iq2_s, mix::iq2_m);

struct mix_rule {
  std::uint64_t mixes, roles;
  unsigned conditions;
  int type;
};

// The first rule that applies decides.
inline constexpr auto rules = [] {
  using enum mix;
  using r = tensor_role;
  constexpr std::uint64_t every = ~std::uint64_t{0}, ones = set_of(iq1_s, iq1_m), twos = set_of(iq2_s, iq2_m),
                          up_to_2 = tiny_mixes, tiny = up_to_2 & ~twos, ternary = set_of(tq1_0, tq2_0, q2_0);
  constexpr std::uint64_t out = set_of(r::output), embedding = set_of(r::token_embedding), q = set_of(r::attn_q),
                          k = set_of(r::attn_k), v = set_of(r::attn_v), o = set_of(r::attn_output),
                          down = set_of(r::ffn_down), gate_up = set_of(r::ffn_gate, r::ffn_up);
  struct list {
    mix_rule rule[64] = {};
    std::size_t size = 0;
    constexpr void operator()(std::uint64_t m, std::uint64_t roles, unsigned conditions, int type) {
      rule[size++] = {m, roles, conditions, type};
    }
  } add{};

  add(set_of(f16, bf16, f32), every, always, -1);
  add(set_of(mxfp4), out, always, id_of<blocq::q8_0>);
  add(set_of(mxfp4), every, stacked, id_of<blocq::mxfp4>);
  add(set_of(mxfp4), every, always, id_of<blocq::q8_0>);

  add(every, out, falcon, id_of<blocq::q8_0>);
  add(up_to_2 | set_of(iq3_xxs), out, always, id_of<blocq::q5_k>);
  add(every & ~set_of(q8_0), out, always, id_of<blocq::q6_k>);
  add(tiny, embedding, always, id_of<blocq::q2_k>);
  add(twos | set_of(iq3_xxs), embedding, always, id_of<blocq::iq3_s>);
  add(ternary, embedding, always, id_of<blocq::q4_k>);

  add(up_to_2, v, gqa4, id_of<blocq::q4_k>);
  add(up_to_2, v, experts4, id_of<blocq::q4_k>);
  add(tiny, v, always, id_of<blocq::q2_k>);
  add(twos, v, always, id_of<blocq::iq3_s>);
  add(up_to_2, k, experts8, id_of<blocq::q4_k>);
  add(tiny, down, first_eighth, id_of<blocq::q2_k>);
  add(twos, down, first_eighth, id_of<blocq::iq3_s>);
  add(up_to_2, o, experts8, id_of<blocq::q5_k>);
  add(ones, o, always, id_of<blocq::iq2_xxs>);
  add(twos, o, always, id_of<blocq::iq3_s>);
  add(up_to_2, every, always, -1);

  add(every, v | k, experts8, id_of<blocq::q8_0>);

  add(set_of(q2_k, q2_k_s, iq3_xxs, iq3_xs, iq3_s, iq3_m), v, gqa4, id_of<blocq::q4_k>);
  add(set_of(q2_k), v, always, id_of<blocq::q3_k>);
  add(set_of(iq3_xxs), v, unweighted, id_of<blocq::iq3_s>);
  add(set_of(iq3_m), v, always, id_of<blocq::q4_k>);
  add(set_of(q3_k_m), v, first2, id_of<blocq::q5_k>);
  add(set_of(q3_k_m), v, always, id_of<blocq::q4_k>);
  add(set_of(q3_k_l), v, always, id_of<blocq::q5_k>);
  add(set_of(iq4_nl, iq4_xs), v, gqa4, id_of<blocq::q5_k>);
  add(set_of(q4_k_m, q5_k_m), v, alternating, id_of<blocq::q6_k>);
  add(set_of(q4_k_s), v, first4, id_of<blocq::q5_k>);

  add(set_of(iq3_xs), q | k, always, id_of<blocq::iq3_xxs>);
  add(set_of(iq3_xxs), q | k, always, id_of<blocq::iq2_s>);

  add(set_of(q2_k), down, always, id_of<blocq::q3_k>);
  add(set_of(q2_k_s), down, first_eighth, id_of<blocq::q4_k>);
  add(set_of(iq3_xxs), down, unweighted | first_eighth, id_of<blocq::q4_k>);
  add(set_of(iq3_xxs), down, unweighted, id_of<blocq::q3_k>);
  add(set_of(q3_k_m), down, first_sixteenth, id_of<blocq::q5_k>);
  add(set_of(q3_k_m), down, alternating, id_of<blocq::q4_k>);
  add(set_of(q3_k_m), down, falcon, -1);
  add(set_of(q3_k_m), down, always, id_of<blocq::q4_k>);
  add(set_of(iq3_m), down, first_eighth, id_of<blocq::q4_k>);
  add(set_of(iq3_m), down, experts8 | alternating, id_of<blocq::q4_k>);
  add(set_of(q3_k_l), down, falcon, id_of<blocq::q4_k>);
  add(set_of(q3_k_l), down, always, id_of<blocq::q5_k>);
  add(set_of(q4_k_m), down, falcon | first_sixteenth, id_of<blocq::q6_k>);
  add(set_of(q4_k_m), down, falcon | alternating, id_of<blocq::q5_k>);
  add(set_of(q4_k_m), down, falcon, -1);
  add(set_of(q4_k_m, q5_k_m), down, alternating, id_of<blocq::q6_k>);
  add(set_of(iq4_nl, iq4_xs), down, unweighted | first_eighth, id_of<blocq::q5_k>);
  add(set_of(q4_k_s), down, falcon, -1);
  add(set_of(q4_k_s), down, first_eighth, id_of<blocq::q5_k>);
  add(set_of(q4_0), down, weighted | first_eighth, id_of<blocq::q4_1>);
  add(set_of(q5_0), down, weighted | first_eighth, id_of<blocq::q5_1>);

  add(set_of(q3_k_l), o, falcon, id_of<blocq::q4_k>);
  add(every, o, falcon, -1);
  add(set_of(q2_k, iq3_xxs, iq3_xs, iq3_s, iq3_m, q3_k_s, q3_k_m, q4_k_s, q4_k_m, iq4_nl, iq4_xs), o, experts8,
      id_of<blocq::q5_k>);
  add(every, o, experts8, -1);
  add(set_of(q2_k), o, always, id_of<blocq::q3_k>);
  add(set_of(iq3_xxs), o, always, id_of<blocq::iq3_s>);
  add(set_of(q3_k_m, iq3_m), o, always, id_of<blocq::q4_k>);
  add(set_of(q3_k_l), o, always, id_of<blocq::q5_k>);

  add(set_of(iq3_xs), gate_up, middle, id_of<blocq::iq3_xxs>);
  return add;
}();

constexpr bool whole_blocks(int type, std::size_t columns) noexcept {
  const auto* const known = gguf::find_type(type);
  return known != nullptr && columns % known->block == 0;
}

}  // namespace detail

constexpr const mix_info& info_of(mix m) noexcept { return detail::mixes[static_cast<std::size_t>(m)]; }
constexpr std::span<const mix_info> all_mixes() noexcept { return detail::mixes; }

// By name; case does not matter. Null if there is none.
constexpr const mix_info* find_mix(std::string_view name) noexcept {
  const auto is = [name](std::string_view other) {
    if (name.size() != other.size()) return false;
    for (std::size_t i = 0; i < name.size(); ++i)
      if ((name[i] >= 'A' && name[i] <= 'Z' ? static_cast<char>(name[i] - 'A' + 'a') : name[i]) != other[i])
        return false;
    return true;
  };
  for (const mix_info& m : detail::mixes)
    if (is(m.name)) return &m;
  for (const auto& alias : detail::mix_aliases)
    if (is(alias.name)) return &info_of(alias.id);
  return nullptr;
}

constexpr int fallback_type(int type, std::size_t columns) noexcept {
  using detail::id_of;
  if (detail::whole_blocks(type, columns)) return type;
  if (columns % 32 == 0) switch (type) {
      case id_of<tq1_0>:
      case id_of<tq2_0>:
      case id_of<q2_0>:
      case id_of<q2_k>:
      case id_of<q3_k>: return id_of<q4_0>;
      case id_of<q4_k>: return id_of<q5_0>;
      case id_of<q5_k>: return id_of<q5_1>;
      case id_of<q6_k>: return id_of<q8_0>;
      case id_of<iq1_s>:
      case id_of<iq1_m>:
      case id_of<iq2_xxs>:
      case id_of<iq2_xs>:
      case id_of<iq2_s>:
      case id_of<iq3_xxs>:
      case id_of<iq3_s>:
      case id_of<iq4_xs>: return id_of<iq4_nl>;
      default: break;
    }
  return id_of<f16>;
}

constexpr int type_for(mix m, const mix_tensor& t, const mix_model& model) noexcept {
  using detail::id_of;
  const mix_info& info = info_of(m);
  const bool output = t.role == tensor_role::output || (t.role == tensor_role::token_embedding && model.tied_output);
  if (output && !detail::whole_blocks(info.type, t.columns)) return fallback_type(id_of<q8_0>, t.columns);
  const unsigned holds = detail::conditions_of(t, model);
  const std::uint64_t role = detail::set_of(output ? tensor_role::output : t.role);
  int type = info.type;
  for (std::size_t i = 0; i < detail::rules.size; ++i) {
    const detail::mix_rule& rule = detail::rules.rule[i];
    if ((rule.mixes & detail::set_of(m)) == 0 || (rule.roles & role) == 0 || (rule.conditions & ~holds) != 0) continue;
    if (rule.type >= 0) type = rule.type;
    break;
  }
  const bool tiny = (detail::tiny_mixes & detail::set_of(m)) != 0;
  if (t.role == tensor_role::attn_v && !tiny && detail::large(model) && (type == id_of<q3_k> || type == id_of<q4_k>))
    type = id_of<q5_k>;
  return fallback_type(type, t.columns);
}

constexpr bool wants_importance(int type, tensor_role role, mix m) noexcept {
  using detail::id_of;
  if (role == tensor_role::token_embedding || role == tensor_role::output) return false;
  switch (type) {
    case id_of<iq1_s>:
    case id_of<iq1_m>:
    case id_of<iq2_xxs>:
    case id_of<iq2_xs>:
    case id_of<iq2_s>:
    case id_of<iq3_xxs>: return true;
    case id_of<q2_k>: return m == mix::q2_k_s;
    default: return false;
  }
}

namespace detail {

// The N of "blk.N."; nothing if the name does not begin like that.
constexpr gguf::maybe<std::size_t> layer_in(std::string_view name) noexcept {
  if (!name.starts_with("blk.")) return {};
  std::size_t at = 4, layer = 0;
  for (; at < name.size() && name[at] >= '0' && name[at] <= '9'; ++at)
    layer = 10 * layer + static_cast<std::size_t>(name[at] - '0');
  return at > 4 ? gguf::maybe<std::size_t>(layer) : gguf::maybe<std::size_t>();
}

constexpr tensor_role role_of(std::string_view name) noexcept {
  using enum tensor_role;
  if (name == "output.weight") return output;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return token_embedding;
  // The first part that the name contains.
  constexpr struct {
    std::string_view part;
    tensor_role role;
  } roles[] = {{"attn_qkv.weight", attn_v}, {"attn_kv_b.weight", attn_v}, {"attn_v.weight", attn_v},
               {"attn_k.weight", attn_k},   {"attn_q.weight", attn_q},    {"attn_output.weight", attn_output},
               {"ffn_up", ffn_up},          {"ffn_gate", ffn_gate},       {"ffn_down", ffn_down}};
  for (const auto& [part, role] : roles)
    if (name.find(part) != name.npos) return role;
  return other;
}

}  // namespace detail

constexpr mix_tensor describe_tensor(std::string_view name, std::size_t columns, std::size_t matrices) noexcept {
  return {.role = detail::role_of(name),
          .layer = detail::layer_in(name).value_or(0),
          .columns = columns,
          .stacked = matrices > 1};
}

inline mix_model describe_model(const gguf::reader& file, std::span<const gguf::tensor_info> tensors, bool importance) {
  mix_model model{.layers = 0, .heads = 0, .kv_heads = 0, .importance = importance, .tied_output = true};
  if (const auto name = file.get<std::string_view>("general.architecture")) model.architecture = *name;
  for (const gguf::tensor_info& t : tensors)
    if (detail::role_of(t.name) == tensor_role::output) model.tied_output = false;
  if (model.architecture == "clip") return model;  // what sees or hears: its keys are not looked at
  // Of an array, which has a number for each layer, the first.
  const auto number = [&](const char* key) -> gguf::maybe<std::size_t> {
    const gguf::value* const found = file.find(std::string(model.architecture) + key);
    if (found == nullptr || found->size() == 0) return {};
    return (*found->begin()).get<std::size_t>();
  };
  model.layers = number(".block_count").value_or(0);
  model.heads = number(".attention.head_count").value_or(0);
  model.kv_heads = number(".attention.head_count_kv").value_or(model.heads);
  model.experts = number(".expert_count").value_or(0);
  return model;
}

inline std::vector<mix_tensor> describe_tensors(mix m, const mix_model& model,
                                                std::span<const gguf::tensor_info> tensors) {
  std::vector<mix_tensor> out;
  std::size_t values = 0;
  for (const gguf::tensor_info& t : tensors) {
    out.push_back(describe_tensor(t.name, t.row_elements(), t.dims[2] * t.dims[3]));
    if (out.back().role == tensor_role::attn_v) ++values;
  }
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  const auto layer = [&](std::size_t i) {  // what belongs to none comes first
    const auto found = detail::layer_in(tensors[i].name);
    return found ? *found + 1 : 0;
  };
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return layer(a) != layer(b) ? layer(a) < layer(b) : tensors[a].name < tensors[b].name;
  });
  const bool by_name = model.experts > 1 && (detail::tiny_mixes & detail::set_of(m)) == 0;
  std::size_t next[static_cast<std::size_t>(tensor_role::ffn_down) + 1] = {};  // of each role
  for (const std::size_t i : order) {
    mix_tensor& t = out[i];
    if (!gguf::is_weight(tensors[i], model.architecture)) continue;
    const std::size_t place = next[static_cast<std::size_t>(t.role)]++;
    const bool value = t.role == tensor_role::attn_v;
    if (value) t.layers = values;
    if (value || !by_name) t.layer = place;
  }
  return out;
}

inline std::vector<int> types_for(mix m, const mix_model& model, std::span<const gguf::tensor_info> tensors) {
  const std::vector<mix_tensor> described = describe_tensors(m, model, tensors);
  std::vector<int> types;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    types.push_back(gguf::is_weight(tensors[i], model.architecture) ? type_for(m, described[i], model)
                                                                    : tensors[i].type);
  return types;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
