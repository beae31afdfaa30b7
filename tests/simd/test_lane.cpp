// The SIMD lane and pairs of lanes against their model: every operation, bit for bit, on ordinary and on extreme
// operands.
#include <doctest/doctest.h>
#include <blocq/core/fp_environment.hpp>
#include <blocq/simd/lane.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

namespace {

using blocq::lane;
using blocq::native_lane;
using blocq::native_pair;
constexpr std::size_t width = blocq::lane_traits<native_lane>::size;

std::vector<float> operands() {
  constexpr float inf = std::numeric_limits<float>::infinity();
  std::vector<float> v{0.0f,       -0.0f, 1.0f,   -1.0f,         0.5f,       -0.5f,      1.5f,
                       2.5f,       -2.5f, 1e-45f, -1e-45f,       1e-38f,     1e38f,      3.4e38f,
                       -3.4e38f,   inf,   -inf,   std::nanf(""), 4194304.0f, 4194303.5f, -4194304.0f,
                       8388609.0f, 1e10f, -1e10f, 0.49999997f,   3.1415927f};
  std::uint32_t state = 1;
  for (int i = 0; i < 200; ++i) {
    state = state * 1664525u + 1013904223u;
    v.push_back(blocq::from_bits(state));
  }
  while (v.size() % (2 * width) != 0) v.push_back(1.0f);
  return v;
}

// Equal bits, where all NaNs are one: IEEE 754 leaves their payload open.
bool same(float a, float b) { return blocq::to_bits(a) == blocq::to_bits(b) || (blocq::is_nan(a) && blocq::is_nan(b)); }

template <class L, class F>
void compare_lane(F f) {
  constexpr std::size_t size = blocq::lane_traits<L>::size;
  const std::vector<float> v = operands();
  for (std::size_t i = 0; i < v.size(); i += size) {
    for (std::size_t shift = 0; shift < v.size(); ++shift) {
      float a[size], b[size], got[size];
      for (std::size_t k = 0; k < size; ++k) {
        a[k] = v[i + k];
        b[k] = v[(i + k + shift) % v.size()];
      }
      L x, y;
      gather(x, a, 1, size);
      gather(y, b, 1, size);
      scatter(f(x, y), got, 1, size);
      for (std::size_t k = 0; k < size; ++k) {
        const float want = f(lane(a[k]), lane(b[k])).v;
        REQUIRE_MESSAGE(same(got[k], want), a[k], " and ", b[k], " give ", got[k], " instead of ", want);
      }
    }
  }
}

template <class F>
void compare(F f) {
  const blocq::fp_environment modes;  // a program linked with -ffast-math starts with subnormals flushed
  compare_lane<native_lane>(f);
  compare_lane<native_pair>(f);
}

}  // namespace

TEST_CASE("arithmetic of the SIMD lane is that of the model") {
  compare([](auto a, auto b) { return a + b; });
  compare([](auto a, auto b) { return a - b; });
  compare([](auto a, auto b) { return a * b; });
  compare([](auto a, auto b) { return a / b; });
  compare([](auto a, auto b) { return a * b + b; });
  compare([](auto a, auto b) { return -a * b - abs(b); });
  compare([](auto a, auto) { return sqrt(a); });
  compare([](auto a, auto) { return nearest_int(a); });
  compare([](auto a, auto) { return round_half_away(a); });
  compare([](auto a, auto) { return to_i8(a); });
  compare([](auto a, auto) { return to_u8(a); });
  compare([](auto a, auto b) { return max_of(a, b) + min_of(b, a); });
  compare([](auto a, auto) { return clamp_to(a, -3.0f, 4.0f); });
  // Not for NaNs, and the sign of a zero is left open.
  const auto number = [](auto a) { return select(a == a, a, decltype(a)(0.0f)); };
  const auto one_zero = [](auto a) { return select(a == decltype(a)(0.0f), decltype(a)(0.0f), a); };
  compare([&](auto a, auto) { return one_zero(rounded(clamp_to(a, -0x1p22f, 0x1p22f))); });
  compare([&](auto a, auto) { return one_zero(at_most(number(a), 3.0f)); });
  compare([&](auto a, auto) { return one_zero(at_least(number(a), -3.0f)); });
  compare([&](auto a, auto) { return one_zero(at_least(number(a), 0.0f)); });
}

TEST_CASE("comparisons and masks of the SIMD lane are those of the model") {
  const auto as_number = [](auto m, auto a) { return select(m, decltype(a)(1.0f), decltype(a)(0.0f)); };
  compare([&](auto a, auto b) { return as_number(a < b, a); });
  compare([&](auto a, auto b) { return as_number(a <= b, a); });
  compare([&](auto a, auto b) { return as_number(a > b, a); });
  compare([&](auto a, auto b) { return as_number(a >= b, a); });
  compare([&](auto a, auto b) { return as_number(a == b, a); });
  compare([&](auto a, auto b) { return as_number(a != b, a); });
  compare([&](auto a, auto b) { return as_number((a < b) & (a > decltype(a)(0.0f)), a); });
  compare([&](auto a, auto b) { return as_number((a < b) | ~(a > decltype(a)(0.0f)), a); });
}

TEST_CASE("lookups of the SIMD lane are those of the model") {
  const auto check = []<int Shift, int Width>() {
    float values[1 << Width];
    for (int i = 0; i < 1 << Width; ++i) values[i] = static_cast<float>(i * i) - 2.5f;
    const blocq::lookup_table<native_lane, Width> table(values);
    const blocq::lookup_table<lane, Width> model(values);
    std::uint16_t fields[width];
    float as_floats[width], got[width];
    for (std::uint32_t start = 0; start < 65536; start += 251) {
      for (std::size_t k = 0; k < width; ++k) {
        fields[k] = static_cast<std::uint16_t>(start + 12345 * k);
        as_floats[k] = fields[k];
      }
      blocq::packed_t<native_lane> packed;
      gather(packed, fields);
      scatter(lookup<Shift>(table, packed), got, 1, width);
      native_lane x;
      gather(x, as_floats, 1, width);
      for (int twice = 0; twice < 2; ++twice) {
        for (std::size_t k = 0; k < width; ++k) {
          const float want = lookup<Shift>(model, blocq::lane_packed(lane(as_floats[k]))).v;
          REQUIRE(got[k] == want);
          REQUIRE(want == values[(fields[k] >> Shift) & ((1 << Width) - 1)]);
        }
        scatter(lookup<Shift>(table, blocq::packed_t<native_lane>(x)), got, 1, width);
      }
    }
  };
  check.operator()<0, 2>();
  check.operator()<14, 2>();
  check.operator()<0, 3>();
  check.operator()<9, 3>();
}

TEST_CASE("the first minimum, and the smallest position among equals") {
  float value[width], position[width];
  native_lane v, p;
  for (std::size_t first = 0; first < width; ++first)
    for (std::size_t second = 0; second < width; ++second) {
      for (std::size_t k = 0; k < width; ++k) {
        value[k] = k == first || k == second ? -1.0f : static_cast<float>(k);
        position[k] = static_cast<float>((k * 7 + first) % (width + 3));
      }
      gather(v, value, 1, width);
      gather(p, position, 1, width);
      CHECK(position_of_minimum(v, p) == static_cast<std::size_t>(std::min(position[first], position[second])));
      CHECK(first_minimum(v) == std::min(first, second));
    }
  const native_lane same = 3.40282347e38f;
  gather(p, position, 1, width);
  CHECK(position_of_minimum(same, p) == static_cast<std::size_t>(*std::min_element(position, position + width)));
  CHECK(first_minimum(same) == 0);
}

TEST_CASE_TEMPLATE("gather repeats the last lane and scatter leaves the rest alone", L, native_lane, native_pair) {
  constexpr std::size_t size = blocq::lane_traits<L>::size;
  float source[3 * size], target[3 * size];
  for (std::size_t i = 0; i < 3 * size; ++i) source[i] = static_cast<float>(i), target[i] = -1.0f;
  L x;
  gather(x, source, 3, 1);
  scatter(x, target, 3, size);
  for (std::size_t i = 0; i < size; ++i) CHECK(target[3 * i] == 0.0f);
  gather(x, source, 3, size);
  scatter(x, target + 1, 3, 1);
  CHECK(target[1] == 0.0f);
  if (size > 1) CHECK(target[4] == -1.0f);
}

// Tiles of N elements, of which `count` lanes are used, moved with gaps between the rows.
template <class L, std::size_t N>
void check_tiles() {
  constexpr std::size_t size = blocq::lane_traits<L>::size, stride = N + 3;
  std::vector<float> source(size * stride);
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i * 37 % 256);
  for (std::size_t count = 1; count <= size; ++count) {
    L tile[N], shifted[N];
    gather(tile, source.data(), stride, count);
    for (std::size_t j = 0; j < N; ++j) {
      float row[size];
      scatter(tile[j], row, 1, size);
      for (std::size_t i = 0; i < size; ++i) REQUIRE(row[i] == source[(i < count ? i : count - 1) * stride + j]);
      shifted[j] = tile[j] - L(128.0f);
    }
    std::vector<float> floats(source.size(), -1.0f);
    std::vector<std::uint8_t> bytes(source.size(), 77);
    std::vector<std::int8_t> signs(source.size(), 77);
    scatter(tile, floats.data(), stride, count);
    scatter(tile, bytes.data(), stride, count);
    scatter(shifted, signs.data(), stride, count);
    for (std::size_t i = 0; i < source.size(); ++i) {
      const bool used = i / stride < count && i % stride < N;
      REQUIRE(floats[i] == (used ? source[i] : -1.0f));
      REQUIRE(bytes[i] == (used ? source[i] : 77.0f));
      REQUIRE(signs[i] == (used ? source[i] - 128.0f : 77.0f));
    }
  }
}

TEST_CASE_TEMPLATE("tiles go in and out unchanged, as floats and as bytes", L, native_lane, native_pair) {
  check_tiles<L, 4>();
  check_tiles<L, 8>();
  check_tiles<L, 16>();
  check_tiles<L, 32>();
  check_tiles<L, 96>();
}
