// What a packed matrix is: weights that are not rows of blocks but a few arrays together, with a product on them.
//
//   M::scheme                        its name in files
//   m.rows(), m.cols()               of the matrix: out features and in features
//   m.parts()                        views of everything that is stored, for as long as m lives
//   M::from_parts(parts)             a matrix of copies of them; foreign parts are checked completely
//   m.dequantize_row(r, y)           row r as floats. Precondition: r < rows(), y.size() == cols()
//   m.scratch()                      floats of space that gemv needs
//   m.gemv(x, y, space, first)       y = W x for rows first to first + y.size() - 1, the same numbers in whatever
//                                    ranges. Preconditions: x.size() == cols(), there are as many rows, space has
//                                    scratch() numbers. Allocates nothing.
//   M::rounds_inputs                 whether gemv rounds x, as it is the method to do
//
// from_parts, and whatever makes a matrix from floats, allocates as a vector does: std::bad_alloc, and nothing is left.
#ifndef BLOCQ_PACKED_MATRIX_HPP
#define BLOCQ_PACKED_MATRIX_HPP

#include <blocq/core/fp_environment.hpp>
#include <blocq/packed/codes.hpp>
#include <blocq/packed/parts.hpp>

#include <concepts>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

template <class M>
concept packed_matrix = std::movable<M> &&
    requires(const M& m, const part_set& parts, std::span<const float> x, std::span<float> y, std::size_t n) {
  { std::string_view(M::scheme) } -> std::same_as<std::string_view>;
  { bool(M::rounds_inputs) } -> std::same_as<bool>;
  { m.rows() } -> std::same_as<std::size_t>;
  { m.cols() } -> std::same_as<std::size_t>;
  { m.parts() } -> std::same_as<part_set>;
  { M::from_parts(parts) } -> std::same_as<result<M>>;
  { m.scratch() } -> std::same_as<std::size_t>;
  m.dequantize_row(n, y);
  m.gemv(x, y, y, n);
};

// Of everything that is stored: codebooks, indices, factors, permutations.
inline std::size_t stored_bytes(const part_set& parts) noexcept {
  std::size_t bytes = 0;
  for (const part& p : parts.parts()) bytes += p.bytes.size();
  return bytes;
}
template <packed_matrix M>
double bits_per_weight(const M& m) noexcept {
  return 8.0 * static_cast<double>(stored_bytes(m.parts())) /
         (static_cast<double>(m.rows()) * static_cast<double>(m.cols()));
}

// y = W x by the caller's threads: rows in parts, one call of an executor as in op/parallel.hpp for all of them. Every
// number is the one that m.gemv gives. Precondition: space has parts * m.scratch() numbers.
template <packed_matrix M, class Executor>
void gemv(const M& m, std::span<const float> x, std::span<float> y, std::span<float> space, std::size_t parts,
          Executor&& run) {
  parts = parts != 0 ? parts : 1;
  BLOCQ_ASSERT(space.size() >= parts * m.scratch());
  run(parts, [&](std::size_t i) {
    const auto row = [&](std::size_t part) { return y.size() / parts * part + y.size() % parts * part / parts; };
    const std::size_t first = row(i), last = row(i + 1);
    m.gemv(x, y.subspan(first, last - first), space.subspan(i * m.scratch(), m.scratch()), first);
  });
}

namespace detail {

// The product of matrices without a kernel of their own: a row is decoded, then multiplied.
template <class M>
struct decoded_product {
  static constexpr bool rounds_inputs = false;

  std::size_t scratch() const noexcept { return self().cols(); }
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == self().cols() && first + y.size() <= self().rows() && space.size() >= scratch());
    const fp_environment modes;
    for (std::size_t r = 0; r < y.size(); ++r) {
      self().dequantize_row(first + r, space.first(x.size()));
      y[r] = dot_floats(space.data(), x.data(), x.size());
    }
  }

 private:
  const M& self() const noexcept { return static_cast<const M&>(*this); }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
