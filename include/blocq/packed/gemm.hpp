// Products of packed matrices with many rows of activations, on the kernels of op/gemm.hpp. A header of its own, since
// those take long to compile.
#ifndef BLOCQ_PACKED_GEMM_HPP
#define BLOCQ_PACKED_GEMM_HPP

#include <blocq/op/activations.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/packed/dual_groups.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

namespace detail {

// Of eight columns in a panel those of lower nibbles come first. Sums of sixteen stay what they are.
inline void order_for_panels(q8_k& x) noexcept {
  namespace vec = simd::native;
  static constexpr std::uint8_t from[16] = {0, 2, 4, 6, 1, 3, 5, 7, 8, 10, 12, 14, 9, 11, 13, 15};
  const vec::bytes order = vec::load_halves(from);
  for (std::size_t i = 0; i < 256; i += 32) vec::store_bytes(x.qs + i, vec::lookup16(vec::load_bytes(x.qs + i), order));
}

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
      for (std::size_t half = 0; half < in::panel_rows; half += 8) {
        const auto eight = [&](const std::uint8_t* const* of) BLOCQ_INLINE_LAMBDA {
          return in::vec::load_bytes_as_ints(
              [=](int r) BLOCQ_INLINE_LAMBDA { return of[half + static_cast<std::size_t>(r)] + g; });
        };
        const in::vec::ints step = eight(steps), least = step * eight(zeros);
        const auto twice = [](in::vec::ints v) BLOCQ_INLINE_LAMBDA { return v | in::vec::shift_left(v, 16); };
        in::vec::store_bytes(&to.scales[c][half], in::vec::as_bytes(twice(step)));
        in::vec::store_bytes(&to.mins[c][half], in::vec::as_bytes(twice(least)));
      }
    }
    --left;
    for (std::size_t half = 0; half < in::panel_rows; half += 8) {
      in::vec::bytes v[4];
      in::vec::load_columns(
          [&](int r) BLOCQ_INLINE_LAMBDA { return codes[half + static_cast<std::size_t>(r)] + 16 * c; }, v);
      for (std::size_t i = 0; i < 4; ++i)
        in::store_steps<K>(in::vec::field<4>(v[i], 0), in::vec::field<4>(v[i], 4), &to.steps[c * K.steps() + 2 * i],
                           half);
    }
  }
}

// Whole super-blocks.
constexpr std::size_t padded_columns(std::size_t k) noexcept { return (k + 255) / 256 * 256; }

}  // namespace detail

// Bytes of scratch for n rows of X. Any alignment.
inline std::size_t gemm_scratch(const dual_groups& w, std::size_t n) noexcept {
  const std::size_t k = detail::padded_columns(w.cols());
  return 192 + n * (k / 256) * sizeof(q8_k) + 4 * k + blocq::gemm_scratch<q4_k>(n < 3 ? 3 : n, k);
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
  const std::size_t k = detail::padded_columns(x.cols), blocks = k / 256;
  in::scratch_pieces pieces(scratch.data());
  auto* const inputs = pieces.take<q8_k>(x.rows * blocks);
  auto* const row = pieces.take<float>(k);
  for (std::size_t t = 0; t < x.rows; ++t) {
    const float* from = x.row(t).data();
    if (k != x.cols || !w.divisors().empty()) {
      for (std::size_t i = 0; i < x.cols; ++i) row[i] = w.divisors().empty() ? from[i] : from[i] / w.divisors()[i];
      std::memset(row + x.cols, 0, (k - x.cols) * sizeof(float));
      from = row;
    }
    in::encode_activations(from, blocks, inputs + t * blocks);
    for (std::size_t i = 0; i < blocks; ++i) detail::order_for_panels(inputs[t * blocks + i]);
  }
  const std::size_t groups = w.groups();
  in::multiply_panels<q4_k>(
      k, {{}, {inputs, x.rows, blocks}}, y, pieces.next,
      [&](std::size_t m, std::size_t slab, std::size_t chunks, in::panel<in::kernel_for<q4_k>>& to,
          in::row_bytes& next) { detail::fill_panel(w, groups, m, slab * in::slab_chunks, chunks, to, next); },
      [](std::size_t, std::span<const q8_k>) {});  // X is rounded here, and has no -128
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
