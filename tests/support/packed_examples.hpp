// A small matrix of every scheme in packed/all.hpp, of odd sizes as far as the scheme has them.
#ifndef BLOCQ_TESTS_PACKED_EXAMPLES_HPP
#define BLOCQ_TESTS_PACKED_EXAMPLES_HPP

#include <blocq/packed/all.hpp>
#include <synthetic.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

namespace test {

template <class M>
struct example;

// Random numbers in the shapes that matrices are made of.
struct source {
  normal_numbers next{{7}};

  blocq::packed::code_rows codes(std::size_t rows, std::size_t cols, int bits, int lowest = 0, int highest = 255) {
    blocq::packed::code_rows c(rows, cols, bits);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < cols; ++k)
        c.set(r, k, std::clamp(static_cast<int>(next.next() % (1u << bits)), lowest, highest));
    return c;
  }
  std::vector<float> floats(std::size_t n) {
    std::vector<float> x(n);
    for (float& v : x) v = static_cast<float>(next.normal());
    return x;
  }
  std::vector<float> positive(std::size_t n) {
    std::vector<float> x = floats(n);
    for (float& v : x) v = 0.5f + std::fabs(v);
    return x;
  }
  std::vector<std::uint16_t> halves(std::size_t n) {
    std::vector<std::uint16_t> h;
    for (const float v : floats(n)) h.push_back(blocq::f32_to_f16(v));
    return h;
  }
  std::vector<std::uint8_t> bytes(std::size_t n, unsigned lowest, unsigned count) {
    std::vector<std::uint8_t> b(n);
    for (auto& v : b) v = static_cast<std::uint8_t>(lowest + next.next() % count);
    return b;
  }
  test::matrix matrix(std::size_t rows, std::size_t cols) { return {rows, cols, floats(rows * cols)}; }
};

template <>
struct example<blocq::packed::int_groups> {
  static auto make(source& s) {
    blocq::packed::integer_matrix m{
        3, 5, 160, 64, std::vector<std::uint8_t>(5 * 160), s.positive(15), std::vector<float>(15, 3.0f)};
    for (auto& c : m.codes) c = static_cast<std::uint8_t>(s.next.next() % 8);
    std::vector<std::uint32_t> order(160);
    for (std::uint32_t k = 0; k < 160; ++k) order[k] = k * 7 % 160;
    return *blocq::packed::int_groups::pack(m, order);
  }
};
template <>
struct example<blocq::packed::row_groups> {
  static auto make(source& s) { return blocq::packed::row_groups(s.codes(3, 192, 4), {0, 1, 4, 10}, s.halves(10)); }
};
template <>
struct example<blocq::packed::column_groups> {
  static auto make(source& s) {
    return blocq::packed::column_groups(s.codes(7, 45, 4), 3, s.halves(3 * 45), s.bytes(3 * 45, 0, 16));
  }
};
template <>
struct example<blocq::packed::dual_groups> {
  static auto make(source& s) {
    return blocq::packed::dual_groups(s.codes(5, 96, 4), 64, s.bytes(10, 4, 8), s.bytes(10, 1, 11), s.positive(5),
                                      s.positive(96));
  }
};
template <>
struct example<blocq::packed::palette> {
  static auto make(source& s) { return blocq::packed::palette(s.codes(7, 45, 3), 3, s.halves(3 * 8), s.halves(7)); }
};
template <>
struct example<blocq::packed::vector_codes> {
  static blocq::packed::vector_stage stage(source& s, std::size_t bands, std::size_t cols, int bits) {
    blocq::packed::vector_stage v(bands, cols, bits, 4);
    v.codebook = s.halves(v.codebook.size());
    for (std::size_t b = 0; b < bands; ++b)
      for (std::size_t k = 0; k < cols; ++k) v.set(b, k, s.next.next() % (1u << bits));
    return v;
  }
  static auto make(source& s) {
    return blocq::packed::vector_codes(10, 45, 4, stage(s, 3, 45, 9), stage(s, 3, 45, 3), {3, 17}, stage(s, 3, 2, 5));
  }
};
template <>
struct example<blocq::packed::bit_stack> {
  static auto make(source& s) {
    return blocq::packed::bit_stack(5, 3, 2, s.codes(15, 70, 1), s.halves(30), s.halves(3 * 2 * 70), s.positive(70),
                                    s.positive(3));
  }
};
template <>
struct example<blocq::packed::low_rank> {
  static auto make(source& s) { return blocq::packed::low_rank(7, 45, s.halves(7 * 3), s.halves(3 * 45)); }
};
template <>
struct example<blocq::packed::bipolar_matrix> {
  static auto make(source& s) { return *blocq::packed::bipolar_matrix::quantize(s.matrix(5, 70).view(), 3); }
};
template <>
struct example<blocq::packed::plane_groups> {
  static auto make(source& s) {
    blocq::packed::plane_rows codes(5, 700, 3);
    for (std::size_t r = 0; r < 5; ++r)
      for (std::size_t k = 0; k < 700; ++k) codes.set(r, k, static_cast<int>(s.next.next() % 8));
    return blocq::packed::plane_groups(std::move(codes), 256, s.halves(15), s.bytes(15, 0, 8));
  }
};
template <class Element>
struct example<blocq::packed::split_floats<Element>> {
  static auto make(source& s) { return *blocq::packed::split_floats<Element>::quantize(s.matrix(5, 45).view()); }
};
template <>
struct example<blocq::packed::int8_matrix> {
  static auto make(source& s) {
    const std::uint32_t apart[] = {2, 31};
    return *blocq::packed::int8_matrix::quantize(s.matrix(5, 45).view(), apart);
  }
};
template <>
struct example<blocq::packed::spqr_matrix> {
  static auto make(source& s) {
    blocq::packed::spqr_matrix m(20, 48);
    const std::uint16_t shared[4] = {0x2c00, 0x4000, 0x3800, 0x4200};
    for (std::size_t i = 0; i < m.words.size(); ++i)
      m.words[i] = (s.next.next() & ((std::uint64_t{1} << 54) - 1)) |
                   std::uint64_t{shared[i % 16 / 4] >> (i % 4 / 2 * 8) & 0xffu} << 54;
    for (std::uint32_t r = 0; r < 20; r += 3) m.entries.push_back(0x3c00u << 16 | (r * 5 % 48));
    for (std::uint32_t r = 0; r < 20; ++r) m.row_offsets[r + 1] = m.row_offsets[r] + (r % 3 == 0);
    for (std::uint16_t k = 0; k < 48; ++k) m.order.push_back(static_cast<std::uint16_t>(k * 5 % 48));
    return m;
  }
};

template <>
struct example<blocq::packed::mixed_blocks> {
  static auto make(source& s) {
    std::vector<std::uint32_t> order(170);
    for (std::uint32_t k = 0; k < 170; ++k) order[k] = k * 7 % 170;
    return blocq::packed::mixed_blocks(s.codes(5, 170, 4), 64, s.halves(15), {1, 0, 0}, order);
  }
};

// What the largest input becomes where a product rounds them.
template <class M>
inline constexpr int largest_input = 127;
template <>
inline constexpr int largest_input<blocq::packed::mixed_blocks> = 7;

template <class M>
M make_packed() {
  source s;
  return example<M>::make(s);
}

}  // namespace test

#endif
