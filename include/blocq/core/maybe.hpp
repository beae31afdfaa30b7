// A value that may be absent.
#ifndef BLOCQ_CORE_MAYBE_HPP
#define BLOCQ_CORE_MAYBE_HPP

#include <blocq/core/config.hpp>

namespace blocq::inline v0 {

// A value or nothing. Stands in for std::optional, whose members are emitted out of line in an unoptimized build.
template <class T>
struct [[nodiscard]] maybe {
  T content{};
  bool present = false;

  BLOCQ_INLINE constexpr maybe() noexcept = default;
  BLOCQ_INLINE constexpr maybe(T x) noexcept : content(x), present(true) {}
  BLOCQ_INLINE constexpr explicit operator bool() const noexcept { return present; }
  BLOCQ_INLINE constexpr const T& operator*() const noexcept {
    BLOCQ_ASSERT(present);
    return content;
  }
  BLOCQ_INLINE constexpr const T* operator->() const noexcept { return &**this; }
  BLOCQ_INLINE constexpr T value_or(T otherwise) const noexcept { return present ? content : otherwise; }
};

}  // namespace blocq::inline v0

#endif
