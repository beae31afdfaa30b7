// Sixteen rows at once against the model, half by half.
#include <doctest/doctest.h>
#include <blocq/simd/wide.hpp>
#include <random.hpp>

#include <cstdint>
#include <cstring>

namespace {

namespace common = blocq::simd::common;
namespace wide = blocq::simd::wide;

struct dwords {
  std::uint32_t v[16];

  bool operator==(const dwords&) const = default;
};
template <class V>
dwords image_of(const V& v) {
  static_assert(sizeof v == sizeof(dwords));
  dwords d;
  std::memcpy(&d, &v, sizeof d);
  return d;
}
// What f gives for the two halves of its operands in the model's vectors.
template <class F>
dwords halves(F&& f) {
  dwords d;
  for (int h = 0; h < 2; ++h) {
    const auto v = f(8 * h);
    std::memcpy(d.v + 8 * h, &v, 32);
  }
  return d;
}

struct operands {
  std::uint32_t a[16], b[16];
  float x[16], y[16], z[16];

  explicit operands(test::random_bits& random) {
    const auto number = [&] { return static_cast<float>(static_cast<int>(random.next() >> 54) - 512) * 0.25f; };
    for (int i = 0; i < 16; ++i) {
      a[i] = static_cast<std::uint32_t>(random.next()), b[i] = static_cast<std::uint32_t>(random.next());
      x[i] = number(), y[i] = number(), z[i] = number() * 1024.0f;
    }
  }
};

}  // namespace

TEST_CASE("sixteen rows are computed like those of the model") {
  test::random_bits random{5};
  for (int round = 0; round < 300; ++round) {
    const operands o(random);
    const auto a = wide::load_bytes(o.a), b = wide::load_bytes(o.b);
    const auto codes = [&](const std::uint32_t* p) {
      std::uint32_t seven[16];
      for (int i = 0; i < 16; ++i) seven[i] = p[i] & 0x7f7f7f7fu;
      return wide::load_bytes(seven);
    };
    const auto model = [&](const std::uint32_t* p, int i) { return common::load_bytes(p + i); };
    const auto model_codes = [&](int i) { return common::field<7>(model(o.a, i), 0); };

    CHECK(image_of(a) == halves([&](int i) { return model(o.a, i); }));
    CHECK(image_of(wide::fill_dwords(o.a + 3)) == halves([&](int) { return common::fill_eighths(o.a + 3); }));
    CHECK(image_of(wide::fill_words(round - 150)) == halves([&](int) { return common::fill_words(round - 150); }));
    CHECK(image_of(wide::fill_ints(round - 150)) == halves([&](int) { return common::fill_ints(round - 150); }));
    CHECK(image_of(wide::upper_words(a)) == halves([&](int i) { return common::upper_words(model(o.a, i)); }));
    CHECK(image_of(wide::maddubs(codes(o.a), b)) ==
          halves([&](int i) { return common::maddubs(model_codes(i), model(o.b, i)); }));
    const auto words = wide::maddubs(codes(o.a), b);
    const auto model_words = [&](int i) { return common::maddubs(model_codes(i), model(o.b, i)); };
    const auto ints = wide::madd2(words, wide::fill_words(77));
    const auto model_ints = [&](int i) { return common::madd2(model_words(i), common::fill_words(77)); };
    CHECK(image_of(ints) == halves(model_ints));
    CHECK(image_of(wide::to_floats(ints)) == halves([&](int i) { return common::to_floats(model_ints(i)); }));
    CHECK(image_of(ints + wide::fill_ints(9)) == halves([&](int i) { return model_ints(i) + common::fill_ints(9); }));
    CHECK(image_of(ints * wide::fill_ints(9)) == halves([&](int i) { return model_ints(i) * common::fill_ints(9); }));

    auto word_sum = wide::as_words(b);
    wide::add_to(word_sum, words);
    CHECK(image_of(word_sum) == halves([&](int i) { return common::as_words(model(o.b, i)) + model_words(i); }));
    auto sum = wide::fill_ints(round);
    wide::add_to(sum, ints);
    CHECK(image_of(sum) == halves([&](int i) { return model_ints(i) + common::fill_ints(round); }));
    wide::dot4_to(sum, codes(o.a), b);
    CHECK(image_of(sum) == halves([&](int i) {
            auto s = model_ints(i) + common::fill_ints(round);
            common::dot4_to(s, model_codes(i), model(o.b, i));
            return s;
          }));

    const auto x = wide::load_floats(o.x), y = wide::load_floats(o.y), z = wide::load_floats(o.z);
    const auto f = [&](const float* p, int i) { return common::load_floats(p + i); };
    CHECK(image_of(x * y) == halves([&](int i) { return f(o.x, i) * f(o.y, i); }));
    CHECK(image_of(x - y) == halves([&](int i) { return f(o.x, i) - f(o.y, i); }));
    CHECK(image_of(wide::fma(x, y, z)) ==
          halves([&](int i) { return common::fma(f(o.x, i), f(o.y, i), f(o.z, i)); }));  // exact
    CHECK(image_of(wide::as_floats(a)) == image_of(wide::as_ints(a)));
    float stored[16];
    wide::store_floats(stored, x);
    CHECK(std::memcmp(stored, o.x, sizeof stored) == 0);
  }
}
