// Tables of bytes in registers, and what brings indices, signs and scales to them, against plain loops.
#include <doctest/doctest.h>
#include <blocq/simd/quad.hpp>
#include <random.hpp>

#ifdef BLOCQ_HAS_TABLES

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

namespace {

namespace quad = blocq::simd::quad;
namespace native = blocq::simd::native;

using image = std::array<std::uint8_t, 64>;

template <class V>
image image_of(const V& v) {
  static_assert(sizeof v == sizeof(image));
  return std::bit_cast<image>(v);
}
// f(i) in byte i, or in number i of type T.
template <class T = std::uint8_t, class F>
image image_from(F&& f) {
  std::array<T, 64 / sizeof(T)> v;
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<T>(f(i));
  return std::bit_cast<image>(v);
}
template <class T>
T number_at(const image& bytes, std::size_t i) {
  T x;
  std::memcpy(&x, bytes.data() + i * sizeof(T), sizeof(T));
  return x;
}

image random_image(test::random_bits& random) {
  return image_from([&](std::size_t) { return random.byte(); });
}
quad::bytes load(const image& v) { return quad::load_bytes(v.data()); }

template <std::size_t N>
void check_table(test::random_bits& random) {
  alignas(64) static std::uint8_t table[N];
  for (std::uint8_t& entry : table) entry = random.byte();
  const image index = random_image(random), more = random_image(random);
  const quad::flags upper[] = {quad::flag_bytes<7>(load(index)), quad::flag_bytes<0>(load(more)),
                               quad::flag_bytes<1>(load(more)), quad::flag_bytes<2>(load(more))};
  CHECK(image_of(quad::lookup_bytes<N>(table, load(index), upper)) ==
        image_from([&](std::size_t i) { return table[static_cast<std::size_t>(index[i] | more[i] << 8) % N]; }));
}

template <int H>
void check_interleaved(const image& a, const image& b) {
  CHECK(image_of(quad::interleave_qwords(load(a), load(b), H)) == image_from<std::uint64_t>([&](std::size_t i) {
          return number_at<std::uint64_t>(i % 2 == 0 ? a : b, i / 2 * 2 + H);
        }));
}

}  // namespace

TEST_CASE("tables of bytes are looked up like arrays") {
  test::random_bits random{11};
  for (int round = 0; round < 100; ++round) {
    const image a = random_image(random), b = random_image(random), index = random_image(random);
    CHECK(image_of(quad::lookup_bytes(load(a), load(index))) ==
          image_from([&](std::size_t i) { return a[index[i] % 64]; }));
    CHECK(image_of(quad::lookup_bytes(load(a), load(b), load(index))) ==
          image_from([&](std::size_t i) { return (index[i] & 64) == 0 ? a[index[i] % 64] : b[index[i] % 64]; }));
    CHECK(image_of(quad::lookup_dwords(load(a), load(b), load(index))) == image_from<std::uint32_t>([&](std::size_t i) {
            const auto at = number_at<std::uint32_t>(index, i) % 32;
            return number_at<std::uint32_t>(at < 16 ? a : b, at % 16);
          }));
    check_table<128>(random);
    check_table<256>(random);
    check_table<512>(random);
    check_table<1024>(random);
    check_table<2048>(random);
  }
}

TEST_CASE("bits of bytes are flagged, selected and mapped") {
  test::random_bits random{12};
  for (int round = 0; round < 100; ++round) {
    const image a = random_image(random), b = random_image(random), c = random_image(random);
    CHECK(image_of(quad::blend_bytes(quad::flag_bytes<7>(load(c)), load(a), load(b))) ==
          image_from([&](std::size_t i) { return (c[i] & 128) == 0 ? a[i] : b[i]; }));
    CHECK(image_of(quad::blend_bytes(quad::flag_bytes<2>(load(c)), load(a), load(b))) ==
          image_from([&](std::size_t i) { return (c[i] & 4) == 0 ? a[i] : b[i]; }));
    CHECK(image_of(quad::blend_bytes(quad::load_flags(c.data()), load(a), load(b))) ==
          image_from([&](std::size_t i) { return (c[i / 8] >> i % 8 & 1) == 0 ? a[i] : b[i]; }));
    CHECK(image_of(quad::select_bits(load(c), load(a), load(b))) ==
          image_from([&](std::size_t i) { return (c[i] & a[i]) | (~c[i] & b[i]); }));
    constexpr std::uint8_t rows[8] = {0x01, 0x80, 0x7f, 0xff, 0x00, 0x24, 0x10, 0xfe};
    CHECK(image_of(quad::map_bits<rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6], rows[7]>(load(a))) ==
          image_from([&](std::size_t i) {
            int mapped = 0;
            for (int bit = 0; bit < 8; ++bit)
              mapped |= std::popcount(static_cast<std::uint8_t>(a[i] & rows[bit])) % 2 << bit;
            return mapped;
          }));
    CHECK(image_of(quad::take_fields(load(b), load(a))) ==
          image_from([&](std::size_t i) { return std::rotr(number_at<std::uint64_t>(a, i / 8), b[i] % 64); }));
    const auto six_bits = [&](std::size_t i) {
      return a[i / 32 * 40 + i % 32 * 6 / 8] | a[i / 32 * 40 + i % 32 * 6 / 8 + 1] << 8;
    };
    CHECK(image_of(quad::move_bits<6, 0, 0>(quad::spread_sixes(a.data(), a.data() + 40))) ==
          image_from([&](std::size_t i) { return six_bits(i) >> i % 32 * 6 % 8 & 63; }));
    const auto ints = quad::as_ints(load(a));
    const auto dword = [&](std::size_t i) { return number_at<std::uint32_t>(a, i); };
    CHECK(image_of(quad::odd_ints<3>(ints)) ==
          image_from<std::uint32_t>([&](std::size_t i) { return (dword(i) & 14) | 1; }));
    CHECK(image_of(quad::shift_right_logical<27>(ints)) ==
          image_from<std::uint32_t>([&](std::size_t i) { return dword(i) >> 27; }));
    CHECK(image_of(quad::spread_bit<15>(ints)) ==
          image_from<std::uint32_t>([&](std::size_t i) { return 0 - (dword(i) >> 15 & 1); }));
  }
}

TEST_CASE("numbers are widened, repeated and reordered") {
  test::random_bits random{13};
  for (int round = 0; round < 100; ++round) {
    const image a = random_image(random), b = random_image(random), c = random_image(random), d = random_image(random);
    CHECK(image_of(quad::widen_dwords(native::load_bytes(a.data()))) ==
          image_from<std::uint64_t>([&](std::size_t i) { return number_at<std::uint32_t>(a, i); }));
    CHECK(image_of(quad::load_qwords_of_words(a.data(), b.data())) ==
          image_from<std::uint64_t>([&](std::size_t i) { return number_at<std::uint16_t>(i < 4 ? a : b, i % 4); }));
    CHECK(image_of(quad::load_ints_of_words(a.data(), b.data())) ==
          image_from<std::uint32_t>([&](std::size_t i) { return number_at<std::uint16_t>(i < 8 ? a : b, i % 8); }));
    CHECK(image_of(quad::fill_half_qwords(a.data(), b.data())) ==
          image_from<std::uint64_t>([&](std::size_t i) { return number_at<std::uint64_t>(i < 4 ? a : b, 0); }));
    CHECK(image_of(quad::fill_half_floats(1.5f, -2.0f)) ==
          image_from<float>([](std::size_t i) { return i < 8 ? 1.5f : -2.0f; }));
    CHECK(image_of(quad::fill_half_f16(0x3e00, 0xc000)) ==
          image_from<float>([](std::size_t i) { return i < 8 ? 1.5f : -2.0f; }));
    CHECK(image_of(quad::twice_even(quad::as_ints(load(a)))) ==
          image_from<std::uint32_t>([&](std::size_t i) { return number_at<std::uint32_t>(a, i / 2 * 2); }));
    check_interleaved<0>(a, b);
    check_interleaved<1>(a, b);
    quad::bytes v[4] = {load(a), load(b), load(c), load(d)};
    quad::transpose_lanes(v[0], v[1], v[2], v[3]);
    const image* const from[4] = {&a, &b, &c, &d};
    for (std::size_t j = 0; j < 4; ++j)
      CHECK(image_of(v[j]) == image_from([&](std::size_t i) { return (*from[i / 16])[16 * j + i % 16]; }));
  }
}

#endif
