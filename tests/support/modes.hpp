// Floating-point modes that a caller may have set: rounding, flushing of subnormals, enabled traps, raised flags.
#ifndef BLOCQ_TESTS_MODES_HPP
#define BLOCQ_TESTS_MODES_HPP

#include <cfenv>
#include <cstdint>
#include <initializer_list>

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace modes {

// A number that changes whenever a mode or a flag does.
inline std::uint64_t current() {
  const auto portable = static_cast<std::uint64_t>(std::fegetround()) << 32 |
                        static_cast<std::uint64_t>(std::fetestexcept(FE_ALL_EXCEPT)) << 48;
#ifdef __SSE2__
  return portable | _mm_getcsr();
#else
  return portable;
#endif
}

// Runs f under each of the modes in turn and puts the default ones back.
template <class F>
void for_each(F&& f) {
  std::fenv_t before;
  std::fegetenv(&before);
#ifdef __SSE2__
  const unsigned own = _mm_getcsr();
#endif
  for (const int rounding : {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(rounding);
    std::feraiseexcept(FE_UNDERFLOW);
    f();
#ifdef __SSE2__
    const unsigned plain = _mm_getcsr();
    _mm_setcsr(plain | 0x8040);  // flush to zero, denormals are zero
    f();
    _mm_setcsr(plain & ~0x1fbfu);  // every trap enabled, no flag raised
    f();
#endif
    std::fesetenv(&before);
#ifdef __SSE2__
    _mm_setcsr(own);  // which fesetenv of mingw-w64 leaves as it is
#endif
  }
}

}  // namespace modes

#endif
