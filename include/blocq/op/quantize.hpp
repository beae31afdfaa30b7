// Floats to blocks, with the bytes of each format's reference encoder.
#ifndef BLOCQ_OP_QUANTIZE_HPP
#define BLOCQ_OP_QUANTIZE_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/encode/all.hpp>
#include <blocq/encode/best.hpp>
#include <blocq/encode/best_points.hpp>
#include <blocq/format/concept.hpp>
#include <blocq/op/activations.hpp>
#include <blocq/simd/lane.hpp>

#include <span>

namespace blocq::inline v0 {

// reference: the bytes of the format's reference encoder. best: a block with a smaller weighted squared error where
// one is found, never a larger one (encode/best.hpp); the same wire format, more time.
enum class quality_level : unsigned char { reference, best };

struct quantize_options {
  // One weight per column, used for every row: the source holds a whole number of rows of this length. Formats whose
  // reference takes no weights use it only for quality_level::best, a few cannot do without importance
  // (format_traits<B>::importance_required). Only the ratios of the weights count. One that is NaN, infinite or
  // negative counts as zero. A block whose weights drive its scale out of range is encoded without weights, or with
  // equal ones where there must be some. One that would come out no nearer to its input than zeros are, by its weights
  // or by equal ones where a few outweigh all others, is encoded anew (reference_bugs). A block whose weights are all
  // zero becomes what the reference makes of it, in most formats zeros: by its weights that is no worse than anything.
  std::span<const float> importance = {};
  // OCP MX formats and mxfp4: how the shared scale follows from the block's largest magnitude. Other formats have no
  // such rule and refuse any but this one. For mxfp4 `floor` is GGUF's reference, the others are those of mxfp4_ocp.
  scale_rule rule = scale_rule::floor;
  quality_level quality = quality_level::reference;
  // Write the reference's bytes also where they decode to something else: for iq3_s see encode_context. In the formats
  // with tables of points a few large elements may spoil a block until zeros would be nearer; in iq1_m without
  // importance, where the reference weighs an element by its square, the error may be a thousand times the block.
  // Unless the reference's bytes are asked for, such blocks are encoded anew with equal weights, and if that does not
  // help as for quality_level::best.
  bool reference_bugs = false;
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

// A format that can be written. Every format can be read.
template <class B>
concept encodable_format = block_format<B> && requires(const float* x, wire_t<B>* out) {
  encode(x, std::size_t{1}, encode_context{}, out);
};

namespace detail {

inline constexpr std::size_t cached_elements = 8192;

// The largest magnitude as bits, which order as the magnitudes do, infinity and NaN last.
inline std::uint32_t peak_bits(const float* x, std::size_t n) noexcept {
  constexpr std::size_t run = 2 * lane_traits<native_lane>::size;
  packed_t<native_lane> peaks[2] = {packed_t<native_lane>(0), packed_t<native_lane>(0)};
  const std::size_t whole = n / run * run;
  for (std::size_t i = 0; i < whole; i += run) {
    native_lane v[2];
    gather_run<native_lane, run>(x + i, v);
    for (int j = 0; j < 2; ++j) peaks[j] = max_of(peaks[j], bits_of(v[j]) & packed_t<native_lane>(INT32_MAX));
  }
  auto peak = static_cast<std::uint32_t>(maximum(max_of(peaks[0], peaks[1])));
  for (std::size_t i = whole; i < n; ++i) {
    const std::uint32_t magnitude = to_bits(x[i]) & 0x7fffffffu;
    peak = magnitude > peak ? magnitude : peak;
  }
  return peak;
}

// Means of x * x over `rows` rows of n elements, no more than native_lane has lanes, in the reference's order of
// summation. What is not finite is left out, so that it stays a matter of its own block.
inline void mean_squares(const float* x, std::size_t rows, std::size_t n, float* means) noexcept {
  using L = native_lane;
  L sum = 0.0f;
  for (std::size_t i = 0; i < n; i += 32) {
    L v[32];
    gather(v, x + i, n, rows);
    for (const L& a : v) sum += select(abs(a) <= L(3.40282347e38f), a * a, L(0.0f));
  }
  scatter(sum / L(static_cast<float>(n)), means, 1, rows);
}

// The fastest lanes that the format's encoder can use.
template <class B>
void encode_with_native_lanes(const float* x, std::size_t blocks, const encode_context& context, B* out) noexcept {
  if constexpr (activation_format<B>)
    encode_activations(x, blocks, out);
  else if constexpr (requires { encode<native_pair>(x, blocks, context, out); })
    encode<native_pair>(x, blocks, context, out);
  else if constexpr (requires { encode<native_lane>(x, blocks, context, out); })
    encode<native_lane>(x, blocks, context, out);
  else
    encode(x, blocks, context, out);
}

template <class B>
inline constexpr bool requires_importance = requires {
  requires format_traits<B>::importance_required;
};

// Weights as encoders want them: finite, not negative, and the largest of a block within bounds beyond which sums of
// them times products of values could leave the range of a float.
inline constexpr float largest_weight = 0x1p64f, least_peak_weight = 0x1p-40f;
BLOCQ_INLINE bool usable_weight(float w) noexcept { return is_finite(w) && (to_bits(w) >> 31 == 0 || w == 0.0f); }

// True if less than half of the weights, which are usable, are within a factor of 2^20 of the largest.
template <std::size_t N>
bool uneven_weights(const float* w) noexcept {
  const float peak = from_bits(peak_bits(w, N));
  std::size_t some = 0;
  for (std::size_t i = 0; i < N; ++i)
    if (lane(w[i]) > lane(peak) * lane(0x1p-20f)) ++some;
  return 2 * some < N;
}

// True if the weights can be handed to an encoder as they are. As bits, all that is not usable lies above the largest
// weight, but for a negative zero.
template <class B>
bool clean_importance(std::span<const float> weights) noexcept {
  for (std::size_t i = 0; i < weights.size(); i += block_size<B>) {
    std::uint32_t highest = 0;
    for (std::size_t j = i; j < i + block_size<B>; ++j) {
      const std::uint32_t bits = to_bits(weights[j]) != 0x80000000u ? to_bits(weights[j]) : 0;
      highest = bits > highest ? bits : highest;
    }
    if (highest == 0) continue;
    if (highest < to_bits(least_peak_weight) || highest > to_bits(largest_weight)) return false;
    if (uneven_weights<block_size<B>>(&weights[i])) return false;
  }
  return true;
}

// One block's weights, those dropped that are not usable, all of them brought well within the bounds if the largest is
// not: only their ratios count. False if none is left. The factor is a power of four, so that nothing is rounded,
// square roots included.
template <std::size_t N>
bool mend_weights(const float* from, float (&to)[N]) noexcept {
  lane largest = 0.0f;
  for (std::size_t i = 0; i < N; ++i) {
    to[i] = usable_weight(from[i]) ? from[i] : 0.0f;
    largest = max_of(lane(to[i]), largest);
  }
  if (!(largest > lane(0.0f))) return false;
  const auto scale = [&](lane factor) {
    for (float& w : to) w = (lane(w) * factor).v;
    largest = largest * factor;
  };
  if (largest > lane(largest_weight))
    while (largest > lane(0x1p32f)) scale(0x1p-64f);
  while (largest < lane(least_peak_weight)) scale(0x1p64f);
  return true;
}

// False if a decoder cannot use the block, or if the block does not come near the largest magnitude that was encoded:
// where the sums of a reference encoder overflow, what it leaves is a block of zeros.
inline constexpr std::uint32_t suspicious_peak = 0x4e800000u;  // 2^30, beyond every format with a binary16 scale
template <class B>
bool holds(const B& block, std::uint32_t peak) noexcept {
  if (!is_valid(block)) return false;
  if (peak < suspicious_peak) return true;
  float y[block_size<B>];
  decode(block, y);
  return peak_bits(y, block_size<B>) >= peak - 0x00800000u;  // half of it
}

// The first block that is not what a decoder can use, and why.
template <class B>
status check_blocks(const float* x, const B* blocks, std::size_t count) noexcept {
  const std::uint32_t highest = peak_bits(x, count * block_size<B>);
  if (highest < valid_below<B>) return {};
  if (highest < suspicious_peak) {
    for (std::size_t i = 0; i < count; ++i)
      if (!is_valid(blocks[i])) return {errc::scale_range, i};
    return {};
  }
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t peak = peak_bits(x + i * block_size<B>, block_size<B>);
    if (peak >= 0x7f800000u) return {errc::not_finite, i};
    if (!holds(blocks[i], peak)) return {errc::scale_range, i};
  }
  return {};
}

template <std::size_t N>
struct equal_weights {
  float of[N];

  constexpr equal_weights() noexcept : of{} {
    for (float& w : of) w = 1.0f;
  }
};

// The squared error of a block, and that of zeros in its place. Blocks of zeros, or with what is not finite, pass.
struct block_error {
  double of_block = 0, of_zeros = 1;

  template <class B>
  block_error(const float* x, const float* w, const B& block) noexcept {
    constexpr std::size_t n = block_size<B>;
    constexpr float zeros[n] = {};
    if (peak_bits(x, n) - 1u >= 0x7f7fffffu) return;
    of_block = decoded_error(x, w, block);
    of_zeros = squared_distance(x, w, zeros, n);
  }
};

// Puts a block that is nearer by the weights w, of which none are equal ones, in the place of one that zeros would be
// as near as: with equal weights, and where zeros would still be nearer the best there is.
template <class B>
void rescue_block(const float* x, const float* w, encode_context context, B& block) noexcept {
  static constexpr equal_weights<block_size<B>> equal;
  if (w == nullptr) w = equal.of;
  block_error e(x, w, block);
  if (e.of_block < e.of_zeros) return;
  context.weights = equal.of;
  B even;
  encode_with_native_lanes(x, 1, context, &even);
  keep_better(x, w, even, block);
  e = block_error(x, w, block);
  if (e.of_block > e.of_zeros) improve<native_lane>(x, w, block);
}

// Where no point of a table has a coordinate 0, the small elements of a block with a few large ones may come out so
// large that all of it is lost.
template <class B>
inline constexpr bool may_be_lost = false;
template <class B>
requires(element_t<B>::dimensions > 1) inline constexpr bool may_be_lost<B> = true;

// A row whose weights are context.weights. Blocks that do not hold are encoded again without weights: perhaps these are
// to blame, because their sums left the range of a float. True if none was found.
template <class B>
bool encode_weighted_row(const float* x, std::size_t blocks, bool clean, encode_context context, B* out) noexcept {
  constexpr std::size_t n = block_size<B>;
  const float* const weights = context.weights;
  if (clean) {
    encode_with_native_lanes(x, blocks, context, out);
    if (check_blocks(x, out, blocks) && !may_be_lost<B>) return true;
  }
  for (std::size_t i = 0; i < blocks; ++i, x += n) {
    float mended[n];
    const float* judge = weights + i * n;
    bool none = peak_bits(judge, n) == 0;
    if (!clean) {
      const bool some = mend_weights(weights + i * n, mended);
      judge = some && !uneven_weights<n>(mended) ? mended : nullptr;
      none = !some;
      context.weights = mended;
      encode_with_native_lanes(x, 1, context, out + i);
    }
    const std::uint32_t peak = peak_bits(x, n);
    if (!holds(out[i], peak)) {
      context.weights = nullptr;
      B plain;
      encode_with_native_lanes(x, 1, context, &plain);
      // Which NaN comes out of weighted sums is the compiler's choice.
      if (holds(plain, peak) || peak >= 0x7f800000u) out[i] = plain;
    }
    const bool suspect = !none && (judge == nullptr || may_be_lost<B>);
    if (suspect && !context.reference_bugs) rescue_block(x, judge, context, out[i]);
  }
  return false;
}

// Betters every block of x that has finite values. The first is block `first` of a matrix; `importance` is empty or has
// a weight per column.
template <class B>
void improve_blocks(const float* x, std::size_t first, std::size_t blocks, std::span<const float> importance,
                    B* out) noexcept {
  static constexpr equal_weights<block_size<B>> equal;
  for (std::size_t i = 0; i < blocks; ++i, x += block_size<B>) {
    if (peak_bits(x, block_size<B>) >= 0x7f800000u || !is_valid(out[i])) continue;
    const B before = out[i];
    float mended[block_size<B>];
    const bool weighted =
        !importance.empty() && mend_weights(&importance[(first + i) * block_size<B> % importance.size()], mended);
    improve<native_lane>(x, weighted ? mended : equal.of, out[i]);
    if (!weighted || !uneven_weights<block_size<B>>(mended)) continue;
    if (const block_error e(x, equal.of, out[i]); e.of_block < e.of_zeros) continue;
    out[i] = before;
    improve<native_lane>(x, equal.of, out[i]);
  }
}

}  // namespace detail

// Encodes src into dst, which holds exactly src.size() / block_size<B> blocks. dst is a contiguous range of blocks.
// The bytes are those of the format's reference encoder (GGUF formats: ggml, compiled without contraction; MX: OCP
// v1.0), whatever the compiler's flags and the floating-point modes in force.
//
// Refused, with dst left as it was:
//   errc::ragged         src.size() is not a multiple of block_size<B>, or not of options.importance.size()
//   errc::size_mismatch  dst has another number of blocks
//   errc::unsupported    options.rule is not scale_rule::floor and the format's scales are not powers of two
//   errc::missing        the format requires importance and options.importance is empty
// Reported with the index of the first block concerned; every block has been written, each from its own input alone:
//   errc::not_finite     the block's input contains a NaN or an infinity (docs/formats.md says what became of it)
//   errc::scale_range    the input is finite, but the format cannot hold the block's scale
template <class Blocks>
status quantize(std::span<const float> src, Blocks&& dst, const quantize_options& options = {}) noexcept {
  const std::span blocks(dst);
  using B = typename decltype(blocks)::element_type;
  static_assert(!std::is_const_v<B> && block_format<B>,
                "quantize(src, dst): dst is a mutable range of blocks, a type with a blocq::format_traits");
  static_assert(encodable_format<B>, "quantize(src, dst): the format of dst can be read but not written");
  const std::size_t columns = options.importance.size();
  if (src.size() % block_size<B> != 0) return {errc::ragged, 0};
  if (columns != 0 && (src.size() % columns != 0 || columns % block_size<B> != 0)) return {errc::ragged, 0};
  if (src.size() / block_size<B> != blocks.size()) return {errc::size_mismatch, 0};
  if (options.rule != scale_rule::floor && !detail::has_scale_rule<wire_t<B>>) return {errc::unsupported, 0};
  if (src.empty()) return {};
  if (detail::requires_importance<B> && columns == 0) return {errc::missing, 0};

  const fp_environment modes;
  auto* out = reinterpret_cast<wire_t<B>*>(blocks.data());
  encode_context context{};
  context.rule = options.rule;
  context.reference_bugs = options.reference_bugs;
  const bool weighted = columns != 0 && format_traits<B>::importance;
  const bool clean = weighted && detail::clean_importance<B>(options.importance);
  // A row, or as much as stays in the first-level cache until it is looked at again.
  const std::size_t step = weighted ? columns / block_size<B> : detail::cached_elements / block_size<B>;
  constexpr std::size_t rows_at_once = lane_traits<native_lane>::size;
  float mean_square[rows_at_once] = {};
  status outcome{};
  for (std::size_t first = 0; first < blocks.size(); first += step) {
    const std::size_t count = blocks.size() - first < step ? blocks.size() - first : step;
    const float* const x = src.data() + first * block_size<B>;
    bool holding = false;
    if constexpr (format_traits<B>::importance)
      if (weighted) {
        const std::size_t row = first / step, left = blocks.size() / step - row;
        if (block_size<B> == 32 && row % rows_at_once == 0)
          detail::mean_squares(x, left < rows_at_once ? left : rows_at_once, columns, mean_square);
        context.weights = options.importance.data();
        context.row_mean_square = mean_square[row % rows_at_once];
        holding = detail::encode_weighted_row(x, count, clean, context, out + first);
      }
    if (!weighted) {
      detail::encode_with_native_lanes(x, count, context, out + first);
      if constexpr (detail::may_be_lost<B>)
        for (std::size_t i = 0; i < count && !options.reference_bugs; ++i)
          detail::rescue_block(x + i * block_size<B>, nullptr, context, out[first + i]);
    }
    if constexpr (requires { improve<native_lane>(x, x, *out); })
      if (options.quality == quality_level::best) {
        detail::improve_blocks(x, first, count, options.importance, out + first);
        holding = false;
      }
    if (holding) continue;
    const status s = detail::check_blocks(x, out + first, count);
    if (outcome && !s) outcome = {s.code, first + s.at};
  }
  return outcome;
}

template <class Source, class Blocks, class... Rest>
requires(!std::is_convertible_v<const Source&, std::span<const float>>) status
    quantize(const Source&, Blocks&&, const Rest&...)
noexcept {
  static_assert(std::is_void_v<Source>, "quantize(src, dst): src is a contiguous range of float");
  return {errc::unsupported, 0};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
