// The vectors of four lanes against the model: what works within 32 bytes is compared half by half, the rest with
// loops.
#include <doctest/doctest.h>
#include <blocq/simd/quad.hpp>
#include <random.hpp>

#include <array>
#include <cstdint>
#include <cstring>

namespace {

namespace common = blocq::simd::common;
namespace native = blocq::simd::native;
namespace quad = blocq::simd::quad;

using image = std::array<std::uint8_t, 64>;

template <class V>
image image_of(const V& v) {
  static_assert(sizeof(V) == 64);
  image bytes;
  std::memcpy(bytes.data(), &v, 64);
  return bytes;
}
template <class V>
image image_of(const V& low, const V& high) {
  static_assert(sizeof(V) == 32);
  image bytes;
  std::memcpy(bytes.data(), &low, 32);
  std::memcpy(bytes.data() + 32, &high, 32);
  return bytes;
}

// Random bytes; numbers in binary16 and floats that are finite.
struct operands {
  std::uint8_t bytes[1024];
  std::uint16_t halves[256];
  float floats[64];

  explicit operands(test::random_bits& random) {
    for (std::uint8_t& b : bytes) b = static_cast<std::uint8_t>(random.next() >> 56);
    for (std::uint16_t& h : halves) h = static_cast<std::uint16_t>((random.next() >> 48) & 0xbfff);
    for (float& f : floats) f = static_cast<float>(static_cast<int>(random.next() >> 54) - 512) * 0.25f;
  }
};

// What f gives for the two halves of its operands in the model's vectors: f(offset in bytes).
template <class F>
image halves_of(F&& f) {
  return image_of(f(0), f(32));
}

template <class V>
std::array<std::int32_t, 16> integers(const V& v) {
  std::array<std::int32_t, 16> r;
  std::memcpy(r.data(), &v, 64);
  return r;
}

}  // namespace

TEST_CASE("four lanes are loaded as their addresses say") {
  test::random_bits random{11};
  const operands o(random);
  const std::uint8_t* const p = o.bytes;
  image want;
  for (int l = 0; l < 4; ++l) std::memcpy(want.data() + 16 * l, p + 50 * l + 3, 16);
  CHECK(image_of(quad::load_lanes(p + 3, p + 53, p + 103, p + 153)) == want);
  for (int l = 0; l < 4; ++l) std::memcpy(want.data() + 16 * l, p + 7, 16);
  CHECK(image_of(quad::fill_lanes(p + 7)) == want);
  std::memcpy(want.data(), p + 1, 32);
  std::memcpy(want.data() + 32, p + 101, 32);
  CHECK(image_of(quad::load_halves(p + 1, p + 101)) == want);
  CHECK(image_of(quad::join(native::load_bytes(p + 1), native::load_bytes(p + 101))) == want);
  image stored;
  quad::store_bytes(stored.data(), quad::load_halves(p + 1, p + 101));
  CHECK(stored == want);
  CHECK(image_of(quad::spread_bits_of_halves(p + 2, p + 50, 2)) ==
        image_of(common::spread_bits(p + 2, 2), common::spread_bits(p + 50, 2)));
  CHECK(image_of(quad::load_tapered(p + 5, p + 77, p + 99)) ==
        image_of(common::load_bytes(p + 5), common::half_and_eighth(p + 77, p + 99)));
  for (int i = 0; i < 2; ++i) {
    for (int b = 0; b < 64; ++b)
      want[static_cast<std::size_t>(b)] = p[50 * (b / 16) + 3 + b % 16 / 8 * 16 + 8 * i + b % 8];
    CHECK(image_of(quad::load_every_other<8>(p + 3, p + 53, p + 103, p + 153, i)) == want);
    CHECK(image_of(quad::load_every_other<16>(p + 3, p + 53, p + 103, p + 153, i)) ==
          image_of(quad::load_lanes(p + 3 + 16 * i, p + 53 + 16 * i, p + 103 + 16 * i, p + 153 + 16 * i)));
  }
  for (int h = 0; h < 2; ++h)
    CHECK(image_of(quad::spread_bits(p, p + 9, p + 21, p + 33, h, 16)) ==
          image_of(common::spread_bits_of_two(p, p + 9, h, 16), common::spread_bits_of_two(p + 21, p + 33, h, 16)));
}

TEST_CASE("what works within lanes is that of the model in both halves") {
  test::random_bits random{12};
  for (int round = 0; round < 100; ++round) {
    const operands o(random);
    const std::uint8_t *const p = o.bytes, *const q = o.bytes + 64;
    const auto a = quad::load_bytes(p), b = quad::load_bytes(q);
    const auto codes = quad::move_bits<7, 0, 0>(a);
    const auto model = [](const std::uint8_t* from) { return common::load_bytes(from); };
    const auto model_codes = [&](int i) { return common::move_bits<7, 0, 0>(model(p + i)); };
    CHECK(image_of(codes) == halves_of(model_codes));
    CHECK(image_of(quad::move_bits<4, 4, 0>(a)) ==
          halves_of([&](int i) { return common::move_bits<4, 4, 0>(model(p + i)); }));
    CHECK(image_of(quad::move_bits<2, 6, 4>(a)) ==
          halves_of([&](int i) { return common::move_bits<2, 6, 4>(model(p + i)); }));
    CHECK(image_of(quad::move_bits<1, 2, 7>(a)) ==
          halves_of([&](int i) { return common::move_bits<1, 2, 7>(model(p + i)); }));
    CHECK(image_of(quad::count_bits(a)) == halves_of([&](int i) { return common::count_bits(model(p + i)); }));
    auto even = quad::little_words(a), odd = quad::shift_right(even, 8);
    for (int n = 0; n < 5; ++n)
      CHECK(image_of(quad::next_digits(even, odd)) == halves_of([&](int i) {
              common::bytes multiple = model(p + i);
              for (int k = 0; k < n; ++k) multiple = multiple + multiple + multiple;
              return common::carry_of_thrice(multiple);
            }));
    CHECK(image_of(quad::lookup16(quad::fill_lanes(q), quad::move_bits<4, 0, 0>(a))) == halves_of([&](int i) {
            return common::lookup16(common::load_halves(q), common::move_bits<4, 0, 0>(model(p + i)));
          }));
    const quad::bytes planes[] = {a, b, codes};
    CHECK(image_of(quad::join_planes<0, 1>(planes)) ==
          halves_of([&](int i) { return common::spread_bits_of_quarters<0>(model(p + i), 1); }));
    CHECK(image_of(quad::join_planes<5, 3>(planes)) == halves_of([&](int i) {
            return common::spread_bits_of_quarters<5>(model(p + i), 1) |
                   common::spread_bits_of_quarters<5>(model(q + i), 2) |
                   common::spread_bits_of_quarters<5>(model_codes(i), 4);
          }));
    for (int h = 0; h < 2; ++h) {
      CHECK(image_of(quad::interleave_bytes(a, b, h)) ==
            halves_of([&](int i) { return common::interleave_bytes(model(p + i), model(q + i), h); }));
      CHECK(image_of(quad::interleave_words(a, b, h)) ==
            halves_of([&](int i) { return common::interleave_words(model(p + i), model(q + i), h); }));
    }
    CHECK(image_of(quad::shift_left(quad::as_ints(a), 5)) ==
          halves_of([&](int i) { return common::shift_left(common::as_ints(model(p + i)), 5); }));
    for (int h = 0; h < 2; ++h)
      CHECK(image_of(quad::widen_quarters(a, h)) ==
            halves_of([&](int i) { return common::widen_quarters(model(p + i), h); }));

    const auto words = quad::maddubs(codes, b);
    const auto model_words = [&](int i) { return common::maddubs(model_codes(i), model(q + i)); };
    CHECK(image_of(words) == halves_of(model_words));
    CHECK(image_of(quad::fours(words, words)) ==
          halves_of([&](int i) { return common::add_neighbours<8>(model_words(i), model_words(i)); }));
    auto ints = quad::madd2(words, quad::fill_words(3));
    const auto model_ints = [&](int i) { return common::madd2(model_words(i), common::fill_words(3)); };
    CHECK(image_of(ints) == halves_of(model_ints));
    CHECK(image_of(quad::fours(ints - ints, quad::fill_ints(-7))) ==
          halves_of([&](int) { return common::pack(common::fill_ints(0), common::fill_ints(-7)); }));
    CHECK(image_of(quad::even_and_odd(ints, quad::fill_ints(-5))) ==
          halves_of([&](int i) { return common::even_and_odd(model_ints(i), common::fill_ints(-5)); }));
    quad::madd2_to(ints, words, quad::fill_words(-2));
    quad::dot4_to(ints, codes, b);
    CHECK(image_of(ints) == halves_of([&](int i) {
            common::ints sum = model_ints(i);
            common::madd2_to(sum, model_words(i), common::fill_words(-2));
            common::dot4_to(sum, model_codes(i), model(q + i));
            return sum;
          }));
    CHECK(image_of(quad::to_floats(ints) * quad::fill_floats(0.5f)) == halves_of([&](int i) {
            common::ints sum;
            std::memcpy(sum.v, integers(ints).data() + i / 4, 32);
            return common::to_floats(sum) * common::fill_floats(0.5f);
          }));
  }
}

TEST_CASE("sums of lanes meet in the lanes and places that their names say") {
  test::random_bits random{13};
  const operands o(random);
  const auto v = [&](int i) { return quad::as_ints(quad::load_bytes(o.bytes + 64 * i)); };
  const auto met = integers(quad::meet(v(0), v(1), v(2), v(3)));
  const auto sum_of_lane = [&](int i, int lane) {
    std::uint32_t sum = 0;
    for (int j = 0; j < 4; ++j)
      sum += static_cast<std::uint32_t>(integers(v(i))[static_cast<std::size_t>(4 * lane + j)]);
    return static_cast<std::int32_t>(sum);
  };
  for (int l = 0; l < 4; ++l)
    for (int j = 0; j < 4; ++j) CHECK(met[static_cast<std::size_t>(4 * l + j)] == sum_of_lane(j, l));
  const auto pairs = integers(quad::meet_halves(v(0), v(1)));
  for (int i = 0; i < 16; ++i) {
    const auto from = integers(v(i / 8));
    const auto at = static_cast<std::size_t>(i % 8 / 4 * 8 + i % 4);
    CHECK(static_cast<std::uint32_t>(pairs[static_cast<std::size_t>(i)]) ==
          static_cast<std::uint32_t>(from[at]) + static_cast<std::uint32_t>(from[at + 4]));
  }
}

TEST_CASE("words and floats are spread to the lanes that their indices say") {
  test::random_bits random{14};
  const operands o(random);
  std::int16_t sixteen[16], all[32], words[32];
  std::memcpy(sixteen, o.bytes, 32);
  constexpr int index[8] = {3, 15, 0, 9, 8, 2, 14, 1};
  const auto spread = quad::spread_words<3, 15, 0, 9, 8, 2, 14, 1>(native::load_words(sixteen));
  std::memcpy(words, &spread, 64);
  for (int i = 0; i < 32; ++i) CHECK(words[i] == sixteen[index[i / 4]]);

  const auto source = quad::as_words(quad::load_bytes(o.bytes + 64));
  std::memcpy(all, &source, 64);
  const auto lane = quad::spread_lane<2, 7, 0, 1, 6, 2, 5, 3, 4>(source);
  constexpr int in_lane[8] = {7, 0, 1, 6, 2, 5, 3, 4};
  std::memcpy(words, &lane, 64);
  for (int i = 0; i < 32; ++i) CHECK(words[i] == all[16 + in_lane[i / 4]]);

  float f[16], to[16];
  const auto four = quad::fill_four(1.0f, -2.0f, 3.5f, 0.25f);
  quad::store_floats(f, four);
  quad::store_floats(to, quad::spread_lanes(four));
  for (int i = 0; i < 16; ++i) {
    CHECK(f[i] == f[i % 4]);
    CHECK(to[i] == f[i / 4]);
  }
  quad::store_floats(f, quad::load_floats(o.floats));
  for (int h = 0; h < 2; ++h) {
    quad::store_floats(to, quad::twice(quad::load_floats(o.floats), h));
    for (int i = 0; i < 16; ++i) CHECK(to[i] == o.floats[i / 4 * 4 + 2 * h + i % 4 / 2]);
  }
  auto even = quad::load_floats(o.floats), odd = quad::load_floats(o.floats + 16);
  quad::split_pairs(even, odd);
  quad::store_floats(f, even);
  quad::store_floats(to, odd);
  for (int i = 0; i < 16; ++i) {
    CHECK(f[i] == o.floats[2 * i]);
    CHECK(to[i] == o.floats[2 * i + 1]);
  }
}

TEST_CASE("sixteen numbers of two bytes are gathered from blocks of any size") {
  test::random_bits random{15};
  const operands o(random);
  const auto check = [&]<std::size_t Stride>(std::integral_constant<std::size_t, Stride>) {
    // Nothing beyond the last block may be needed.
    std::uint8_t blocks[16 * Stride];
    for (std::size_t i = 0; i < sizeof blocks; ++i) blocks[i] = o.bytes[i % sizeof o.bytes];
    for (std::size_t i = 0; i < 16; ++i) {
      const blocq::le16 h =
          blocq::le16{{static_cast<std::uint8_t>(o.halves[i] & 255), static_cast<std::uint8_t>(o.halves[i] >> 8)}};
      std::memcpy(blocks + i * Stride, &h, 2);
    }
    float got[16];
    quad::store_floats(got, quad::load_halves_as_floats<Stride>(blocks));
    for (std::size_t i = 0; i < 16; ++i) CHECK(got[i] == blocq::f16_to_f32(o.halves[i]));
    if constexpr (Stride % 4 == 0) {
      quad::floats first, second;
      std::memcpy(blocks + 2, o.halves + 20, 2);
      quad::load_pairs_of_halves_as_floats<Stride>(blocks, first, second);
      CHECK(image_of(first) == image_of(quad::load_halves_as_floats<Stride>(blocks)));
      std::memmove(blocks, blocks + 2, sizeof blocks - 2);
      CHECK(image_of(second) == image_of(quad::load_halves_as_floats<Stride>(blocks)));
    }
  };
  check(std::integral_constant<std::size_t, 18>{});
  check(std::integral_constant<std::size_t, 20>{});
  check(std::integral_constant<std::size_t, 22>{});
  check(std::integral_constant<std::size_t, 24>{});
  check(std::integral_constant<std::size_t, 34>{});
  check(std::integral_constant<std::size_t, 36>{});
}
