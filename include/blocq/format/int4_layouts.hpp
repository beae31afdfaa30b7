// 4-bit weight matrices as AWQ, GPTQ and compressed-tensors checkpoints pack them: eight codes in a 32-bit word, with
// scales and zero points per group of inputs. Reading and writing the packing; which codes to store is calibration's
// matter. These are not block formats: codes, zeros and scales are separate tensors.
//
// A matrix has K inputs and N outputs; a group is `group` consecutive inputs of one output (or those that g_idx names).
//
//   weight = scale * (code - zero),   code 0 .. 15
//
//   layout               code words     nibble j of a word           zero words         scales        zeros stored as
//   awq                  [K, N / 8]     output 8c + awq_order[j]     [groups, N / 8]    [groups, N]   they are
//   gptq                 [K / 8, N]     input 8r + j                 [groups, N / 8]    [groups, N]   a word less
//   gptq_nibbles         the same                                                                     each less 1
//   gptq_v2              [K / 8, N]     input 8r + j                 [groups, N / 8]    [groups, N]   they are
//   compressed_tensors   [N, K / 8]     input 8c + j                 [N / 8, groups]    [N, groups]   they are
//
// GPTQ's first version stores zeros less by one, and its writers differ where a zero is 0. GPTQModel takes 0x11111111
// off the whole word, so that the borrow runs into the next nibble, and adds it when it reads: gptq, zeros of 0 to 15.
// AutoGPTQ and llama.cpp's converter add 1 to each nibble: gptq_nibbles, zeros of 1 to 16; what AutoGPTQ itself writes
// for a zero of 0, all higher nibbles of the word set, cannot be read back. Where no zero is 0 the two are the same.
// gptq_layout() chooses by what the checkpoint says of itself.
//
// Zero words hold outputs 8c + j in nibble j, in awq_order for awq. groups = K / group, rounded up. In
// compressed_tensors K / 8 and N / 8 are rounded up too and what is left over is 0; the others need multiples of 8.
// compressed_tensors speaks of signed codes, which it stores plus 8: here they are the unsigned ones, for zeros too.
// Without zero words (a symmetric checkpoint) every zero is 8.
//
// Here codes and zeros lie apart, a byte each, with an output's together: codes[n * K + k], zeros[n * groups + g].
#ifndef BLOCQ_FORMAT_INT4_LAYOUTS_HPP
#define BLOCQ_FORMAT_INT4_LAYOUTS_HPP

#include <blocq/core/bits.hpp>
#include <blocq/core/error.hpp>
#include <blocq/core/fp_environment.hpp>
#include <blocq/core/view.hpp>

#include <span>
#include <string_view>

namespace blocq::inline v0 {

enum class int4_layout : unsigned char { awq, gptq, gptq_v2, compressed_tensors, gptq_nibbles };

namespace impl {
// True if `text` has `name`, which is in lower case, somewhere and in any case.
BLOCQ_INLINE constexpr bool names(std::string_view text, std::string_view name) noexcept {
  for (std::size_t i = 0; i + name.size() <= text.size(); ++i) {
    std::size_t k = 0;
    for (; k < name.size(); ++k) {
      const char c = text[i + k];
      if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c) != name[k]) break;
    }
    if (k == name.size()) return true;
  }
  return false;
}
}  // namespace impl

// Which of GPTQ's layouts a checkpoint has: `format` is its checkpoint_format ("gptq", "gptq_v2"; absent: empty),
// `quantizer` what its meta.quantizer names ("gptqmodel:1.4.5", "autogptq"; absent: empty; of a list any entries, one
// after the other). A first version by a writer that is not named is taken for GPTQModel's, which reads the others' too
// unless a zero is 16 or was lost.
BLOCQ_INLINE constexpr int4_layout gptq_layout(std::string_view format, std::string_view quantizer) noexcept {
  if (format == "gptq_v2") return int4_layout::gptq_v2;
  if (impl::names(quantizer, "gptqmodel")) return int4_layout::gptq;
  for (const char* each_nibble : {"autogptq", "auto-gptq", "auto_gptq"})
    if (impl::names(quantizer, each_nibble)) return int4_layout::gptq_nibbles;
  return int4_layout::gptq;
}

struct int4_shape {
  std::size_t inputs = 0;   // K
  std::size_t outputs = 0;  // N
  std::size_t group = 0;    // inputs per group, not 0

  BLOCQ_INLINE constexpr std::size_t groups() const noexcept { return inputs / group + (inputs % group != 0 ? 1 : 0); }
};

inline constexpr std::uint8_t awq_order[8] = {0, 2, 4, 6, 1, 3, 5, 7};

namespace impl {
// Where a number lies: bits 4 * nibble to 4 * nibble + 3 of a word.
struct nibble_place {
  std::size_t word;
  unsigned nibble;
};
BLOCQ_INLINE constexpr std::size_t eighths(std::size_t n) noexcept { return n / 8 + (n % 8 != 0 ? 1 : 0); }
BLOCQ_INLINE constexpr unsigned awq_nibble(std::size_t output) noexcept {
  return static_cast<unsigned>(output % 2 * 4 + output % 8 / 2);  // the inverse of awq_order
}

BLOCQ_INLINE constexpr nibble_place code_place(int4_layout layout, const int4_shape& s, std::size_t n,
                                               std::size_t k) noexcept {
  const auto along = static_cast<unsigned>(k % 8);
  switch (layout) {
    case int4_layout::awq: return {k * (s.outputs / 8) + n / 8, awq_nibble(n)};
    case int4_layout::compressed_tensors: return {n * eighths(s.inputs) + k / 8, along};
    default: return {k / 8 * s.outputs + n, along};
  }
}
BLOCQ_INLINE constexpr nibble_place zero_place(int4_layout layout, const int4_shape& s, std::size_t n,
                                               std::size_t g) noexcept {
  const auto across = static_cast<unsigned>(n % 8);
  switch (layout) {
    case int4_layout::awq: return {g * (s.outputs / 8) + n / 8, awq_nibble(n)};
    case int4_layout::compressed_tensors: return {n / 8 * s.groups() + g, across};
    default: return {g * (s.outputs / 8) + n / 8, across};
  }
}
BLOCQ_INLINE constexpr std::size_t code_words(int4_layout layout, const int4_shape& s) noexcept {
  return layout == int4_layout::awq ? s.inputs * eighths(s.outputs) : eighths(s.inputs) * s.outputs;
}
BLOCQ_INLINE constexpr std::size_t zero_words(const int4_shape& s) noexcept { return s.groups() * eighths(s.outputs); }

BLOCQ_INLINE constexpr std::uint8_t get_nibble(std::span<const le32> words, nibble_place p) noexcept {
  return static_cast<std::uint8_t>(load(words[p.word]) >> (4 * p.nibble) & 15u);
}
BLOCQ_INLINE constexpr void set_nibble(std::span<le32> words, nibble_place p, std::uint8_t value) noexcept {
  store(words[p.word], load(words[p.word]) | static_cast<std::uint32_t>(value) << (4 * p.nibble));
}

// What a layout's zeros are stored less by: each of them, and a whole word.
BLOCQ_INLINE constexpr int zero_shortfall(int4_layout layout) noexcept {
  return layout == int4_layout::gptq_nibbles ? 1 : 0;
}
BLOCQ_INLINE constexpr std::uint32_t word_shortfall(int4_layout layout) noexcept {
  return layout == int4_layout::gptq ? 0x11111111u : 0u;
}
BLOCQ_INLINE constexpr int get_zero(int4_layout layout, std::span<const le32> words, nibble_place p) noexcept {
  return static_cast<int>((load(words[p.word]) + word_shortfall(layout)) >> (4 * p.nibble) & 15u) +
         zero_shortfall(layout);
}

// `elements` is the size of an array with a number for each code. The products of a shape that passes do not wrap.
BLOCQ_INLINE constexpr errc check_int4(int4_layout layout, const int4_shape& s, std::size_t elements) noexcept {
  if (s.group == 0) return errc::bad_value;
  const bool eights = s.outputs % 8 == 0 && (layout == int4_layout::awq || s.inputs % 8 == 0);
  if (layout != int4_layout::compressed_tensors && !eights) return errc::ragged;
  return is_product(elements, s.inputs, s.outputs) ? errc::ok : errc::size_mismatch;
}
// The same for an array with a number for each group. A group is at least one input, so its products are smaller.
BLOCQ_INLINE constexpr errc check_int4_groups(int4_layout layout, const int4_shape& s, std::size_t elements) noexcept {
  if (s.group == 0) return errc::bad_value;
  if (layout != int4_layout::compressed_tensors && s.outputs % 8 != 0) return errc::ragged;
  return is_product(elements, s.groups(), s.outputs) ? errc::ok : errc::size_mismatch;
}
}  // namespace impl

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

// All functions below refuse, leaving the destination as it was:
//   errc::bad_value       a group of 0 inputs; a number that the layout cannot hold, with its index
//   errc::ragged          K or N is not a multiple of 8 where the layout needs one
//   errc::size_mismatch   an array has not the size that the shape and the layout give it

inline status unpack_codes(int4_layout layout, const int4_shape& shape, std::span<const le32> words,
                           std::span<std::uint8_t> codes) noexcept {
  if (const errc e = impl::check_int4(layout, shape, codes.size()); e != errc::ok) return {e, 0};
  if (words.size() != impl::code_words(layout, shape)) return {errc::size_mismatch, 0};
  for (std::size_t n = 0, i = 0; n < shape.outputs; ++n)
    for (std::size_t k = 0; k < shape.inputs; ++k, ++i)
      codes[i] = impl::get_nibble(words, impl::code_place(layout, shape, n, k));
  return {};
}

inline status pack_codes(int4_layout layout, const int4_shape& shape, std::span<const std::uint8_t> codes,
                         std::span<le32> words) noexcept {
  if (const errc e = impl::check_int4(layout, shape, codes.size()); e != errc::ok) return {e, 0};
  if (words.size() != impl::code_words(layout, shape)) return {errc::size_mismatch, 0};
  for (std::size_t i = 0; i < codes.size(); ++i)
    if (codes[i] > 15) return {errc::bad_value, i};
  for (le32& word : words) word = {};
  for (std::size_t n = 0, i = 0; n < shape.outputs; ++n)
    for (std::size_t k = 0; k < shape.inputs; ++k, ++i)
      impl::set_nibble(words, impl::code_place(layout, shape, n, k), codes[i]);
  return {};
}

// Zeros are 0 to 15; under gptq_nibbles 1 to 16.
inline status unpack_zeros(int4_layout layout, const int4_shape& shape, std::span<const le32> words,
                           std::span<std::uint8_t> zeros) noexcept {
  if (const errc e = impl::check_int4_groups(layout, shape, zeros.size()); e != errc::ok) return {e, 0};
  if (words.size() != impl::zero_words(shape)) return {errc::size_mismatch, 0};
  for (std::size_t n = 0, i = 0; n < shape.outputs; ++n)
    for (std::size_t g = 0; g < shape.groups(); ++g, ++i)
      zeros[i] = static_cast<std::uint8_t>(impl::get_zero(layout, words, impl::zero_place(layout, shape, n, g)));
  return {};
}

// gptq_nibbles cannot hold a zero of 0, the others none of 16.
inline status pack_zeros(int4_layout layout, const int4_shape& shape, std::span<const std::uint8_t> zeros,
                         std::span<le32> words) noexcept {
  if (const errc e = impl::check_int4_groups(layout, shape, zeros.size()); e != errc::ok) return {e, 0};
  if (words.size() != impl::zero_words(shape)) return {errc::size_mismatch, 0};
  const int shortfall = impl::zero_shortfall(layout);
  for (std::size_t i = 0; i < zeros.size(); ++i)
    if (zeros[i] < shortfall || zeros[i] > 15 + shortfall) return {errc::bad_value, i};
  for (le32& word : words) word = {};
  for (std::size_t n = 0, i = 0; n < shape.outputs; ++n)
    for (std::size_t g = 0; g < shape.groups(); ++g, ++i)
      impl::set_nibble(words, impl::zero_place(layout, shape, n, g), static_cast<std::uint8_t>(zeros[i] - shortfall));
  for (le32& word : words) store(word, load(word) - impl::word_shortfall(layout));
  return {};
}

// The tensors of a checkpoint. `zeros` empty: all are 8. `g_idx` empty: input k belongs to group k / group; otherwise
// it names a group for each input (act-order). Scales in the layout's order, as floats: they are binary16 or bfloat16
// in the files (dequantize to f16 or bf16 first).
struct int4_tensors {
  std::span<const le32> codes;
  std::span<const le32> zeros;
  std::span<const float> scales;
  std::span<const le32> g_idx;
};

// Weights to floats: out[n * K + k]. Each is one product of a scale and an integer of five bits and a sign, exact for
// scales of 16 bits. errc::bad_value with its index for an entry of g_idx that is not a group.
inline status decode_int4(int4_layout layout, const int4_shape& shape, const int4_tensors& t,
                          std::span<float> out) noexcept {
  if (const errc e = impl::check_int4(layout, shape, out.size()); e != errc::ok) return {e, 0};
  const std::size_t groups = shape.groups();
  const bool sizes_fit = t.codes.size() == impl::code_words(layout, shape) &&
                         (t.zeros.empty() || t.zeros.size() == impl::zero_words(shape)) &&
                         t.scales.size() == groups * shape.outputs &&
                         (t.g_idx.empty() || t.g_idx.size() == shape.inputs);
  if (!sizes_fit) return {errc::size_mismatch, 0};
  for (std::size_t k = 0; k < t.g_idx.size(); ++k)
    if (load(t.g_idx[k]) >= groups) return {errc::bad_value, k};
  const fp_environment modes;
  for (std::size_t n = 0, i = 0; n < shape.outputs; ++n)
    for (std::size_t k = 0; k < shape.inputs; ++k, ++i) {
      const std::size_t g = t.g_idx.empty() ? k / shape.group : load(t.g_idx[k]);
      const int zero = t.zeros.empty() ? 8 : impl::get_zero(layout, t.zeros, impl::zero_place(layout, shape, n, g));
      const int code = impl::get_nibble(t.codes, impl::code_place(layout, shape, n, k));
      const std::size_t at = layout == int4_layout::compressed_tensors ? n * groups + g : g * shape.outputs + n;
      out[i] = static_cast<float>(code - zero) * t.scales[at];
    }
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
