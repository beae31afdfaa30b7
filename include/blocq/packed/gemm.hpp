// Products of packed matrices with many rows of activations, on the kernels of op/gemm.hpp. A header of its own, since
// those take long to compile.
#ifndef BLOCQ_PACKED_GEMM_HPP
#define BLOCQ_PACKED_GEMM_HPP

#include <blocq/op/activations.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/packed/dual_groups.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

namespace detail {

// Which of eight columns is number i in a panel: those of lower nibbles come first.
constexpr std::size_t column_in_panel(std::size_t i) noexcept { return i % 4 * 2 + i / 4; }

// Rows m to m + panel_rows - 1 of w as a panel of super-blocks: steps are groups' integer scales, steps times zeros
// their minima, and row scales those of both.
inline void fill_panel(const dual_groups& w, std::size_t groups, std::size_t m, std::size_t first, std::size_t chunks,
                       blocq::detail::panel<blocq::detail::kernel_for<q4_k>>& to,
                       blocq::detail::row_bytes& next) noexcept {
  namespace in = blocq::detail;
  constexpr in::kernel K = in::kernel_for<q4_k>;
  static_assert(K.integer_scales && K.offset && K.groups() == 1 && !K.words() && in::panel_lowest<q4_k> == 0);
  const std::size_t per_group = w.group() / 32, whole = w.cols() / 32;
  const std::uint8_t *codes[in::panel_rows], *steps[in::panel_rows], *zeros[in::panel_rows];
  std::size_t g = first / per_group, left = (g + 1) * per_group - first;  // chunks of a group
  for (std::size_t r = 0; r < in::panel_rows; ++r) {
    const std::size_t row = m + r < w.rows() ? m + r : w.rows() - 1;
    codes[r] = w.codes().row(row) + 16 * first;
    steps[r] = w.steps().data() + row * groups;
    zeros[r] = w.zeros().data() + row * groups;
    to.scale[r] = to.min_scale[r] = w.scale(row);
    next.at[r] = reinterpret_cast<const std::byte*>(codes[r] + 16 * in::slab_chunks);
  }
  next.bytes = 16 * in::slab_chunks;
  for (std::size_t c = 0; c < chunks; ++c) {
    if (first + c >= whole) {  // padding
      std::memset(to.steps[c * K.steps()], 0, sizeof to.steps[0] * K.steps());
      std::memset(to.scales[c], 0, sizeof to.scales[c]);
      std::memset(to.mins[c], 0, sizeof to.mins[c]);
      continue;
    }
    if (left == 0) ++g, left = per_group;
    if (c != 0 && left != per_group) {
      std::memcpy(to.scales[c], to.scales[c - 1], sizeof to.scales[c]);
      std::memcpy(to.mins[c], to.mins[c - 1], sizeof to.mins[c]);
    } else {
      for (std::size_t r = 0; r < in::panel_rows; ++r) {
        const unsigned step = steps[r][g], least = step * zeros[r][g];
        to.scales[c][r] = step << 16 | step;
        to.mins[c][r] = least << 16 | least;
      }
    }
    --left;
    for (std::size_t half = 0; half < in::panel_rows; half += 8) {
      in::vec::bytes v[4];
      in::vec::load_columns(
          [&](int r) BLOCQ_INLINE_LAMBDA { return codes[half + static_cast<std::size_t>(r)] + 16 * c; }, v);
      for (std::size_t i = 0; i < 4; ++i) {
        in::vec::store_bytes(&to.steps[c * K.steps() + 2 * i][half], in::vec::field<4>(v[i], 0));
        in::vec::store_bytes(&to.steps[c * K.steps() + 2 * i + 1][half], in::vec::field<4>(v[i], 4));
      }
    }
  }
}

// Whole super-blocks.
constexpr std::size_t padded_columns(std::size_t k) noexcept { return (k + 255) / 256 * 256; }

}  // namespace detail

// Bytes of scratch for n rows of X. Any alignment.
inline std::size_t gemm_scratch(const dual_groups& w, std::size_t n) noexcept {
  const std::size_t k = detail::padded_columns(w.cols());
  return 192 + 4 * (n + 1) * k + blocq::gemm_scratch<q4_k>(n < 3 ? 3 : n, k);
}

// Y = X W^T, as the method has it: X in 8 bits (q8_k, with a scale for 256), and whole numbers until a row's scale. It
// is the kernel of super-blocks that does it, on these codes and steps: as exact as bytes that they would be expanded
// to, and faster. Preconditions: x.cols == w.cols(), y has x.rows rows of w.rows() columns, scratch has gemm_scratch(w,
// x.rows) bytes.
inline void gemm(const dual_groups& w, matrix_view<const float> x, matrix_view<float> y,
                 std::span<std::byte> scratch) noexcept {
  namespace in = blocq::detail;
  BLOCQ_ASSERT(x.cols == w.cols() && y.rows == x.rows && y.cols == w.rows() &&
               scratch.size() >= gemm_scratch(w, x.rows));
  const fp_environment modes;
  const std::size_t k = detail::padded_columns(x.cols);
  in::scratch_pieces pieces(scratch.data());
  auto* const inputs = pieces.take<float>((x.rows + 1) * k);
  for (std::size_t t = 0; t < x.rows; ++t) {
    const float* from = x.row(t).data();
    float* const to = inputs + t * k;
    if (!w.divisors().empty()) {
      float* const divided = inputs + x.rows * k;
      for (std::size_t i = 0; i < x.cols; ++i) divided[i] = from[i] / w.divisors()[i];
      from = divided;
    }
    for (std::size_t i = 0; i < x.cols; i += 8)
      for (std::size_t e = 0; e < 8; ++e) to[i + e] = from[i + detail::column_in_panel(e)];
    std::memset(to + x.cols, 0, (k - x.cols) * sizeof(float));
  }
  const std::size_t groups = w.groups();
  in::multiply_panels<q4_k>(
      k, {{inputs, x.rows, k}, {}}, y, pieces.next,
      [&](std::size_t m, std::size_t slab, std::size_t chunks, in::panel<in::kernel_for<q4_k>>& to,
          in::row_bytes& next) { detail::fill_panel(w, groups, m, slab * in::slab_chunks, chunks, to, next); },
      [](std::size_t, std::span<const q8_k>) {});  // X is rounded here, and has no -128
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
