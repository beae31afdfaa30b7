// Integer groups with zero points as weights that are multiplied as they are: codes of 2, 3 or 4 bits, for each group
// of inputs a scale and a zero. From what rounds onto groups (calib/rounding.hpp), and from checkpoints of AWQ, GPTQ
// and compressed-tensors, to which GPTQ's layout they can go back.
//
//   weight = scale * (code - zero)
//
//   codes   [rows, columns]  of 2 to 4 bits, as in codes.hpp
//   scales  [rows, groups]   F32
//   zeros   [rows, groups]   I8, 0 to 127
//   order   [columns]        I32, or none: the input that each column is
//
// GPTQ's words hold codes without gaps, along the inputs of one output: of 3 bits, 32 in three words, of which codes 10
// and 21 lie across two. Zeros lie so along the outputs, less by one (format/int4_layouts.hpp says how).
//   word 0 | c0 c1 ... c9 c10 |   c10: its low two bits
//   word 1 | c10 c11 ... c20 c21 |      its high bit; c21: its lowest bit
//   word 2 | c21 c22 ... c31 |
#ifndef BLOCQ_PACKED_INT_GROUPS_HPP
#define BLOCQ_PACKED_INT_GROUPS_HPP

#include <blocq/format/int4_layouts.hpp>
#include <blocq/packed/integer_matrix.hpp>
#include <blocq/packed/matrix.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

namespace detail {
// Field i of `bits` bits in a row of little-endian words, `stride` apart.
inline std::uint32_t get_stream(std::span<const le32> words, std::size_t stride, std::size_t i, int bits) noexcept {
  const std::size_t bit = i * static_cast<std::size_t>(bits), word = bit / 32, at = bit % 32;
  std::uint32_t field = load(words[word * stride]) >> at;
  if (at + static_cast<std::size_t>(bits) > 32) field |= load(words[(word + 1) * stride]) << (32 - at);
  return field & ((1u << bits) - 1u);
}
// Sets it; its bits are 0.
inline void set_stream(std::span<le32> words, std::size_t stride, std::size_t i, int bits, std::uint32_t v) noexcept {
  const std::size_t bit = i * static_cast<std::size_t>(bits), word = bit / 32, at = bit % 32;
  store(words[word * stride], load(words[word * stride]) | v << at);
  if (at + static_cast<std::size_t>(bits) > 32)
    store(words[(word + 1) * stride], load(words[(word + 1) * stride]) | v >> (32 - at));
}
inline bool is_whole(float x, int lowest, int highest) noexcept {
  return is_finite(x) && x >= static_cast<float>(lowest) && x <= static_cast<float>(highest) &&
         x == static_cast<float>(static_cast<int>(x));
}
inline bool is_gptq(int4_layout layout) noexcept {
  return layout == int4_layout::gptq || layout == int4_layout::gptq_v2 || layout == int4_layout::gptq_nibbles;
}
// What GPTQModel takes off word c of zeros in a row of GPTQ's first version. Of 3 bits it is not the lowest one of
// each.
inline std::uint32_t gptq_shortfall(int bits, std::size_t c) noexcept {
  constexpr std::uint32_t three[] = {0x24924924u, 0x92492492u, 0x49249249u};
  return bits == 3 ? three[c % 3] : 0xffffffffu / ((1u << bits) - 1u);
}
// The first code that has more bits than it should; their number if there is none.
inline std::size_t wide_code(const integer_matrix& m) noexcept {
  std::size_t i = 0;
  while (i < m.codes.size() && m.codes[i] >> m.bits == 0) ++i;
  return i;
}
inline error too_wide(std::size_t code, int bits) noexcept {
  return error(errc::bad_value) << "code " << code << " has more than " << bits << " bits";
}
}  // namespace detail

// What a GPTQ checkpoint has of a matrix; int4_tensors of format/int4_layouts.hpp are views of such.
struct gptq_tensors {
  int bits = 0;
  int4_shape shape = {};
  std::vector<le32> codes = {}, zeros = {};  // [inputs * bits / 32, outputs], [groups, outputs * bits / 32]
  std::vector<float> scales = {};            // [groups, outputs]
};

class int_groups {
 public:
  static constexpr const char* scheme = "int_groups";
  static constexpr bool rounds_inputs = false;

  // Packs codes. `order`, if not empty, says which input each column of m stands for.
  //   errc::bad_value      other than 2 to 4 bits, a code that needs more, a zero that is no integer from 0 to 127,
  //                        an order that does not name every input once
  //   errc::ragged         columns or group is not a multiple of 32
  //   errc::size_mismatch  an array of m, or order, has not the size that the shape gives it
  static result<int_groups> pack(const integer_matrix& m, std::span<const std::uint32_t> order = {}) {
    if (m.bits < 2 || m.bits > 4)
      return error(errc::bad_value) << "codes of 2 to 4 bits can be packed, not of " << m.bits;
    if (m.group == 0 || m.group % 32 != 0 || m.columns % 32 != 0)
      return error(errc::ragged) << m.columns << " columns in groups of " << m.group << " are not multiples of 32";
    if (!impl::is_product(m.codes.size(), m.rows, m.columns) ||
        !impl::is_product(m.scales.size(), m.rows, m.columns / m.group + (m.columns % m.group != 0)) ||
        m.zeros.size() != m.scales.size() || (!order.empty() && order.size() != m.columns))
      return error(errc::size_mismatch) << "the arrays do not have the sizes of " << m.rows << " rows of " << m.columns;
    if (const std::size_t i = detail::wide_code(m); i < m.codes.size()) return detail::too_wide(i, m.bits);
    int_groups g;
    g.codes_ = code_rows(m.rows, m.columns, m.bits);
    g.group_ = m.group;
    g.scales_ = m.scales;
    for (std::size_t i = 0; i < m.zeros.size(); ++i) {
      if (!detail::is_whole(m.zeros[i], 0, 127))
        return error(errc::bad_value) << "zero " << i << " is no integer from 0 to 127";
      g.zeros_.push_back(static_cast<std::uint8_t>(m.zeros[i]));
    }
    for (std::size_t i = 0; i < m.codes.size(); ++i) g.codes_.set(i / m.columns, i % m.columns, m.codes[i]);
    std::vector<bool> named(order.size());
    for (const std::uint32_t k : order) {
      if (k >= named.size() || named[k]) return error(errc::bad_value) << "the order does not name every input once";
      named[k] = true;
    }
    g.order_.assign(order.begin(), order.end());
    return g;
  }
  static result<int_groups> from_parts(const part_set& set) {
    part_reader in(set, scheme);
    const std::size_t rows = in.rows(), cols = in.cols();
    int_groups g;
    g.group_ = in.number("group", 32, 0x7fffffff);
    in.require(g.group_ % 32 == 0 && cols % 32 == 0, "group", "or the number of columns is no multiple of 32");
    g.codes_ = code_rows(in, "codes", rows, cols, static_cast<int>(in.number("bits", 2, 4)));
    g.scales_ = in.take<float>("scales", part_type::f32, rows, g.groups());
    g.zeros_ = in.take<std::uint8_t>("zeros", part_type::i8, rows, g.groups());
    g.order_ = in.take_list<std::uint32_t>("order", part_type::i32);
    in.require_finite("scales", g.scales_);
    in.require_below("zeros", g.zeros_, 128);
    in.require_permutation("order", g.order_, cols);
    return in.finish(std::move(g));
  }
  part_set parts() const noexcept {
    part_set set(scheme, rows(), cols());
    set.add("bits", static_cast<std::uint64_t>(bits())).add("group", group_);
    codes_.add_to(set, "codes");
    set.add("scales", part_type::f32, rows(), scales_).add("zeros", part_type::i8, rows(), zeros_);
    return set.add("order", part_type::i32, 1, order_);
  }

  std::size_t rows() const noexcept { return codes_.rows(); }
  std::size_t cols() const noexcept { return codes_.cols(); }
  int bits() const noexcept { return codes_.bits(); }
  // None unless the columns are in an order of their own.
  std::size_t scratch() const noexcept { return order_.size(); }

  // From the codes, whose zeros are taken off as integers.
  void gemv(std::span<const float> x, std::span<float> y, std::span<float> space = {},
            std::size_t first = 0) const noexcept {
    BLOCQ_ASSERT(x.size() == cols() && first + y.size() <= rows() && space.size() >= scratch());
    const fp_environment modes;
    for (std::size_t i = 0; i < order_.size(); ++i) space[i] = x[order_[i]];
    const float* const in = order_.empty() ? x.data() : space.data();
    detail::with_bits<4>(bits(), [&]<int Bits>() BLOCQ_INLINE_LAMBDA { multiply<Bits>(in, y, first); });
  }

  void dequantize_row(std::size_t r, std::span<float> out) const noexcept {
    BLOCQ_ASSERT(r < rows() && out.size() == cols());
    for (std::size_t i = 0; i < cols(); ++i) {
      const std::size_t line = r * groups() + i / group_;
      out[order_.empty() ? i : order_[i]] =
          (lane(scales_[line]) * lane(static_cast<float>(codes_.get(r, i) - zeros_[line]))).v;
    }
  }

 private:
  std::size_t groups() const noexcept { return cols() / group_ + (cols() % group_ != 0); }

  template <int Bits>
  void multiply(const float* x, std::span<float> y, std::size_t first) const noexcept {
    namespace vec = simd::native;
    for (std::size_t r = 0; r < y.size(); ++r) {
      const std::uint8_t* codes = codes_.row(first + r);
      std::size_t line = (first + r) * groups();
      vec::floats total[4] = {};
      for (std::size_t k = 0; k < cols(); ++line) {
        const std::size_t end = (std::min)(k + group_, cols());
        const vec::bytes zero = vec::fill_bytes(zeros_[line]);
        vec::floats sum[4] = {};
        for (; k < end; k += 32, codes += 4 * Bits) {
          const vec::bytes values = code_rows::load<Bits>(codes) - zero;
          for (int q = 0; q < 4; ++q)
            sum[q] =
                vec::fma(vec::to_floats(values, q), vec::load_floats(x + k + 8 * static_cast<std::size_t>(q)), sum[q]);
        }
        for (int q = 0; q < 4; ++q) total[q] = vec::fma(sum[q], vec::fill_floats(scales_[line]), total[q]);
      }
      y[r] = vec::sum((total[0] + total[1]) + (total[2] + total[3]));
    }
  }

  code_rows codes_ = {};
  std::size_t group_ = 32;
  std::vector<float> scales_ = {};
  std::vector<std::uint8_t> zeros_ = {};
  std::vector<std::uint32_t> order_ = {};
};

namespace detail {
// Columns brought together by group: column i of the matrix is input order[i].
inline result<int_groups> pack_in_groups(integer_matrix m, std::span<const le32> g_idx) {
  if (g_idx.empty()) return int_groups::pack(m);
  std::vector<std::uint32_t> order(m.columns);
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return std::pair(load(g_idx[a]), a) < std::pair(load(g_idx[b]), b);
  });
  for (std::size_t i = 0; i < order.size(); ++i)
    if (load(g_idx[order[i]]) != i / m.group)
      return error(errc::unsupported) << "group " << i / m.group << " has not " << m.group << " inputs";
  const std::vector<std::uint8_t> codes = m.codes;
  for (std::size_t i = 0; i < codes.size(); ++i) m.codes[i] = codes[i / m.columns * m.columns + order[i % m.columns]];
  return int_groups::pack(m, order);
}
}  // namespace detail

// Codes of 2, 3 or 4 bits as GPTQ packs them; `layout` says how zeros are stored and is one of its three. No zeros: all
// are 2^(bits - 1). With `g_idx` the inputs of a group need not be neighbours, but every group has to have as many.
//   errc::bad_value, errc::ragged, errc::size_mismatch  as int_groups::pack, or words that do not fit the shape
//   errc::unsupported                                   groups of unequal size
inline result<int_groups> from_gptq(int bits, const int4_shape& s, const int4_tensors& t,
                                    int4_layout layout = int4_layout::gptq) {
  if (bits < 2 || bits > 4) return error(errc::bad_value) << "codes of 2 to 4 bits can be read, not of " << bits;
  if (!detail::is_gptq(layout)) return error(errc::bad_value) << "the layout is not one of GPTQ's";
  if (s.group == 0 || s.inputs % 32 != 0 || s.outputs % 32 != 0)
    return error(errc::ragged) << s.outputs << " outputs of " << s.inputs << " inputs are not multiples of 32";
  const std::size_t groups = s.groups(), words = static_cast<std::size_t>(bits), line = s.outputs / 32 * words;
  if (!impl::is_product(t.codes.size(), s.inputs / 32 * words, s.outputs) ||
      !impl::is_product(t.scales.size(), groups, s.outputs) ||
      (!t.zeros.empty() && !impl::is_product(t.zeros.size(), groups, line)) ||
      (!t.g_idx.empty() && t.g_idx.size() != s.inputs))
    return error(errc::size_mismatch) << "the tensors do not have the sizes of " << s.outputs << " outputs of "
                                      << s.inputs;
  std::vector<le32> zeros(t.zeros.begin(), t.zeros.end());
  if (layout == int4_layout::gptq)
    for (std::size_t i = 0; i < zeros.size(); ++i)
      store(zeros[i], load(zeros[i]) + detail::gptq_shortfall(bits, i % line));
  const unsigned shortfall = layout == int4_layout::gptq_nibbles ? 1 : 0;
  integer_matrix m{bits, s.outputs, s.inputs, s.group};
  for (std::size_t n = 0; n < s.outputs; ++n) {
    for (std::size_t k = 0; k < s.inputs; ++k)
      m.codes.push_back(static_cast<std::uint8_t>(detail::get_stream(t.codes.subspan(n), s.outputs, k, bits)));
    for (std::size_t g = 0; g < groups; ++g) {
      m.scales.push_back(t.scales[g * s.outputs + n]);
      const auto row = [&] { return std::span<const le32>(zeros).subspan(g * line); };
      m.zeros.push_back(
          static_cast<float>(zeros.empty() ? 1u << (bits - 1) : detail::get_stream(row(), 1, n, bits) + shortfall));
    }
  }
  return detail::pack_in_groups(std::move(m), t.g_idx);
}

// The same for the layouts of format/int4_layouts.hpp, whose errors it has.
inline result<int_groups> from_int4(int4_layout layout, const int4_shape& s, const int4_tensors& t) {
  const auto refused = [](status why) { return error(why.code) << "the tensors do not fit: " << why.message(); };
  if (s.group == 0) return refused({errc::bad_value, 0});
  const std::size_t groups = s.groups();
  if (!impl::is_product(t.scales.size(), groups, s.outputs) || (!t.g_idx.empty() && t.g_idx.size() != s.inputs) ||
      (s.outputs != 0 && s.inputs > t.codes.size() * 8 / s.outputs))
    return refused({errc::size_mismatch, 0});
  integer_matrix m{4, s.outputs, s.inputs, s.group, std::vector<std::uint8_t>(s.outputs * s.inputs)};
  if (const status done = unpack_codes(layout, s, t.codes, m.codes); !done) return refused(done);
  std::vector<std::uint8_t> zeros(groups * s.outputs, std::uint8_t{8});
  if (!t.zeros.empty())
    if (const status done = unpack_zeros(layout, s, t.zeros, zeros); !done) return refused(done);
  m.zeros.assign(zeros.begin(), zeros.end());
  for (std::size_t n = 0; n < s.outputs; ++n)
    for (std::size_t g = 0; g < groups; ++g)
      m.scales.push_back(t.scales[layout == int4_layout::compressed_tensors ? n * groups + g : g * s.outputs + n]);
  return detail::pack_in_groups(std::move(m), t.g_idx);
}

// For a GPTQ checkpoint whose zeros are stored as `layout` says. errc::bad_value for bits other than 2, 3, 4 and 8, for
// a code that needs more, for another layout than GPTQ's three and for a zero that it cannot hold: below 0 or above
// 2^bits - 1, under gptq_nibbles one more; errc::ragged where rows or columns are not a multiple of 32;
// errc::size_mismatch as int_groups::pack.
inline result<gptq_tensors> to_gptq(const integer_matrix& m, int4_layout layout = int4_layout::gptq) {
  if (m.bits != 2 && m.bits != 3 && m.bits != 4 && m.bits != 8)
    return error(errc::bad_value) << "GPTQ has no codes of " << m.bits << " bits";
  if (!detail::is_gptq(layout)) return error(errc::bad_value) << "the layout is not one of GPTQ's";
  if (m.group == 0 || m.rows % 32 != 0 || m.columns % 32 != 0)
    return error(errc::ragged) << m.rows << " rows of " << m.columns << " columns are not multiples of 32";
  const int4_shape s{m.columns, m.rows, m.group};
  const std::size_t groups = s.groups(), words = static_cast<std::size_t>(m.bits), line = m.rows / 32 * words;
  if (!impl::is_product(m.codes.size(), m.rows, m.columns) || !impl::is_product(m.scales.size(), m.rows, groups) ||
      m.zeros.size() != m.scales.size())
    return error(errc::size_mismatch) << "the arrays do not have the sizes of " << m.rows << " rows of " << m.columns;
  if (const std::size_t i = detail::wide_code(m); i < m.codes.size()) return detail::too_wide(i, m.bits);
  gptq_tensors t{m.bits, s, std::vector<le32>(m.columns / 32 * words * m.rows), std::vector<le32>(groups * line),
                 std::vector<float>(m.scales.size())};
  const int shortfall = layout == int4_layout::gptq_nibbles ? 1 : 0;
  for (std::size_t n = 0; n < m.rows; ++n) {
    for (std::size_t k = 0; k < m.columns; ++k)
      detail::set_stream(std::span(t.codes).subspan(n), m.rows, k, m.bits, m.codes[n * m.columns + k]);
    for (std::size_t g = 0; g < groups; ++g) {
      const float zero = m.zeros[n * groups + g];
      if (!detail::is_whole(zero, shortfall, (1 << m.bits) - 1 + shortfall))
        return error(errc::bad_value) << "row " << n << " has a zero that GPTQ cannot hold";
      detail::set_stream(std::span(t.zeros).subspan(g * line), 1, n, m.bits,
                         static_cast<std::uint32_t>(static_cast<int>(zero) - shortfall));
      t.scales[g * m.rows + n] = m.scales[n * groups + g];
    }
  }
  if (layout == int4_layout::gptq)
    for (std::size_t i = 0; i < t.zeros.size(); ++i)
      store(t.zeros[i], load(t.zeros[i]) - detail::gptq_shortfall(m.bits, i % line));
  return t;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
