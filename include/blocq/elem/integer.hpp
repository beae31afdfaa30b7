// Integer codes as element descriptions: how wide a code is and which integer it stands for.
#ifndef BLOCQ_ELEM_INTEGER_HPP
#define BLOCQ_ELEM_INTEGER_HPP

#include <blocq/core/config.hpp>

namespace blocq::inline v0 {

// A code of `Bits` bits. Offset > 0: stored unsigned, stands for code - Offset. Offset == 0 and Bits == 8: stored in
// two's complement. Otherwise unsigned.
template <int Bits, int Offset>
struct packed_int {
  static_assert(Bits >= 1 && Bits <= 8, "packed_int<Bits, Offset>: a code has 1 to 8 bits");
  static constexpr int bits = Bits;
  static constexpr int lowest = Offset == 0 && Bits == 8 ? -128 : -Offset;
  static constexpr int highest = Offset == 0 && Bits == 8 ? 127 : (1 << Bits) - 1 - Offset;

  // The integer that a code, given as unsigned, stands for.
  BLOCQ_INLINE static constexpr int value(int code) noexcept {
    return lowest == -128 ? (code ^ 128) - 128 : code - Offset;
  }
};

}  // namespace blocq::inline v0

#endif
