// Memory of the classes that read and write files: a growing array that reports failure instead of throwing, and a
// name index. Not for users, and not a container library: what readers and writers need and no more.
#ifndef BLOCQ_FILE_STORAGE_HPP
#define BLOCQ_FILE_STORAGE_HPP

#include <blocq/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::detail {

template <class T>
class growing_array {
  static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= __STDCPP_DEFAULT_NEW_ALIGNMENT__);

 public:
  growing_array() = default;
  growing_array(growing_array&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  growing_array& operator=(growing_array&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~growing_array() { ::operator delete(data_); }

  T* data() noexcept { return data_; }
  const T* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  T& operator[](std::size_t i) noexcept { return data_[i]; }
  const T& operator[](std::size_t i) const noexcept { return data_[i]; }

  // These give false, with the contents as they were, when there is no memory.
  [[nodiscard]] bool append(const T* items, std::size_t n) noexcept {
    if (n > capacity_ - size_ && !grow(n)) return false;
    if (n != 0) std::memcpy(data_ + size_, items, n * sizeof(T));
    size_ += n;
    return true;
  }
  [[nodiscard]] bool append(const T& item) noexcept { return append(&item, 1); }
  [[nodiscard]] bool resize(std::size_t n) noexcept {  // new elements are zero
    if (n > capacity_ && !grow(n - size_)) return false;
    if (n > size_) std::memset(static_cast<void*>(data_ + size_), 0, (n - size_) * sizeof(T));
    size_ = n;
    return true;
  }

 private:
  bool grow(std::size_t more) noexcept {
    std::size_t wanted = size_ + more;
    if (wanted < 2 * capacity_) wanted = 2 * capacity_;
    if (wanted < more || wanted > PTRDIFF_MAX / sizeof(T)) return false;
    T* moved = static_cast<T*>(::operator new(wanted * sizeof(T), std::nothrow));
    if (moved == nullptr) return false;
    if (size_ != 0) std::memcpy(static_cast<void*>(moved), data_, size_ * sizeof(T));
    ::operator delete(data_);
    data_ = moved;
    capacity_ = wanted;
    return true;
  }

  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

// Keys and names: some text, in UTF-8 (shortest form, no surrogates), without NUL.
inline bool is_name(std::string_view s) noexcept {
  for (std::size_t i = 0; i < s.size();) {
    const auto at = [&](std::size_t k) -> std::uint32_t { return k < s.size() ? static_cast<unsigned char>(s[k]) : 0; };
    const std::uint32_t lead = at(i);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t code = length == 1 ? lead : lead & (0xffu >> (length + 1));
    for (std::size_t k = 1; k < length; ++k) {
      if ((at(i + k) & 0xc0) != 0x80) return false;
      code = code << 6 | (at(i + k) & 0x3f);
    }
    constexpr std::uint32_t lowest[] = {0, 1, 0x80, 0x800, 0x10000};
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || code < lowest[length] || code > 0x10ffff ||
        (code >= 0xd800 && code < 0xe000))
      return false;
    i += length;
  }
  return !s.empty();
}

// A total order in which a comparison never looks at more than the shorter name: by length, then by bytes.
inline int compare_names(std::string_view a, std::string_view b) noexcept {
  if (a.size() != b.size()) return a.size() < b.size() ? -1 : 1;
  return a.empty() ? 0 : std::memcmp(a.data(), b.data(), a.size());
}

// Sorts the positions 0 .. n - 1 into `order`: a before b where not_after(a, b), and where both hold as they were. A
// merge sort, so that no choice of keys makes it slow. False, with `order` left open, if there is no memory.
template <class NotAfter>
[[nodiscard]] bool sort_positions(std::size_t n, growing_array<std::uint32_t>& order, NotAfter&& not_after) noexcept {
  growing_array<std::uint32_t> merged;
  if (!order.resize(n) || !merged.resize(n)) return false;
  for (std::size_t i = 0; i < n; ++i) order[i] = static_cast<std::uint32_t>(i);
  for (std::size_t run = 1; run < n; run *= 2) {
    for (std::size_t low = 0; low < n; low += 2 * run) {
      const std::size_t middle = low + run < n ? low + run : n, high = middle + run < n ? middle + run : n;
      for (std::size_t a = low, b = middle, to = low; to < high; ++to) {
        const bool first = b == high || (a < middle && not_after(order[a], order[b]));
        merged[to] = order[first ? a++ : b++];
      }
    }
    std::swap(order, merged);
  }
  return true;
}

// The positions of n names, sorted: for finding a name and for seeing one twice. `name(i)` gives the i-th.
// O(bytes of all names * log n), where a hash table has collisions.
class name_index {
 public:
  enum class outcome { unique, duplicate, no_memory };

  template <class Name>
  outcome build(std::size_t n, Name&& name) noexcept {
    const auto not_after = [&](std::size_t a, std::size_t b) { return compare_names(name(a), name(b)) <= 0; };
    if (!sort_positions(n, order_, not_after)) return outcome::no_memory;
    for (std::size_t i = 1; i < n; ++i) {
      if (compare_names(name(order_[i - 1]), name(order_[i])) != 0) continue;
      duplicate_ = order_[i];
      return outcome::duplicate;
    }
    return outcome::unique;
  }

  // Position of a name that occurs a second time, after build gave `duplicate`.
  std::size_t duplicate() const noexcept { return duplicate_; }

  // Position of `wanted`, or the number of names if there is none.
  template <class Name>
  std::size_t find(std::string_view wanted, Name&& name) const noexcept {
    std::size_t low = 0, high = order_.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      const int c = compare_names(name(order_[middle]), wanted);
      if (c == 0) return order_[middle];
      if (c < 0)
        low = middle + 1;
      else
        high = middle;
    }
    return order_.size();
  }

 private:
  growing_array<std::uint32_t> order_;
  std::uint32_t duplicate_ = 0;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::detail

#endif
