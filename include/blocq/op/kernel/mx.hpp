// Two rows of OCP MX blocks.
#ifndef BLOCQ_OP_KERNEL_MX_HPP
#define BLOCQ_OP_KERNEL_MX_HPP

#include <blocq/op/dequantize.hpp>

#include <cstddef>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B, class A>
inline constexpr bool both_mx = false;
template <class E, class F, std::size_t N>
inline constexpr bool both_mx<mx_block<E, N>, mx_block<F, N>> = true;

// Two rows of OCP MX blocks: the products of a block's elements are summed up before the two scales multiply the sum,
// in two steps, because neither the product of the scales nor that of the sum with one of them need be in range.
template <class E, class F, std::size_t N>
float dot_blocks(const mx_block<E, N>* w, const mx_block<F, N>* x, std::size_t blocks) noexcept {
  constexpr std::uint8_t one = 127, not_a_number = 0xff;
  const auto power_of_two = [](int e) { return float8_e8m0fnu{static_cast<std::uint8_t>(e + one)}.to_float(); };
  vec::floats sums[4] = {};
  for (std::size_t i = 0; i < blocks; ++i) {
    const bool nan = w[i].scale == not_a_number || x[i].scale == not_a_number;
    const int exponent = w[i].scale + x[i].scale - 2 * one, half = exponent / 2;
    mx_block<E, N> a = w[i];
    mx_block<F, N> b = x[i];
    a.scale = nan ? not_a_number : one;
    b.scale = one;
    float u[N], v[N];
    dequantize_blocks(&a, 1, u);
    dequantize_blocks(&b, 1, v);
    vec::floats sum = vec::fill_floats(0.0f);
    for (std::size_t k = 0; k < N; k += 8) sum = vec::fma(vec::load_floats(u + k), vec::load_floats(v + k), sum);
    sum = vec::as_written(sum * vec::fill_floats(power_of_two(nan ? 0 : half)));
    sums[i % 4] = vec::fma(sum, vec::fill_floats(power_of_two(nan ? 0 : exponent - half)), sums[i % 4]);
  }
  return vec::sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
