// The GGUF ternary formats: 256 elements that are -d, 0 or d.
// Layouts and decoders only; the encoders are in encode/.
#ifndef BLOCQ_FORMAT_TQ_HPP
#define BLOCQ_FORMAT_TQ_HPP

#include <blocq/elem/grid.hpp>
#include <blocq/elem/integer.hpp>
#include <blocq/format/decode.hpp>
#include <blocq/format/q_k.hpp>

namespace blocq::inline v0 {

//   0              32     48   52   54
//   | qs           :      | qh | d  |     y = d * (t - 1), t a base-3 digit
struct tq1_0 {
  std::uint8_t qs[48];  // byte m < 32: digit n of element 32n + m (n < 5); byte 32 + m: element 160 + 16n + m
  std::uint8_t qh[4];   // byte j: digit n of element 240 + 4n + j (n < 4)
  le16 d;
};
static_assert(sizeof(tq1_0) == 54);

//   0              64   66
//   | qs           | d  |     y = d * (q - 1)
struct tq2_0 {
  std::uint8_t qs[64];
  le16 d;
};
static_assert(sizeof(tq2_0) == 66);

template <>
struct format_traits<tq1_0> : impl::gguf_traits<34, 256, ternary, q8_k, false> {
  static constexpr const char* name = "tq1_0";
};
template <>
struct format_traits<tq2_0> : impl::gguf_traits<35, 256, ternary, q8_k, false> {
  static constexpr const char* name = "tq2_0";
  using codes = planes<plane<&tq2_0::qs, 2, 32>>;
};

namespace impl {
// A byte holds five digits t0 .. t4 as the binary fraction nearest above 0.t0t1t2t3t4 in base 3: times 3^n, the integer
// part drops out of the byte and digit n is what a further factor of 3 carries over. Every byte has five digits 0 to 2.
BLOCQ_INLINE constexpr std::uint8_t get_digit(std::uint8_t byte, int n) noexcept {
  constexpr unsigned power[] = {1, 3, 9, 27, 81};
  return static_cast<std::uint8_t>(((byte * power[n]) & 255u) * 3u >> 8);
}
// digits[0], digits[stride], ..., the first `count`; those that are missing are 0. With digits above 2 the number wraps
// at 256.
BLOCQ_INLINE constexpr std::uint8_t pack_digits(const std::uint8_t* digits, int stride, int count) noexcept {
  unsigned number = 0;
  for (int n = 0; n < 5; ++n) number = number * 3 + (n < count ? digits[n * stride] : 0u);
  return static_cast<std::uint8_t>(((number & 255u) * 256 + 242) / 243);
}

// The three runs of tq1_0: their first byte (qh counts as byte 48), first element, bytes and digits per byte.
struct digit_run {
  int byte, element, bytes, digits;
};
inline constexpr digit_run tq1_0_runs[] = {{0, 0, 32, 5}, {32, 160, 16, 5}, {48, 240, 4, 4}};
}  // namespace impl

// All digits of a block, element i at codes[i].
BLOCQ_INLINE constexpr void get_codes(const tq1_0& b, std::uint8_t* codes) noexcept {
  for (const impl::digit_run& run : impl::tq1_0_runs)
    for (int n = 0; n < run.digits; ++n)
      for (int m = 0; m < run.bytes; ++m)
        codes[run.element + n * run.bytes + m] = impl::get_digit(run.byte < 48 ? b.qs[run.byte + m] : b.qh[m], n);
}
BLOCQ_INLINE constexpr void set_codes(tq1_0& b, const std::uint8_t* codes) noexcept {
  for (const impl::digit_run& run : impl::tq1_0_runs)
    for (int m = 0; m < run.bytes; ++m)
      (run.byte < 48 ? b.qs[run.byte + m] : b.qh[m]) =
          impl::pack_digits(codes + run.element + m, run.bytes, run.digits);
}

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const tq1_0& b, float* y) noexcept { detail::decode_scaled(b, y); }
constexpr void decode(const tq2_0& b, float* y) noexcept { detail::decode_scaled(b, y); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
