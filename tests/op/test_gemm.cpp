// Matrix products against the same operands in double precision: all formats, ragged shapes, strides, any alignment.
// And all kernels read their operands and no further.
#include <doctest/doctest.h>
#include <blocq/op/activations.hpp>
#include <blocq/op/gemm.hpp>
#include <fenced.hpp>
#include <formats.hpp>
#include <kernels.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace {

using test::weight_type;

random_bytes next(11);

struct shape {
  std::size_t rows_x, rows_w, blocks;
};

// A copy of the blocks that starts at an odd address, rows `stride` blocks apart.
struct misaligned {
  std::vector<std::byte> bytes;
  test::block_rows view;

  misaligned(const std::vector<std::byte>& blocks, std::size_t block, std::size_t rows, std::size_t cols,
             std::size_t stride)
      : bytes(rows * stride * block + 1) {
    for (std::size_t r = 0; r < rows && cols > 0; ++r)
      std::memcpy(bytes.data() + 1 + r * stride * block, blocks.data() + r * cols * block, cols * block);
    view = {bytes.data() + 1, rows, cols, stride};
  }
};

std::vector<float> uniform(std::size_t count) {
  std::vector<float> x(count);
  for (float& v : x) v = next.uniform();
  return x;
}

void check_shape(const weight_type& f, const shape& s) {
  const std::size_t k = s.blocks * f.elements;
  const auto w = f.random_blocks(s.rows_w * s.blocks, next);
  const misaligned weights(w, f.bytes, s.rows_w, s.blocks, s.blocks + 2);
  const auto wd = f.decoded(w.data(), s.rows_w * s.blocks);

  const std::vector<float> x = uniform(s.rows_x * (k + 3));
  const std::size_t x_blocks = f.integers() ? k / f.operand->elements : 0;
  const std::size_t x_bytes = f.integers() ? x_blocks * f.operand->bytes : 0;
  std::vector<std::byte> operand(s.rows_x * x_bytes);
  std::vector<double> xd;
  for (std::size_t n = 0; n < s.rows_x; ++n) {
    const float* const row = x.data() + n * (k + 3);
    if (f.integers())
      f.operand->encode(row, x_blocks, operand.data() + n * x_bytes);
    else
      xd.insert(xd.end(), row, row + k);
  }
  if (f.integers()) xd = f.operand->decoded(operand.data(), s.rows_x * x_blocks);

  std::vector<std::byte> scratch(f.direct.scratch(s.rows_x, k));
  const std::size_t stride = s.rows_w + 1;
  std::vector<float> y(s.rows_x * stride, -1.0f), z(y);
  f.direct.gemm_floats(weights.view, {x.data(), s.rows_x, k, k + 3}, {y.data(), s.rows_x, s.rows_w, stride}, scratch);
  if (f.integers()) {
    const misaligned operands(operand, f.operand->bytes, s.rows_x, x_blocks, x_blocks + 1);
    f.direct.gemm(weights.view, operands.view, {z.data(), s.rows_x, s.rows_w, stride}, scratch);
    CHECK(y == z);
  }
  double worst = 0;
  for (std::size_t n = 0; n < s.rows_x; ++n) {
    for (std::size_t m = 0; m < s.rows_w; ++m) {
      double want = 0, magnitude = 0;
      for (std::size_t i = 0; i < k; ++i) {
        const double product = wd[m * k + i] * xd[n * k + i];
        want += product;
        magnitude += std::abs(product);
      }
      if (f.integers()) want += f.rounding_of_sums(&w[m * s.blocks * f.bytes], operand.data() + n * x_bytes, s.blocks);
      worst = std::max(worst, std::abs(static_cast<double>(y[n * stride + m]) - want) / (magnitude + 1e-300));
    }
    CHECK(y[n * stride + s.rows_w] == -1.0f);  // the gap between the rows of Y
  }
  CHECK_MESSAGE(worst <= 2e-6, std::string(f.name), ": ", worst);
}

#ifdef BLOCQ_TEST_HAS_FENCED
// The page behind the last byte, or before the first, cannot be read.
void run_fenced(const weight_type& f, std::size_t blocks, bool behind) {
  const std::size_t k = blocks * f.elements;
  const fenced<std::byte> w(std::span<const std::byte>(f.random_blocks(blocks, next)), behind);
  const fenced<float> x(std::span<const float>(uniform(k)), behind);
  fenced<float> y(k, behind), one(1, behind);
  CHECK(f.dequantize(w.items.data(), blocks, y.items));
  const test::block_rows weights{w.items.data(), 1, blocks, blocks};
  f.direct.gemv_floats(weights, x.items.data(), one.items);
  if (f.direct.gemm_floats != nullptr) {
    fenced<std::byte> scratch(f.direct.scratch(1, k), behind);
    f.direct.gemm_floats(weights, {x.items.data(), 1, k, k}, {one.items.data(), 1, 1, 1}, scratch.items);
  }
  if (f.direct.gemv != nullptr) {
    fenced<std::byte> operand(k / f.operand->elements * f.operand->bytes, behind);
    f.operand->quantize_activations(x.items, operand.items.data());
    f.direct.gemv(weights, operand.items.data(), one.items);
    CHECK(one.items[0] == f.direct.dot(w.items.data(), operand.items.data(), blocks));
  }
}
#endif

// Whether each kernel for which a format of the first list is multiplied is that of a format of the second.
template <class... All, class... Few>
bool same_kernels(blocq::type_list<All...>, blocq::type_list<Few...> few) {
  const auto reached = [few]<class B> {
    bool found = false;
    if constexpr (blocq::integer_format<B>)
      blocq::for_each(few, [&found]<class F> {
        if constexpr (blocq::integer_format<F>) {
          constexpr blocq::detail::kernel a = blocq::detail::kernel_for<B>, b = blocq::detail::kernel_for<F>;
          found =
              found || (a.how == b.how && a.span == b.span && a.depth == b.depth && a.corrections == b.corrections &&
                        a.integer_scales == b.integer_scales && a.offset == b.offset);
        }
      });
    return found || !blocq::integer_format<B>;
  };
  return (reached.template operator()<All>() && ...);
}

}  // namespace

TEST_CASE("the few formats that stand for all have all their kernels") {
  CHECK(same_kernels(blocq::all_formats{}, test::few_formats{}));
}

#ifdef BLOCQ_TEST_HAS_FENCED
TEST_CASE("kernels stay within their operands") {
  for (const weight_type& f : test::weight_types())
    for (const std::size_t blocks : {1u, 2u, 3u, 8u, 9u, 37u})
      for (const bool behind : {true, false}) run_fenced(f, blocks, behind);
}
#endif

TEST_CASE("gemm agrees with double precision for every format") {
  for (const weight_type& f : test::weight_types())
    if (f.direct.gemm_floats != nullptr)
      for (const shape& s : {shape{1, 1, 1}, shape{5, 17, 3}, shape{4, 16, 9}, shape{0, 3, 1}, shape{3, 0, 1}})
        check_shape(f, {s.rows_x, s.rows_w, s.blocks * (f.elements == 1 ? 13 : 1)});
}

TEST_CASE("gemm is exact for activations of -128 against the lowest weights") {
  for (const char* name :
       {"q5_0", "q6_k", "q4_0", "q8_0", "iq2_xs", "mxint8", "mxfp6_e2m3", "mxfp6_e3m2", "mxfp4_ocp"}) {
    CAPTURE(name);
    const weight_type& f = test::weights_named(name);
    constexpr std::size_t k = 256;
    const std::size_t blocks = k / f.elements, x_blocks = k / f.operand->elements;
    auto w = f.random_blocks(blocks, next);
    f.set_lowest(w.data(), blocks);
    std::vector<std::byte> x(x_blocks * f.operand->bytes), scratch(f.direct.scratch(1, k));
    f.operand->lowest(x_blocks, x.data());
    double want = 0, magnitude = 0;
    for (const double v : f.decoded(w.data(), blocks)) {
      want += v * -64.0;
      magnitude += std::abs(v) * 64.0;
    }
    float y = 0;
    f.direct.gemm({w.data(), 1, blocks, blocks}, {x.data(), 1, x_blocks, x_blocks}, {&y, 1, 1, 1}, scratch);
    CHECK(std::abs(static_cast<double>(y) - want) <= 1e-6 * magnitude);
    CHECK(std::abs(static_cast<double>(f.direct.dot(w.data(), x.data(), blocks)) - want) <= 1e-6 * magnitude);
  }
}

TEST_CASE("gemm is right at the ends of the range of scales") {
  constexpr std::size_t rows = 17, blocks = 8, k = blocks * 32;
  for (const char* name :
       {"mxfp4", "mxfp4_ocp", "mxfp6_e2m3", "mxfp6_e3m2", "mxint8", "mxfp8_e4m3", "mxfp8_e5m2", "q4_0", "q8_0"}) {
    CAPTURE(name);
    const weight_type& f = test::weights_named(name);
    static constexpr std::uint8_t scales[] = {0, 1, 7, 127, 253, 254};
    for (const std::uint8_t scale : scales) {
      auto w = f.random_blocks(rows * blocks, next);
      if (!f.integers())  // codes below 2, so that the decoded weights are finite
        for (std::size_t i = 0; i < w.size(); ++i)
          if (i % f.bytes != 0) w[i] &= std::byte{0xbf};
      double unit = 1;  // what the decoder, which is right at a scale of 1, has to be multiplied by
      if (name[0] == 'q') {
        f.set_scale(w.data(), rows * blocks, scale);  // a subnormal number
      } else {
        f.set_scale(w.data(), rows * blocks, 127);
        unit = std::ldexp(1.0, scale - 127);
      }
      const auto wd = f.decoded(w.data(), rows * blocks);
      f.set_scale(w.data(), rows * blocks, scale);

      std::vector<float> x = uniform(k);
      for (float& v : x) v *= scale > 200 ? 0x1p-20f : 1.0f;  // finite products
      std::vector<double> xd(x.begin(), x.end());
      if (f.integers()) {
        std::vector<std::byte> quantized(blocks * f.operand->bytes);
        f.operand->encode(x.data(), blocks, quantized.data());
        xd = f.operand->decoded(quantized.data(), blocks);
      }
      std::vector<float> y(rows);
      std::vector<std::byte> scratch(f.direct.scratch(1, k));
      f.direct.gemm_floats({w.data(), rows, blocks, blocks}, {x.data(), 1, k, k}, {y.data(), 1, rows, rows}, scratch);
      for (std::size_t m = 0; m < rows; ++m) {
        double want = 0, magnitude = 0;
        for (std::size_t i = 0; i < k; ++i) {
          const double product = wd[m * k + i] * unit * xd[i];
          want += product;
          magnitude += std::abs(product);
        }
        // Sums of subnormal numbers are rounded to their last place.
        CHECK(std::abs(static_cast<double>(y[m]) - want) <= 1e-6 * magnitude + static_cast<double>(k) * 0x1p-149);
      }
    }
  }
}

TEST_CASE("gemm of a range of rows gives the numbers of the whole") {
  constexpr std::size_t k = 512, rows = 130, n = 6;
  for (const char* name : {"q4_k", "q8_0", "iq2_s", "f16", "mxfp8_e4m3", "nf4"}) {
    CAPTURE(name);
    const weight_type& f = test::weights_named(name);
    const std::size_t blocks = k / f.elements;
    const auto w = f.random_blocks(rows * blocks, next);
    const std::vector<float> x = uniform(n * k);
    std::vector<float> whole(n * rows), parts(n * rows);
    std::vector<std::byte> scratch(f.direct.scratch(n, k));
    f.direct.gemm_floats({w.data(), rows, blocks, blocks}, {x.data(), n, k}, {whole.data(), n, rows}, scratch);
    for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 7}, {7, 101}, {101, 130}})
      f.direct.gemm_floats({w.data() + first * blocks * f.bytes, last - first, blocks, blocks}, {x.data(), n, k},
                           {parts.data() + first, n, last - first, rows}, scratch);
    CHECK(whole == parts);
  }
}

// Weights are decoded on their way for few rows of X and into panels for many, of which some fit a cache at a time.
TEST_CASE("gemm of floats does not depend on how many rows of X there are") {
  constexpr std::size_t rows = 53, n = 131;
  for (const char* name : {"f32", "f16", "bf16", "mxfp8_e4m3", "nf4"}) {
    CAPTURE(name);
    const weight_type& f = test::weights_named(name);
    const std::size_t blocks = f.elements == 1 ? 523 : 11, k = blocks * f.elements;
    const auto w = f.random_blocks(rows * blocks, next);
    const auto wd = f.decoded(w.data(), rows * blocks);
    const test::block_rows weights{w.data(), rows, blocks, blocks};
    const std::vector<float> x = uniform(n * k);
    std::vector<float> whole(n * rows), parts(n * rows);
    const test::float_rows activations{x.data(), n, k};
    std::vector<std::byte> scratch(f.direct.scratch(n, k));
    f.direct.gemm_floats(weights, activations, {whole.data(), n, rows}, scratch);
    double worst = 0;
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t m = 0; m < rows; ++m) {
        double want = 0, magnitude = 0;
        for (std::size_t j = 0; j < k; ++j) {
          const double product = wd[m * k + j] * static_cast<double>(x[i * k + j]);
          want += product;
          magnitude += std::abs(product);
        }
        worst = std::max(worst, std::abs(static_cast<double>(whole[i * rows + m]) - want) / (magnitude + 1e-300));
      }
    CHECK(worst <= 2e-6);

    const test::results y{parts.data(), n, rows};
    for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 3}, {3, 11}, {11, 20}, {20, n}})
      f.direct.gemm_floats(weights, activations.row_range(first, last), y.row_range(first, last), scratch);
    CHECK(whole == parts);
    // One or two rows are what gemv and dot make of them.
    std::vector<float> row(rows);
    f.direct.gemm_floats(weights, activations.row_range(4, 6), y.row_range(4, 6), scratch);
    f.direct.gemv_floats(weights, activations.row(5).data(), row);
    CHECK(std::equal(row.begin(), row.end(), y.row(5).begin()));
    const std::byte* const last = w.data() + (rows - 1) * blocks * f.bytes;
    CHECK(row[rows - 1] == f.direct.dot_floats(last, activations.row(5).data(), blocks));
  }
}

TEST_CASE("gemm of a few rows of X is what gemv makes of each") {
  constexpr std::size_t rows = 9, k = 2048;
  for (const char* name : {"q4_0", "iq2_xxs", "tq1_0"}) {
    CAPTURE(name);
    const weight_type& f = test::weights_named(name);
    const std::size_t few = f.name == "q4_0" ? 2 : 4;
    const std::size_t blocks = k / f.elements, x_blocks = k / f.operand->elements;
    const auto w = f.random_blocks(rows * blocks, next);
    const test::block_rows weights{w.data(), rows, blocks, blocks};
    std::vector<std::byte> x(few * x_blocks * f.operand->bytes), scratch(f.direct.scratch(few, k));
    std::vector<float> y(few * rows), row(rows);
    f.operand->quantize_activations(uniform(few * k), x.data());
    f.direct.gemm(weights, {x.data(), few, x_blocks, x_blocks}, {y.data(), few, rows}, scratch);
    for (std::size_t n = 0; n < few; ++n) {
      f.direct.gemv(weights, x.data() + n * x_blocks * f.operand->bytes, row);
      CHECK(std::equal(row.begin(), row.end(), y.begin() + static_cast<std::ptrdiff_t>(n * rows)));
    }
  }
}

TEST_CASE("gemm of bfloat16s adds pairs of columns, the odd one first, for any division of the rows") {
  constexpr std::size_t k = 1043, rows = 53, n = 131;
  const auto rounded = [](const std::vector<float>& numbers) {
    std::vector<blocq::bf16> v(numbers.size());
    for (std::size_t i = 0; i < v.size(); ++i) blocq::store(v[i].code, blocq::bfloat16::from_float(numbers[i]).code);
    return v;
  };
  const std::vector<blocq::bf16> w = rounded(uniform(rows * k)), x = rounded(uniform(n * k));
  const weight_type& f = test::weights_named("bf16");
  const std::vector<double> wd = f.decoded(w.data(), rows * k), xd = f.decoded(x.data(), n * k);
  const blocq::matrix_view<const blocq::bf16> weights{w.data(), rows, k}, activations{x.data(), n, k};
  std::vector<float> whole(n * rows), parts(n * rows);
  std::vector<std::byte> scratch(blocq::gemm_scratch<blocq::bf16>(n, k));
  blocq::gemm(weights, activations, blocq::matrix_view<float>{whole.data(), n, rows}, scratch);
  double worst = 0;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t m = 0; m < rows; ++m) {
      double want = 0, magnitude = 1e-300;
      for (std::size_t j = 0; j < k; ++j) {
        want += wd[m * k + j] * xd[i * k + j];
        magnitude += std::abs(wd[m * k + j] * xd[i * k + j]);
      }
      worst = std::max(worst, std::abs(static_cast<double>(whole[i * rows + m]) - want) / magnitude);
    }
  CHECK(worst <= 2e-6);
  const blocq::matrix_view<float> y{parts.data(), n, rows};
  for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 1}, {1, 3}, {3, 20}, {20, n}}) {
    scratch.resize(blocq::gemm_scratch<blocq::bf16>(last - first, k));
    blocq::gemm(weights, activations.row_range(first, last), y.row_range(first, last), scratch);
  }
  CHECK(whole == parts);

  // 2^24, then -2^24 and 1: what is left says which of the two was added first.
  std::vector<float> numbers(18);
  numbers[0] = 0x1p24f, numbers[16] = 1.0f, numbers[17] = -0x1p24f;
  const std::vector<blocq::bf16> terms = rounded(numbers), ones = rounded(std::vector<float>(18, 1.0f));
  float sum = 0;
  blocq::gemm(blocq::matrix_view<const blocq::bf16>{terms.data(), 1, 18},
              blocq::matrix_view<const blocq::bf16>{ones.data(), 1, 18}, blocq::matrix_view<float>{&sum, 1, 1},
              scratch);
  CHECK(sum == 1.0f);
}
