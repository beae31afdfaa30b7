// Weights to floats, row by row, with the arithmetic of the library that reads the layout (see weight).
#ifndef BLOCQ_CHECKPOINT_DECODE_HPP
#define BLOCQ_CHECKPOINT_DECODE_HPP

#include <blocq/checkpoint/weight.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/lane.hpp>
#include <blocq/format/int4_layouts.hpp>

namespace blocq::checkpoint::inline v0 {

// Whether the last operation is rounded once more, to the type in which the library keeps the result.
enum class rounding : unsigned char { none, as_library };

using float8_ue5m3 = minifloat<5, 3, specials::nan, false>;

}  // namespace blocq::checkpoint::inline v0

namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA {

namespace detail {

using safetensors::dtype;
using safetensors::tensor_info;

inline std::uint64_t bytes_at(const tensor_info& t, std::uint64_t offset, unsigned n) noexcept {
  std::uint64_t x = 0;
  for (unsigned i = 0; i < n; ++i)
    x |= std::to_integer<std::uint64_t>(t.data[static_cast<std::size_t>(offset) + i]) << (8 * i);
  return x;
}
inline std::uint32_t byte_at(const tensor_info& t, std::uint64_t i) noexcept {
  return std::to_integer<std::uint32_t>(t.data[static_cast<std::size_t>(i)]);
}
inline std::uint32_t word_at(const tensor_info& t, std::uint64_t i) noexcept {
  return static_cast<std::uint32_t>(bytes_at(t, 4 * i, 4));
}

}  // namespace detail

// Element i of a tensor of floats that has its data: exact but for F64, which is rounded. A NaN for other types.
inline float number_at(const safetensors::tensor_info& t, std::uint64_t i) noexcept {
  using safetensors::dtype;
  switch (t.type) {
    case dtype::f32: return from_bits(detail::word_at(t, i));
    case dtype::f16: return f16_to_f32(static_cast<std::uint16_t>(detail::bytes_at(t, 2 * i, 2)));
    case dtype::bf16: return bf16_to_f32(static_cast<std::uint16_t>(detail::bytes_at(t, 2 * i, 2)));
    case dtype::f64: return static_cast<float>(__builtin_bit_cast(double, detail::bytes_at(t, 8 * i, 8)));
    case dtype::f8_e4m3: return float8_e4m3fn{static_cast<std::uint8_t>(detail::byte_at(t, i))}.to_float();
    case dtype::f8_e8m0: return float8_e8m0fnu{static_cast<std::uint8_t>(detail::byte_at(t, i))}.to_float();
    default: return from_bits(quiet_nan_bits);
  }
}

namespace detail {

inline bool is_float(dtype type) noexcept {
  return type == dtype::f32 || type == dtype::f16 || type == dtype::bf16 || type == dtype::f64;
}

// Bits [bit, bit + bits) of words that lie `stride` apart from word `first` on.
inline std::uint32_t stream_at(const tensor_info& t, std::uint64_t first, std::uint64_t stride, std::uint64_t bit,
                               unsigned bits) noexcept {
  const std::uint64_t word = first + bit / 32 * stride;
  std::uint64_t x = word_at(t, word);
  if (bit % 32 + bits > 32) x |= static_cast<std::uint64_t>(word_at(t, word + stride)) << 32;
  return static_cast<std::uint32_t>(x >> (bit % 32)) & ((1u << bits) - 1u);
}

// The codes of n columns from `first` on of row r of matrix s.
inline void get_codes(const weight& w, std::uint64_t s, std::uint64_t r, std::uint64_t first, unsigned n,
                      std::uint8_t* q) noexcept {
  const tensor_info& t = *w.codes;
  const auto put = [&](auto&& code_of) {
    for (unsigned i = 0; i < n; ++i) q[i] = static_cast<std::uint8_t>(code_of(first + i));
  };
  const std::uint64_t row = s * w.rows + r;
  switch (w.place) {
    case packing::elements: return put([&](std::uint64_t k) { return byte_at(t, row * w.columns + k); });
    case packing::nibbles: {
      const std::byte* p = t.data.data() + static_cast<std::size_t>((row * w.columns + first) / 2);
      unsigned i = 0;
      if (first % 2 == 0)  // two at a time, which compilers vectorize
        for (; i + 1 < n; i += 2, ++p) {
          const auto both = static_cast<unsigned>(*p);  // a shift of std::byte would be the linker's to share
          q[i] = static_cast<std::uint8_t>(both & 15u);
          q[i + 1] = static_cast<std::uint8_t>(both >> 4);
        }
      for (; i < n; ++i)
        q[i] =
            static_cast<std::uint8_t>(byte_at(t, (row * w.columns + first + i) / 2) >> (4 * ((first + i) % 2)) & 15u);
      return;
    }
    case packing::nibble_columns:
      return put([&](std::uint64_t k) {
        return byte_at(t, (s * (w.columns / 2) + k / 2) * w.rows + r) >> (4 * (k % 2)) & 15u;
      });
    case packing::nibble_rows:
      return put([&](std::uint64_t k) { return byte_at(t, row / 2 * w.columns + k) >> (4 * (r % 2)) & 15u; });
    case packing::flat_nibbles:
      return put([&](std::uint64_t k) {
        const std::uint64_t i = row * w.columns + k;
        return byte_at(t, i / 2) >> (i % 2 == 0 ? 4 : 0) & 15u;
      });
    case packing::byte_stream: {
      const std::uint64_t start = row * (w.columns * w.bits / 8);
      return put([&](std::uint64_t k) {
        const std::uint64_t bit = k * w.bits;
        std::uint32_t x = byte_at(t, start + bit / 8);
        if (bit % 8 + w.bits > 8) x |= byte_at(t, start + bit / 8 + 1) << 8;
        return x >> (bit % 8) & ((1u << w.bits) - 1u);
      });
    }
    case packing::sections: {
      const std::uint64_t width = t.shape[1], height = t.shape[0];
      const unsigned count = w.bits == 3 ? 10 : 8 / w.bits;
      return put([&](std::uint64_t k) {
        const std::uint64_t at = row * w.columns + k, line = at / width;
        const std::uint64_t i = line % height * width + at % width;
        const std::uint32_t x = w.bits == 3 ? word_at(t, i) : byte_at(t, i);
        return x >> (w.bits * (count - 1u - static_cast<unsigned>(line / height))) & ((1u << w.bits) - 1u);
      });
    }
    case packing::stream: {
      const std::uint64_t start = row * t.shape[t.shape.size() - 1];
      return put([&](std::uint64_t k) { return stream_at(t, start, 1, k * w.bits, w.bits); });
    }
    case packing::words: {
      const std::uint64_t start = row * t.shape[t.shape.size() - 1];
      const unsigned whole = 32 / w.bits;
      return put([&](std::uint64_t k) {
        return word_at(t, start + k / whole) >> (k % whole * w.bits) & ((1u << w.bits) - 1u);
      });
    }
    case packing::awq:
      return put([&](std::uint64_t k) {
        return word_at(t, k * (w.rows / 8) + r / 8) >> (4 * blocq::impl::awq_nibble(static_cast<std::size_t>(r))) & 15u;
      });
    case packing::column_stream:
      return put([&](std::uint64_t k) { return stream_at(t, r, w.rows, k * w.bits, w.bits); });
  }
}

// What a code is as a number, without its zero.
inline float number_of(const weight& w, std::uint8_t code) noexcept {
  switch (w.code) {
    case code_kind::e2m1: return float4_e2m1fn{code}.to_float();
    case code_kind::e2m3: return float6_e2m3fn{code}.to_float();
    case code_kind::e3m2: return float6_e3m2fn{code}.to_float();
    case code_kind::e4m3: return float8_e4m3fn{code}.to_float();
    case code_kind::e5m2: return float8_e5m2{code}.to_float();
    case code_kind::signed_integer: {
      const int half = 1 << (w.bits - 1);
      return static_cast<float>((code ^ half) - half);
    }
    case code_kind::table: return number_at(*w.table, code);
    default: return static_cast<float>(code);
  }
}

inline std::uint64_t scale_index(const weight& w, std::uint64_t s, std::uint64_t r, std::uint64_t g) noexcept {
  return s * w.scales.stack_stride + r / w.scales.rows * w.scales.row_stride + g * w.scales.column_stride;
}
inline bool runs_over_rows(const weight& w) noexcept {
  return w.place == packing::flat_nibbles || w.place == packing::sections;
}
// The group of column k of row r.
inline std::uint64_t group_of(const weight& w, std::uint64_t r, std::uint64_t k) noexcept {
  if (runs_over_rows(w)) {
    const std::uint64_t at = r * w.columns + k;
    return w.strided ? at % (w.rows * w.columns / w.group) : at / w.group;
  }
  return w.g_idx != nullptr ? word_at(*w.g_idx, k) : k / w.scales.columns;
}

// The scale of a group of a row, without that of the tensor. Not finite for a code that is no number.
inline float scale_of(const weight& w, std::uint64_t s, std::uint64_t r, std::uint64_t g) noexcept {
  const std::uint64_t i = scale_index(w, s, r, g);
  switch (w.scale_code) {
    case scale_kind::e8m0: return float8_e8m0fnu{static_cast<std::uint8_t>(byte_at(*w.scales.tensor, i))}.to_float();
    case scale_kind::ue5m3: return float8_ue5m3{static_cast<std::uint8_t>(byte_at(*w.scales.tensor, i))}.to_float();
    case scale_kind::nested: {
      const lane scale = number_at(*w.nested_table, byte_at(*w.scales.tensor, i));
      return (scale * lane(number_at(*w.nested_scales, i / w.nested_group)) + lane(w.nested_offset)).v;
    }
    case scale_kind::number: return number_at(*w.scales.tensor, i);
  }
  return 0;
}

// The zero of a group of a row. GPTQ's first format stores it less 1 (see int4_layouts.hpp). Like GPTQModel, which adds
// 1 to all zeros of a word at once, this lets the carry run on, but for codes of 3 bits, which cross the words' ends.
inline int zero_of(const weight& w, std::uint64_t s, std::uint64_t r, std::uint64_t g) noexcept {
  if (w.zeros == nullptr) return w.zero;
  const tensor_info& z = *w.zeros;
  const auto mask = static_cast<int>((1u << w.bits) - 1u);
  switch (w.kind) {
    case layout::int8: return static_cast<std::int8_t>(byte_at(z, scale_index(w, s, r, g)));
    case layout::awq:
      return static_cast<int>(
          word_at(z, g * (w.rows / 8) + r / 8) >> (4 * blocq::impl::awq_nibble(static_cast<std::size_t>(r))) & 15u);
    case layout::packed_int: {
      const std::uint64_t across = w.groups();
      if (w.place == packing::stream) return static_cast<int>(stream_at(z, g, across, r * w.bits, w.bits));
      const unsigned whole = 32 / w.bits;
      return static_cast<int>(word_at(z, r / whole * across + g) >> (r % whole * w.bits)) & mask;
    }
    case layout::matmul_nbits: {
      const std::uint64_t bit = g * w.bits;
      return static_cast<int>(byte_at(z, r * ((w.groups() * w.bits + 7) / 8) + bit / 8) >> (bit % 8)) & mask;
    }
    default: break;
  }
  const std::uint64_t start = g * (w.rows * w.bits / 32);
  if (w.kind != layout::gptq)
    return static_cast<int>(stream_at(z, start, 1, r * w.bits, w.bits)) + (w.kind == layout::gptq_nibbles ? 1 : 0);
  if (w.bits == 3) return (static_cast<int>(stream_at(z, start, 1, r * 3, 3)) + 1) & mask;
  const std::uint32_t ones = w.bits == 2 ? 0x55555555u : w.bits == 4 ? 0x11111111u : 0x01010101u;
  const std::uint64_t bit = r * w.bits;
  return static_cast<int>((word_at(z, start + bit / 32) + ones) >> (bit % 32)) & mask;
}

// The same as a number: some layouts have zeros that are floats.
inline float zero_number(const weight& w, std::uint64_t s, std::uint64_t r, std::uint64_t g) noexcept {
  if (w.zeros != nullptr && is_float(w.zeros->type)) return number_at(*w.zeros, scale_index(w, s, r, g));
  return static_cast<float>(zero_of(w, s, r, g));
}

inline float round_to(dtype type, float x) noexcept {
  return type == dtype::bf16 ? bf16_to_f32(f32_to_bf16(x)) : type == dtype::f16 ? f16_to_f32(f32_to_f16(x)) : x;
}

inline error weight_error(errc code, const weight& w, const char* reason) noexcept {
  error e(code);
  e << "tensor ";
  return e.quote(w.name.data(), w.name.size()) << ": " << reason;
}
inline error place_error(errc code, const weight& w, const char* reason, std::uint64_t row,
                         std::uint64_t column) noexcept {
  return weight_error(code, w, reason) << " (row " << row << ", column " << column << ')';
}

// Whether rows [first, last) of matrix s are there, and the data of every tensor.
inline result<void> check_rows(const weight& w, std::uint64_t s, std::uint64_t first, std::uint64_t last) noexcept {
  if (s >= w.stack || first > last || last > w.rows) return weight_error(errc::size_mismatch, w, "it has no such rows");
  for (const tensor_info* t :
       {w.codes, w.scales.tensor, w.zeros, w.tensor_scale, w.g_idx, w.table, w.nested_table, w.nested_scales})
    if (t != nullptr && t->data.size() != t->bytes) return weight_error(errc::missing, w, "its data are not at hand");
  return {};
}

}  // namespace detail

// The scale that multiplies all of matrix s: 1 if there is none, 1 / value, rounded, where it divides.
inline float tensor_scale(const weight& w, std::uint64_t s) noexcept {
  if (w.tensor_scale == nullptr) return 1;
  const fp_environment modes;
  const float value = number_at(*w.tensor_scale, w.tensor_scale->elements() == 1 ? 0 : s);
  return w.tensor_scale_divides ? (lane(1.0f) / lane(value)).v : value;
}

// Rows [first, last) of matrix `s` of the stack as floats; `out` has (last - first) * columns. Errors name the tensor:
//   size_mismatch  no such matrix, no such rows, or another number of floats
//   unsupported    a plain tensor of integers
//   not_finite     a scale or a code that is not a number, or a product beyond binary32; of a quantized weight only
//   missing        tensors that were parsed without their data
inline result<void> decode(const weight& w, std::uint64_t s, std::uint64_t first, std::uint64_t last,
                           std::span<float> out, rounding mode = rounding::as_library) noexcept {
  if (auto there = detail::check_rows(w, s, first, last); !there) return there;
  if (!blocq::impl::is_product(out.size(), static_cast<std::size_t>(last - first), static_cast<std::size_t>(w.columns)))
    return detail::weight_error(errc::size_mismatch, w, "another number of floats than its rows have");
  const fp_environment modes;
  std::size_t at = 0;
  if (w.is_plain()) {
    if (!detail::is_float(w.codes->type)) return detail::weight_error(errc::unsupported, w, "it does not hold floats");
    for (std::uint64_t i = first * w.columns; at < out.size(); ++i) out[at++] = number_at(*w.codes, i);
    return {};
  }
  const float all =
      w.tensor_scale == nullptr ? 1.0f : number_at(*w.tensor_scale, w.tensor_scale->elements() == 1 ? 0 : s);
  for (std::uint64_t r = first; r < last; ++r) {
    std::uint64_t group = ~std::uint64_t{0};
    float scale = 0, zero = 0;
    for (std::uint64_t k = 0; k < w.columns;) {
      std::uint8_t q[64];
      const unsigned n = w.columns - k < sizeof q ? static_cast<unsigned>(w.columns - k) : sizeof q;
      detail::get_codes(w, s, r, k, n, q);
      for (unsigned i = 0; i < n; ++i, ++k) {
        if (const std::uint64_t g = detail::group_of(w, r, k); g != group) {
          group = g;
          scale = detail::scale_of(w, s, r, g);
          if (w.tensor_scale != nullptr)
            scale = (w.tensor_scale_divides ? lane(scale) / lane(all) : lane(scale) * lane(all)).v;
          zero = detail::zero_number(w, s, r, g);
          if (!is_finite(scale)) return detail::place_error(errc::not_finite, w, "a scale that is not a number", r, k);
        }
        float x = (lane(detail::number_of(w, q[i])) - lane(zero)).v;
        if (w.kind == layout::hqq && mode == rounding::as_library) x = detail::round_to(w.result, x);
        x = (lane(x) * lane(scale)).v;
        if (mode == rounding::as_library) x = detail::round_to(w.result, x);
        if (!is_finite(x)) return detail::place_error(errc::not_finite, w, "a weight that is not finite", r, k);
        out[at++] = x;
      }
    }
  }
  return {};
}

}  // namespace blocq::checkpoint::inline v0::inline BLOCQ_ISA

#endif
