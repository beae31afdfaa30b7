// Codes of four bits that choose from a table of 16 numbers: the tables, and for the encoders of the float tables the
// order of the numbers and the thresholds between them.
#ifndef BLOCQ_ELEM_CODEBOOK_HPP
#define BLOCQ_ELEM_CODEBOOK_HPP

#include <blocq/core/config.hpp>

#include <cstdint>

namespace blocq::inline v0 {

// NF4: the quantiles of a normal distribution, scaled to [-1, 1]; Dettmers et al., "QLoRA", 2023. The codes ascend.
// A number's code is how many thresholds it exceeds.
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
  static constexpr float thresholds[15] = {
      -0.8480964004993439f,  -0.6106329262256622f,   -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
      -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,   0.2035212516784668f,
      0.2920137718319893f,   0.3893125355243683f,    0.5016634166240692f,  0.6427869200706482f,   0.8614784178118011f};
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

}  // namespace blocq::inline v0

#endif
