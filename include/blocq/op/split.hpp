// Products with weights whose codes and scales lie in arrays of their own, as MX and NVFP4 checkpoints keep them
// (format/split.hpp): nothing is joined beforehand. Codes are used in the order in which they lie there; where GGUF's
// blocks pair other neighbours in a byte, the activations follow. Integers of mxfp4 and nvfp4 are multiplied straight
// from the arrays; for floats, and for formats of floats, some rows at a time become blocks in scratch, by copying.
#ifndef BLOCQ_OP_SPLIT_HPP
#define BLOCQ_OP_SPLIT_HPP

#include <blocq/format/split.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>

#include <cstddef>
#include <cstring>
#include <span>

namespace blocq::inline v0 {

// Rows of B's codes and scales; `cols` counts blocks. Strides are bytes from row to row. Every product is multiplied by
// `scale`: NVFP4's for the whole tensor, 1 / value where that is a divisor. Group scales of nvfp4 are at most 0x7e
// (join_scales refuses others): GGUF's blocks take 0x7f for 0 and leave bit 7 out. An aggregate; it owns nothing.
template <class B>
struct split_view {
  const std::uint8_t* codes = nullptr;
  const std::uint8_t* scales = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t codes_stride = 0;
  std::size_t scales_stride = 0;
  float scale = 1.0f;

  // Rows [first, last) of this view.
  BLOCQ_INLINE constexpr split_view row_range(std::size_t first, std::size_t last) const noexcept {
    BLOCQ_ASSERT(first <= last && last <= rows);
    return {codes + first * codes_stride,
            scales + first * scales_stride,
            last - first,
            cols,
            codes_stride,
            scales_stride,
            scale};
  }
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

// Rows without gaps. errc::size_mismatch if the arrays have another size than rows of `k` elements, errc::ragged if k
// is no multiple of block_size<B>, errc::bad_value with the index of the block for an nvfp4 group scale above 0x7e.
template <class B>
status make_split_view(std::span<const std::uint8_t> codes, std::span<const std::uint8_t> scales, std::size_t rows,
                       std::size_t k, split_view<B>& view) noexcept {
  constexpr std::size_t count = detail::scale_count<B>, code_bytes = sizeof(B) - count;
  if (k % block_size<B> != 0) return {errc::ragged, 0};
  const std::size_t cols = k / block_size<B>;
  if (scales.size() % count != 0 || !impl::is_product(scales.size() / count, rows, cols))
    return {errc::size_mismatch, 0};
  if (const errc e = detail::check_split<B>(scales.size() / count, codes.size(), scales.size()); e != errc::ok)
    return {e, 0};
  if constexpr (std::is_same_v<B, nvfp4>)
    for (std::size_t i = 0; i < scales.size(); ++i)
      if (scales[i] > 0x7e) return {errc::bad_value, i / count};
  view = {codes.data(), scales.data(), rows, cols, cols * code_bytes, cols * count};
  return {};
}

namespace detail {

// A block's byte j of codes holds elements j and j + half of each group of 2 * half, a checkpoint's 2 j and 2 j + 1.
// 0: the block's neighbours are the checkpoint's.
template <class B>
inline constexpr std::size_t pair_distance = 0;
template <>
inline constexpr std::size_t pair_distance<mxfp4> = 16;
template <>
inline constexpr std::size_t pair_distance<nvfp4> = 8;

// Elements of each such group in the order in which blocks with a checkpoint's bytes have them.
template <class B, class T>
BLOCQ_INLINE void reorder(const T* x, std::size_t n, T* out) noexcept {
  constexpr std::size_t half = pair_distance<B>;
  for (std::size_t i = 0; i < n; i += 2 * half)
    for (std::size_t j = 0; j < half; ++j) {
      out[i + j] = x[i + 2 * j];
      out[i + half + j] = x[i + 2 * j + 1];
    }
}
template <class B>
BLOCQ_INLINE void reorder_row(const float* x, std::size_t n, float* out) noexcept {
  reorder<B>(x, n, out);
}
template <class B, class A>
BLOCQ_INLINE void reorder_row(const A* x, std::size_t n, A* out) noexcept {
  static_assert(block_size<A> % (2 * pair_distance<B>) == 0);
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = x[i];
    reorder<B>(x[i].qs, block_size<A>, out[i].qs);
  }
}

// ---- blocks gathered in scratch ----

template <class B>
inline constexpr std::size_t code_bytes = sizeof(B) - scale_count<B>;

// Blocks of one row, with the codes' bytes as they are.
template <class B>
BLOCQ_INLINE void gather(const std::uint8_t* codes, const std::uint8_t* scales, std::size_t blocks, B* out) noexcept {
  for (std::size_t i = 0; i < blocks; ++i) {
    auto* const to = reinterpret_cast<std::byte*>(out + i);
    std::memcpy(to, scales + i * scale_count<B>, scale_count<B>);
    std::memcpy(to + scale_count<B>, codes + i * code_bytes<B>, code_bytes<B>);
  }
}

// Rows that are gathered at once: so many that what a product prepares counts little, and that they stay in the second
// cache. A multiple of gemm's panels.
template <class B>
constexpr std::size_t gathered_rows(std::size_t blocks) noexcept {
  constexpr std::size_t bytes = std::size_t{1} << 18, least = 24, most = 480;
  const std::size_t row = blocks * sizeof(B), rows = row == 0 ? most : bytes / row / least * least;
  return rows < least ? least : rows > most ? most : rows;
}

// multiply(weights, first) for all rows, some at a time, as blocks.
template <class B, class F>
void for_gathered(const split_view<B>& w, B* room, F&& multiply) noexcept {
  const std::size_t step = gathered_rows<B>(w.cols);
  for (std::size_t first = 0; first < w.rows; first += step) {
    const std::size_t rows = w.rows - first < step ? w.rows - first : step;
    for (std::size_t r = 0; r < rows; ++r)
      gather(w.codes + (first + r) * w.codes_stride, w.scales + (first + r) * w.scales_stride, w.cols,
             room + r * w.cols);
    multiply(matrix_view<const B>{room, rows, w.cols, w.cols}, first);
  }
}

// ---- integers, straight from the arrays ----

// The codes of a block of B alone: what the kernel of blocks.hpp reads, but for the steps.
template <class B>
struct split_codes {
  std::uint8_t qs[code_bytes<B>];
};
template <class B>
concept read_in_place = pair_distance<B>
!= 0;
template <class B>
inline constexpr bool is_chunked<split_codes<B>> = is_chunked<B>;

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

namespace blocq::inline v0 {
template <class B>
struct format_traits<detail::split_codes<B>> : format_traits<B> {
  using codes = planes<plane<&detail::split_codes<B>::qs, 4, static_cast<int>(detail::pair_distance<B>)>>;
  static constexpr std::size_t group_size = static_cast<std::size_t>(step_group<B>);
};
}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// The steps of 16 chunks of 32.
BLOCQ_INLINE void load_split_steps(const std::uint8_t* e, quad::floats (&to)[1]) noexcept {  // mxfp4
  const auto eight = [e](int from) BLOCQ_INLINE_LAMBDA {
    return half_e8m0s(vec::load_bytes_as_ints([=](int i) BLOCQ_INLINE_LAMBDA { return e + from + i; }));
  };
  to[0] = quad::join(eight(0), eight(8));
}
BLOCQ_INLINE void load_split_steps(const std::uint8_t* d, quad::floats (&to)[2]) noexcept {  // nvfp4, as in its kernel
  for (std::size_t g = 0; g < 2; ++g) {
    const auto two = [&](std::size_t i) BLOCQ_INLINE_LAMBDA {
      return join(load_as<std::uint32_t>(d + 4 * (i + g)), load_as<std::uint32_t>(d + 4 * (i + 2 + g)));
    };
    to[g] = quad::halves_to_floats(half_ue4m3_fields(vec::widen(two(0), two(4)))) * quad::fill_floats(0x1p7f);
  }
}

template <read_in_place B>
struct split_unit {
  using codes = split_codes<B>;
  using K = row_kernel<codes, q8_0>;
  using operand = typename prepared_row<codes, q8_0>::operand;
  static constexpr std::size_t codes_size = K::step * code_bytes<B>, scales_size = K::step * scale_count<B>;

  static BLOCQ_INLINE void add(const std::uint8_t* q, const std::uint8_t* d, const operand& x,
                               typename K::sums& sums) noexcept {
    quad::floats steps[K::groups];
    load_split_steps(d, steps);
    const auto* const w = reinterpret_cast<const codes*>(q);
    const auto products = K::multiply([w]<std::size_t V>(std::integral_constant<std::size_t, V>)
                                          BLOCQ_INLINE_LAMBDA { return K::template read<V>(w); },
                                      x);
    for (std::size_t g = 0; g < K::groups; ++g) {
      quad::ints p = products.v[g];
      if constexpr (bias_of<codes> != 0 && !operand::from_bias) p = p - x.minus[g];
      sums.part[g] = quad::fma(quad::to_floats(p) * x.d[g], steps[g], sums.part[g]);
    }
  }
};

// Rows m, m + apart and so on times a piece of x: blocks [0, blocks) from block `first` on.
template <read_in_place B>
BLOCQ_NOINLINE void multiply_split_streams(const split_view<B>& w, std::size_t m, std::size_t rows, std::size_t apart,
                                           std::size_t first, std::size_t blocks,
                                           const prepared_row<split_codes<B>, q8_0>& x, float* y) noexcept {
  using unit = split_unit<B>;
  using K = typename unit::K;
  constexpr std::size_t distance = 2048;  // bytes, from which memory is asked for
  typename K::sums sums[most_streams];
  std::uint8_t last_codes[unit::codes_size], last_scales[unit::scales_size];
  for (std::size_t i = 0; i < blocks; i += K::step)
    for (std::size_t r = 0; r < rows; ++r) {
      const std::uint8_t* q = w.codes + (m + r * apart) * w.codes_stride + (first + i) * code_bytes<B>;
      const std::uint8_t* d = w.scales + (m + r * apart) * w.scales_stride + (first + i) * scale_count<B>;
      for (std::size_t line = 0; line < unit::codes_size; line += 64)
        vec::prefetch(reinterpret_cast<const char*>(q) + distance + line);
      if (const std::size_t left = blocks - i; left < K::step) {
        std::memset(last_codes, 0, sizeof last_codes);
        std::memset(last_scales, 0, sizeof last_scales);
        std::memcpy(last_codes, q, left * code_bytes<B>);
        std::memcpy(last_scales, d, left * scale_count<B>);
        q = last_codes;
        d = last_scales;
      }
      unit::add(q, d, x.unit[i / K::step], sums[r]);
    }
  for (std::size_t r = 0; r < rows; ++r) {
    float& to = y[m + r * apart];
    to = first == 0 ? sums[r].total() : to + sums[r].total();
  }
}

// What multiply_row is for blocks; x in the order of the codes.
template <read_in_place B>
void multiply_split_row(const split_view<B>& w, const q8_0* x, float* y) noexcept {
  using codes = split_codes<B>;
  constexpr std::size_t piece = piece_blocks<codes, q8_0>;
  prepared_row<codes, q8_0> room;
  const std::size_t part = w.rows / most_streams, done = part * most_streams;
  for (std::size_t first = 0; first == 0 || first < w.cols; first += piece) {
    const std::size_t blocks = w.cols - first < piece ? w.cols - first : piece;
    room.prepare(x + first * block_size<B> / 32, blocks);
    for (std::size_t m = 0; m < part; ++m) multiply_split_streams(w, m, most_streams, part, first, blocks, room, y);
    if (done < w.rows) multiply_split_streams(w, done, w.rows - done, 1, first, blocks, room, y);
  }
}

// More rows of X than few_columns: each part of a panel is gathered where it is taken apart.
template <read_in_place B>
void multiply_split_panels(const split_view<B>& w, const operand_rows<q8_0>& x, matrix_view<float> y,
                           std::byte* scratch) noexcept {
  constexpr std::size_t per_slab = slab_chunks * 32 / block_size<B>;
  multiply_panels<B>(
      w.cols * block_size<B>, x, y, scratch,
      [&](std::size_t m, std::size_t slab, std::size_t chunks, panel<kernel_for<B>>& to, row_bytes& next) {
        B blocks[panel_rows][per_slab];
        const B* rows[panel_rows];
        for (std::size_t r = 0; r < panel_rows; ++r) {
          const std::size_t row = m + r < w.rows ? m + r : w.rows - 1, first = slab * per_slab;
          const std::uint8_t* const codes = w.codes + row * w.codes_stride + first * code_bytes<B>;
          gather(codes, w.scales + row * w.scales_stride + first * scale_count<B>, chunks * 32 / block_size<B>,
                 blocks[r]);
          rows[r] = blocks[r];
          next.at[r] = reinterpret_cast<const std::byte*>(codes + per_slab * code_bytes<B>);
        }
        next.bytes = per_slab * code_bytes<B>;
        expand<B>(rows, 0, chunks, to);
      },
      [&](std::size_t i, std::span<const q8_0> row) { multiply_split_row(w, row.data(), y.row(i).data()); });
}

BLOCQ_INLINE void multiply_all(std::span<float> y, float scale) noexcept {
  if (scale != 1.0f)
    for (float& v : y) v *= scale;
}

}  // namespace detail

// Bytes of scratch that gemv (n = 1) and gemm need for split weights and n rows of X of k elements, or for fewer. Any
// alignment.
template <class B>
constexpr std::size_t split_scratch(std::size_t n, std::size_t k) noexcept {
  const auto piece = [](std::size_t bytes) { return detail::scratch_pieces::rounded(bytes); };
  const std::size_t blocks = k / block_size<B>;
  return 64 + piece(detail::gathered_rows<B>(blocks) * blocks * sizeof(B)) + piece(n * k * sizeof(float)) +
         gemm_scratch<B>(n, k);
}

// As gemv of blocks, for floats or blocks of their operand. Where elements keep their order (mx_block) the numbers are
// those of the joined blocks; for mxfp4 and nvfp4 they differ by the order of the float sums. Scratch has
// split_scratch<B>(1, k) bytes.
template <class B, class X>
void gemv(const split_view<B>& weights, const X& x, std::span<float> y, std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(y.size() == weights.rows);
  BLOCQ_ASSERT(scratch.size() >= split_scratch<B>(1, weights.cols * block_size<B>));
  const fp_environment modes;
  const std::span row(x);
  using A = std::remove_cv_t<typename decltype(row)::element_type>;
  detail::scratch_pieces pieces(scratch.data());
  std::span<const A> operand = row;
  if constexpr (detail::pair_distance<B> != 0) {
    A* const ordered = pieces.template take<A>(row.size());
    detail::reorder_row<B>(row.data(), row.size(), ordered);
    operand = {ordered, row.size()};
  }
  if constexpr (detail::read_in_place<B> && std::is_same_v<wire_t<A>, q8_0>) {
    detail::multiply_split_row(weights, reinterpret_cast<const q8_0*>(operand.data()), y.data());
  } else {
    B* const room = pieces.template take<B>(detail::gathered_rows<B>(weights.cols) * weights.cols);
    detail::for_gathered(weights, room, [&](matrix_view<const B> blocks, std::size_t first) {
      gemv(blocks, operand, y.subspan(first, blocks.rows));
    });
  }
  detail::multiply_all(y, weights.scale);
}

// As gemm of blocks: X is floats or blocks of the operand. Scratch has split_scratch<B>(x.rows, k) bytes.
template <class B, class A>
void gemm(const split_view<B>& weights, matrix_view<const A> x, matrix_view<float> y,
          std::span<std::byte> scratch) noexcept {
  BLOCQ_ASSERT(y.rows == x.rows && y.cols == weights.rows);
  const std::size_t k = weights.cols * block_size<B>;
  BLOCQ_ASSERT(scratch.size() >= split_scratch<B>(x.rows, k));
  const fp_environment modes;
  detail::scratch_pieces pieces(scratch.data());
  matrix_view<const A> operand = x;
  if constexpr (detail::pair_distance<B> != 0) {
    A* const ordered = pieces.template take<A>(x.rows * x.cols);
    for (std::size_t i = 0; i < x.rows; ++i) detail::reorder_row<B>(x.row(i).data(), x.cols, ordered + i * x.cols);
    operand = {ordered, x.rows, x.cols, x.cols};
  }
  if constexpr (detail::read_in_place<B>) {
    detail::operand_rows<q8_0> rows{};
    if constexpr (std::is_same_v<A, float>)
      rows.floats = operand;
    else
      rows.blocks = {reinterpret_cast<const q8_0*>(operand.data), operand.rows, operand.cols, operand.stride};
    if (y.rows > detail::few_columns<B>) {
      detail::multiply_split_panels(weights, rows, y, pieces.next);
    } else {
      q8_0* const buffer = pieces.template take<q8_0>(k / 32);
      for (std::size_t i = 0; i < y.rows; ++i)
        detail::multiply_split_row(weights, rows.get(i, buffer).data(), y.row(i).data());
    }
  } else {
    B* const room = pieces.template take<B>(detail::gathered_rows<B>(weights.cols) * weights.cols);
    const std::span<std::byte> rest(pieces.next, gemm_scratch<B>(x.rows, k));
    detail::for_gathered(weights, room, [&](matrix_view<const B> blocks, std::size_t first) {
      gemm(blocks, operand, matrix_view<float>{y.data + first, y.rows, blocks.rows, y.stride}, rest);
    });
  }
  for (std::size_t i = 0; i < y.rows; ++i) detail::multiply_all(y.row(i), weights.scale);
}

// As dot of blocks, for a view of one row: the sum of the products of its parts of 2048 elements.
template <class B, class X>
float dot(const split_view<B>& row, const X& activations) noexcept {
  BLOCQ_ASSERT(row.rows == 1);
  const fp_environment modes;
  const std::span x(activations);
  using A = std::remove_cv_t<typename decltype(x)::element_type>;
  constexpr std::size_t part = 2048 / block_size<B>;
  constexpr std::size_t per_block = [] {
    if constexpr (std::is_same_v<A, float>)
      return block_size<B>;
    else
      return block_size<B> / block_size<A>;
  }();
  B blocks[part];
  A ordered[detail::pair_distance<B> != 0 ? part * per_block : 1];
  float sum = 0;
  for (std::size_t first = 0; first < row.cols; first += part) {
    const std::size_t n = row.cols - first < part ? row.cols - first : part;
    detail::gather(row.codes + first * detail::code_bytes<B>, row.scales + first * detail::scale_count<B>, n, blocks);
    std::span<const A> operand = x.subspan(first * per_block, n * per_block);
    if constexpr (detail::pair_distance<B> != 0) {
      detail::reorder_row<B>(operand.data(), operand.size(), ordered);
      operand = {ordered, operand.size()};
    }
    sum += dot(std::span<const B>(blocks, n), operand);
  }
  return sum * row.scale;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
