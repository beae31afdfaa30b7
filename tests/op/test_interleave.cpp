// Interleaved weights: the bytes come back, and products agree with double precision, whatever the shape.
#include <doctest/doctest.h>
#include <blocq/encode/all.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/interleave.hpp>
#include <blocq/op/parallel.hpp>
#include <fenced.hpp>
#include <kernels.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace {

using test::weight_type;

random_bytes next(31);

void for_interleavable(const auto& f) {
  for (const weight_type& t : test::weight_types())
    if (t.interleavable()) {
      CAPTURE(std::string(t.name));
      f(t);
    }
}

std::vector<std::byte> interleave(const weight_type& f, const test::block_rows& w) {
  std::vector<std::byte> lanes(blocq::interleaved_blocks(w.rows, w.cols) * 8 * f.bytes);
  f.interleave(w, lanes.data());
  return lanes;
}

// Rows of random blocks, and the same interleaved at an odd address, `gap` blocks between the rows.
struct matrix {
  static constexpr std::size_t gap = 3;
  const weight_type& f;
  std::vector<std::byte> blocks, bytes;
  test::block_rows direct, view;

  matrix(const weight_type& type, std::vector<std::byte> w, std::size_t rows, std::size_t cols)
      : f(type), blocks(std::move(w)), direct{blocks.data(), rows, cols, cols} {
    const std::vector<std::byte> lanes = interleave(f, direct);
    const std::size_t size = 8 * f.bytes, groups = (rows + 7) / 8;
    bytes.assign(groups * (cols + gap) * size + 1, std::byte{0xff});
    for (std::size_t g = 0; g < groups && cols > 0; ++g)
      std::memcpy(bytes.data() + 1 + g * (cols + gap) * size, lanes.data() + g * cols * size, cols * size);
    view = {bytes.data() + 1, groups, cols, cols + gap};
  }
  matrix(const weight_type& type, std::size_t rows, std::size_t cols)
      : matrix(type, type.random_blocks(rows * cols, next), rows, cols) {}
};

// Whether y is the product of rows of weights with one row of operand blocks, in double precision. What a minimum is
// multiplied by is what the operand says its sum is.
double worst_error(const matrix& w, const std::byte* x, std::span<const float> y) {
  const weight_type& f = w.f;
  const std::size_t cols = w.direct.cols, k = cols * f.elements;
  const auto xd = f.operand->decoded(x, k / f.operand->elements);
  double worst = 0;
  for (std::size_t m = 0; m < y.size(); ++m) {
    const std::byte* const row = w.blocks.data() + m * cols * f.bytes;
    const auto wd = f.decoded(row, cols);
    double want = f.rounding_of_sums(row, x, cols), magnitude = 0;
    for (std::size_t i = 0; i < k; ++i) {
      want += wd[i] * xd[i];
      magnitude += std::abs(wd[i] * xd[i]);
    }
    worst = std::max(worst, std::abs(static_cast<double>(y[m]) - want) / (magnitude + 1e-300));
  }
  return worst;
}

// Rows of W, columns of W in blocks, rows of X.
void check_shape(const weight_type& f, std::size_t rows, std::size_t cols, std::size_t n) {
  CAPTURE(std::string(f.name));
  CAPTURE(rows);
  CAPTURE(cols);
  CAPTURE(n);
  const matrix w(f, rows, cols);
  const std::size_t k = cols * f.elements, x_blocks = k / f.operand->elements;
  const std::size_t x_bytes = (x_blocks + 1) * f.operand->bytes;
  std::vector<float> x(n * (k + 5));
  for (float& v : x) v = next.uniform();
  std::vector<std::byte> operand(n * x_bytes);
  for (std::size_t j = 0; j < n; ++j) f.operand->encode(x.data() + j * (k + 5), x_blocks, operand.data() + j * x_bytes);

  std::vector<std::byte> scratch(f.interleaved.scratch(n, k));
  const std::size_t stride = rows + 2;
  std::vector<float> y(n * stride, -1.0f), z(y);
  f.interleaved.gemm_floats(w.view, {x.data(), n, k, k + 5}, {y.data(), n, rows, stride}, scratch);
  f.interleaved.gemm(w.view, {operand.data(), n, x_blocks, x_blocks + 1}, {z.data(), n, rows, stride}, scratch);
  CHECK(y == z);
  for (std::size_t j = 0; j < n; ++j) {
    const std::byte* const xj = operand.data() + j * x_bytes;
    CHECK(worst_error(w, xj, std::span(y).subspan(j * stride, rows)) <= 2e-6);
    CHECK(y[j * stride + rows] == -1.0f);
    CHECK(y[j * stride + rows + 1] == -1.0f);
    if (j > 0) continue;
    std::vector<float> v(rows), direct(rows);
    f.interleaved.gemv(w.view, xj, v);
    CHECK(worst_error(w, xj, v) <= 2e-6);
    f.direct.gemv(w.direct, xj, direct);
    CHECK(worst_error(w, xj, direct) <= 2e-6);
    if (n <= blocq::detail::lane_columns) CHECK(std::equal(v.begin(), v.end(), y.begin()));
  }
}

}  // namespace

TEST_CASE("interleaved blocks have the bytes of eight blocks, and give them back") {
  static_assert(sizeof(blocq::interleaved<blocq::q4_k>) == 8 * sizeof(blocq::q4_k));
  static_assert(alignof(blocq::interleaved<blocq::q4_k>) == 1);
  int formats = 0;
  for_interleavable([&](const weight_type& f) {
    ++formats;
    for (const std::size_t rows : {1u, 7u, 8u, 19u}) {
      constexpr std::size_t cols = 3;
      std::vector<std::byte> w(rows * cols * f.bytes), back(rows * (cols + 1) * f.bytes);
      for (std::byte& byte : w) byte = std::byte{next()};
      f.deinterleave(interleave(f, {w.data(), rows, cols, cols}).data(), back.data(), rows, cols, cols + 1);
      for (std::size_t m = 0; m < rows; ++m)
        CHECK(std::memcmp(&w[m * cols * f.bytes], &back[m * (cols + 1) * f.bytes], cols * f.bytes) == 0);
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
  for_interleavable([](const weight_type& f) {
    const std::size_t unit = 256 / f.elements;
    for (std::size_t rows = 1; rows <= 9; ++rows) check_shape(f, rows, 1 + rows % 3, 1 + rows % 4);
    check_shape(f, 33, unit + 1, 2);
    check_shape(f, 70, 2, 5);
    check_shape(f, 21, unit + 1, 9);
    check_shape(f, 0, 1, 2);
    check_shape(f, 5, 1, 0);
  });
}

TEST_CASE("rows longer than what is packed at once") {
  for (const char* name : {"q4_0", "q2_k", "nvfp4", "q8_0"}) {
    const weight_type& f = test::weights_named(name);
    const std::size_t unit = 256 / f.elements;
    check_shape(f, 9, 65 * unit + 1, 1);
    check_shape(f, 9, 17 * unit, 4);
    check_shape(f, 9, 22 * unit, 3);
  }
}

TEST_CASE("activations of -128 against the lowest weights, and against any") {
  for_interleavable([](const weight_type& f) {
    constexpr std::size_t rows = 11;
    const std::size_t cols = 512 / f.elements, x_blocks = 512 / f.operand->elements;
    for (const bool lowest : {true, false}) {
      auto blocks = f.random_blocks(rows * cols, next);
      if (lowest) f.set_lowest(blocks.data(), rows * cols);
      const matrix w(f, blocks, rows, cols);
      std::vector<std::byte> x(5 * x_blocks * f.operand->bytes), scratch(f.interleaved.scratch(5, 512));
      f.operand->lowest(5 * x_blocks, x.data());
      for (const std::size_t n : {1u, 4u, 5u}) {
        std::vector<float> y(n * rows);
        f.interleaved.gemm(w.view, {x.data(), n, x_blocks, x_blocks}, {y.data(), n, rows, rows}, scratch);
        for (std::size_t j = 0; j < n; ++j)
          CHECK(worst_error(w, x.data(), std::span<const float>(y).subspan(j * rows, rows)) <= 1e-6);
      }
    }
  });
}

#ifdef BLOCQ_TEST_HAS_FENCED
TEST_CASE("kernels stay within interleaved weights, operands and results") {
  for_interleavable([](const weight_type& f) {
    constexpr std::size_t rows = 11;
    const std::size_t unit = f.operand->elements > f.elements ? 256 / f.elements : 1;
    for (const std::size_t cols : {unit, 3 * unit, 9 * unit})
      for (const bool behind : {true, false}) {
        const std::size_t k = cols * f.elements, x_blocks = k / f.operand->elements;
        const auto blocks = f.random_blocks(rows * cols, next);
        const auto lanes = interleave(f, {blocks.data(), rows, cols, cols});
        const fenced<std::byte> w(std::span<const std::byte>(lanes), behind);
        const test::block_rows weights{w.items.data(), (rows + 7) / 8, cols, cols};
        for (const std::size_t n : {1u, 3u, 5u}) {
          const auto random = f.operand->random_blocks(n * x_blocks, next);
          const fenced<std::byte> x(std::span<const std::byte>(random), behind);
          fenced<float> y(n * rows, behind), vector(rows, behind);
          fenced<std::byte> scratch(f.interleaved.scratch(n, k), behind);
          f.interleaved.gemm(weights, {x.items.data(), n, x_blocks, x_blocks}, {y.items.data(), n, rows, rows},
                             scratch.items);
          f.interleaved.gemv(weights, x.items.data(), vector.items);
          if (n == 1) CHECK(std::equal(vector.items.begin(), vector.items.end(), y.items.begin()));
        }
      }
  });
}
#endif

TEST_CASE("scales at the ends of their range") {
  for (const char* name : {"mxfp4", "mxfp4_ocp", "mxint8", "q4_0", "q8_0"}) {
    CAPTURE(name);
    const weight_type& f = test::weights_named(name);
    static constexpr std::uint8_t scales[] = {0, 1, 7, 253, 254};
    for (const std::uint8_t scale : scales) {
      auto blocks = f.random_blocks(9 * 8, next);
      f.set_scale(blocks.data(), 9 * 8, scale);  // of q4_0 and q8_0 a subnormal number
      const matrix w(f, blocks, 9, 8);
      std::vector<float> x(256), y(9), z(9);
      for (float& v : x) v = next.uniform() * 0x1p-20f;
      std::vector<std::byte> operand(8 * f.operand->bytes);
      f.operand->encode(x.data(), 8, operand.data());
      f.interleaved.gemv(w.view, operand.data(), y);
      f.direct.gemv(w.direct, operand.data(), z);
      for (std::size_t m = 0; m < 9; ++m) {
        CHECK(std::isfinite(y[m]));
        CHECK(std::abs(y[m] - z[m]) <= 1e-5f * std::abs(z[m]) + 256 * 0x1p-149f);
      }
    }
  }
}

TEST_CASE_TEMPLATE("parts of the rows give the numbers of the whole", B, blocq::q4_0, blocq::q6_k, blocq::iq4_xs) {
  using A = blocq::integer_operand_t<B>;
  constexpr std::size_t rows = 75, k = 768, cols = k / blocq::block_size<B>;
  const auto blocks = random_blocks<B>(rows * cols, next);
  std::vector<blocq::interleaved<B>> lanes(blocq::interleaved_blocks(rows, cols));
  blocq::interleave(blocq::matrix_view<const B>{blocks.data(), rows, cols}, lanes);
  const blocq::matrix_view<const blocq::interleaved<B>> w{lanes.data(), (rows + 7) / 8, cols};
  const auto run = [](std::size_t n, const auto& f) {
    while (n-- > 0) f(n);
  };
  for (const std::size_t n : {1u, 3u, 6u}) {
    std::vector<float> x(n * k), whole(n * rows), parts(n * rows), vector(rows), pieces(rows);
    for (float& v : x) v = next.uniform();
    const blocq::matrix_view<const float> activations{x.data(), n, k, k};
    const std::size_t size = blocq::gemm_scratch<blocq::interleaved<B>>(n, k);
    std::vector<std::byte> scratch(size), more(3 * size);
    blocq::gemm(w, activations, blocq::matrix_view<float>{whole.data(), n, rows, rows}, scratch);
    blocq::gemm(w, activations, blocq::matrix_view<float>{parts.data(), n, rows, rows}, std::span(more), 3, run);
    CHECK(whole == parts);
    std::vector<A> operand(k / blocq::block_size<A>);
    encode(x.data(), operand.size(), blocq::encode_context{}, operand.data());
    blocq::gemv(w, operand, std::span(vector));
    blocq::gemv(w, operand, std::span(pieces), 4, run);
    CHECK(vector == pieces);
  }
}
