// Reference encoders of the ternary formats. A lane is a block.
#ifndef BLOCQ_ENCODE_TQ_HPP
#define BLOCQ_ENCODE_TQ_HPP

#include <blocq/encode/q_legacy.hpp>
#include <blocq/format/tq.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {
// After a NaN the largest magnitude starts anew, as in the reference, so that levels beyond 1 are possible: their codes
// are the bytes that the reference's integers wrap to.
template <class L, class B>
void encode_ternary(const float* p, std::size_t blocks, B* out) noexcept {
  for_each_tile<L, 256>(p, blocks, [&](std::size_t first, std::size_t count, const L(&x)[256]) {
    L code[256], d = 0.0f;
    for (const L& v : x) d = max_of(d, abs(v));
    const L inverse = reciprocal(d);
    for (int i = 0; i < 256; ++i) code[i] = to_u8(to_i8(round_half_away(x[i] * inverse)) + L(1.0f));
    store_f16(d, &B::d, out + first, count);
    store_codes(code, out + first, count);
  });
}
}  // namespace detail

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context&, tq1_0* out) noexcept {
  detail::encode_ternary<L>(x, blocks, out);
}
template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context&, tq2_0* out) noexcept {
  detail::encode_ternary<L>(x, blocks, out);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
