// What every reference encoder is given, and what all of them share.
//
// An encoder is an overload
//   template <class L = lane> void encode(const float* x, std::size_t blocks, const encode_context& c, B* out);
// that writes `blocks` blocks from blocks * block_size floats, byte for byte as the reference library does. It runs
// under the default floating-point modes (fp_environment), reads nothing else and cannot fail: range checks are the
// caller's (op/quantize.hpp).
#ifndef BLOCQ_ENCODE_REFERENCE_HPP
#define BLOCQ_ENCODE_REFERENCE_HPP

#include <blocq/core/lane.hpp>
#include <blocq/format/planes.hpp>

#include <cstddef>
#include <cstdint>

namespace blocq::inline v0 {

// How the E8M0 scale of an OCP MX block follows from its largest magnitude; see shared_scale in encode/mx.hpp.
enum class scale_rule : unsigned char { floor, ceil, even, rceil, compressed_tensors, modelopt };

struct encode_context {
  const float* weights = nullptr;  // importance of each element of x, all finite and not negative; or null
  float row_mean_square = 0;       // mean of x * x over the row: the legacy formats with importance need it
  scale_rule rule = scale_rule::floor;
  // iq3_s: write what the reference writes where a group of 32 zeros comes before others in its block. The reference
  // puts the others' points and signs in the wrong place there, and what is decoded is not what was encoded.
  bool reference_bugs = false;
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA::detail {

// Magnitudes below this, as bits of a float, always become a block that decodes to finite numbers.
template <class B>
inline constexpr std::uint32_t valid_below = 0;

// The scale of a block follows from encode_context::rule.
template <class B>
inline constexpr bool has_scale_rule = false;

// N consecutive floats in registers, lane after lane.
template <class L, std::size_t N>
BLOCQ_INLINE void gather_run(const float* p, L (&to)[N / lane_traits<L>::size]) noexcept {
  constexpr std::size_t size = lane_traits<L>::size;
  for (std::size_t j = 0; j < N / size; ++j) gather(to[j], p + j * size, 1, size);
}

// The largest magnitude of each of `count` runs of N floats as bits, which order as the magnitudes do, infinity and NaN
// last.
template <class L, std::size_t N>
void find_peaks(const float* p, std::size_t count, std::uint32_t* peaks) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    L x[N / lane_traits<L>::size];
    gather_run<L, N>(p + i * N, x);
    packed_t<L> peak(0);
    for (const L& v : x) peak = max_of(peak, bits_of(v) & packed_t<L>(INT32_MAX));
    peaks[i] = static_cast<std::uint32_t>(maximum(peak));
  }
}

// Codes of magnitudes in a signed minifloat, nearest, ties to even, infinity included, if it had as many exponents as
// it takes. x is not a NaN.
template <class Element, class L>
packed_t<L> minifloat_magnitude(L x) noexcept {
  using P = packed_t<L>;
  constexpr int shift = 23 - Element::mantissa_bits;
  constexpr std::int32_t rebias = (127 - Element::bias) << 23, smallest_normal = rebias + 0x00800000;
  constexpr std::int32_t counting = smallest_normal + (shift << 23);  // the number whose lowest bit is a subnormal code
  const P magnitude = bits_of(x) & P(INT32_MAX);
  const P subnormal = bits_of(float_of(magnitude) + float_of(P(counting))) - P(counting);
  const P odd = (magnitude >> shift) & P(1);
  const P normal = (magnitude + odd + P((1 << (shift - 1)) - 1 - rebias)) >> shift;
  return subnormal + keep(normal - subnormal, magnitude > P(smallest_normal - 1));
}

// Calls f(first, count, x) for the problems first .. first + count - 1, as many as L has lanes at a time; x[j] holds
// element j of each of them. Problem k is the N floats from p + k * N.
template <class L, std::size_t N, class F>
void for_each_tile(const float* p, std::size_t problems, F&& f) {
  for (std::size_t first = 0; first < problems; first += lane_traits<L>::size) {
    const std::size_t left = problems - first, count = left < lane_traits<L>::size ? left : lane_traits<L>::size;
    L x[N];
    gather(x, p + first * N, N, count);
    f(first, count, x);
  }
}

// Calls f(x, importance, count, out) for as many super-blocks at a time as L has lanes.
template <class L, class B, class F>
void for_each_batch(const float* p, std::size_t blocks, const encode_context& c, B* out, F&& f) {
  constexpr std::size_t size = lane_traits<L>::size;
  for (std::size_t first = 0; first < blocks; first += size)
    f(p + first * 256, c.weights != nullptr ? c.weights + first * 256 : nullptr,
      blocks - first < size ? blocks - first : size, out + first);
}

// The sum of the squares of each super-block, once for each of its `groups` groups.
template <class L>
void energy_of_groups(const float* p, std::size_t count, std::size_t groups, float* energy) noexcept {
  L sum = 0.0f;
  for (std::size_t j = 0; j < 256; j += 16) {
    L x[16];
    gather(x, p + j, 256, count);
    for (const L& v : x) sum += v * v;
  }
  for (std::size_t g = 0; g < groups; ++g) scatter(sum, energy + g, groups, count);
}

// Integer-valued codes into the planes of a block.
template <class B>
void store_codes(const float* code, B& out) noexcept {
  std::uint8_t q[block_size<B>];
  for (std::size_t i = 0; i < block_size<B>; ++i) q[i] = static_cast<std::uint8_t>(static_cast<int>(code[i]));
  set_codes(out, q);
}

// One block in each lane.
template <class L, std::size_t N, class B>
void store_codes(const L (&code)[N], B* out, std::size_t count) noexcept {
  std::uint8_t q[lane_traits<L>::size * N];
  scatter(code, q, N, count);
  for (std::size_t b = 0; b < count; ++b) set_codes(out[b], q + b * N);
}

// Signed bytes, for formats that keep them as they are.
template <class L, std::size_t N, class B>
void store_bytes(const L (&code)[N], B* out, std::size_t count) noexcept {
  std::int8_t q[lane_traits<L>::size * N];
  scatter(code, q, N, count);
  for (std::size_t b = 0; b < count; ++b)
    for (std::size_t i = 0; i < N; ++i) out[b].qs[i] = q[b * N + i];
}

template <class L, class B>
void store_f16(L x, le16 B::*field, B* out, std::size_t count) noexcept {
  float v[lane_traits<L>::size];
  scatter(x, v, 1, count);
  for (std::size_t b = 0; b < count; ++b) store(out[b].*field, f32_to_f16(v[b]));
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::detail

#endif
