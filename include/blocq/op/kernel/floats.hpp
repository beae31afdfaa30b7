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
  static constexpr bool whole_numbers = [] {
    if constexpr (float_chunks<B>)
      return false;
    else
      return has_integers<element_t<B>> && chunked_format<B> && !nine_bits<B>;
  }();
  static constexpr bool in_registers = whole_numbers || float_chunks<B>;
  static constexpr std::size_t least = sizeof(B) == 2 ? 512 : 256;
  static constexpr std::size_t step = block_size<B> < least ? least / block_size<B> : 1, unit = step * block_size<B>;
  static_assert(unit % 32 == 0);
  static constexpr std::size_t vectors = unit / 16;
  static constexpr bool in_place = halves_in_place && !std::is_same_v<B, bf16>;

  template <reading How>
  struct operand {
    static constexpr bool copied = How == reading::copied;

    const float* numbers;
    quad::floats copy[copied ? vectors : 1];

    BLOCQ_INLINE void load(const float* p) noexcept {
      numbers = p;
      if constexpr (copied)
        for (std::size_t c = 0; c < unit / 32; ++c) read(p, c, copy[2 * c], copy[2 * c + 1]);
    }
    // Elements 32 c to 32 c + 31, in order; with weights in bfloat16 the even ones, then the odd ones.
    static BLOCQ_INLINE void read(const float* p, std::size_t c, quad::floats& a, quad::floats& b) noexcept {
      a = quad::load_floats(p + 32 * c);
      b = quad::load_floats(p + 32 * c + 16);
      if constexpr (std::is_same_v<B, bf16>) quad::split_pairs(a, b);
    }
    BLOCQ_INLINE void read(std::size_t c, quad::floats& a, quad::floats& b) const noexcept {
      if constexpr (copied)
        a = copy[2 * c], b = copy[2 * c + 1];
      else
        read(numbers, c, a, b);
    }
  };

  struct sums {
    quad::floats part[4] = {no_sum(), no_sum(), no_sum(), no_sum()};

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

  template <std::size_t T, class Operand>
  static BLOCQ_INLINE void add(const B* w, const Operand* const (&x)[T], sums (&total)[T]) noexcept {
    sums sum[T];
    for (std::size_t t = 0; t < T; ++t) sum[t] = total[t];
    const auto multiply = [&](std::size_t c, quad::floats first, quad::floats second) BLOCQ_INLINE_LAMBDA {
      for (std::size_t t = 0; t < T; ++t) {
        quad::floats a, b;
        x[t]->read(c, a, b);
        quad::floats(&part)[4] = sum[t].part;
        part[2 * c % 4] = quad::fma(first, a, part[2 * c % 4]);
        part[2 * c % 4 + 1] = quad::fma(second, b, part[2 * c % 4 + 1]);
      }
    };
    if constexpr (in_registers) {
      simd::unroll<unit / 32>([&]<int C>() BLOCQ_INLINE_LAMBDA {
        quad::floats y[2];
        read(w, C, y);
        multiply(C, y[0], y[1]);
      });
    } else {
      float y[unit];
      dequantize_blocks(w, step, y);
      for (std::size_t c = 0; c < unit / 32; ++c)
        multiply(c, quad::load_floats(y + 32 * c), quad::load_floats(y + 32 * c + 16));
    }
    for (std::size_t t = 0; t < T; ++t) total[t] = sum[t];
  }
};

}  // namespace detail

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
