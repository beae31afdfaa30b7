// What an engine might already have: the bytes of q4_0 under other names and with a stricter alignment.
#ifndef BLOCQ_TESTS_ENGINE_Q4_HPP
#define BLOCQ_TESTS_ENGINE_Q4_HPP

#include <blocq/format/q_legacy.hpp>

#include <cstdint>

struct engine_q4 {
  std::uint16_t scale;
  std::uint8_t nibbles[16];
};
template <>
struct blocq::format_traits<engine_q4> : blocq::format_traits<blocq::q4_0> {
  using wire = blocq::q4_0;
};

#endif
