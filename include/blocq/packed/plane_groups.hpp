// Integer groups in bit planes, times activations of 2 to 8 bits: weights of 1 to 8 bits cost what planes they have.
// The product is that of integers which ABQ-LLM counts bits for; here planes are put together to numbers, a byte each,
// which takes fewer instructions. ABQ-LLM (Zeng et al., "ABQ-LLM: Arbitrary-Bit Quantized Inference Acceleration for
// Large Language Models", 2024); calib/abq.hpp fits it.
//
//   planes  [rows, bits * words]  I32, as in planes.hpp
//   scales  [rows, groups]        F16; a group is `group` columns, a multiple of 128, or all of them
//   zeros   [rows, groups]        I8, 0 to 2^bits - 1
//
//   weight = scale * (code - zero)
//
// The product rounds x to `input_bits` bits under one scale, its largest magnitude over 2^(input_bits - 1) - 1.
#ifndef BLOCQ_PACKED_PLANE_GROUPS_HPP
#define BLOCQ_PACKED_PLANE_GROUPS_HPP

#include <blocq/packed/inputs.hpp>
#include <blocq/packed/matrix.hpp>
#include <blocq/packed/planes.hpp>

#include <utility>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

class plane_groups {
 public:
  static constexpr const char* scheme = "plane_groups";
  static constexpr bool rounds_inputs = true;

  static constexpr bool is_group(std::size_t group, std::size_t cols) noexcept {
    return group != 0 && (group % 128 == 0 || group >= cols);
  }

  // Preconditions: the sizes and ranges above, is_group, the scales are finite.
  plane_groups(plane_rows codes, std::size_t group, std::vector<std::uint16_t> scales, std::vector<std::uint8_t> zeros,
               int input_bits = 8)
      : codes_(std::move(codes)),
        group_(group),
        input_bits_(input_bits),
        scales_(std::move(scales)),
        zeros_(std::move(zeros)) {
    BLOCQ_ASSERT(is_group(group_, cols()) && scales_.size() == rows() * groups() && zeros_.size() == scales_.size() &&
                 input_bits_ >= 2 && input_bits_ <= 8);
  }
  static result<plane_groups> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    plane_groups m;
    m.group_ = in.number("group", 1, 0x7fffffff);
    m.input_bits_ = static_cast<int>(in.number("input_bits", 2, 8));
    in.require(is_group(m.group_, cols), "group", "is neither a multiple of 128 nor all columns");
    m.codes_ = plane_rows(in, "planes", rows, cols, static_cast<int>(in.number("bits", 1, 8)));
    m.scales_ = in.take<std::uint16_t>("scales", part_type::f16, rows, m.groups());
    m.zeros_ = in.take<std::uint8_t>("zeros", part_type::i8, rows, m.groups());
    in.require_finite("scales", m.scales_);
    in.require_below("zeros", m.zeros_, std::size_t{1} << m.bits());
    return in.finish(std::move(m));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("bits", static_cast<std::uint64_t>(bits())).add("group", group_);
    set.add("input_bits", static_cast<std::uint64_t>(input_bits_));
    codes_.add_to(set, "planes").add("scales", part_type::f16, rows(), scales_);
    return set.add("zeros", part_type::i8, rows(), zeros_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  int bits() const noexcept { return codes_.bits(); }
  int input_bits() const noexcept { return input_bits_; }

  void dequantize_row(std::size_t r, std::span<float> y) const noexcept {
    BLOCQ_ASSERT(r < rows() && y.size() == cols());
    for (std::size_t k = 0; k < y.size(); ++k) {
      const std::size_t line = r * groups() + k / group_;
      y[k] = f16_to_f32(scales_[line]) * static_cast<float>(codes_.get(r, k) - zeros_[line]);
    }
  }

  // The integers of x, a sum of each group of them, and the scales of a row: of its groups, and of each 128 columns.
  std::size_t scratch() const noexcept { return chunks() * (chunk_floats + 4) + 2 * groups(); }
  // Where x is not finite, y is not.
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space,
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows() && space.size() >= scratch());
    const fp_environment modes;
    float* const integers = space.data();
    float* const less = integers + chunks() * chunk_floats;
    float* const scales = less + groups();
    const float input_scale = round_inputs(x, integers, less);
    const auto rows_of = [&]<int Bits>() BLOCQ_INLINE_LAMBDA {
      for (std::size_t i = 0; i < y.size(); ++i)
        y[i] = input_scale * multiply<Bits>(first + i, reinterpret_cast<const std::byte*>(integers), less, scales);
    };
    simd::unroll<8>([&]<int Index>() BLOCQ_INLINE_LAMBDA {
      if (bits() == Index + 1) rows_of.template operator()<Index + 1>();
    });
  }

 private:
  plane_groups() = default;

  std::size_t groups() const noexcept { return cols() / group_ + (cols() % group_ != 0 ? 1 : 0); }
  std::size_t chunks() const noexcept { return (cols() + detail::plane_chunk - 1) / detail::plane_chunk; }
  static constexpr std::size_t chunk_floats = detail::plane_chunk / sizeof(float);  // room for a byte of each column

  // x as integers, the sum of each group times -1; the scale of its numbers. Of a chunk of 512 columns, 64 bytes are
  // eight columns of each of the eight words of a plane.
  float round_inputs(std::span<const float> x, float* integers, float* less) const noexcept {
    namespace vec = simd::native;
    const auto top = static_cast<float>((1 << (input_bits_ - 1)) - 1);
    const lane scale = lane(detail::largest_magnitude(x)) / lane(top);
    std::memset(integers, 0, chunks() * detail::plane_chunk);
    for (std::size_t g = 0; g < groups(); ++g) less[g] = 0.0f;
    if (!detail::can_divide(scale.v)) return scale.v - scale.v;  // 0, or no number
    auto* const bytes = reinterpret_cast<std::byte*>(integers);
    for (std::size_t k = 0, group = 0; k < x.size(); k += 32) {
      if (k == (group + 1) * group_) ++group;
      const auto [codes, sum] = detail::round_chunk(x, k / 32, scale.v);
      less[group] -= static_cast<float>(sum);
      std::byte in_order[32];
      vec::store_bytes(in_order, codes);
      std::byte* const chunk = bytes + k / detail::plane_chunk * detail::plane_chunk;
      for (std::size_t i = 0; i < 4; ++i)
        std::memcpy(chunk + 64 * (k % 64 / 8 + i) + 8 * (k % detail::plane_chunk / 64), in_order + 8 * i, 8);
    }
    return scale.v;
  }

  template <int Bits>
  float multiply(std::size_t r, const std::byte* integers, const float* less, float* scales) const noexcept {
    namespace quad = simd::quad;
    namespace vec = simd::native;
    const std::uint16_t* const halves = scales_.data() + r * groups();
    const std::uint8_t* const zeros = zeros_.data() + r * groups();
    quad::floats sum = {};
    float rest = 0.0f;
    // What the zeros take off.
    std::size_t g = 0;
    for (; g + 16 <= groups(); g += 16) {
      const quad::floats scale = quad::halves_to_floats(vec::as_words(vec::load_two(halves + g, halves + g + 8)));
      const quad::floats zero =
          quad::to_floats(vec::load_halves(zeros + g) - vec::fill_bytes(128), 0) + quad::fill_floats(128.0f);
      quad::store_floats(scales + g, scale);
      sum = quad::fma(scale * zero, quad::load_floats(less + g), sum);
    }
    for (; g < groups(); ++g) {
      scales[g] = vec::half_to_float(halves[g]);
      rest += scales[g] * static_cast<float>(zeros[g]) * less[g];
    }
    if (group_ != 128 || groups() != 4 * chunks()) scales = spread_over_quarters(scales);
    const std::uint64_t* const row = codes_.row(r);
    const std::size_t words = words_of_plane(cols());
    for (std::size_t word = 0; word < words; word += detail::chunk_words) {
      const detail::plane_window planes(row, words, Bits, word);
      const quad::ints products = detail::multiply_planes<Bits>(planes, integers);
      const quad::floats scale = quad::spread_lanes(quad::as_floats(quad::fill_lanes(scales)));
      sum = quad::fma(quad::to_floats(products), scale, sum);
      integers += detail::plane_chunk, scales += 4;
    }
    return quad::sum(sum) + rest;
  }
  // Behind the scales of groups, those of each 128 columns.
  float* spread_over_quarters(float* scales) const noexcept {
    float* const quarters = scales + groups();
    const std::size_t per_group = (group_ + 127) / 128;
    for (std::size_t q = 0, left = per_group, of = 0; q < 4 * chunks(); ++q) {
      quarters[q] = of < groups() ? scales[of] : 0.0f;
      if (--left == 0) left = per_group, ++of;
    }
    return quarters;
  }

  plane_rows codes_ = {};
  std::size_t group_ = 128;
  int input_bits_ = 8;
  std::vector<std::uint16_t> scales_ = {};  // binary16
  std::vector<std::uint8_t> zeros_ = {};
};

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
