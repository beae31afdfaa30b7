// Weights to blocks without a loss: the codes are moved, nothing is rounded. What a format cannot hold is an error that
// says what would be lost.
#ifndef BLOCQ_CHECKPOINT_BLOCKS_HPP
#define BLOCQ_CHECKPOINT_BLOCKS_HPP

#include <blocq/checkpoint/decode.hpp>
#include <blocq/format/all.hpp>
#include <blocq/format/split.hpp>

namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B>
inline constexpr bool is_mx = false;
template <class Element>
inline constexpr bool is_mx<mx_block<Element, 32>> = true;
template <>
inline constexpr bool is_mx<mxfp4> = true;

// Blocks with one binary16 scale, whose codes are integers: y = d * q.
template <class B>
concept scaled_integers =
    std::is_same_v<B, q2_0> || std::is_same_v<B, q4_0> || std::is_same_v<B, q5_0> || std::is_same_v<B, q8_0>;

template <class Element>
inline constexpr code_kind code_kind_of = code_kind::number;
template <>
inline constexpr code_kind code_kind_of<e2m1_doubled_code> = code_kind::e2m1;
template <>
inline constexpr code_kind code_kind_of<float4_e2m1fn> = code_kind::e2m1;
template <>
inline constexpr code_kind code_kind_of<float6_e2m3fn> = code_kind::e2m3;
template <>
inline constexpr code_kind code_kind_of<float6_e3m2fn> = code_kind::e3m2;
template <>
inline constexpr code_kind code_kind_of<float8_e4m3fn> = code_kind::e4m3;
template <>
inline constexpr code_kind code_kind_of<float8_e5m2> = code_kind::e5m2;

// The layout of w is that of blocks of `columns` codes of B's kind.
template <class B>
result<void> check_layout(const weight& w, bool fits) noexcept {
  if (fits) return {};
  error e = weight_error(errc::unsupported, w, "its layout, ");
  return e << name_of(w.kind) << ", is not that of " << format_traits<B>::name << ": it would be rounded";
}

inline bool is_f16(float x) noexcept { return is_finite(x) && to_bits(f16_to_f32(f32_to_f16(x))) == to_bits(x); }

// Element (r, k) as a double: exact for all layouts but those whose tensor scale divides.
inline double exact_value(double code, float scale, float all, bool divides) noexcept {
  const double s = divides ? static_cast<double>(scale) / static_cast<double>(all)
                           : static_cast<double>(scale) * static_cast<double>(all);
  return code * s;
}

}  // namespace detail

// Rows [first, last) of matrix `s` of the stack as blocks; `blocks` is a contiguous, mutable range of
// (last - first) * columns / block_size<B> of them. For
//
//   mxfp4, mxfp4_ocp, mxfp6_*, mxfp8_*   weights of that layout
//   nvfp4                       nvfp4 weights; what tensor_scale() gives is another tensor of a GGUF file
//   q2_0, q4_0, q5_0, q8_0      integers whose zero lies where the format has it or, in q8_0, anywhere, with scales
//   that
//                               binary16 holds and no g_idx
//   f16, bf16                   any weight whose numbers they hold
//
// Errors name the tensor, and the row and column:
//   size_mismatch  no such rows, or another number of blocks
//   ragged         rows that are not whole blocks, groups of scales that are not
//   unsupported    another layout, zeros or codes that the format has not, an order of its own (g_idx)
//   scale_range    a scale, or for f16 and bf16 a number, that the format would round
//   not_finite     a scale that is not a number, a weight that overflows
template <class Blocks>
result<void> to_blocks(const weight& w, std::uint64_t s, std::uint64_t first, std::uint64_t last,
                       Blocks&& blocks) noexcept {
  const std::span out(blocks);
  using B = typename decltype(out)::element_type;
  constexpr std::uint64_t size = block_size<B>;
  if (auto there = detail::check_rows(w, s, first, last); !there) return there;
  if (w.columns % size != 0)
    return detail::weight_error(errc::ragged, w, "its rows are not whole blocks of ") << format_traits<B>::name;
  const std::uint64_t per_row = w.columns / size;
  if (!blocq::impl::is_product(out.size(), static_cast<std::size_t>(last - first), static_cast<std::size_t>(per_row)))
    return detail::weight_error(errc::size_mismatch, w, "another number of blocks than its rows have");
  const fp_environment modes;
  std::size_t at = 0;
  const auto each_block = [&](auto&& make) -> result<void> {
    for (std::uint64_t r = first; r < last; ++r)
      for (std::uint64_t b = 0; b < per_row; ++b)
        if (result<void> made = make(r, b * size, out[at++]); !made) return made;
    return {};
  };

  if constexpr (std::is_same_v<B, f16> || std::is_same_v<B, bf16>) {
    if (w.is_plain() && !detail::is_float(w.codes->type))
      return detail::weight_error(errc::unsupported, w, "it does not hold floats");
    const float all =
        w.tensor_scale == nullptr ? 1.0f : number_at(*w.tensor_scale, w.tensor_scale->elements() == 1 ? 0 : s);
    return each_block([&](std::uint64_t r, std::uint64_t k, B& block) -> result<void> {
      double x = 0;
      if (w.is_plain() && w.codes->type == safetensors::dtype::f64) {
        x = __builtin_bit_cast(double, detail::bytes_at(*w.codes, 8 * (r * w.columns + k), 8));
      } else if (w.is_plain()) {
        x = static_cast<double>(number_at(*w.codes, r * w.columns + k));
      } else {
        std::uint8_t q = 0;
        detail::get_codes(w, s, r, k, 1, &q);
        const std::uint64_t g = detail::group_of(w, r, k);
        const double code =
            static_cast<double>(detail::number_of(w, q)) - static_cast<double>(detail::zero_number(w, s, r, g));
        x = detail::exact_value(code, detail::scale_of(w, s, r, g), all, w.tensor_scale_divides);
      }
      const auto rounded = static_cast<float>(x);
      if (!is_finite(rounded)) return detail::place_error(errc::not_finite, w, "a weight that is not finite", r, k);
      const auto code = element_t<B>::from_float(rounded);
      if (static_cast<double>(code.to_float()) != x)
        return detail::place_error(errc::scale_range, w, "a weight that would be rounded", r, k);
      store(block.code, code.code);
      return {};
    });
  } else if constexpr (detail::is_mx<B>) {
    const bool mx = w.kind == layout::mxfp4 || w.kind == layout::mxfp6 || w.kind == layout::mxfp8;
    if (auto fits = detail::check_layout<B>(w, mx && detail::code_kind_of<element_t<B>> == w.code); !fits) return fits;
    return each_block([&](std::uint64_t r, std::uint64_t k, B& block) -> result<void> {
      std::uint8_t q[size];
      detail::get_codes(w, s, r, k, size, q);
      const std::uint64_t i = detail::scale_index(w, s, r, k / 32);
      const auto scale = static_cast<std::uint8_t>(detail::byte_at(*w.scales.tensor, i));
      set_codes(block, q);
      blocq::impl::scale_bytes(block)[0] = scale;
      // Only the upper end of the scales can overflow.
      const bool valid = scale < 240 && w.code == code_kind::e2m1 ? true : scale != 0xff && is_valid(block);
      if (!valid) return detail::place_error(errc::not_finite, w, "a scale or a weight that is not a number", r, k);
      return {};
    });
  } else if constexpr (std::is_same_v<B, nvfp4>) {
    if (auto fits = detail::check_layout<B>(w, w.kind == layout::nvfp4); !fits) return fits;
    return each_block([&](std::uint64_t r, std::uint64_t k, B& block) -> result<void> {
      std::uint8_t q[size];
      detail::get_codes(w, s, r, k, size, q);
      set_codes(block, q);
      for (unsigned g = 0; g < 4; ++g) {
        const std::uint64_t i = detail::scale_index(w, s, r, k / 16 + g);
        block.d[g] = static_cast<std::uint8_t>(detail::byte_at(*w.scales.tensor, i));
        if (block.d[g] > 0x7e)
          return detail::place_error(errc::not_finite, w, "a scale that is negative or not a number", r, k + 16 * g);
      }
      return {};
    });
  } else {
    static_assert(detail::scaled_integers<B>, "to_blocks: blocks of a format that a published layout has the codes of");
    using element = element_t<B>;
    const bool integers = w.code == code_kind::signed_integer || w.code == code_kind::unsigned_integer;
    if (auto fits = detail::check_layout<B>(w, integers); !fits) return fits;
    if (w.g_idx != nullptr)
      return detail::weight_error(errc::unsupported, w, "its columns are in an order of their own (g_idx)");
    const bool split = detail::runs_over_rows(w) && (w.strided || w.columns % w.group != 0);
    if (w.group % size != 0 || split)
      return detail::weight_error(errc::ragged, w, "its groups are not whole blocks of ") << format_traits<B>::name;
    return each_block([&](std::uint64_t r, std::uint64_t k, B& block) -> result<void> {
      std::uint8_t q[size];
      detail::get_codes(w, s, r, k, size, q);
      const std::uint64_t g = detail::group_of(w, r, k);
      const float scale = detail::scale_of(w, s, r, g);
      if (!is_finite(scale)) return detail::place_error(errc::not_finite, w, "a scale that is not a number", r, k);
      if (!detail::is_f16(scale))
        return detail::place_error(errc::scale_range, w, "a scale that binary16 would round", r, k);
      const float number = detail::zero_number(w, s, r, g);
      const int zero = number >= -256 && number <= 256 ? static_cast<int>(number) : 0;
      if (static_cast<float>(zero) != number)
        return detail::place_error(errc::unsupported, w, "a zero that is no whole number of a code's size", r, k);
      for (std::uint8_t& code : q) {
        const int x = static_cast<int>(detail::number_of(w, code)) - zero;
        if (x < element::lowest || x > element::highest)
          return detail::place_error(errc::unsupported, w, "a code that the format has not", r, k);
        code = static_cast<std::uint8_t>(x - (element::lowest == -128 ? 0 : element::lowest));
      }
      store(block.d, f32_to_f16(scale));
      set_codes(block, q);
      return {};
    });
  }
}

}  // namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA

#endif
