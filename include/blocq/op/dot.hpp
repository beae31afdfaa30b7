// Dot products of two rows: blocks with blocks of their operand format, and blocks with floats.
#ifndef BLOCQ_OP_DOT_HPP
#define BLOCQ_OP_DOT_HPP

#include <blocq/codec/superblock.hpp>
#include <blocq/core/error.hpp>

#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// sum of value * x over a chunk in eight integers, exact. The unsigned codes are those of chunk_codes, unless the
// format has full bytes: then they are its values.
template <class B>
BLOCQ_INLINE vec::ints wide_products(vec::bytes values, vec::bytes x) noexcept {
  return vec::madd2(vec::widen_half(values, 0), vec::widen_half(x, 0)) +
         vec::madd2(vec::widen_half(values, 1), vec::widen_half(x, 1));
}
template <class B>
BLOCQ_INLINE vec::ints chunk_products(const B& b, int c, vec::bytes x) noexcept {
  if constexpr (full_bytes<B>) {
    return wide_products<B>(chunk_values(b, c), x);
  } else {
    vec::words pairs = vec::maddubs(chunk_codes(b, c), x);
    if constexpr (values_of<B>.lowest != 0) pairs = pairs - vec::maddubs(vec::fill_bytes(-values_of<B>.lowest), x);
    return vec::madd2(pairs, vec::fill_words(1));
  }
}

BLOCQ_INLINE vec::words load_sums(const q8_k& x) noexcept {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  return vec::as_words(vec::load_bytes(x.bsums));
#else
  std::int16_t sums[16];
  for (int i = 0; i < 16; ++i) sums[i] = load(x.bsums[i]);
  return vec::load_words(sums);
#endif
}

template <superblock_format B>
BLOCQ_INLINE vec::floats add_dot(const B& w, const q8_k& x, vec::floats sum) noexcept {
  const superblock_scales<B> s(w);
  vec::ints products = vec::fill_ints(0);
  for (int c = 0; c < 8; ++c) {
    const vec::bytes xs = vec::load_bytes(x.qs + 32 * c);
    if constexpr (full_bytes<B>)
      products = products + wide_products<B>(chunk_values(w, c), xs) * vec::fill_ints(s.scale[2 * c]);
    else
      products = products + vec::madd2(vec::maddubs(chunk_codes(w, c), xs), vec::fill_two(s.scale + 2 * c));
  }
  const float dx = from_bits(load(x.d)), d = superblock_scale(w) * dx;
  if constexpr (has_offset<B>) {
    const vec::ints mins = vec::madd2(vec::load_words(s.min), load_sums(x));
    sum = vec::fma(vec::to_floats(mins), vec::fill_floats(-(block_offset(w) * dx)), sum);
  } else if constexpr (!full_bytes<B> && values_of<B>.lowest != 0) {
    products = products - vec::madd2(vec::load_words(s.min), load_sums(x));
  }
  return vec::fma(vec::to_floats(products), vec::fill_floats(d), sum);
}

// Formats with float steps, against one or more q8_0 or q8_1 blocks.
template <class B>
concept float_step_format = chunked_format<B> &&
    (std::is_same_v<operand_t<B>, q8_0> || std::is_same_v<operand_t<B>, q8_1>);

template <float_step_format B>
BLOCQ_INLINE vec::floats add_dot(const B& w, const operand_t<B>* x, vec::floats sum) noexcept {
  constexpr int chunks = static_cast<int>(block_size<B>) / 32;
  const float d = block_scale(w);
  for (int c = 0; c < chunks; ++c) {
    const vec::ints products = chunk_products(w, c, vec::load_bytes(x[c].qs));
    const float dx = f16_to_f32(x[c].d);
    if constexpr (step_group<B> == 16)
      sum = vec::fma(
          vec::to_floats(products),
          vec::fill_two(group_step(w, d, 0.0f, 2 * c).step * dx, group_step(w, d, 0.0f, 2 * c + 1).step * dx), sum);
    else
      sum = vec::fma(vec::to_floats(products), vec::fill_floats(d * dx), sum);
    if constexpr (has_offset<B>) sum = sum + vec::fill_floats(0.125f * (block_offset(w) * f16_to_f32(x[c].s)));
  }
  return sum;
}

// q8_k with itself.
BLOCQ_INLINE vec::floats add_dot(const q8_k& w, const q8_k& x, vec::floats sum) noexcept {
  vec::ints products = vec::fill_ints(0);
  for (int c = 0; c < 8; ++c) products = products + chunk_products(w, c, vec::load_bytes(x.qs + 32 * c));
  return vec::fma(vec::to_floats(products), vec::fill_floats(block_scale(w) * from_bits(load(x.d))), sum);
}

template <class B>
float dot_blocks(const B* w, const operand_t<B>* x, std::size_t blocks) noexcept {
  vec::floats sum = vec::fill_floats(0.0f);
  for (std::size_t i = 0; i < blocks; ++i) {
    if constexpr (block_size<operand_t<B>> == block_size<B> && block_size<B> == 256)
      sum = add_dot(w[i], x[i], sum);
    else
      sum = add_dot(w[i], x + i * (block_size<B> / block_size<operand_t<B>>), sum);
  }
  return vec::sum(sum);
}

// Blocks with floats: nothing is rounded but the products and sums. Blocks of a single number are taken eight at a
// time, the last ones filled up with zeros.
template <class B>
float dot_floats(const B* w, const float* x, std::size_t blocks) noexcept {
  constexpr std::size_t size = block_size<B>, at_once = size < 8 ? 8 / size : 1;
  static_assert(size * at_once % 8 == 0);
  vec::floats sum = vec::fill_floats(0.0f);
  const auto add = [&sum](const float* a, const float* b) {
    for (std::size_t k = 0; k < size * at_once; k += 8)
      sum = vec::fma(vec::load_floats(a + k), vec::load_floats(b + k), sum);
  };
  std::size_t i = 0;
  for (; i + at_once <= blocks; i += at_once) {
    float y[size * at_once];
    for (std::size_t j = 0; j < at_once; ++j) decode(w[i + j], y + j * size);
    add(y, x + i * size);
  }
  if (i < blocks) {
    float y[size * at_once] = {}, rest[size * at_once] = {};
    for (std::size_t j = 0; i + j < blocks; ++j) decode(w[i + j], y + j * size);
    for (std::size_t k = 0; k < (blocks - i) * size; ++k) rest[k] = x[i * size + k];
    add(y, rest);
  }
  return vec::sum(sum);
}

}  // namespace detail

// The dot product of a row of blocks with a row of its operand format. The integers are exact; a float step scales
// them once per block (32 elements, or 256 for the formats whose operand is q8_k), and the scaled sums are added in
// eight lanes. Precondition: both rows have the same number of elements.
template <class W, class X>
requires requires(const W& w, const X& x) { std::span(w), std::span(x); }
float dot(const W& weights, const X& activations) noexcept {
  const std::span w(weights);
  const std::span x(activations);
  using B = std::remove_cv_t<typename decltype(w)::element_type>;
  using A = std::remove_cv_t<typename decltype(x)::element_type>;
  static_assert(block_format<B>, "dot(weights, activations): weights is a range of blocks");
  static_assert(std::is_same_v<A, float> || std::is_same_v<wire_t<A>, operand_t<wire_t<B>>>,
                "dot(weights, activations): activations are floats or blocks of operand_t<the weights' format>");
  const auto* blocks = reinterpret_cast<const wire_t<B>*>(w.data());
  if constexpr (std::is_same_v<A, float>) {
    BLOCQ_ASSERT(x.size() == w.size() * block_size<B>);
    return detail::dot_floats(blocks, x.data(), w.size());
  } else {
    BLOCQ_ASSERT(x.size() * block_size<A> == w.size() * block_size<B>);
    return detail::dot_blocks(blocks, reinterpret_cast<const wire_t<A>*>(x.data()), w.size());
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
