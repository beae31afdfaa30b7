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

#include <cstddef>

namespace blocq::inline v0 {

// How the E8M0 scale of an OCP MX block follows from its largest magnitude; see format/mx.hpp.
enum class scale_rule : unsigned char { floor, ceil, even, rceil };

struct encode_context {
  const float* weights = nullptr;  // importance of each element of x, all finite and not negative; or null
  float row_mean_square = 0;       // mean of x * x over the row: the legacy formats with importance need it
  scale_rule rule = scale_rule::floor;
};

}  // namespace blocq::inline v0

#endif
