// Activations have the bytes of the reference encoders, from every type of number and for every kind of value.
#include <doctest/doctest.h>
#include <blocq/encode/all.hpp>
#include <blocq/op/activations.hpp>
#include <random.hpp>

#include <cstring>
#include <limits>
#include <vector>

using namespace blocq;

namespace {

constexpr std::size_t count = 256 * 64;

// Rows of all magnitudes, with ties, equal extremes, zeros, and now and then what is no number.
std::vector<float> numbers(int kind) {
  test::random_bits source{static_cast<std::uint64_t>(kind) + 21};
  std::vector<float> x(count);
  for (std::size_t i = 0; i < count; ++i) {
    const float uniform = static_cast<float>(static_cast<std::int32_t>(source.next() >> 40) - 0x800000) * 0x1p-23f;
    switch (kind) {
      case 0: x[i] = uniform; break;
      case 1: x[i] = static_cast<float>(source.byte() - 127) / 2.0f; break;  // halves, and 63.5 or so with both signs
      case 2: x[i] = from_bits(static_cast<std::uint32_t>(source.next())); break;
      case 3: x[i] = uniform * from_bits(static_cast<std::uint32_t>(i / 256 + 1) << 25); break;
      case 4: x[i] = i % 97 == 0 ? std::numeric_limits<float>::quiet_NaN() : i % 89 == 0 ? -0x1p127f : uniform; break;
      default: x[i] = i / 256 % 2 == 0 ? 0.0f : i % 5 == 0 ? -0.0f : uniform * 1e-38f;
    }
  }
  return x;
}

template <class A, class X>
std::size_t differences(const std::vector<X>& x, const std::vector<float>& same) {
  std::vector<A> want(count / block_size<A>), got(want.size());
  encode(same.data(), want.size(), encode_context{}, want.data());
  quantize_activations(x, got);
  std::size_t different = 0;
  for (std::size_t i = 0; i < got.size(); ++i) different += std::memcmp(&want[i], &got[i], sizeof(A)) != 0;
  return different;
}

}  // namespace

TEST_CASE_TEMPLATE("activations have the reference's bytes", A, q8_0, q8_1, q8_k) {
  for (int kind = 0; kind < 6; ++kind) {
    CAPTURE(kind);
    const std::vector<float> x = numbers(kind);
    CHECK(differences<A>(x, x) == 0);
    std::vector<f16> halves(count);
    std::vector<bf16> uppers(count);
    std::vector<float> from_halves(count), from_uppers(count);
    for (std::size_t i = 0; i < count; ++i) {
      store(halves[i].code, f32_to_f16(x[i]));
      store(uppers[i].code, f32_to_bf16(x[i]));
      decode(halves[i], &from_halves[i]);
      decode(uppers[i], &from_uppers[i]);
    }
    CHECK(differences<A>(halves, from_halves) == 0);
    CHECK(differences<A>(uppers, from_uppers) == 0);
  }
}
