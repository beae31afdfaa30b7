// Products with codes and scales in arrays of their own are those of the joined blocks.
#include <doctest/doctest.h>
#include <blocq/encode/all.hpp>
#include <blocq/op/split.hpp>
#include <fenced.hpp>
#include <random_blocks.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

random_bytes next(17);

template <class B>
struct split_weights {
  static constexpr std::size_t size = blocq::block_size<B>;
  std::size_t rows, k;
  std::vector<B> joined;
  std::vector<std::uint8_t> codes, scales;
  blocq::split_view<B> view;

  split_weights(std::size_t height, std::size_t width) : rows(height), k(width), joined(rows * k / size) {
    std::vector<float> numbers(rows * k);
    for (float& v : numbers) v = next.uniform();
    encode(numbers.data(), joined.size(), blocq::encode_context{}, joined.data());
    constexpr std::size_t count = blocq::detail::scale_count<B>;
    codes.resize(joined.size() * (sizeof(B) - count));
    scales.resize(joined.size() * count);
    REQUIRE(split_scales(joined, codes, scales));
    REQUIRE(make_split_view(codes, scales, rows, k, view));
  }
  blocq::matrix_view<const B> blocks() const { return {joined.data(), rows, k / size, k / size}; }
};

std::vector<float> random_row(std::size_t n) {
  std::vector<float> x(n);
  for (float& v : x) v = next.uniform();
  return x;
}

// Where elements keep their order the numbers are the same; elsewhere sums are added in another order.
template <class B>
void close(std::span<const float> y, std::span<const float> expected, float scale) {
  constexpr bool same = blocq::detail::pair_distance<B> == 0;
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float e = expected[i] * scale;
    wrong += same ? y[i] != e : !(std::abs(y[i] - e) <= 2e-5f * (1 + std::abs(e)));
  }
  CHECK(wrong == 0);
}

template <class B, class A>
void check_products(std::size_t rows, std::size_t k, std::size_t n) {
  CAPTURE(rows);
  CAPTURE(k);
  CAPTURE(n);
  split_weights<B> w(rows, k);
  w.view.scale = 0.75f;
  constexpr std::size_t elements = std::is_same_v<A, float> ? 1 : 32;
  const std::size_t columns = k / elements;
  std::vector<float> floats = random_row(n * k);
  std::vector<A> x(n * columns);
  if constexpr (std::is_same_v<A, float>)
    x = floats;
  else
    encode(floats.data(), x.size(), blocq::encode_context{}, x.data());
  const std::span<const A> first(x.data(), columns);
  std::vector<std::byte> scratch(blocq::split_scratch<B>(n, k)), scratch_joined(blocq::gemm_scratch<B>(n, k));
  std::vector<float> y(rows), expected(rows), ys(n * rows, -1.0f), all_expected(n * rows);

  blocq::gemv(w.view, first, y, scratch);
  blocq::gemv(w.blocks(), first, expected);
  close<B>(y, expected, 0.75f);
  // Any range of rows gives the same numbers.
  std::vector<float> some(rows - rows / 3);
  blocq::gemv(w.view.row_range(rows / 3, rows), first, some, scratch);
  CHECK(std::memcmp(some.data(), y.data() + rows / 3, some.size() * sizeof(float)) == 0);
  const float one = blocq::dot(w.view.row_range(rows - 1, rows), first);
  CHECK(std::abs(one - y[rows - 1]) <= 2e-5f * (1 + std::abs(one)));

  blocq::gemm(w.view, blocq::matrix_view<const A>{x.data(), n, columns, columns},
              blocq::matrix_view<float>{ys.data(), n, rows, rows}, scratch);
  blocq::gemm(w.blocks(), blocq::matrix_view<const A>{x.data(), n, columns, columns},
              blocq::matrix_view<float>{all_expected.data(), n, rows, rows}, scratch_joined);
  close<B>(ys, all_expected, 0.75f);
}

template <class B, class... A>
void check_format() {
  for (const std::size_t n : {1u, 2u, 5u}) {
    (check_products<B, A>(7, 320 / blocq::block_size<B> * blocq::block_size<B>, n), ...);
    (check_products<B, A>(75, 576, n), ...);  // a unit of 512 and a part of one, a panel and a part of one
  }
  (check_products<B, A>(3, 9216, 1), ...);  // more than one piece
  (check_products<B, A>(601, 64, 3), ...);  // more rows than are gathered at once
}

}  // namespace

TEST_CASE("gemv, gemm and dot of split arrays are those of the joined blocks") {
  check_format<blocq::mxfp4, float, blocq::q8_0>();
  check_format<blocq::nvfp4, float, blocq::q8_0>();
  check_format<blocq::mxfp8_e4m3, float>();
  check_format<blocq::mxfp8_e5m2, float>();
  check_format<blocq::mxfp4_ocp, float, blocq::q8_0>();
}

#ifdef BLOCQ_TEST_HAS_FENCED
// The page behind the last byte, or before the first, cannot be read.
TEST_CASE_TEMPLATE("products of split arrays read them and no further", B, blocq::mxfp4, blocq::nvfp4,
                   blocq::mxfp8_e4m3) {
  constexpr std::size_t rows = 3, k = 576;
  const split_weights<B> w(rows, k);
  const std::vector<float> numbers = random_row(k);
  std::vector<blocq::q8_0> quantized(k / 32);
  encode(numbers.data(), quantized.size(), blocq::encode_context{}, quantized.data());
  std::vector<std::byte> scratch(blocq::split_scratch<B>(1, k));
  for (const bool behind : {true, false}) {
    const fenced<std::uint8_t> codes{std::span(w.codes), behind}, scales{std::span(w.scales), behind};
    const fenced<float> floats{std::span(numbers), behind};
    const fenced<blocq::q8_0> integers{std::span(quantized), behind};
    const fenced<float> y(rows, behind);
    blocq::split_view<B> view;
    REQUIRE(make_split_view(codes.items, scales.items, rows, k, view));
    std::vector<float> expected(rows);
    const auto check = [&](auto x) {
      blocq::gemv(view, x, y.items, scratch);
      blocq::gemv(w.view, x, expected, scratch);
      CHECK(std::equal(expected.begin(), expected.end(), y.items.begin()));
      CHECK(blocq::dot(view.row_range(0, 1), x) == blocq::dot(w.view.row_range(0, 1), x));
    };
    check(std::span<const float>(floats.items));
    if constexpr (blocq::integer_format<B>) check(std::span<const blocq::q8_0>(integers.items));
  }
}
#endif

TEST_CASE("a tensor's scale, rows apart, and activations of -128") {
  split_weights<blocq::nvfp4> w(5, 128);
  // Every row followed by bytes of something else.
  std::vector<std::uint8_t> codes(5 * 100, 0xee), scales(5 * 9, 0x7e);
  for (std::size_t r = 0; r < 5; ++r) {
    std::memcpy(&codes[r * 100], &w.codes[r * 64], 64);
    std::memcpy(&scales[r * 9], &w.scales[r * 8], 8);
  }
  const blocq::split_view<blocq::nvfp4> apart{codes.data(), scales.data(), 5, 2, 100, 9, 1.0f / 3};
  std::vector<blocq::q8_0> x(4 * 3);
  for (auto& block : x) {
    block.d = {};
    store(block.d, std::uint16_t{0x3c00});
    for (std::int8_t& q : block.qs) q = -128;
  }
  std::vector<std::byte> scratch(blocq::split_scratch<blocq::nvfp4>(3, 128));
  std::vector<float> y(5), ys(15);
  blocq::gemv(apart, std::span(x).first(4), y, scratch);
  blocq::gemm(apart, blocq::matrix_view<const blocq::q8_0>{x.data(), 3, 4, 4},
              blocq::matrix_view<float>{ys.data(), 3, 5, 5}, scratch);
  std::vector<float> numbers(5 * 128);
  REQUIRE(blocq::decode_nvfp4(w.codes, w.scales, {3.0f, blocq::nvfp4_tensor_scale::convention::divisor}, numbers));
  for (std::size_t r = 0; r < 5; ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < 128; ++i) sum += -128.0 * static_cast<double>(numbers[r * 128 + i]);
    CHECK(static_cast<double>(y[r]) == doctest::Approx(sum).epsilon(1e-5));
    for (std::size_t i = 0; i < 3; ++i) CHECK(static_cast<double>(ys[i * 5 + r]) == doctest::Approx(sum).epsilon(1e-5));
  }
}

TEST_CASE("arrays of other sizes, and scales that GGUF's blocks read as something else, are refused") {
  split_weights<blocq::nvfp4> w(2, 128);
  blocq::split_view<blocq::nvfp4> view;
  using blocq::errc;
  CHECK(make_split_view(w.codes, w.scales, 2, 120, view).code == errc::ragged);
  CHECK(make_split_view(w.codes, w.scales, 3, 128, view).code == errc::size_mismatch);
  CHECK(make_split_view(std::span(w.codes).first(100), w.scales, 2, 128, view).code == errc::size_mismatch);
  CHECK(make_split_view(w.codes, std::span(w.scales).first(15), 2, 128, view).code == errc::size_mismatch);
  CHECK(view.codes == nullptr);
  w.scales[9] = 0x7f;
  const auto refused = make_split_view(w.codes, w.scales, 2, 128, view);
  CHECK(refused.code == errc::bad_value);
  CHECK(refused.at == 2);
  blocq::split_view<blocq::mxfp4> empty;
  CHECK(make_split_view({}, {}, 0, 64, empty));
}
