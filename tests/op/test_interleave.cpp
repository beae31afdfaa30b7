// Interleaved weights: the bytes come back, and products agree with double precision, whatever the shape.
#include <doctest/doctest.h>
#include <blocq/encode/all.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/interleave.hpp>
#include <blocq/op/parallel.hpp>
#include <fenced.hpp>
#include <formats.hpp>
#include <random_blocks.hpp>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace {

random_bytes next(31);

template <class F>
void for_interleavable(F&& f) {
  blocq::for_each(test::formats{}, [&]<class B> {
    if constexpr (blocq::interleavable<B>) f.template operator()<B>();
  });
}

// Rows of random blocks, and the same interleaved at an odd address, `gap` blocks between the rows.
template <class B>
struct matrix {
  static constexpr std::size_t gap = 3;
  std::vector<B> blocks;
  std::vector<std::byte> bytes;
  blocq::matrix_view<const B> direct;
  blocq::matrix_view<const blocq::interleaved<B>> view;

  matrix(std::vector<B> w, std::size_t rows, std::size_t cols)
      : blocks(std::move(w)), direct{blocks.data(), rows, cols, cols} {
    std::vector<blocq::interleaved<B>> lanes(blocq::interleaved_blocks(rows, cols));
    blocq::interleave(direct, lanes);
    const std::size_t stride = (cols + gap) * sizeof(lanes[0]), row = cols * sizeof(lanes[0]), groups = (rows + 7) / 8;
    bytes.assign(groups * stride + 1, std::byte{0xff});
    for (std::size_t g = 0; g < groups && cols > 0; ++g)
      std::memcpy(bytes.data() + 1 + g * stride, lanes.data() + g * cols, row);
    view = {reinterpret_cast<const blocq::interleaved<B>*>(bytes.data() + 1), groups, cols, cols + gap};
  }
};

template <class B>
std::vector<double> decoded(const B* blocks, std::size_t count) {
  std::vector<float> y(count * blocq::block_size<B>);
  for (std::size_t i = 0; i < count; ++i) decode(blocks[i], y.data() + i * blocq::block_size<B>);
  return {y.begin(), y.end()};
}

// Whether y is the product of rows of weights with one row of operand blocks, in double precision. What a minimum is
// multiplied by is what the operand says its sum is.
template <class B, class A>
double worst_error(const matrix<B>& w, const A* x, std::span<const float> y) {
  const std::size_t cols = w.direct.cols, k = cols * blocq::block_size<B>;
  const auto xd = decoded(x, k / blocq::block_size<A>);
  double worst = 0;
  for (std::size_t m = 0; m < y.size(); ++m) {
    const auto wd = decoded(w.direct.row(m).data(), cols);
    double want = 0, magnitude = 0;
    for (std::size_t i = 0; i < k; ++i) {
      want += wd[i] * xd[i];
      magnitude += std::abs(wd[i] * xd[i]);
    }
    want += rounding_of_sums(w.direct.row(m).data(), x, cols);
    worst = std::max(worst, std::abs(static_cast<double>(y[m]) - want) / (magnitude + 1e-300));
  }
  return worst;
}

// Rows of W, columns of W in blocks, rows of X.
template <class B>
void check_shape(std::size_t rows, std::size_t cols, std::size_t n) {
  using A = blocq::integer_operand_t<B>;
  const std::string name = blocq::format_traits<B>::name;
  const matrix<B> w(random_blocks<B>(rows * cols, next), rows, cols);
  const std::size_t k = cols * blocq::block_size<B>, x_blocks = k / blocq::block_size<A>;
  std::vector<float> x(n * (k + 5));
  for (float& v : x) v = next.uniform();
  std::vector<A> operand(n * (x_blocks + 1));
  for (std::size_t j = 0; j < n; ++j)
    encode(x.data() + j * (k + 5), x_blocks, blocq::encode_context{}, operand.data() + j * (x_blocks + 1));

  std::vector<std::byte> scratch(blocq::gemm_scratch<blocq::interleaved<B>>(n, k));
  const std::size_t stride = rows + 2;
  std::vector<float> y(n * stride, -1.0f), z(y);
  blocq::gemm(w.view, blocq::matrix_view<const float>{x.data(), n, k, k + 5},
              blocq::matrix_view<float>{y.data(), n, rows, stride}, scratch);
  blocq::gemm(w.view, blocq::matrix_view<const A>{operand.data(), n, x_blocks, x_blocks + 1},
              blocq::matrix_view<float>{z.data(), n, rows, stride}, scratch);
  CHECK_MESSAGE(y == z, name);
  for (std::size_t j = 0; j < n; ++j) {
    const A* const xj = operand.data() + j * (x_blocks + 1);
    const double worst = worst_error(w, xj, std::span(y).subspan(j * stride, rows));
    CHECK_MESSAGE(worst <= 2e-6, name, ": ", worst, ", ", rows, " x ", cols, " x ", n);
    CHECK(y[j * stride + rows] == -1.0f);
    CHECK(y[j * stride + rows + 1] == -1.0f);
    if (j > 0) continue;
    std::vector<float> v(rows), direct(rows);
    blocq::gemv(w.view, std::span(xj, x_blocks), std::span(v));
    CHECK(worst_error(w, xj, std::span<const float>(v)) <= 2e-6);
    blocq::gemv(w.direct, std::span(xj, x_blocks), std::span(direct));
    CHECK(worst_error(w, xj, std::span<const float>(direct)) <= 2e-6);
    if (n <= blocq::detail::lane_columns) CHECK_MESSAGE(std::equal(v.begin(), v.end(), y.begin()), name);
  }
}

// Codes of the lowest number.
template <class B>
void set_lowest(B& b) {
  constexpr bool is_float = std::is_same_v<B, blocq::mxfp4> || std::is_same_v<B, blocq::nvfp4>;
  const auto fill = [](auto& field, int byte) { std::memset(field, byte, sizeof field); };
  if constexpr (requires { b.codes; }) fill(b.codes, std::is_same_v<B, blocq::mxint8> ? 0x80 : 0xff);
  if constexpr (requires { b.qs; }) fill(b.qs, std::is_same_v<B, blocq::q8_0> ? 0x80 : is_float ? 0xff : 0);
  if constexpr (requires { b.ql; }) fill(b.ql, 0);
  if constexpr (requires { b.qh; }) fill(b.qh, 0);
  if constexpr (requires { b.hmask; }) fill(b.hmask, 0);
}

}  // namespace

TEST_CASE("interleaved blocks have the bytes of eight blocks, and give them back") {
  int formats = 0;
  for_interleavable([&]<class B> {
    ++formats;
    static_assert(sizeof(blocq::interleaved<B>) == 8 * sizeof(B) && alignof(blocq::interleaved<B>) == 1);
    for (const std::size_t rows : {1u, 7u, 8u, 19u}) {
      constexpr std::size_t cols = 3;
      std::vector<B> w(rows * cols);
      for (B& b : w) {
        std::uint8_t bytes[sizeof(B)];
        for (std::uint8_t& byte : bytes) byte = next();
        std::memcpy(&b, bytes, sizeof b);
      }
      std::vector<blocq::interleaved<B>> lanes(blocq::interleaved_blocks(rows, cols));
      blocq::interleave(blocq::matrix_view<const B>{w.data(), rows, cols, cols}, lanes);
      std::vector<B> back(rows * (cols + 1));
      blocq::deinterleave(lanes, blocq::matrix_view<B>{back.data(), rows, cols, cols + 1});
      for (std::size_t m = 0; m < rows; ++m)
        CHECK(std::memcmp(&w[m * cols], &back[m * (cols + 1)], cols * sizeof(B)) == 0);
    }
  });
#ifndef BLOCQ_TEST_FEW
  CHECK(formats == 19);
#endif
}

TEST_CASE("the bytes lie where the header says") {
  std::vector<blocq::q4_0> w(8);
  for (std::uint8_t r = 0; r < 8; ++r) {
    store(w[r].d, static_cast<std::uint16_t>(0x100 + r));
    for (std::uint8_t i = 0; i < 16; ++i) w[r].qs[i] = static_cast<std::uint8_t>(16 * r + i);
  }
  blocq::interleaved<blocq::q4_0> lanes[1];
  blocq::interleave(blocq::matrix_view<const blocq::q4_0>{w.data(), 8, 1, 1}, lanes);
  for (std::size_t r = 0; r < 8; ++r) {
    CHECK(lanes[0].bytes[2 * r] == r);
    for (std::size_t i = 0; i < 16; ++i) CHECK(lanes[0].bytes[16 + i / 4 * 32 + 4 * r + i % 4] == 16 * r + i);
  }
}

TEST_CASE("products agree with double precision for every format") {
  for_interleavable([&]<class B> {
    constexpr std::size_t unit = 256 / blocq::block_size<B>;
    for (std::size_t rows = 1; rows <= 9; ++rows) check_shape<B>(rows, 1 + rows % 3, 1 + rows % 4);
    check_shape<B>(33, unit + 1, 2);
    check_shape<B>(70, 2, 5);
    check_shape<B>(21, unit + 1, 9);
    check_shape<B>(0, 1, 2);
    check_shape<B>(5, 1, 0);
  });
}

TEST_CASE_TEMPLATE("rows longer than what is packed at once", B, blocq::q4_0, blocq::q2_k, blocq::nvfp4, blocq::q8_0) {
  constexpr std::size_t unit = 256 / blocq::block_size<B>;
  check_shape<B>(9, 65 * unit + 1, 1);
  check_shape<B>(9, 17 * unit, 4);
  check_shape<B>(9, 22 * unit, 3);
}

TEST_CASE("activations of -128 against the lowest weights, and against any") {
  for_interleavable([&]<class B> {
    using A = blocq::integer_operand_t<B>;
    constexpr std::size_t rows = 11, cols = 512 / blocq::block_size<B>, x_blocks = 512 / blocq::block_size<A>;
    for (const bool lowest : {true, false}) {
      auto blocks = random_blocks<B>(rows * cols, next);
      if (lowest)
        for (B& b : blocks) set_lowest(b);
      const matrix<B> w(blocks, rows, cols);
      const auto x = lowest_activations<A>(5 * x_blocks);
      std::vector<std::byte> scratch(blocq::gemm_scratch<blocq::interleaved<B>>(5, 512));
      for (const std::size_t n : {1u, 4u, 5u}) {
        std::vector<float> y(n * rows);
        blocq::gemm(w.view, blocq::matrix_view<const A>{x.data(), n, x_blocks, x_blocks},
                    blocq::matrix_view<float>{y.data(), n, rows, rows}, scratch);
        for (std::size_t j = 0; j < n; ++j) {
          const double worst = worst_error(w, x.data(), std::span<const float>(y).subspan(j * rows, rows));
          CHECK_MESSAGE(worst <= 1e-6, std::string(blocq::format_traits<B>::name), ": ", worst);
        }
      }
    }
  });
}

#ifdef BLOCQ_TEST_HAS_FENCED
TEST_CASE("kernels stay within interleaved weights, operands and results") {
  for_interleavable([&]<class B> {
    using A = blocq::integer_operand_t<B>;
    constexpr std::size_t rows = 11,
                          unit = blocq::block_size < A >> blocq::block_size<B> ? 256 / blocq::block_size<B> : 1;
    for (const std::size_t cols : {unit, 3 * unit, 9 * unit})
      for (const bool behind : {true, false}) {
        const std::size_t k = cols * blocq::block_size<B>, x_blocks = k / blocq::block_size<A>;
        std::vector<blocq::interleaved<B>> lanes(blocq::interleaved_blocks(rows, cols));
        const auto blocks = random_blocks<B>(rows * cols, next);
        blocq::interleave(blocq::matrix_view<const B>{blocks.data(), rows, cols, cols}, lanes);
        const fenced<blocq::interleaved<B>> w(std::span<const blocq::interleaved<B>>(lanes), behind);
        const blocq::matrix_view<const blocq::interleaved<B>> weights{w.items.data(), (rows + 7) / 8, cols, cols};
        for (const std::size_t n : {1u, 3u, 5u}) {
          const fenced<A> x(std::span<const A>(random_blocks<A>(n * x_blocks, next)), behind);
          fenced<float> y(n * rows, behind), vector(rows, behind);
          fenced<std::byte> scratch(blocq::gemm_scratch<blocq::interleaved<B>>(n, k), behind);
          blocq::gemm(weights, blocq::matrix_view<const A>{x.items.data(), n, x_blocks, x_blocks},
                      blocq::matrix_view<float>{y.items.data(), n, rows, rows}, scratch.items);
          blocq::gemv(weights, x.items.first(x_blocks), vector.items);
          if (n == 1) CHECK(std::equal(vector.items.begin(), vector.items.end(), y.items.begin()));
        }
      }
  });
}
#endif

TEST_CASE_TEMPLATE("scales at the ends of their range", B, blocq::mxfp4, blocq::mxfp4_ocp, blocq::mxint8, blocq::q4_0,
                   blocq::q8_0) {
  static constexpr std::uint8_t scales[] = {0, 1, 7, 253, 254};
  for (const std::uint8_t scale : scales) {
    auto blocks = random_blocks<B>(9 * 8, next);
    for (B& b : blocks)
      if constexpr (requires { b.e; })
        b.e = scale;
      else if constexpr (requires { b.scale; })
        b.scale = scale;
      else
        store(b.d, static_cast<std::uint16_t>(scale));  // a subnormal number
    const matrix<B> w(blocks, 9, 8);
    std::vector<float> x(256), y(9), z(9);
    for (float& v : x) v = next.uniform() * 0x1p-20f;
    std::vector<blocq::q8_0> operand(8);
    encode(x.data(), 8, blocq::encode_context{}, operand.data());
    blocq::gemv(w.view, operand, y);
    blocq::gemv(w.direct, operand, z);
    for (std::size_t m = 0; m < 9; ++m) {
      CHECK(std::isfinite(y[m]));
      CHECK(std::abs(y[m] - z[m]) <= 1e-5f * std::abs(z[m]) + 256 * 0x1p-149f);
    }
  }
}

TEST_CASE_TEMPLATE("parts of the rows give the numbers of the whole", B, blocq::q4_0, blocq::q6_k, blocq::iq4_xs) {
  using A = blocq::integer_operand_t<B>;
  constexpr std::size_t rows = 75, k = 768, cols = k / blocq::block_size<B>;
  const matrix<B> w(random_blocks<B>(rows * cols, next), rows, cols);
  const auto run = [](std::size_t n, const auto& f) {
    while (n-- > 0) f(n);
  };
  for (const std::size_t n : {1u, 3u, 6u}) {
    std::vector<float> x(n * k), whole(n * rows), parts(n * rows), vector(rows), pieces(rows);
    for (float& v : x) v = next.uniform();
    const blocq::matrix_view<const float> activations{x.data(), n, k, k};
    const std::size_t size = blocq::gemm_scratch<blocq::interleaved<B>>(n, k);
    std::vector<std::byte> scratch(size), more(3 * size);
    blocq::gemm(w.view, activations, blocq::matrix_view<float>{whole.data(), n, rows, rows}, scratch);
    blocq::gemm(w.view, activations, blocq::matrix_view<float>{parts.data(), n, rows, rows}, std::span(more), 3, run);
    CHECK(whole == parts);
    std::vector<A> operand(k / blocq::block_size<A>);
    encode(x.data(), operand.size(), blocq::encode_context{}, operand.data());
    blocq::gemv(w.view, operand, std::span(vector));
    blocq::gemv(w.view, operand, std::span(pieces), 4, run);
    CHECK(vector == pieces);
  }
}
