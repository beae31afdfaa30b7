// Activations to the formats that weights are multiplied with: q8_0, q8_1 and q8_k, from floats, f16 or bf16. The bytes
// are those of the reference encoders (encode/), a block at a time in vectors; what is rare goes through them.
#ifndef BLOCQ_OP_ACTIVATIONS_HPP
#define BLOCQ_OP_ACTIVATIONS_HPP

#include <blocq/codec/codec.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/encode/q_k.hpp>
#include <blocq/encode/q_legacy.hpp>

#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

// The formats of activations.
template <class A>
concept activation_format = std::is_same_v<A, q8_0> || std::is_same_v<A, q8_1> || std::is_same_v<A, q8_k>;

namespace detail {

BLOCQ_INLINE vec::floats load_eight(const float* p) noexcept { return vec::load_floats(p); }
BLOCQ_INLINE vec::floats load_eight(const f16* p) noexcept { return vec::load_f16(p); }
BLOCQ_INLINE vec::floats load_eight(const bf16* p) noexcept { return vec::load_bf16(p); }

// Elements 32 c to 32 c + 31 of a row of numbers.
template <class X>
BLOCQ_INLINE void load_chunk(const X* row, std::size_t c, vec::floats (&y)[4]) noexcept {
  for (std::size_t q = 0; q < 4; ++q) y[q] = load_eight(row + 32 * c + 8 * q);
}

// The largest magnitude of a block, as bits, and the number that has it: the first one, if both signs do.
struct extreme {
  std::uint32_t bits;
  bool negative, both;
};
// Bits of floats order as integers: of the positive ones as signed, of the negative ones as unsigned numbers.
struct peak_search {
  vec::ints positive = vec::fill_ints(0), negative = vec::fill_ints(0);

  BLOCQ_INLINE void add(const vec::floats (&x)[4]) noexcept {
    for (const vec::floats& v : x) {
      positive = vec::larger(positive, vec::as_ints(vec::as_bytes(v)));
      negative = vec::larger_unsigned(negative, vec::as_ints(vec::as_bytes(v)));
    }
  }
  BLOCQ_INLINE extreme result() const noexcept {
    const auto up = static_cast<std::uint32_t>(vec::largest(positive));
    const auto down = static_cast<std::uint32_t>(vec::largest(vec::shift_right(vec::shift_left(negative, 1), 1) &
                                                              (vec::fill_ints(0) - vec::shift_right(negative, 31))));
    return {up > down ? up : down, down > up, down == up};
  }
};

// Codes between -127 and 127: x times factor, to the nearest integer, halves away from zero or to even.
template <bool HalfAway>
BLOCQ_INLINE vec::bytes codes_of(const vec::floats (&x)[4], float factor) noexcept {
  vec::ints code[4];
  for (int q = 0; q < 4; ++q) {
    const vec::floats v = vec::as_written(x[q] * vec::fill_floats(factor));
    // Half a unit less than one half: see round_half_away.
    if constexpr (HalfAway)
      code[q] = vec::truncate(vec::as_written(v + vec::copy_sign(vec::fill_floats(0.49999997f), v)));
    else
      code[q] = vec::nearest(v);
  }
  return vec::narrow(code);
}

// Magnitudes whose reciprocal, and that of their 127th part, are ordinary numbers.
BLOCQ_INLINE bool is_ordinary(std::uint32_t bits) noexcept { return bits > 0x04000000u && bits < 0x7f000000u; }

template <class A, class X>
BLOCQ_NOINLINE void encode_rare(const X* x, std::uint32_t peak, A* out) noexcept {
  if (peak == 0) {
    *out = A{};
    return;
  }
  float y[block_size<A>];
  for (std::size_t c = 0; c < block_size<A> / 32; ++c) {
    vec::floats v[4];
    load_chunk(x, c, v);
    for (std::size_t q = 0; q < 4; ++q) vec::store_floats(y + 32 * c + 8 * q, v[q]);
  }
  encode(y, 1, encode_context{}, out);
}

BLOCQ_INLINE vec::ints sums_of_four(vec::bytes codes) noexcept {
  return vec::madd2(vec::maddubs(vec::fill_bytes(1), codes), vec::fill_words(1));
}

template <class A, class X>
BLOCQ_INLINE void encode_one(const X* x, A* out) noexcept {
  vec::floats v[4];
  load_chunk(x, 0, v);
  peak_search search;
  search.add(v);
  const std::uint32_t peak = search.result().bits;
  if (!is_ordinary(peak)) return encode_rare(x, peak, out);
  const lane d = lane(from_bits(peak)) / lane(127.0f);
  const vec::bytes codes = codes_of<true>(v, (lane(1.0f) / d).v);
  store(out->d, vec::float_to_half(d.v));
  vec::store_bytes(out->qs, codes);
  if constexpr (std::is_same_v<A, q8_1>)
    store(out->s, vec::float_to_half((lane(static_cast<float>(vec::sum(sums_of_four(codes)))) * d).v));
}

// Eight blocks, which share their divisions and the tree of their sums.
template <class A, class X>
BLOCQ_INLINE void encode_eight(const X* x, A* out) noexcept {
  vec::floats v[4];
  vec::bytes largest[8];
  const vec::ints magnitude = vec::fill_ints(0x7fffffff);
  for (std::size_t b = 0; b < 8; ++b) {
    load_chunk(x, b, v);
    const auto bits = [&](int q) BLOCQ_INLINE_LAMBDA { return vec::as_ints(vec::as_bytes(v[q])) & magnitude; };
    largest[b] = vec::as_bytes(vec::larger(vec::larger(bits(0), bits(1)), vec::larger(bits(2), bits(3))));
  }
  vec::transpose_eighths(largest);
  vec::ints peaks = vec::as_ints(largest[0]);
  for (std::size_t b = 1; b < 8; ++b) peaks = vec::larger(peaks, vec::as_ints(largest[b]));
  std::int32_t bits[8];
  vec::store_ints(bits, peaks);
  bool ordinary = true;
  for (const std::int32_t b : bits) ordinary &= is_ordinary(static_cast<std::uint32_t>(b));
  if (!ordinary) {
    for (std::size_t b = 0; b < 8; ++b) encode_one(x + 32 * b, out + b);
    return;
  }
  const vec::floats scales = vec::quotient(vec::as_floats(vec::as_bytes(peaks)), vec::fill_floats(127.0f));
  std::uint16_t d[8];
  vec::store_halves(d, scales);
  float inverse[8];
  vec::store_floats(inverse, vec::quotient(vec::fill_floats(1.0f), scales));
  vec::bytes fours[8];
  for (std::size_t b = 0; b < 8; ++b) {
    load_chunk(x, b, v);
    const vec::bytes codes = codes_of<true>(v, inverse[b]);
    store(out[b].d, d[b]);
    vec::store_bytes(out[b].qs, codes);
    if constexpr (std::is_same_v<A, q8_1>) fours[b] = vec::as_bytes(sums_of_four(codes));
  }
  if constexpr (std::is_same_v<A, q8_1>) {
    vec::transpose_eighths(fours);
    vec::ints sum = vec::as_ints(fours[0]);
    for (std::size_t i = 1; i < 8; ++i) sum = sum + vec::as_ints(fours[i]);
    std::uint16_t sums[8];
    vec::store_halves(sums, vec::to_floats(sum) * scales);
    for (std::size_t b = 0; b < 8; ++b) store(out[b].s, sums[b]);
  }
}

template <class X>
BLOCQ_INLINE void encode_one(const X* x, q8_k* out) noexcept {
  vec::floats v[4];
  peak_search search;
  for (std::size_t c = 0; c < 8; ++c) {
    load_chunk(x, c, v);
    search.add(v);
  }
  const extreme peak = search.result();
  if (!is_ordinary(peak.bits) || peak.both) return encode_rare(x, peak.bits, out);
  const lane inverse = lane(-127.0f) / lane(from_bits(peak.bits | (peak.negative ? 0x80000000u : 0u)));
  store(out->d, to_bits((lane(1.0f) / inverse).v));
  vec::bytes fours[8];
  for (std::size_t c = 0; c < 8; ++c) {
    load_chunk(x, c, v);
    const vec::bytes codes = codes_of<false>(v, inverse.v);
    vec::store_bytes(out->qs + 32 * c, codes);
    fours[c] = vec::as_bytes(sums_of_four(codes));
  }
  vec::transpose_eighths(fours);
  const auto sixteens = [&](std::size_t i) BLOCQ_INLINE_LAMBDA {
    return (vec::as_ints(fours[i]) + vec::as_ints(fours[i + 1])) +
           (vec::as_ints(fours[i + 2]) + vec::as_ints(fours[i + 3]));
  };
  vec::store_bytes(out->bsums,
                   vec::as_bytes(vec::little_words(vec::as_bytes(vec::even_and_odd(sixteens(0), sixteens(4))))));
}

// `blocks` blocks; under the default floating-point modes.
template <activation_format A, class X>
BLOCQ_NOINLINE void encode_activations(const X* x, std::size_t blocks, A* out) noexcept {
  std::size_t i = 0;
  if constexpr (block_size<A> == 32)
    for (; i + 8 <= blocks; i += 8) encode_eight(x + i * 32, out + i);
  for (; i < blocks; ++i) encode_one(x + i * block_size<A>, out + i);
}

}  // namespace detail

// Encodes src, a range of float, f16 or bf16, into dst, blocks of q8_0, q8_1 or q8_k: the bytes that quantize() gives,
// without its checks. Precondition: src has block_size elements for each block of dst. A NaN or an infinity spoils its
// own block and no other.
template <class Numbers, class Blocks>
void quantize_activations(const Numbers& src, Blocks&& dst) noexcept {
  const std::span x(src);
  const std::span blocks(dst);
  using X = std::remove_cv_t<typename decltype(x)::element_type>;
  using A = typename decltype(blocks)::element_type;
  static_assert(std::is_same_v<X, float> || std::is_same_v<wire_t<X>, f16> || std::is_same_v<wire_t<X>, bf16>,
                "quantize_activations(src, dst): src is a range of float, f16 or bf16");
  static_assert(activation_format<wire_t<A>>, "quantize_activations(src, dst): dst is blocks of q8_0, q8_1 or q8_k");
  BLOCQ_ASSERT(x.size() == blocks.size() * block_size<A>);
  const fp_environment modes;
  if constexpr (std::is_same_v<X, float>)
    detail::encode_activations(x.data(), blocks.size(), reinterpret_cast<wire_t<A>*>(blocks.data()));
  else
    detail::encode_activations(reinterpret_cast<const wire_t<X>*>(x.data()), blocks.size(),
                               reinterpret_cast<wire_t<A>*>(blocks.data()));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
