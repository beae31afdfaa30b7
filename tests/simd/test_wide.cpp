// The two vectors of a tile's rows against the model, eight rows at a time.
#include <doctest/doctest.h>
#include <blocq/simd/squares.hpp>
#include <blocq/simd/wide.hpp>
#include <random.hpp>

#include <cstdint>
#include <cstring>

namespace {

namespace common = blocq::simd::common;
namespace wide = blocq::simd::wide;

constexpr std::size_t rows = wide::rows;

struct dwords {
  std::uint32_t v[rows];

  bool operator==(const dwords&) const = default;
};
template <class V>
dwords image_of(const V& v) {
  static_assert(sizeof v == sizeof(dwords));
  dwords d;
  std::memcpy(&d, &v, sizeof d);
  return d;
}
// What f gives for eight rows of its operands after the other in the model's vectors.
template <class F>
dwords model_of(F&& f) {
  dwords d;
  for (std::size_t i = 0; i < rows; i += 8) {
    const auto v = f(i);
    std::memcpy(d.v + i, &v, 32);
  }
  return d;
}

struct operands {
  std::uint32_t a[rows], b[rows];
  float x[rows], y[rows], z[rows];

  explicit operands(test::random_bits& random) {
    const auto number = [&] { return static_cast<float>(static_cast<int>(random.next() >> 54) - 512) * 0.25f; };
    for (std::size_t i = 0; i < rows; ++i) {
      a[i] = static_cast<std::uint32_t>(random.next()), b[i] = static_cast<std::uint32_t>(random.next());
      x[i] = number(), y[i] = number(), z[i] = number() * 1024.0f;
    }
  }
};

}  // namespace

TEST_CASE("a tile's rows are computed like those of the model") {
  test::random_bits random{5};
  for (int round = 0; round < 300; ++round) {
    const operands o(random);
    const auto a = wide::load_bytes(o.a), b = wide::load_bytes(o.b);
    const auto codes = [&](const std::uint32_t* p) {
      std::uint32_t seven[rows];
      for (std::size_t i = 0; i < rows; ++i) seven[i] = p[i] & 0x7f7f7f7fu;
      return wide::load_bytes(seven);
    };
    const auto model = [&](const std::uint32_t* p, std::size_t i) { return common::load_bytes(p + i); };
    const auto model_codes = [&](std::size_t i) { return common::field<7>(model(o.a, i), 0); };

    CHECK(image_of(a) == model_of([&](std::size_t i) { return model(o.a, i); }));
    CHECK(image_of(wide::fill_dwords(o.a + 3)) == model_of([&](std::size_t) { return common::fill_eighths(o.a + 3); }));
    CHECK(image_of(wide::fill_words(round - 150)) ==
          model_of([&](std::size_t) { return common::fill_words(round - 150); }));
    CHECK(image_of(wide::fill_ints(round - 150)) ==
          model_of([&](std::size_t) { return common::fill_ints(round - 150); }));
    CHECK(image_of(wide::upper_words(a)) ==
          model_of([&](std::size_t i) { return common::upper_words(model(o.a, i)); }));
    CHECK(image_of(wide::maddubs(codes(o.a), b)) ==
          model_of([&](std::size_t i) { return common::maddubs(model_codes(i), model(o.b, i)); }));
    const auto words = wide::maddubs(codes(o.a), b);
    const auto model_words = [&](std::size_t i) { return common::maddubs(model_codes(i), model(o.b, i)); };
    const auto ints = wide::madd2(words, wide::fill_words(77));
    const auto model_ints = [&](std::size_t i) { return common::madd2(model_words(i), common::fill_words(77)); };
    CHECK(image_of(ints) == model_of(model_ints));
    CHECK(image_of(wide::to_floats(ints)) == model_of([&](std::size_t i) { return common::to_floats(model_ints(i)); }));
    CHECK(image_of(ints + wide::fill_ints(9)) ==
          model_of([&](std::size_t i) { return model_ints(i) + common::fill_ints(9); }));
    CHECK(image_of(ints * wide::fill_ints(9)) ==
          model_of([&](std::size_t i) { return model_ints(i) * common::fill_ints(9); }));

    auto word_sum = wide::as_words(b);
    wide::add_to(word_sum, words);
    CHECK(image_of(word_sum) ==
          model_of([&](std::size_t i) { return common::as_words(model(o.b, i)) + model_words(i); }));
    auto sum = wide::fill_ints(round);
    wide::add_to(sum, ints);
    CHECK(image_of(sum) == model_of([&](std::size_t i) { return model_ints(i) + common::fill_ints(round); }));
    wide::dot4_to(sum, codes(o.a), b);
    CHECK(image_of(sum) == model_of([&](std::size_t i) {
            auto s = model_ints(i) + common::fill_ints(round);
            common::dot4_to(s, model_codes(i), model(o.b, i));
            return s;
          }));

    const auto x = wide::load_floats(o.x), y = wide::load_floats(o.y), z = wide::load_floats(o.z);
    const auto f = [&](const float* p, std::size_t i) { return common::load_floats(p + i); };
    CHECK(image_of(x * y) == model_of([&](std::size_t i) { return f(o.x, i) * f(o.y, i); }));
    CHECK(image_of(x - y) == model_of([&](std::size_t i) { return f(o.x, i) - f(o.y, i); }));
    CHECK(image_of(wide::fma(x, y, z)) ==
          model_of([&](std::size_t i) { return common::fma(f(o.x, i), f(o.y, i), f(o.z, i)); }));  // exact
    CHECK(image_of(wide::as_floats(a)) == image_of(wide::as_ints(a)));
    float stored[rows];
    wide::store_floats(stored, x);
    CHECK(std::memcmp(stored, o.x, sizeof stored) == 0);
  }
}

namespace {

// T columns, twice the same products.
template <std::size_t T>
void check_squares(test::random_bits& random) {
  if constexpr (blocq::simd::has_squares) {
    std::int8_t w[rows][8], x[T][8];
    std::uint32_t w_dwords[2 * rows], x_dwords[2 * T], first[T];
    for (auto& row : w)
      for (std::int8_t& v : row) v = static_cast<std::int8_t>(random.next());
    for (std::size_t j = 0; j < T; ++j) {
      for (std::int8_t& v : x[j]) v = static_cast<std::int8_t>(random.next());
      first[j] = static_cast<std::uint32_t>(random.next());
    }
    std::memcpy(w_dwords, w, sizeof w);
    std::memcpy(x_dwords, x, sizeof x);
    blocq::simd::squares<T> sums;
    sums.start(first);
    for (int i = 0; i < 2; ++i) sums.add(w_dwords, x_dwords);
    wide::ints columns[T];
    sums.store(columns);
    for (std::size_t j = 0; j < T; ++j) {
      dwords expected;
      for (std::size_t r = 0; r < rows; ++r) {
        int sum = 0;
        for (std::size_t i = 0; i < 8; ++i) sum += w[r][i] * x[j][i];
        expected.v[r] = first[j] + 2 * static_cast<std::uint32_t>(sum);
      }
      CHECK(image_of(columns[j]) == expected);
    }
  }
}

template <std::size_t Rows>
void check_side_by_side() {
  if constexpr (blocq::simd::has_squares) {
    std::uint32_t first[Rows], second[Rows], both[2 * Rows];
    for (std::uint32_t r = 0; r < Rows; ++r) first[r] = 2 * r, second[r] = 2 * r + 1;
    blocq::simd::store_side_by_side(both, blocq::simd::native::load_bytes(first),
                                    blocq::simd::native::load_bytes(second));
    for (std::uint32_t i = 0; i < 2 * Rows; ++i) CHECK(both[i] == i);
  }
}

}  // namespace

TEST_CASE("squares of rows and columns are sums of eight products each") {
  test::random_bits random{6};
  for (int round = 0; round < 100; ++round) {
    check_squares<1>(random);
    check_squares<2>(random);
    check_squares<3>(random);
    check_squares<4>(random);
  }
  check_side_by_side<8>();
}
