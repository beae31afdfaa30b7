// Reference encoders of the first-generation GGUF formats.
#ifndef BLOCQ_ENCODE_Q_LEGACY_HPP
#define BLOCQ_ENCODE_Q_LEGACY_HPP

#include <blocq/encode/reference.hpp>
#include <blocq/format/q_legacy.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context&, q8_0* out) noexcept {
  for (std::size_t b = 0; b < blocks; ++b, x += 32) {
    lane amax = 0.0f;
    for (int j = 0; j < 32; ++j) amax = max_of(amax, abs(lane(x[j])));
    const lane d = amax / lane(127.0f);
    const lane id = d != lane(0.0f) ? lane(1.0f) / d : lane(0.0f);
    store(out[b].d, f32_to_f16(d.v));
    for (int j = 0; j < 32; ++j) out[b].qs[j] = to_i8(round_half_away((lane(x[j]) * id).v));
  }
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
