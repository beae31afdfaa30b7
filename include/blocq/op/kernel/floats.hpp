// Blocks of any format times floats: nothing is rounded but the products and the sums. Sums stay in registers for a
// unit; weights become floats sixteen at a time, on their way.
#ifndef BLOCQ_OP_KERNEL_FLOATS_HPP
#define BLOCQ_OP_KERNEL_FLOATS_HPP

#include <blocq/codec/floats.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/kernel/row.hpp>

#include <type_traits>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

template <class B>
struct row_kernel<B, float> {
  // Small integers become floats on the way, floats and 16-bit ones too; others are decoded into memory.
  static constexpr bool whole_numbers = has_integers<element_t<B>> && chunked_format<B> && !nine_bits<B>;
  static constexpr bool in_registers = whole_numbers || float_chunks<B>;
  static constexpr std::size_t least = 256;
  static constexpr std::size_t step = block_size<B> < least ? least / block_size<B> : 1, unit = step * block_size<B>;
  static_assert(unit % 32 == 0);
  static constexpr std::size_t vectors = unit / 16;

  // Elements 16 v to 16 v + 15; with weights in bfloat16 the even ones of 32, then the odd ones.
  struct operand {
    quad::floats x[vectors];

    BLOCQ_INLINE void load(const float* p) noexcept {
      for (std::size_t v = 0; v < vectors; ++v) x[v] = quad::load_floats(p + 16 * v);
      if constexpr (std::is_same_v<B, bf16>)
        for (std::size_t v = 0; v < vectors; v += 2) quad::split_pairs(x[v], x[v + 1]);
    }
  };

  struct sums {
    quad::floats part[4] = {quad::fill_floats(0.0f), quad::fill_floats(0.0f), quad::fill_floats(0.0f),
                            quad::fill_floats(0.0f)};

    BLOCQ_INLINE float total() const noexcept { return quad::sum((part[0] + part[1]) + (part[2] + part[3])); }
  };

  // Elements 32 c to 32 c + 31 of a unit.
  static BLOCQ_INLINE void read(const B* w, std::size_t c, quad::floats (&y)[2]) noexcept {
    if constexpr (std::is_same_v<B, bf16>) {
      quad::split_bf16(quad::as_written(quad::load_bytes(w + 32 * c)), y[0], y[1]);
    } else if constexpr (float_chunks<B>) {
      chunk_floats(w, c, y);
    } else {
      constexpr std::size_t per_block = block_size<B> / 32;
      const B& block = w[c / per_block];
      const vec::bytes values = chunk_values(block, static_cast<int>(c % per_block));
      for (int h = 0; h < 2; ++h) y[h] = quad::to_floats(values, h) * quad::fill_floats(block_scale(block));
    }
  }

  template <std::size_t T>
  static BLOCQ_INLINE void add(const B* w, const operand* const (&x)[T], sums (&total)[T]) noexcept {
    sums sum[T];
    for (std::size_t t = 0; t < T; ++t) sum[t] = total[t];
    const auto multiply = [&](std::size_t v, quad::floats y) BLOCQ_INLINE_LAMBDA {
      for (std::size_t t = 0; t < T; ++t) sum[t].part[v % 4] = quad::fma(y, x[t]->x[v], sum[t].part[v % 4]);
    };
    if constexpr (in_registers) {
      simd::unroll<unit / 32>([&]<int C>() BLOCQ_INLINE_LAMBDA {
        quad::floats y[2];
        read(w, C, y);
        for (std::size_t h = 0; h < 2; ++h) multiply(2 * C + h, y[h]);
      });
    } else {
      float y[unit];
      dequantize_blocks(w, step, y);
      for (std::size_t v = 0; v < vectors; ++v) multiply(v, quad::load_floats(y + 16 * v));
    }
    for (std::size_t t = 0; t < T; ++t) total[t] = sum[t];
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
