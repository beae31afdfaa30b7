// The arrays that a packed matrix is made of, as views with names, element types and shapes, beside a few whole numbers
// that say how to read them: what a file keeps of it. Nothing here owns anything.
#ifndef BLOCQ_PACKED_PARTS_HPP
#define BLOCQ_PACKED_PARTS_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

enum class part_type : std::uint8_t { i8, i16, i32, f16, f32 };

constexpr std::size_t size_of(part_type t) noexcept {
  return t == part_type::i8 ? 1 : t == part_type::i16 || t == part_type::f16 ? 2 : 4;
}

// Rows of elements without gaps, in the byte order of the machine. I8, I16 and I32 are bits: who reads them knows
// whether they have a sign.
struct part {
  std::string_view name = {};
  part_type type = part_type::i8;
  std::size_t rows = 0, cols = 0;
  std::span<const std::byte> bytes = {};
};

struct parameter {
  std::string_view name = {};
  std::uint64_t value = 0;
};

// Rows and columns of the matrix are parameters like the others. A part without elements is left out.
class part_set {
 public:
  static constexpr std::size_t most = 12;  // of either kind

  part_set() = default;
  part_set(std::string_view scheme_name, std::size_t rows, std::size_t cols) : scheme(scheme_name) {
    add("rows", rows).add("columns", cols);
  }

  std::string_view scheme = {};

  std::span<const parameter> parameters() const& noexcept { return {parameters_.data(), parameter_count_}; }
  std::span<const part> parts() const& noexcept { return {parts_.data(), part_count_}; }
  void parameters() const&& = delete;  // they would outlive the set
  void parts() const&& = delete;

  // Preconditions: there is room.
  part_set& add(std::string_view name, std::uint64_t value) noexcept {
    BLOCQ_ASSERT(parameter_count_ < most);
    parameters_[parameter_count_++] = {name, value};
    return *this;
  }
  part_set& add(const part& p) noexcept {
    BLOCQ_ASSERT(part_count_ < most);
    if (!p.bytes.empty()) parts_[part_count_++] = p;
    return *this;
  }
  // A vector of elements, several of which may be one element of the vector, in so many rows.
  template <class T>
  part_set& add(std::string_view name, part_type type, std::size_t rows, const std::vector<T>& values) noexcept {
    const auto bytes = std::as_bytes(std::span(values));
    return add(part{name, type, rows, rows == 0 ? 0 : bytes.size() / size_of(type) / rows, bytes});
  }
  bool is_full() const noexcept { return parameter_count_ == most || part_count_ == most; }

 private:
  std::array<parameter, most> parameters_ = {};
  std::array<part, most> parts_ = {};
  std::size_t parameter_count_ = 0, part_count_ = 0;
};

// Takes foreign parts to pieces. The first thing that is wrong is kept, everything asked for after it is empty, and
// `finish` says what it was: so from_parts is written without a branch for each step. Allocates no more than the parts
// hold.
class part_reader {
 public:
  part_reader(const part_set& set, const char* scheme) noexcept : set_(set), scheme_(scheme) {
    if (set.scheme != scheme) fail(errc::bad_type, set.scheme, "is another scheme");
  }

  bool ok() const noexcept { return said_.code == errc::ok; }
  // A number from `least` to `most`; `least` where something was wrong.
  std::size_t number(std::string_view name, std::size_t least, std::size_t most) noexcept {
    for (const parameter& p : set_.parameters()) {
      if (p.name != name) continue;
      ++numbers_taken_;
      if (p.value >= least && p.value <= most) return static_cast<std::size_t>(p.value);
      fail(errc::bad_value, name, "is outside its range");
      return least;
    }
    fail(errc::missing, name, "is not there");
    return least;
  }
  // Rows and columns of the matrix.
  std::size_t rows() noexcept { return number("rows", 1, largest); }
  std::size_t cols() noexcept { return number("columns", 1, largest); }

  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }

  // The elements of a part of this shape. T is as large as one or several of them.
  template <class T>
  std::vector<T> take(std::string_view name, part_type type, std::size_t rows, std::size_t cols) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (!ok()) return {};
    const part* const p = find(name);
    const std::size_t size = size_of(type);
    if (p == nullptr) {
      if (rows != 0 && cols != 0) fail(errc::missing, name, "is not there");
      return {};
    }
    ++parts_taken_;
    if (p->type != type) return fail(errc::bad_type, name, "has elements of another type"), std::vector<T>();
    if (p->rows != rows || p->cols != cols || p->bytes.size() % size != 0 ||
        !impl::is_product(p->bytes.size() / size, rows, cols) || p->bytes.size() % sizeof(T) != 0)
      return fail(errc::size_mismatch, name, "has another shape than the matrix needs"), std::vector<T>();
    std::vector<T> out(p->bytes.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), p->bytes.data(), p->bytes.size());
    return out;
  }
  // The same with any number of columns, in one row; none if it is not there.
  template <class T>
  std::vector<T> take_list(std::string_view name, part_type type) {
    const part* const p = find(name);
    return p != nullptr ? take<T>(name, type, 1, p->cols) : std::vector<T>();
  }

  void require(bool holds, std::string_view name, const char* what) noexcept {
    if (!holds) fail(errc::bad_value, name, what);
  }
  void require_finite(std::string_view name, const std::vector<float>& values) noexcept {
    for (const float v : values)
      if (!is_finite(v)) return fail(errc::not_finite, name, "has a number that is not finite");
  }
  void require_finite(std::string_view name, const std::vector<std::uint16_t>& halves) noexcept {
    for (const std::uint16_t h : halves)
      if ((h & 0x7c00u) == 0x7c00u) return fail(errc::not_finite, name, "has a number that is not finite");
  }
  template <class T>
  void require_below(std::string_view name, const std::vector<T>& indices, std::size_t limit) noexcept {
    for (const T i : indices)
      if (std::size_t{i} >= limit) return fail(errc::bad_value, name, "has an index beyond the end");
  }
  template <class T>
  void require_ascending(std::string_view name, const std::vector<T>& indices) noexcept {
    for (std::size_t i = 1; i < indices.size(); ++i)
      if (indices[i] <= indices[i - 1]) return fail(errc::bad_value, name, "is not ascending");
  }
  // Each of 0 to n - 1 once, or no list.
  template <class T>
  void require_permutation(std::string_view name, const std::vector<T>& order, std::size_t n) {
    if (order.empty()) return;
    std::vector<bool> named(order.size());
    if (order.size() != n) return fail(errc::size_mismatch, name, "does not name every column");
    for (const T i : order) {
      if (i >= n || named[i]) return fail(errc::bad_value, name, "does not name every column once");
      named[i] = true;
    }
  }

  // m if all was right and nothing was left over.
  template <class M>
  result<M> finish(M&& m) noexcept {
    if (ok() && (numbers_taken_ != set_.parameters().size() || parts_taken_ != set_.parts().size()))
      fail(errc::unsupported, {}, "there are parts or parameters that it does not have");
    if (!ok()) return said_;
    return static_cast<M&&>(m);
  }

 private:
  static constexpr std::size_t largest = 0x7fffffff;

  const part* find(std::string_view name) const noexcept {
    for (const part& p : set_.parts())
      if (p.name == name) return &p;
    return nullptr;
  }
  void quote(std::string_view text) noexcept { said_.quote(text.data(), text.size()); }
  void fail(errc code, std::string_view name, const char* what) noexcept {
    if (!ok()) return;
    said_ = error(code) << scheme_ << ": ";
    if (!name.empty()) {
      quote(name);
      said_ << ' ';
    }
    said_ << what;
  }

  const part_set& set_;
  const char* scheme_;
  error said_{errc::ok};
  std::size_t numbers_taken_ = 0, parts_taken_ = 0;
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
