// Integer groups with zero points: packed and multiplied, from rounding and from the layouts of checkpoints.
#include <doctest/doctest.h>
#include <blocq/calib/rtn.hpp>
#include <blocq/packed/int_groups.hpp>
#include <random.hpp>

#include <string_view>
#include <vector>

namespace {

using numbers = std::vector<float>;
using blocq::packed::int_groups;
using blocq::packed::integer_matrix;

numbers uniform(std::size_t count, test::random_bits& next) {
  numbers x(count);
  for (float& v : x) v = static_cast<float>(static_cast<std::int64_t>(next.next() >> 40)) * 0x1p-23f - 1.0f;
  return x;
}

integer_matrix random_matrix(int bits, std::size_t rows, std::size_t columns, std::size_t group,
                             test::random_bits& next) {
  integer_matrix m{bits, rows, columns, group};
  for (std::size_t i = 0; i < rows * columns; ++i)
    m.codes.push_back(static_cast<std::uint8_t>(next.byte() >> (8 - bits)));
  for (std::size_t i = 0; i < rows * ((columns + group - 1) / group); ++i) {
    m.scales.push_back(0.5f + static_cast<float>(next.byte()) / 256);
    m.zeros.push_back(static_cast<float>(1 + (next.byte() >> (8 - bits))));
  }
  return m;
}

numbers rows_of(const int_groups& g) {
  numbers all(g.rows() * g.cols());
  for (std::size_t r = 0; r < g.rows(); ++r) g.dequantize_row(r, std::span(all).subspan(r * g.cols(), g.cols()));
  return all;
}

void check_products(const int_groups& g, test::random_bits& next) {
  const numbers w = rows_of(g), x = uniform(g.cols(), next);
  numbers y(g.rows()), part(2), space(g.scratch());
  g.gemv(x, y, space);
  for (std::size_t r = 0; r < g.rows(); ++r) {
    double sum = 0;
    for (std::size_t k = 0; k < g.cols(); ++k)
      sum += static_cast<double>(w[r * g.cols() + k]) * static_cast<double>(x[k]);
    CHECK(static_cast<double>(y[r]) == doctest::Approx(sum).epsilon(1e-5).scale(30));
  }
  g.gemv(x, part, space, 1);
  CHECK(part == numbers{y[1], y[2]});
}

blocq::int4_tensors view(const blocq::packed::gptq_tensors& t, std::span<const blocq::le32> g_idx = {}) {
  return {t.codes, t.zeros, t.scales, g_idx};
}

}  // namespace

TEST_CASE("codes of all widths come back, and products are those of the rows") {
  test::random_bits next{41};
  for (const int bits : {2, 3, 4})
    for (const std::size_t group : {32u, 64u, 128u})
      for (const std::size_t columns : {128u, 160u}) {
        const integer_matrix m = random_matrix(bits, 5, columns, group, next);
        const auto g = int_groups::pack(m);
        REQUIRE_MESSAGE(static_cast<bool>(g), g.message());
        const numbers w = rows_of(*g);
        std::size_t groups = (columns + group - 1) / group, different = 0;
        for (std::size_t i = 0; i < w.size(); ++i) {
          const std::size_t line = i / columns * groups + i % columns / group;
          different += w[i] != m.scales[line] * (static_cast<float>(m.codes[i]) - m.zeros[line]);
          different += w[i] != m.value(i / columns, i % columns);
        }
        CHECK(different == 0);
        check_products(*g, next);
        CHECK(bits_per_weight(*g) * static_cast<double>(w.size()) ==
              static_cast<double>(w.size() * static_cast<std::size_t>(bits) + m.scales.size() * 40));
      }
}

TEST_CASE("what round to nearest finds can be packed") {
  test::random_bits next{42};
  const numbers w = uniform(8 * 256, next);
  for (const int bits : {3, 4}) {
    const auto rounded = blocq::calib::rtn({w.data(), 8, 256, 256}, blocq::calib::integers{.bits = bits, .group = 64});
    REQUIRE(rounded);
    const auto g = int_groups::pack(rounded->stored);
    REQUIRE(g);
    CHECK(rows_of(*g) == rounded->values);
  }
}

TEST_CASE("the five layouts of 4 bits, with neighbouring groups and with others") {
  test::random_bits next{43};
  const blocq::int4_shape shape{96, 32, 32};
  const integer_matrix m = random_matrix(4, shape.outputs, shape.inputs, shape.group, next);
  std::vector<std::uint8_t> zeros;
  for (const float z : m.zeros) zeros.push_back(static_cast<std::uint8_t>(z < 16.0f ? z : 15.0f));
  std::vector<blocq::le32> g_idx(shape.inputs);
  for (std::size_t k = 0; k < shape.inputs; ++k) store(g_idx[k], static_cast<std::uint32_t>(k * 7 % 96 / 32));
  using enum blocq::int4_layout;
  for (const auto layout : {awq, gptq, gptq_v2, gptq_nibbles, compressed_tensors})
    for (const bool act_order : {false, true})
      for (const bool symmetric : {false, true}) {
        std::vector<blocq::le32> codes(shape.inputs * shape.outputs / 8), packed(shape.groups() * shape.outputs / 8);
        REQUIRE(blocq::pack_codes(layout, shape, m.codes, codes));
        REQUIRE(blocq::pack_zeros(layout, shape, zeros, packed));
        blocq::int4_tensors t{codes, packed, m.scales, {}};
        if (symmetric) t.zeros = {};
        if (act_order) t.g_idx = g_idx;
        const auto g = blocq::packed::from_int4(layout, shape, t);
        REQUIRE_MESSAGE(static_cast<bool>(g), g.message());
        numbers expected(shape.inputs * shape.outputs);
        REQUIRE(blocq::decode_int4(layout, shape, t, expected));
        CHECK(rows_of(*g) == expected);
        CHECK(g->scratch() == (act_order ? shape.inputs : 0));
        check_products(*g, next);
      }
}

TEST_CASE("GPTQ's words: 32 codes of 3 bits in three words, zeros less by one") {
  test::random_bits next{44};
  integer_matrix m = random_matrix(3, 32, 64, 32, next);
  m.codes[10] = 0b110;  // its low bits at the end of word 0, its high one at the beginning of word 1
  m.codes[21] = 0b011;
  m.codes[31] = 0b101;
  m.zeros[0] = 8.0f;
  using enum blocq::int4_layout;
  const auto t = blocq::packed::to_gptq(m, gptq_nibbles);
  REQUIRE(t);
  CHECK(t->codes.size() == 6 * 32);
  CHECK((load(t->codes[0]) & 7) == m.codes[0]);
  CHECK((load(t->codes[0]) >> 30) == 0b10);
  CHECK((load(t->codes[32]) & 1) == 1);
  CHECK((load(t->codes[32]) >> 31) == 1);
  CHECK((load(t->codes[64]) & 3) == 0b01);
  CHECK((load(t->codes[64]) >> 29) == 0b101);
  CHECK((load(t->zeros[0]) & 7) == 7);

  for (const int bits : {2, 3, 4}) {
    const integer_matrix any = random_matrix(bits, 64, 96, 32, next);  // zeros of 1 to 2^bits
    integer_matrix less = any;
    for (float& zero : less.zeros) zero -= 1;
    for (const auto layout : {gptq, gptq_v2, gptq_nibbles}) {
      const integer_matrix& held = layout == gptq_nibbles ? any : less;
      const auto stored = blocq::packed::to_gptq(held, layout);
      REQUIRE(stored);
      const auto back = blocq::packed::from_gptq(bits, stored->shape, view(*stored), layout);
      REQUIRE_MESSAGE(static_cast<bool>(back), back.message());
      CHECK(rows_of(*back) == rows_of(*int_groups::pack(held)));
      if (bits != 4) continue;
      std::vector<blocq::le32> words(stored->codes.size());
      REQUIRE(blocq::pack_codes(layout, stored->shape, held.codes, words));
      for (std::size_t i = 0; i < words.size(); ++i) CHECK(load(words[i]) == load(stored->codes[i]));
      const auto other = blocq::packed::from_int4(layout, stored->shape, view(*stored));
      REQUIRE(other);
      CHECK(rows_of(*other) == rows_of(*back));
    }
    // GPTQModel's words are those of the second version less one for each zero; for 3 bits it takes off other bits.
    const auto first = blocq::packed::to_gptq(less, gptq), second = blocq::packed::to_gptq(less, gptq_v2);
    const std::uint32_t off[] = {bits == 2   ? 0x55555555u
                                 : bits == 3 ? 0x24924924u
                                             : 0x11111111u,
                                 bits == 2   ? 0x55555555u
                                 : bits == 3 ? 0x92492492u
                                             : 0x11111111u,
                                 bits == 2   ? 0x55555555u
                                 : bits == 3 ? 0x49249249u
                                             : 0x11111111u};
    for (std::size_t i = 0; i < first->zeros.size(); ++i)
      CHECK(load(first->zeros[i]) == load(second->zeros[i]) - off[i % 3]);

    const auto there = blocq::packed::to_gptq(any, gptq_nibbles);
    REQUIRE(there);
    check_products(*blocq::packed::from_gptq(bits, there->shape, view(*there), gptq_nibbles), next);
    // In any order of inputs.
    std::vector<blocq::le32> g_idx(96);
    for (std::size_t k = 0; k < 96; ++k) store(g_idx[k], static_cast<std::uint32_t>(k % 3));
    const auto mixed = blocq::packed::from_gptq(bits, there->shape, view(*there, g_idx), gptq_v2);
    REQUIRE(mixed);
    const numbers w = rows_of(*mixed);
    for (std::size_t k = 0; k < 96; ++k)
      CHECK(w[5 * 96 + k] ==
            any.scales[5 * 3 + k % 3] * (static_cast<float>(any.codes[5 * 96 + k]) - any.zeros[5 * 3 + k % 3] + 1));
    check_products(*mixed, next);
  }
}

TEST_CASE("what does not fit is refused") {
  test::random_bits next{45};
  const auto code_of = [](const auto& r) { return r ? blocq::errc::ok : r.error().code; };
  const integer_matrix good = random_matrix(4, 32, 64, 32, next);
  const auto with = [&](auto change) {
    integer_matrix m = good;
    change(m);
    return code_of(int_groups::pack(m));
  };
  using blocq::errc;
  CHECK(with([](integer_matrix&) {}) == errc::ok);
  CHECK(with([](integer_matrix& m) { m.bits = 5; }) == errc::bad_value);
  CHECK(with([](integer_matrix& m) { m.bits = 3; }) == errc::bad_value);
  CHECK(with([](integer_matrix& m) { m.group = 48; }) == errc::ragged);
  CHECK(with([](integer_matrix& m) { m.group = 0; }) == errc::ragged);
  CHECK(with([](integer_matrix& m) { m.codes.pop_back(); }) == errc::size_mismatch);
  CHECK(with([](integer_matrix& m) {
          m.group = SIZE_MAX - 31;  // a whole row has one scale; sums with it wrap
          m.scales.clear();
          m.zeros.clear();
        }) == errc::size_mismatch);
  CHECK(with([](integer_matrix& m) { m.zeros[3] = 1.5f; }) == errc::bad_value);
  CHECK(with([](integer_matrix& m) { m.zeros[3] = -1.0f; }) == errc::bad_value);
  std::vector<std::uint32_t> order(64);
  CHECK(code_of(int_groups::pack(good, order)) == errc::bad_value);
  CHECK(code_of(int_groups::pack(good, std::span(order).first(3))) == errc::size_mismatch);

  using enum blocq::int4_layout;
  const auto t = *blocq::packed::to_gptq(good, gptq_nibbles);
  std::vector<blocq::le32> g_idx(64);
  CHECK(code_of(blocq::packed::from_gptq(4, t.shape, view(t, g_idx))) == errc::unsupported);
  store(g_idx[0], ~0u);
  CHECK(code_of(blocq::packed::from_gptq(4, t.shape, view(t, g_idx))) == errc::unsupported);
  CHECK(code_of(blocq::packed::from_gptq(3, t.shape, view(t))) == errc::size_mismatch);
  CHECK(code_of(blocq::packed::from_gptq(4, {64, 32, 0}, view(t))) == errc::ragged);
  CHECK(code_of(blocq::packed::from_int4(blocq::int4_layout::awq, {64, 32, 0}, view(t))) == errc::bad_value);
  CHECK(code_of(blocq::packed::from_int4(blocq::int4_layout::awq, {32, 32, 32}, view(t))) == errc::size_mismatch);
  CHECK(code_of(blocq::packed::from_gptq(4, {std::size_t{1} << 60, std::size_t{1} << 60, 32}, {})) ==
        errc::size_mismatch);
  CHECK(code_of(blocq::packed::from_int4(blocq::int4_layout::gptq, {std::size_t{1} << 60, 16, std::size_t{1} << 60},
                                         view(t))) == errc::size_mismatch);
  integer_matrix zero = good;
  zero.zeros[0] = 0.0f;
  CHECK(code_of(blocq::packed::to_gptq(zero, gptq_nibbles)) == errc::bad_value);
  zero.zeros.assign(zero.zeros.size(), 15.0f);
  CHECK(code_of(blocq::packed::to_gptq(zero)) == errc::ok);
  CHECK(code_of(blocq::packed::to_gptq(zero, awq)) == errc::bad_value);
  CHECK(code_of(blocq::packed::from_gptq(4, t.shape, view(t), compressed_tensors)) == errc::bad_value);
  for (const auto layout : {gptq, gptq_v2}) {
    zero.zeros[0] = 16.0f;
    CHECK(code_of(blocq::packed::to_gptq(zero, layout)) == errc::bad_value);
  }
  integer_matrix wide = good;
  wide.codes[33] = 16;
  const auto refused = blocq::packed::to_gptq(wide, gptq_nibbles);
  REQUIRE_FALSE(refused);
  CHECK(std::string_view(refused.message()) == "code 33 has more than 4 bits");
  wide.bits = 8;
  wide.codes[33] = 255;
  CHECK(blocq::packed::to_gptq(wide, gptq_nibbles));
  zero = random_matrix(4, 31, 64, 32, next);
  CHECK(code_of(blocq::packed::to_gptq(zero)) == errc::ragged);
}
