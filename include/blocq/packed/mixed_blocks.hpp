// 4-bit weights times inputs of 4 or 8 bits, block by block: columns of extreme inputs are gathered in few blocks,
// which get 8 bits, and all others have 4. Liu et al., "COMET: Towards Practical W4A4KV4 LLMs Serving", 2024, where
// this is FMPQ; calib/fmpq.hpp fits it.
//
//   order   [columns]          I32: number i of the codes and the blocks belongs to column order[i]; or none
//   codes   [rows, columns]    of 4 bits, as in codes.hpp; 8 stands for 0
//   scales  [rows, blocks]     F16; a block is `block` columns, a multiple of 32, the last may be shorter
//   wide    [blocks]           I8: 1 where inputs have 8 bits, 0 where they have 4
//
//   weight = scale * (code - 8)
//
// The product rounds each block of x under a scale of its own: its largest magnitude over 127, or, of 4
// bits, the best for the codes under one of five around its largest number over -8.
#ifndef BLOCQ_PACKED_MIXED_BLOCKS_HPP
#define BLOCQ_PACKED_MIXED_BLOCKS_HPP

#include <blocq/core/lane.hpp>
#include <blocq/packed/matrix.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class mixed_blocks {
 public:
  static constexpr const char* scheme = "mixed_blocks";
  static constexpr bool rounds_inputs = true;

  // Preconditions: the sizes above, order is a permutation or empty, all numbers are finite, wide has 0 and 1.
  mixed_blocks(code_rows codes, std::size_t block, std::vector<std::uint16_t> scales, std::vector<std::uint8_t> wide,
               std::vector<std::uint32_t> order = {})
      : codes_(std::move(codes)),
        block_(block),
        scales_(std::move(scales)),
        wide_(std::move(wide)),
        order_(std::move(order)) {
    BLOCQ_ASSERT(codes_.bits() == 4 && block_ % 32 == 0 && block_ != 0 && scales_.size() == rows() * blocks() &&
                 wide_.size() == blocks() && (order_.empty() || order_.size() == cols()));
  }
  static result<mixed_blocks> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    mixed_blocks m;
    m.block_ = in.number("block", 32, 0x7fffffff);
    in.require(m.block_ % 32 == 0, "block", "is no multiple of 32");
    m.codes_ = code_rows(in, "codes", rows, cols, 4);
    m.scales_ = in.take<std::uint16_t>("scales", part_type::f16, rows, m.blocks());
    m.wide_ = in.take<std::uint8_t>("wide", part_type::i8, 1, m.blocks());
    m.order_ = in.take_list<std::uint32_t>("order", part_type::i32);
    in.require_finite("scales", m.scales_);
    in.require_below("wide", m.wide_, 2);
    in.require_permutation("order", m.order_, cols);
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("block", block_).add("order", part_type::i32, 1, order_);
    codes_.add_to(set, "codes").add("scales", part_type::f16, rows(), scales_);
    return set.add("wide", part_type::i8, 1, wide_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  std::size_t blocks() const noexcept { return cols() / block_ + (cols() % block_ != 0 ? 1 : 0); }
  bool is_wide(std::size_t block) const noexcept { return wide_[block] != 0; }
  // The part of the blocks whose inputs have 4 bits.
  double narrow_share() const noexcept {
    std::size_t wide = 0;
    for (const std::uint8_t w : wide_) wide += w;
    return 1.0 - static_cast<double>(wide) / static_cast<double>(blocks());
  }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    for (std::size_t k = 0; k < y.size(); ++k)
      y[column(k)] = f16_to_f32(scales_[r * blocks() + k / block_]) * static_cast<float>(codes_.get(r, k) - 8);
  }

  // x in order, as bytes, and the scale and the sum of each block.
  std::size_t scratch() const noexcept { return padded() / 4 + 2 * blocks(); }
  // Where x is not finite, y is not.
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows() && space.size() >= scratch());
    namespace vec = simd::native;
    const fp_environment modes;
    auto* const inputs = reinterpret_cast<std::int8_t*>(space.data());
    float* const input_scales = space.data() + padded() / 4;
    float* const sums = input_scales + blocks();
    round_inputs(x, inputs, input_scales, sums);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const std::uint8_t* codes = codes_.row(first + i);
      const std::int8_t* in = inputs;
      vec::floats sum = vec::fill_floats(0.0f);
      float below = 0.0f;  // what the zero of the codes takes off
      for (std::size_t b = 0; b < blocks(); ++b) {
        const float scale = vec::half_to_float(scales_[(first + i) * blocks() + b]) * input_scales[b];
        vec::ints products = vec::fill_ints(0);
        for (std::size_t k = b * block_; k < (b + 1) * block_ && k < cols(); k += 32, codes += 16, in += 32) {
          const vec::bytes a = code_rows::load<4>(codes), s = vec::load_bytes(in);
          if constexpr (vec::has_dot4)
            vec::dot4_to(products, a, s);
          else
            vec::madd2_to(products, vec::maddubs(a, s), vec::fill_words(1));
        }
        sum = vec::fma(vec::to_floats(products), vec::fill_floats(scale), sum);
        below += scale * sums[b];
      }
      y[i] = vec::sum(sum) - 8.0f * below;
    }
  }

 private:
  mixed_blocks() = default;

  std::size_t padded() const noexcept { return (cols() + 31) / 32 * 32; }
  std::size_t column(std::size_t k) const noexcept { return order_.empty() ? k : order_[k]; }
  // Between -top - 1 and top.
  static int round(float x, lane scale, int top) noexcept {
    const float q = scale.v != 0.0f ? nearest_int(lane(x) / scale).v : 0.0f, most = static_cast<float>(top);
    return static_cast<int>(q > most ? most : q > -most - 1.0f ? q : -most - 1.0f);
  }
  void round_inputs(std::span<const float> x, std::int8_t* to, float* scales, float* sums) const noexcept {
    for (std::size_t b = 0; b < blocks(); ++b) {
      const std::size_t first = b * block_, last = (b + 1) * block_ < cols() ? (b + 1) * block_ : cols();
      float largest = 0.0f, most = 0.0f;
      for (std::size_t k = first; k < last; ++k) {
        const float v = x[column(k)], magnitude = v < 0.0f ? -v : v;
        if (magnitude > most) most = magnitude, largest = v;
        if (!is_finite(v)) most = from_bits(quiet_nan_bits);  // which it stays, and the result becomes
      }
      // Of 4 bits: the codes under a few scales, each of which then has the best scale for itself.
      constexpr float divisors[] = {-7.5f, -8.0f, -8.5f, -9.0f, -9.5f};
      lane rounded_by = lane(most) / lane(127.0f), scale = rounded_by, gained = lane(0.0f);
      for (const float divisor : divisors) {
        if (is_wide(b) || !(most > 0.0f)) break;
        const lane tried = lane(largest) / lane(divisor);
        lane products = lane(0.0f), squares = lane(0.0f);
        for (std::size_t k = first; k < last; ++k) {
          const lane code = lane(static_cast<float>(round(x[column(k)], tried, 7)));
          products = products + lane(x[column(k)]) / tried * code;
          squares = squares + code * code;
        }
        const lane gain = products * products / (squares * lane(divisor) * lane(divisor));
        if (gain.v > gained.v) gained = gain, rounded_by = tried, scale = tried * (products / squares);
      }
      int sum = 0;
      for (std::size_t k = first; k < last; ++k) {
        const int code = round(x[column(k)], rounded_by, is_wide(b) ? 127 : 7);
        to[k] = static_cast<std::int8_t>(code);
        sum += code;
      }
      scales[b] = scale.v;
      sums[b] = static_cast<float>(sum);
    }
    for (std::size_t k = cols(); k < padded(); ++k) to[k] = 0;
  }

  code_rows codes_ = {};
  std::size_t block_ = 32;
  std::vector<std::uint16_t> scales_ = {};  // binary16
  std::vector<std::uint8_t> wide_ = {};
  std::vector<std::uint32_t> order_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
