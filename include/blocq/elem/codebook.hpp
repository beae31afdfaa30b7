// Codes that choose a number from a table: the tables, and for the encoders of the float tables the order of the
// numbers and the thresholds between them.
#ifndef BLOCQ_ELEM_CODEBOOK_HPP
#define BLOCQ_ELEM_CODEBOOK_HPP

#include <blocq/core/config.hpp>

#include <cstdint>

namespace blocq::inline v0 {

// NF4: the quantiles of a normal distribution, scaled to [-1, 1]; Dettmers et al., "QLoRA", 2023. The codes ascend.
// A number's code is how many thresholds it exceeds: the midpoints, where two binary32 are equally near the even one.
struct nf4_code {
  static constexpr int bits = 4;
  static constexpr float values[16] = {-1.0f,
                                       -0.6961928009986877f,
                                       -0.5250730514526367f,
                                       -0.39491748809814453f,
                                       -0.28444138169288635f,
                                       -0.18477343022823334f,
                                       -0.09105003625154495f,
                                       0.0f,
                                       0.07958029955625534f,
                                       0.16093020141124725f,
                                       0.24611230194568634f,
                                       0.33791524171829224f,
                                       0.44070982933044434f,
                                       0.5626170039176941f,
                                       0.7229568362236023f,
                                       1.0f};
  static constexpr float thresholds[15] = {-0.848096371f, -0.610632896f,  -0.45999527f,  -0.33967942f, -0.234607399f,
                                           -0.137911737f, -0.0455250181f, 0.0397901498f, 0.120255247f, 0.203521252f,
                                           0.292013764f,  0.389312536f,   0.501663446f,  0.64278692f,  0.861478448f};
};

// The FP4 of bitsandbytes, which is not float4_e2m1fn: bit 3 is the sign, and the codes of the magnitudes do not
// ascend. A magnitude's code is ascending[how many thresholds it exceeds]. The numbers are not exactly between their
// thresholds: all of them are decimal constants of the reference, cut off where it cuts them.
struct bnb_fp4_code {
  static constexpr int bits = 4;
  static constexpr float values[16] = {
      0.0f,  0.005208333333f,  0.66666667f,  1.0f,  0.33333333f,  0.5f,  0.16666667f,  0.25f,
      -0.0f, -0.005208333333f, -0.66666667f, -1.0f, -0.33333333f, -0.5f, -0.16666667f, -0.25f};
  static constexpr std::uint8_t ascending[8] = {0, 1, 6, 7, 4, 5, 2, 3};
  static constexpr float thresholds[7] = {0.00260417f, 0.0859375f, 0.20833333f, 0.29166667f,
                                          0.4166667f,  0.583333f,  0.8333333f};
};

// The table of iq4_nl and iq4_xs, in units of the block scale.
struct iq4_nl_code {
  static constexpr int bits = 4;
  static constexpr int lowest = -127;
  static constexpr int highest = 113;
  static constexpr std::int8_t values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
};

// float4_e2m1fn times two, so that it fits integer dot products; GGUF's mxfp4 and nvfp4 halve their scales to make up
// for it. Code 8 is 0, not -0.
struct e2m1_doubled_code {
  static constexpr int bits = 4;
  static constexpr int lowest = -12;
  static constexpr int highest = 12;
  static constexpr std::int8_t values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
};

// The dynamic 8-bit code of bitsandbytes, with which it quantizes the scales of its 4-bit blocks once more; Dettmers,
// "8-Bit Approximations for Parallelism in Deep Learning", 2015. 2^i magnitudes in decade i = 0 .. 6, the middles of as
// many equal parts of [0.1, 1] * 10^(i - 6), with both signs; 0, and 1. The codes ascend; code 127 is 0. A checkpoint
// brings its own table along, whose last bits depend on the machine that wrote it.
struct bnb_dynamic_code {
  static constexpr int bits = 8;
  float values[256];
};

namespace impl {
// As bitsandbytes makes it with PyTorch on a processor that fuses multiplications and additions: all numbers are
// rounded to binary32, which binary64 holds the exact sums and products of; the ends of the parts are counted from the
// nearer end of [0.1, 1].
BLOCQ_INLINE constexpr bnb_dynamic_code make_bnb_dynamic_code() noexcept {
  constexpr float decades[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1.0f};
  bnb_dynamic_code table{};
  int code = 128;
  for (int i = 0; i < 7; ++i) {
    const int parts = 1 << i;
    const auto step = static_cast<double>(static_cast<float>(static_cast<double>(1.0f - 0.1f) / parts));
    const auto end = [&](int k) {
      return static_cast<float>(k < (parts + 1) / 2 ? static_cast<double>(0.1f) + step * k : 1.0 - step * (parts - k));
    };
    for (int k = 0; k < parts; ++k, ++code) {
      const auto middle = static_cast<float>(static_cast<double>(end(k)) + static_cast<double>(end(k + 1))) / 2;
      table.values[code] = static_cast<float>(static_cast<double>(decades[i]) * static_cast<double>(middle));
      table.values[254 - code] = -table.values[code];
    }
  }
  table.values[255] = 1.0f;
  return table;
}
}  // namespace impl

inline constexpr bnb_dynamic_code bnb_dynamic = impl::make_bnb_dynamic_code();

}  // namespace blocq::inline v0

#endif
