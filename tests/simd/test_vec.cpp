// The primitives of this build's instruction set against those of common.hpp, on random and extreme operands. A build
// whose primitives are those of common.hpp has nothing to compare.
#include <doctest/doctest.h>
#include <blocq/simd/vec.hpp>
#include <random.hpp>

#include <array>
#include <cstdint>
#include <cstring>

namespace {

namespace common = blocq::simd::common;
namespace native = blocq::simd::native;

constexpr int rounds = 300;

// Random bytes, or bytes that are at the ends of a range, at an address without alignment.
struct buffer {
  std::uint8_t storage[257];

  buffer(test::random_bits& random, int round) {
    static constexpr std::uint8_t extremes[] = {0, 1, 127, 128, 129, 255};
    for (std::uint8_t& b : storage) {
      const auto r = static_cast<std::uint32_t>(random.next() >> 32);
      const bool is_random = round % 3 == 0 || (round % 3 == 1 && r % 2 != 0);
      b = is_random ? static_cast<std::uint8_t>(r >> 24) : extremes[(r >> 8) % 6];
    }
  }
  const std::uint8_t* operator+(int i) const { return storage + 1 + i; }
};

using image = std::array<std::uint8_t, 32>;

// What a vector holds; all NaNs are one.
template <class V>
image image_of(const V& v) {
  static_assert(sizeof(V) == 32);
  image bytes;
  std::memcpy(bytes.data(), &v, 32);
  if constexpr (std::is_same_v<V, common::floats> || std::is_same_v<V, native::floats>)
    for (std::size_t i = 0; i < 32; i += 4) {
      std::uint32_t bits;
      std::memcpy(&bits, &bytes[i], 4);
      if ((bits & 0x7fffffffu) > 0x7f800000u) bits = blocq::quiet_nan_bits;
      std::memcpy(&bytes[i], &bits, 4);
    }
  return bytes;
}
std::uint32_t image_of(float x) { return blocq::to_bits(x); }

// Runs a statement that returns a vector with `vec` as either set of primitives.
#define CHECK_SAME(...)                       \
  do {                                        \
    const auto want = [&] {                   \
      namespace vec = common;                 \
      return image_of(__VA_ARGS__);           \
    }();                                      \
    const auto got = [&] {                    \
      namespace vec = native;                 \
      return image_of(__VA_ARGS__);           \
    }();                                      \
    CHECK_MESSAGE(want == got, #__VA_ARGS__); \
  } while (false)

// Calls f with the operands of each round.
template <class F>
void for_each_round(F&& f) {
  if (std::is_same_v<common::bytes, native::bytes>) return;
  test::random_bits random{17};
  for (int round = 0; round < rounds; ++round) {
    const buffer p(random, round), q(random, round + 1);
    f(p, q);
  }
}

// Numbers whose sums and products are exact.
struct small_floats {
  float v[16];
  explicit small_floats(const buffer& p) {
    for (int i = 0; i < 16; ++i) v[i] = static_cast<float>(static_cast<std::int8_t>(p.storage[i])) * 0.25f;
  }
};

struct words_of {
  std::int16_t v[32];
  explicit words_of(const buffer& p) { std::memcpy(v, p.storage, sizeof v); }
};

}  // namespace

TEST_CASE("bytes are loaded and stored like those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    CHECK_SAME(vec::load_bytes(p + 0));
    CHECK_SAME(vec::fill_bytes(p.storage[0]));
    CHECK_SAME(vec::fill_bytes(static_cast<std::int8_t>(p.storage[0])));
    CHECK_SAME(vec::load_halves(p + 3));
    CHECK_SAME(vec::load_quarters(p + 9, q + 1, p + 0, q + 30));
    CHECK_SAME(vec::load_eighths([&](int i) { return p + (q.storage[i] + 8 * i) % 250; }));
    for (int i = 0; i < 4; ++i)
      CHECK_SAME([&] {
        decltype(vec::load_bytes(p + 0)) v[4];
        vec::load_columns([&](int r) { return p + (q.storage[r] % 100 + 17 * r); }, v);
        return v[i];
      }());
    CHECK_SAME(vec::fill_eighths(p + 5));
    CHECK_SAME(vec::load_two(p + 7, q + 2));
    CHECK_SAME(vec::half_and_eighths(p + 7, q + 2));
    CHECK_SAME(vec::fill_halves(p.storage[0], q.storage[0]));
    std::uint8_t stored[33];
    native::store_bytes(stored + 1, native::load_bytes(p + 0));
    CHECK(std::memcmp(stored + 1, p + 0, 32) == 0);
  });
}

TEST_CASE("arithmetic of bytes is that of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    CHECK_SAME(vec::load_bytes(p + 0) & vec::load_bytes(q + 0));
    CHECK_SAME(vec::load_bytes(p + 0) | vec::load_bytes(q + 0));
    CHECK_SAME(vec::load_bytes(p + 0) ^ vec::load_bytes(q + 0));
    CHECK_SAME(vec::load_bytes(p + 0) + vec::load_bytes(q + 0));
    CHECK_SAME(vec::load_bytes(p + 0) - vec::load_bytes(q + 0));
    CHECK_SAME(vec::load_bytes(p + 0) * vec::load_bytes(q + 0));
    CHECK_SAME(vec::carry_of_thrice(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::negate_by_bits(vec::load_bytes(p + 0), q + 0));
    for (const int round : {0, 1}) {
      std::uint8_t one[32] = {};
      one[p.storage[0] % 32] = static_cast<std::uint8_t>(round << (q.storage[0] % 8));
      CHECK(native::any(native::load_bytes(one)) == (round == 1));
    }
    CHECK_SAME(vec::equal(vec::load_bytes(p + 0), vec::load_bytes(q + 0)));
    CHECK_SAME(vec::lesser(vec::load_bytes(p + 0), vec::load_bytes(q + 0)));
    CHECK_SAME(vec::negate_where(vec::load_bytes(p + 0), vec::equal(vec::load_bytes(p + 0), vec::load_bytes(q + 0))));
  });
}

TEST_CASE("fields of bytes are those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    for (int shift = 0; shift < 8; ++shift) {
      CHECK_SAME(vec::shift_left(vec::load_bytes(p + 0), shift));
      CHECK_SAME(vec::field<1>(vec::load_bytes(p + 0), shift));
      if (shift <= 6) CHECK_SAME(vec::field<2>(vec::load_bytes(p + 0), shift));
      if (shift <= 4) CHECK_SAME(vec::field<4>(vec::load_bytes(p + 0), shift));
    }
    CHECK(common::upper_bits(common::load_bytes(p + 0)) == native::upper_bits(native::load_bytes(p + 0)));
    CHECK_SAME(vec::count_bits(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::split_nibbles(p + 0));
    CHECK_SAME(vec::spread_nibbles(p + 0));
    CHECK_SAME(vec::spread_nibbles<true>(p + 0));
    CHECK_SAME(vec::spread_pairs(p + 0));
    CHECK_SAME(vec::spread_bits(p + 0, 255));
    CHECK_SAME(vec::spread_bits(p + 0, 16));
    CHECK_SAME(vec::spread_sixes(p + 0));
    CHECK_SAME(vec::spread_bytes(p + 0));
    CHECK_SAME(vec::spread_bits_of_eighths<0>(vec::load_bytes(p + 0), 255));
    CHECK_SAME(vec::spread_bits_of_eighths<12>(vec::load_bytes(p + 0), 16));
    CHECK_SAME(vec::spread_bits_of_eighths<24>(vec::load_bytes(p + 0), 1));
    CHECK_SAME(vec::spread_bits_of_quarters<0>(vec::load_bytes(p + 0), 1));
    CHECK_SAME(vec::spread_bits_of_quarters<7>(vec::load_bytes(p + 0), 4));
    for (int h = 0; h < 2; ++h) {
      CHECK_SAME(vec::spread_bits_of_two(p + 0, q + 0, h, 16));
      CHECK_SAME(vec::interleave(vec::load_bytes(p + 0), vec::load_bytes(q + 0), h));
      CHECK_SAME(vec::interleave_bytes(vec::load_bytes(p + 0), vec::load_bytes(q + 0), h));
      CHECK_SAME(vec::interleave_words(vec::load_bytes(p + 0), vec::load_bytes(q + 0), h));
    }
    CHECK_SAME(vec::swap_middle_quarters(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::lookup16(vec::load_bytes(p + 0), vec::field<7>(vec::load_bytes(q + 0), 0)));
  });
}

TEST_CASE("floats are those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    const small_floats a(p), b(q);
    for (int i = 0; i < 4; ++i) CHECK_SAME(vec::to_floats(vec::load_bytes(p + 0), i));
    CHECK_SAME(vec::load_floats(a.v + 1));
    CHECK_SAME(vec::fill_floats(a.v[0]));
    CHECK_SAME(vec::load_floats(a.v) * vec::load_floats(b.v));
    CHECK_SAME(vec::load_floats(a.v) + vec::load_floats(b.v));
    CHECK_SAME(vec::load_floats(a.v) - vec::load_floats(b.v));
    CHECK_SAME(vec::as_written(vec::load_floats(a.v)));
    CHECK_SAME(vec::quotient(vec::load_floats(a.v), vec::load_floats(b.v)));
    CHECK_SAME(vec::fma(vec::load_floats(a.v), vec::load_floats(b.v), vec::load_floats(a.v + 8)));
    CHECK_SAME(vec::fill_two(a.v[0], b.v[0]));
    CHECK_SAME(vec::copy_sign(vec::fill_floats(0.5f), vec::load_floats(b.v)));
    CHECK_SAME(vec::truncate(vec::load_floats(a.v)));
    CHECK_SAME(vec::nearest(vec::load_floats(a.v)));
    CHECK_SAME(vec::load_halves_as_floats([&](int i) { return p + (i * i); }));
    std::uint16_t halves[8];
    native::store_halves(halves, native::load_floats(a.v));
    for (int i = 0; i < 8; ++i) CHECK(halves[i] == blocq::f32_to_f16(a.v[i]));
    CHECK(native::float_to_half(a.v[0] * 1e-5f) == blocq::f32_to_f16(a.v[0] * 1e-5f));
    CHECK_SAME(vec::sum(vec::load_floats(a.v)));
    CHECK_SAME(vec::lookup16(a.v, vec::field<4>(vec::load_bytes(q + 0), 0), 1));
    CHECK_SAME(vec::lookup16(a.v, vec::field<4>(vec::load_bytes(q + 0), 0), 2));
    float stored[8];
    native::store_floats(stored, native::load_floats(a.v));
    CHECK(std::memcmp(stored, a.v, sizeof stored) == 0);
  });
}

TEST_CASE("words are those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    const words_of words_a(p), words_b(q);
    const std::int16_t(&a)[32] = words_a.v, (&b)[32] = words_b.v;
    const auto low = static_cast<std::uint64_t>(p.storage[0]) * 0x0123456789abcdefu, high = ~low * 0x9e3779b97f4a7c15u;
    CHECK_SAME(vec::load_words(a));
    CHECK_SAME(vec::widen(low, high));
    CHECK_SAME(vec::widen_twice(high));
    CHECK_SAME(vec::fill_words(a[0]));
    CHECK_SAME(vec::load_little_words(p + 0));
    CHECK_SAME(vec::shift_right(vec::load_words(a), 9));
    CHECK_SAME(vec::load_words(a) & vec::load_words(b));
    CHECK_SAME(vec::narrow(vec::shift_right(vec::load_words(a), 9), vec::shift_right(vec::load_words(b), 8)));
    CHECK_SAME(vec::fill_two(a + 1));
    CHECK_SAME(vec::load_words(a) + vec::load_words(b));
    CHECK_SAME(vec::load_words(a) - vec::load_words(b));
    CHECK_SAME(vec::load_words(a) * vec::load_words(b));
    CHECK_SAME(vec::load_words(a) | vec::load_words(b));
    CHECK_SAME(vec::equal(vec::load_words(a), vec::load_words(b)));
    CHECK_SAME(vec::move_field<7, 1, 15>(vec::load_words(a)));
    CHECK_SAME(vec::move_field<0, 7, 7>(vec::load_words(a)));
    CHECK_SAME(vec::move_field<9, 7, 0>(vec::load_words(a)));
    for (int h = 0; h < 2; ++h) {
      CHECK_SAME(vec::widen_codes(vec::load_bytes(p + 0), h));
      CHECK_SAME(vec::widen_half(vec::load_bytes(p + 0), h));
      CHECK_SAME(vec::halves_to_floats(vec::load_words(a), h));
      CHECK_SAME(vec::repeat_words(vec::load_words(a), h));
    }
    CHECK_SAME(vec::widen_even(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::widen_odd(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::widen_two<0, 0>(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::widen_two<2, 3>(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::add_neighbours<4>(vec::load_words(a), vec::load_words(b)));
    CHECK_SAME(vec::add_neighbours<8>(vec::load_words(a), vec::load_words(b)));
    CHECK_SAME(vec::add_neighbours<16>(vec::load_words(a), vec::load_words(b)));
    CHECK_SAME(vec::load_f16(p + 0));
    CHECK_SAME(vec::load_bf16(p + 0));
    CHECK_SAME([&] {
      auto sum = vec::load_words(a);
      vec::add_to(sum, vec::load_words(b));
      return sum;
    }());
    // Sums of two products stay within 16 bits with codes of up to 7 bits.
    CHECK_SAME(vec::maddubs(vec::field<7>(vec::load_bytes(p + 0), 0), vec::load_bytes(q + 0)));
    CHECK_SAME(vec::maddss(vec::load_bytes(p + 0), vec::field<7>(vec::load_bytes(q + 0), 0) - vec::fill_bytes(127)));
    CHECK_SAME(vec::maddss(vec::load_bytes(p + 0), vec::field<7>(vec::load_bytes(q + 0), 0)));
    CHECK(blocq::to_bits(native::half_to_float(static_cast<std::uint16_t>(a[0] & 0x7bff))) ==
          blocq::to_bits(blocq::f16_to_f32(static_cast<std::uint16_t>(a[0] & 0x7bff))));
    std::int16_t stored[16];
    native::store_words(stored, native::load_words(a));
    CHECK(std::memcmp(stored, a, sizeof stored) == 0);
  });
}

TEST_CASE("every binary16 is widened as by the model") {
  if (std::is_same_v<common::bytes, native::bytes>) return;
  for (unsigned first = 0; first < 65536; first += 16) {
    std::int16_t codes[16];
    for (unsigned i = 0; i < 16; ++i) codes[i] = static_cast<std::int16_t>(first + i);
    CHECK_SAME(vec::halves_to_floats(vec::load_words(codes), 0));
    CHECK_SAME(vec::halves_to_floats(vec::load_words(codes), 1));
  }
}

TEST_CASE("integers are those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    words_of a(p), b(q);
    for (std::int16_t& w : a.v) w = w == -32768 ? -32767 : w;  // two products of 2^30 do not fit
    CHECK_SAME(vec::madd2(vec::load_words(a.v), vec::load_words(b.v)));
    CHECK_SAME(vec::to_floats(vec::madd2(vec::load_words(a.v), vec::load_words(b.v))));
    CHECK_SAME([&] {
      auto sum = vec::fill_ints(b.v[0]);
      vec::add_to(sum, vec::madd2(vec::load_words(a.v), vec::fill_words(-1)));
      return sum;
    }());
    CHECK_SAME(vec::fill_ints(a.v[0] * 65536));
    CHECK_SAME(vec::upper_words(vec::load_bytes(p + 0)));
    CHECK_SAME(vec::madd2(vec::load_words(a.v), vec::fill_words(-1)) + vec::fill_ints(b.v[0]));
    CHECK_SAME(vec::madd2(vec::load_words(a.v), vec::fill_words(-1)) - vec::fill_ints(b.v[0]));
    CHECK_SAME(vec::madd2(vec::load_words(a.v), vec::fill_words(1)) * vec::fill_ints(b.v[0] / 2));
  });
}

TEST_CASE("four products are added to an integer as by the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    CHECK_SAME([&] {
      auto sum = vec::load_ints(q + 40) & vec::fill_ints(0xffffff);
      vec::dot4_to(sum, vec::field<7>(vec::load_bytes(p + 0), 0), vec::load_bytes(q + 0));
      return sum;
    }());
    // Signed bytes: the bias times the other operand is what the biased ones give too much.
    CHECK_SAME([&] {
      const auto s = vec::load_bytes(q + 0), bias = vec::fill_bytes(vec::dot4_bias);
      auto sum = vec::fill_ints(0), minus = sum;
      vec::dot4_to(sum, vec::load_bytes(p + 0) ^ bias, s);
      for (int i = 0; i < vec::dot4_bias; ++i) vec::dot4_to(minus, vec::fill_bytes(1), s);
      return sum - minus;
    }());
  });
}

TEST_CASE("vectors are read as others like those of the model") {
  for_each_round([](const buffer& p, const buffer&) {
    CHECK_SAME(vec::as_bytes(vec::as_words(vec::load_bytes(p + 0))));
    CHECK_SAME(vec::little_bytes(vec::load_ints(p + 0)));
    CHECK_SAME(vec::as_bytes(vec::as_floats(vec::load_bytes(p + 0))));
    CHECK_SAME(vec::as_words(vec::load_bytes(p + 0)));
  });
}

TEST_CASE("eight vectors are transposed like those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    for (int i = 0; i < 8; ++i) {
      const auto transposed = [&]<class V>(V first, auto load) {
        V v[8] = {first};
        for (int j = 0; j < 8; ++j) v[j] = load(j % 2 == 0 ? p + 16 * j : q + 16 * j);
        transpose_eighths(v);
        return v[i];
      };
      CHECK_SAME(transposed(vec::fill_bytes(0), [](const void* at) { return vec::load_bytes(at); }));
    }
  });
}

TEST_CASE("integers of 32 bits are those of the model") {
  for_each_round([](const buffer& p, const buffer& q) {
    CHECK_SAME(vec::load_ints(p + 0) & vec::load_ints(q + 0));
    CHECK_SAME(vec::load_ints(p + 0) | vec::load_ints(q + 0));
    CHECK_SAME(vec::equal(vec::load_ints(p + 0), vec::load_ints(q + 0)));
    CHECK_SAME(vec::shift_left(vec::load_ints(p + 0), 5));
    CHECK_SAME(vec::shift_right(vec::load_ints(p + 0), 28));
    CHECK_SAME(vec::larger(vec::load_ints(p + 0), vec::load_ints(q + 0)));
    CHECK_SAME(vec::larger_unsigned(vec::load_ints(p + 0), vec::load_ints(q + 0)));
    CHECK_SAME(vec::widen_words(p + 0));
    CHECK_SAME(vec::add_neighbours<4>(vec::widen_words(p + 0), vec::widen_words(q + 0)));
    CHECK_SAME(vec::add_neighbours<8>(vec::widen_words(p + 0), vec::widen_words(q + 0)));
    CHECK_SAME(vec::add_neighbours<16>(vec::widen_words(p + 0), vec::widen_words(q + 0)));
    CHECK_SAME(vec::odd_eighths(p + 0));
    CHECK_SAME(vec::load_bytes_as_ints([&](int i) { return p + 7 * i; }));
    CHECK(native::largest(native::load_ints(p + 0)) == common::largest(common::load_ints(p + 0)));
    CHECK(native::sum(native::widen_words(p + 0)) == common::sum(common::widen_words(p + 0)));
  });
}
