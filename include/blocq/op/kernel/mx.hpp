// Two rows of OCP MX blocks.
#ifndef BLOCQ_OP_KERNEL_MX_HPP
#define BLOCQ_OP_KERNEL_MX_HPP

#include <blocq/codec/floats.hpp>

#include <cstddef>
#include <cstdint>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B, class A>
inline constexpr bool both_mx = false;
template <class E, class F, std::size_t N>
inline constexpr bool both_mx<mx_block<E, N>, mx_block<F, N>> = true;

// The elements of a block in units of 2^mx_unit: as signed bytes where they are integers that fit, or as floats.
template <class B>
inline constexpr bool mx_chunks = block_size<B> % 32 == 0;
template <class B>
inline constexpr bool mx_integers = has_integers<element_t<B>> && !nine_bits<B>;
template <class B>
inline constexpr int mx_unit = [] {
  if constexpr (!mx_chunks<B>)
    return 0;
  else if constexpr (mx_integers<B>)
    return static_cast<int>(to_bits(unit_of<element_t<B>>) >> 23) - 127;
  else
    return 15 - element_t<B>::bias;
}();
template <class B>
BLOCQ_INLINE void mx_floats(const B& b, int chunk, quad::floats (&y)[2]) noexcept {
  if constexpr (mx_integers<B>)
    for (int h = 0; h < 2; ++h) y[h] = quad::to_floats(chunk_values(b, chunk), h);
  else
    small_floats<element_t<B>>(plane_codes(b, chunk), y);
}

// The sum of the products of two blocks' elements, in eight lanes. Integers are exact.
template <class B, class A>
BLOCQ_INLINE vec::floats mx_products(const B& w, const A& x) noexcept {
  constexpr int chunks = static_cast<int>(block_size<B> / 32);
  if constexpr (!mx_chunks<B>) {
    B a = w;
    A b = x;
    a.scale = b.scale = 127;
    float u[block_size<B>], v[block_size<A>];
    decode(a, u);
    decode(b, v);
    vec::floats sum = vec::fill_floats(0.0f);
    for (std::size_t k = 0; k < block_size<B>; k += 8)
      sum = vec::fma(vec::load_floats(u + k), vec::load_floats(v + k), sum);
    return sum;
  } else if constexpr (mx_integers<B> && mx_integers<A>) {
    vec::ints sum = vec::fill_ints(0);
    for (int c = 0; c < chunks; ++c) {
      const vec::bytes u = chunk_values(w, c), v = chunk_values(x, c);
      for (int h = 0; h < 2; ++h) vec::madd2_to(sum, vec::widen_half(u, h), vec::widen_half(v, h));
    }
    return vec::to_floats(sum);
  } else {
    quad::floats sum = quad::fill_floats(0.0f);
    for (int c = 0; c < chunks; ++c) {
      quad::floats u[2], v[2];
      mx_floats(w, c, u);
      mx_floats(x, c, v);
      for (int h = 0; h < 2; ++h) sum = quad::fma(u[h], v[h], sum);
    }
    return quad::fold(sum);
  }
}

// 2^e, but no more than 2^127: twice that much takes any product of elements out of range, as more would. Precondition:
// e >= -149.
BLOCQ_INLINE float power_of_two(int e) noexcept {
  const int bounded = e < 127 ? e : 127;
  return from_bits(e < -126 ? 1u << (e + 149) : static_cast<std::uint32_t>(bounded + 127) << 23);
}

// The products of a block's elements are summed up before the two scales multiply the sum, in two steps, because
// neither the product of the scales nor that of the sum with one of them need be in range.
template <class E, class F, std::size_t N>
float dot_blocks(const mx_block<E, N>* w, const mx_block<F, N>* x, std::size_t blocks) noexcept {
  constexpr int unit = mx_unit<mx_block<E, N>> + mx_unit<mx_block<F, N>>;
  constexpr std::uint8_t not_a_number = 0xff;
  vec::floats sums[4];
  for (vec::floats& sum : sums) sum = vec::fill_floats(0.0f);
  const auto add = [&](std::size_t i, vec::floats& sum) BLOCQ_INLINE_LAMBDA {
    const int exponent = w[i].scale + x[i].scale - 2 * 127 + unit, half = exponent / 2;
    const bool nan = w[i].scale == not_a_number || x[i].scale == not_a_number;
    const float first = nan ? from_bits(quiet_nan_bits) : power_of_two(half);
    const vec::floats scaled = vec::as_written(mx_products(w[i], x[i]) * vec::fill_floats(first));
    sum = vec::fma(scaled, vec::fill_floats(power_of_two(exponent - half)), sum);
  };
  std::size_t i = 0;
  for (; i + 4 <= blocks; i += 4) simd::unroll<4>([&]<int J>() BLOCQ_INLINE_LAMBDA { add(i + J, sums[J]); });
  for (std::size_t j = 0; i + j < blocks; ++j) add(i + j, sums[j]);
  return vec::sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
