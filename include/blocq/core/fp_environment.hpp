// The floating-point modes that the library's promises rest on: nearest rounding, subnormals kept, traps masked.
#ifndef BLOCQ_CORE_FP_ENVIRONMENT_HPP
#define BLOCQ_CORE_FP_ENVIRONMENT_HPP

#include <blocq/core/config.hpp>

#if !(defined(BLOCQ_GNU) && (defined(__x86_64__) || defined(__aarch64__) || defined(__wasm__)))
#include <cfenv>
#endif

#include <cstdint>

namespace blocq::inline v0 {

// Sets the default modes for its lifetime and puts back exactly what it found, sticky flags included. The asm
// statements are compiler barriers for memory, so what is loaded and stored inside the scope is computed inside it.
class fp_environment {
 public:
#if defined(BLOCQ_GNU) && defined(__x86_64__)
  BLOCQ_INLINE fp_environment() noexcept {
    __asm__ volatile("stmxcsr %0" : "=m"(saved_) : : "memory");
    const std::uint32_t standard = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(standard) : "memory");
  }
  BLOCQ_INLINE ~fp_environment() { __asm__ volatile("ldmxcsr %0" : : "m"(saved_) : "memory"); }

 private:
  std::uint32_t saved_ = 0;
#elif defined(BLOCQ_GNU) && defined(__aarch64__)
  BLOCQ_INLINE fp_environment() noexcept {
    __asm__ volatile("mrs %0, fpcr" : "=r"(control_) : : "memory");
    __asm__ volatile("mrs %0, fpsr" : "=r"(flags_) : : "memory");
    __asm__ volatile("msr fpcr, %0" : : "r"(std::uint64_t{0}) : "memory");
  }
  BLOCQ_INLINE ~fp_environment() {
    __asm__ volatile("msr fpcr, %0" : : "r"(control_) : "memory");
    __asm__ volatile("msr fpsr, %0" : : "r"(flags_) : "memory");
  }

 private:
  std::uint64_t control_ = 0;
  std::uint64_t flags_ = 0;
#elif defined(__wasm__)
  BLOCQ_INLINE fp_environment() noexcept {}  // WebAssembly has these modes and no others
  BLOCQ_INLINE ~fp_environment() {}
#else
  BLOCQ_INLINE fp_environment() noexcept {
    std::fegetenv(&saved_);
    std::fesetenv(FE_DFL_ENV);
  }
  BLOCQ_INLINE ~fp_environment() { std::fesetenv(&saved_); }

 private:
  std::fenv_t saved_;
#endif
 public:
  fp_environment(const fp_environment&) = delete;
  fp_environment& operator=(const fp_environment&) = delete;
};

}  // namespace blocq::inline v0

#endif
