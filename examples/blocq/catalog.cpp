#include "catalog.hpp"

#include "command.hpp"
#include "terminal.hpp"
#include "whole_tensor.hpp"

#include <blocq/blocq.hpp>

#include <strings.h>
#include <algorithm>
#include <cmath>

// F32 tensors need no format of the library, but as one they go through the same table as all others. This is also
// all that a program has to write to add a format of its own.
namespace plain {

struct f32 {
  blocq::le32 bits;
};

inline void decode(const f32& b, float* y) noexcept { *y = blocq::from_bits(load(b.bits)); }
inline bool is_valid(const f32&) noexcept { return true; }
inline void encode(const float* x, std::size_t blocks, const blocq::encode_context&, f32* out) noexcept {
  for (std::size_t i = 0; i < blocks; ++i) store(out[i].bits, blocq::to_bits(x[i]));
}

}  // namespace plain

template <>
struct blocq::format_traits<plain::f32> {
  static constexpr const char* name = "f32";
  static constexpr std::size_t block_size = 1;
  static constexpr int gguf_id = 0;
  static constexpr bool importance = false;
  struct element {
    static constexpr int exponent_bits = 8;
  };
  using operand = plain::f32;
};

namespace {

// The one place that says which operations run on SIMD code in this build.
template <class B>
constexpr std::string_view vectorized_operations() {
  constexpr bool lanes = blocq::lane_traits<blocq::native_lane>::size > 1 &&
                         requires(const float* x, const blocq::encode_context& context, B* out) {
    encode<blocq::native_lane>(x, std::size_t{}, context, out);
  };
  constexpr bool chunks =
      blocq::chunked_format<B> && !std::is_same_v<blocq::simd::native::bytes, blocq::simd::common::bytes>;
  return lanes ? (chunks ? "encode decode dot" : "encode") : (chunks ? "decode dot" : "-");
}

template <class B>
blocq::status encode_blocks(std::span<const float> rows, std::byte* blocks, const encode_settings& settings) {
  const std::span out(reinterpret_cast<B*>(blocks), rows.size() / blocq::block_size<B>);
  const auto quality = settings.best ? blocq::quality_level::best : blocq::quality_level::reference;
  return blocq::quantize(rows, out, {.importance = settings.importance, .quality = quality});
}

template <class B>
blocq::status decode_blocks(const std::byte* blocks, std::span<float> out) {
  return blocq::dequantize(std::span(reinterpret_cast<const B*>(blocks), out.size() / blocq::block_size<B>), out);
}

template <class B>
constexpr number_kind kind_of() {
  if constexpr (requires { blocq::element_t<B>::exponent_bits; }) return number_kind::floating;
  if constexpr (requires { blocq::element_t<B>::values; }) return number_kind::codebook;
  return number_kind::integer;
}

template <class B>
format_entry entry() {
  using traits = blocq::format_traits<B>;
  format_entry e{};
  e.name = traits::name;
  e.block_size = traits::block_size;
  e.block_bytes = sizeof(B);
  e.kind = kind_of<B>();
  if constexpr (blocq::gguf_format<B>) e.gguf_id = traits::gguf_id;
  if constexpr (requires { blocq::format_traits<blocq::operand_t<B>>::name; })
    e.operand = blocq::format_traits<blocq::operand_t<B>>::name;
  e.activation_only = std::is_same_v<B, blocq::q8_1> || std::is_same_v<B, blocq::q8_k>;
  e.vectorized = vectorized_operations<B>();
  e.decode = decode_blocks<B>;
  if constexpr (blocq::encodable_format<B>) {
    e.encode = encode_blocks<B>;
    e.importance = traits::importance;
    e.importance_required = requires { requires traits::importance_required; };
  }
  return e;
}

std::vector<format_entry> make_catalog() {
  std::vector<format_entry> entries;
  using formats = blocq::concat_t<blocq::type_list<plain::f32>, blocq::all_formats>;
  blocq::for_each(formats{}, [&]<class B> { entries.push_back(entry<B>()); });
  entries.push_back(nvfp4_two_level());
  entries.push_back(nf4_nested());
  return entries;
}

bool is_output_type(const format_entry& f) { return f.gguf_id && f.encode != nullptr && !f.activation_only; }

// Formats of one to two bits that are only good for weights trained for them. They can be asked for.
bool needs_trained_weights(const format_entry& f) {
  return f.name.starts_with("tq") || f.name == "q1_0" || f.name == "q2_0";
}

// Closest in size; rather a little larger than smaller, rather of the same kind and the same name.
const format_entry& nearest_output_type(const format_entry& wanted) {
  const auto distance = [&](const format_entry& f) {
    const double bits = f.bits_per_weight() - wanted.bits_per_weight();
    const bool same_name = wanted.name.starts_with(f.name);  // mxfp4_ocp is an mxfp4
    return std::abs(bits) + (bits < 0 ? 0.1 : 0.0) + (f.kind != wanted.kind ? 0.125 : 0.0) - (same_name ? 0.25 : 0.0);
  };
  const format_entry* best = nullptr;
  for (const format_entry& f : catalog())
    if (is_output_type(f) && !needs_trained_weights(f) && (best == nullptr || distance(f) < distance(*best))) best = &f;
  return *best;
}

template <class Predicate>
const format_entry* find_if(Predicate&& matches) {
  const auto& all = catalog();
  const auto found = std::find_if(all.begin(), all.end(), matches);
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

const std::vector<format_entry>& catalog() {
  static const std::vector<format_entry> entries = make_catalog();
  return entries;
}

const format_entry* find_format(std::string_view name) {
  return find_if([&](const format_entry& f) {
    return f.name.size() == name.size() && strncasecmp(f.name.data(), name.data(), name.size()) == 0;
  });
}

const format_entry* find_format(int gguf_id) {
  return find_if([&](const format_entry& f) { return f.gguf_id == gguf_id; });
}

const format_entry& output_type(std::string_view name) {
  const format_entry* const format = find_format(name);
  if (format == nullptr) throw failure("there is no format '" + printable(name) + "'; 'blocq formats' lists them");
  if (is_output_type(*format)) return *format;
  const char* const reason = !format->gguf_id          ? "GGUF has no type id for it"
                             : format->activation_only ? "it is a format for activations, not for stored weights"
                                                       : "this version of blocq can only decode it";
  const format_entry& nearest = nearest_output_type(*format);
  throw failure("tensors cannot be written as " + std::string(format->name) + " (" +
                number_text(format->bits_per_weight(), 4) + " bits per weight): " + reason + "; the nearest type is " +
                std::string(nearest.name) + " (" + number_text(nearest.bits_per_weight(), 4) + ")");
}
