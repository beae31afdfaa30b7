// Two lanes as one: twice as many problems at once. A search is a chain of operations that wait for each other; two
// chains side by side keep a processor busy that would idle with one. Copies go lane by lane, in a debug build too
// (simd/lane.hpp).
#ifndef BLOCQ_CORE_LANE_PAIR_HPP
#define BLOCQ_CORE_LANE_PAIR_HPP

#include <blocq/core/lane.hpp>

namespace blocq::inline v0 {

template <class L>
struct lane_pair {
  using half_mask = mask_t<L>;
  struct mask {
    half_mask low, high;

    BLOCQ_INLINE explicit mask(bool m) noexcept : low(m), high(m) {}
    BLOCQ_INLINE mask(const mask& m) noexcept : low(m.low), high(m.high) {}
    BLOCQ_INLINE mask& operator=(const mask& m) noexcept {
      low = m.low;
      high = m.high;
      return *this;
    }
    BLOCQ_INLINE mask(const half_mask& l, const half_mask& h) noexcept : low(l), high(h) {}
    friend BLOCQ_INLINE mask operator&(const mask& a, const mask& b) noexcept {
      return {a.low & b.low, a.high & b.high};
    }
    friend BLOCQ_INLINE mask operator|(const mask& a, const mask& b) noexcept {
      return {a.low | b.low, a.high | b.high};
    }
    BLOCQ_INLINE mask operator~() const noexcept { return {~low, ~high}; }
    friend BLOCQ_INLINE bool any(const mask& m) noexcept { return any(m.low | m.high); }
    friend BLOCQ_INLINE bool all(const mask& m) noexcept { return all(m.low & m.high); }
  };

  L low, high;

  lane_pair() = default;
  BLOCQ_INLINE lane_pair(const lane_pair& p) noexcept : low(p.low), high(p.high) {}
  BLOCQ_INLINE lane_pair& operator=(const lane_pair& p) noexcept {
    low = p.low;
    high = p.high;
    return *this;
  }
  BLOCQ_INLINE lane_pair(float x) noexcept : low(x), high(x) {}
  BLOCQ_INLINE lane_pair(const L& l, const L& h) noexcept : low(l), high(h) {}

  friend BLOCQ_INLINE lane_pair operator+(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low + b.low, a.high + b.high};
  }
  friend BLOCQ_INLINE lane_pair operator-(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low - b.low, a.high - b.high};
  }
  friend BLOCQ_INLINE lane_pair operator*(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low * b.low, a.high * b.high};
  }
  friend BLOCQ_INLINE lane_pair operator/(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low / b.low, a.high / b.high};
  }
  BLOCQ_INLINE lane_pair operator-() const noexcept { return {-low, -high}; }
  BLOCQ_INLINE lane_pair& operator+=(const lane_pair& b) noexcept { return *this = *this + b; }
  BLOCQ_INLINE lane_pair& operator-=(const lane_pair& b) noexcept { return *this = *this - b; }

  friend BLOCQ_INLINE mask operator<(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low < b.low, a.high < b.high};
  }
  friend BLOCQ_INLINE mask operator<=(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low <= b.low, a.high <= b.high};
  }
  friend BLOCQ_INLINE mask operator==(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low == b.low, a.high == b.high};
  }
  friend BLOCQ_INLINE mask operator>(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low > b.low, a.high > b.high};
  }
  friend BLOCQ_INLINE mask operator>=(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low >= b.low, a.high >= b.high};
  }
  friend BLOCQ_INLINE mask operator!=(const lane_pair& a, const lane_pair& b) noexcept {
    return {a.low != b.low, a.high != b.high};
  }

  friend BLOCQ_INLINE lane_pair abs(const lane_pair& a) noexcept { return {abs(a.low), abs(a.high)}; }
  friend BLOCQ_INLINE lane_pair sqrt(const lane_pair& a) noexcept { return {sqrt(a.low), sqrt(a.high)}; }
  friend BLOCQ_INLINE lane_pair to_i8(const lane_pair& a) noexcept { return {to_i8(a.low), to_i8(a.high)}; }
  friend BLOCQ_INLINE lane_pair to_u8(const lane_pair& a) noexcept { return {to_u8(a.low), to_u8(a.high)}; }
  friend BLOCQ_INLINE lane_pair nearest_int(const lane_pair& a) noexcept {
    return {nearest_int(a.low), nearest_int(a.high)};
  }
  friend BLOCQ_INLINE lane_pair rounded(const lane_pair& a) noexcept { return {rounded(a.low), rounded(a.high)}; }
  friend BLOCQ_INLINE lane_pair round_half_away(const lane_pair& a) noexcept {
    return {round_half_away(a.low), round_half_away(a.high)};
  }
  friend BLOCQ_INLINE lane_pair max_of(const lane_pair& a, const lane_pair& b) noexcept {
    return {max_of(a.low, b.low), max_of(a.high, b.high)};
  }
  friend BLOCQ_INLINE lane_pair min_of(const lane_pair& a, const lane_pair& b) noexcept {
    return {min_of(a.low, b.low), min_of(a.high, b.high)};
  }
  friend BLOCQ_INLINE lane_pair at_most(const lane_pair& a, float highest) noexcept {
    return {at_most(a.low, highest), at_most(a.high, highest)};
  }
  friend BLOCQ_INLINE lane_pair at_least(const lane_pair& a, float lowest) noexcept {
    return {at_least(a.low, lowest), at_least(a.high, lowest)};
  }
  friend BLOCQ_INLINE lane_pair select(const mask& m, const lane_pair& a, const lane_pair& b) noexcept {
    return {select(m.low, a.low, b.low), select(m.high, a.high, b.high)};
  }
};

template <class L>
struct lane_traits<lane_pair<L>> {
  static constexpr std::size_t size = 2 * lane_traits<L>::size;
  using mask = typename lane_pair<L>::mask;
};

namespace impl {
template <class L>
using half_of_pair = L lane_pair<L>::*;

template <class L, std::size_t N>
BLOCQ_INLINE void gather_half(lane_pair<L> (&to)[N], half_of_pair<L> half, const float* p, std::size_t stride,
                              std::size_t count) noexcept {
  L part[N];
  gather(part, p, stride, count);
  for (std::size_t j = 0; j < N; ++j) to[j].*half = part[j];
}
template <class L, std::size_t N, class T>
BLOCQ_INLINE void scatter_half(const lane_pair<L> (&from)[N], half_of_pair<L> half, T* p, std::size_t stride,
                               std::size_t count) noexcept {
  L part[N];
  for (std::size_t j = 0; j < N; ++j) part[j] = from[j].*half;
  scatter(part, p, stride, count);
}
template <class L, std::size_t N, class T>
BLOCQ_INLINE void scatter_halves(const lane_pair<L> (&from)[N], T* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t size = lane_traits<L>::size;
  scatter_half(from, &lane_pair<L>::low, p, stride, count < size ? count : size);
  if (count > size) scatter_half(from, &lane_pair<L>::high, p + size * stride, stride, count - size);
}
}  // namespace impl

// If the problems do not reach the high half, it repeats the last one.
template <class L>
BLOCQ_INLINE void gather(lane_pair<L>& to, const float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t size = lane_traits<L>::size;
  gather(to.low, p, stride, count < size ? count : size);
  gather(to.high, p + (size < count - 1 ? size : count - 1) * stride, stride, count > size ? count - size : 1);
}
template <class L>
BLOCQ_INLINE void scatter(const lane_pair<L>& from, float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t size = lane_traits<L>::size;
  scatter(from.low, p, stride, count < size ? count : size);
  if (count > size) scatter(from.high, p + size * stride, stride, count - size);
}
template <class L, std::size_t N>
BLOCQ_INLINE void gather(lane_pair<L> (&to)[N], const float* p, std::size_t stride, std::size_t count) noexcept {
  constexpr std::size_t size = lane_traits<L>::size;
  impl::gather_half(to, &lane_pair<L>::low, p, stride, count < size ? count : size);
  impl::gather_half(to, &lane_pair<L>::high, p + (size < count - 1 ? size : count - 1) * stride, stride,
                    count > size ? count - size : 1);
}
template <class L, std::size_t N>
BLOCQ_INLINE void scatter(const lane_pair<L> (&from)[N], float* p, std::size_t stride, std::size_t count) noexcept {
  impl::scatter_halves(from, p, stride, count);
}
template <class L, std::size_t N, class Byte>
requires(sizeof(Byte) == 1) BLOCQ_INLINE
    void scatter(const lane_pair<L> (&from)[N], Byte* p, std::size_t stride, std::size_t count) noexcept {
  impl::scatter_halves(from, p, stride, count);
}

}  // namespace blocq::inline v0

#endif
