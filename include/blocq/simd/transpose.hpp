// A square of registers, transposed: the way from rows in memory to lanes, and back. For registers of 32-bit elements
// of any width; each step is one instruction on x86. Empty without the vectors of g++ and clang++.
#ifndef BLOCQ_SIMD_TRANSPOSE_HPP
#define BLOCQ_SIMD_TRANSPOSE_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <utility>

#ifdef BLOCQ_GNU

namespace blocq::inline v0::inline BLOCQ_ISA::simd {

namespace detail {

// Two registers a, b of W elements become two others; element k of the one numbered Second is element at(k) of the
// sequence a, b. A quad is 128 bits.
template <std::size_t W, std::size_t Second>
struct interleave {  // in every quad: a0 b0 a1 b1 and a2 b2 a3 b3
  static constexpr std::size_t at(std::size_t k) { return k / 4 * 4 + 2 * Second + k % 4 / 2 + k % 2 * W; }
};
template <std::size_t W, std::size_t Second>
struct join {  // in every quad: a0 a1 b0 b1 and a2 a3 b2 b3
  static constexpr std::size_t at(std::size_t k) { return k / 4 * 4 + 2 * Second + k % 2 + k % 4 / 2 * W; }
};
template <std::size_t W, std::size_t Second>
struct every_other_quad {
  static constexpr std::size_t at(std::size_t k) { return k / 4 * 8 + 4 * Second + k % 4; }
};

template <class Step, class V, std::size_t... k>
BLOCQ_INLINE V shuffle(V a, V b, std::index_sequence<k...>) noexcept {
#if defined(__CUDACC__) || defined(__EDG__)  // this front end loses the pack among a builtin's arguments
  V r;
  ((r[k] = Step::at(k) < sizeof...(k) ? a[Step::at(k) % sizeof...(k)] : b[Step::at(k) % sizeof...(k)]), ...);
  return r;
#else
  return __builtin_shufflevector(a, b, Step::at(k)...);
#endif
}

// One step of all pairs of registers whose numbers differ in the bit Distance.
template <template <std::size_t, std::size_t> class Step, std::size_t Distance, class V, std::size_t W,
          std::size_t... i>
BLOCQ_INLINE void exchange(V (&r)[W], std::index_sequence<i...> all) noexcept {
  const auto pair = [&](V& a, V& b) BLOCQ_INLINE_LAMBDA {
    const V first = shuffle<Step<W, 0>>(a, b, all);
    b = shuffle<Step<W, 1>>(a, b, all);
    a = first;
  };
  ((i & Distance ? void() : pair(r[i], r[i + Distance])), ...);
}

}  // namespace detail

// Element j of r[i] becomes element i of r[j]. V is a compiler's vector of W elements of 32 bits.
template <class V, std::size_t W>
BLOCQ_INLINE void transpose(V (&r)[W]) noexcept {
  static_assert(W * 4 == sizeof(V) && (W == 4 || W == 8 || W == 16), "as many registers as each has elements");
  constexpr auto all = std::make_index_sequence<W>{};
  detail::exchange<detail::interleave, 1>(r, all);
  detail::exchange<detail::join, 2>(r, all);
  for (std::size_t i = 0; i < W; i += 4) {
    const V third = r[i + 1];
    r[i + 1] = r[i + 2];
    r[i + 2] = third;
  }
  if constexpr (W > 4) detail::exchange<detail::every_other_quad, 4>(r, all);
  if constexpr (W > 8) detail::exchange<detail::every_other_quad, 8>(r, all);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::simd

#endif

#endif
