// Matrix products against the same operands in double precision: all formats, ragged shapes, strides, any alignment.
// And all kernels read their operands and no further: here because each is compiled here.
#include <doctest/doctest.h>
#include <blocq/op/activations.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <fenced.hpp>
#include <formats.hpp>
#include <random_blocks.hpp>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

namespace {

random_bytes next(11);

struct shape {
  std::size_t rows_x, rows_w, blocks;
};

// A copy of the blocks that starts at an odd address, rows `stride` blocks apart.
template <class B>
struct misaligned {
  std::vector<std::byte> bytes;
  blocq::matrix_view<const B> view;

  misaligned(const std::vector<B>& blocks, std::size_t rows, std::size_t cols, std::size_t stride)
      : bytes(rows * stride * sizeof(B) + 1) {
    for (std::size_t r = 0; r < rows && cols > 0; ++r)
      std::memcpy(bytes.data() + 1 + r * stride * sizeof(B), blocks.data() + r * cols, cols * sizeof(B));
    view = {reinterpret_cast<const B*>(bytes.data() + 1), rows, cols, stride};
  }
};

template <class B>
std::vector<double> decoded(const std::vector<B>& blocks) {
  std::vector<float> y(blocks.size() * blocq::block_size<B>);
  for (std::size_t i = 0; i < blocks.size(); ++i) decode(blocks[i], y.data() + i * blocq::block_size<B>);
  return {y.begin(), y.end()};
}

// What gemm quantizes X to; q8_0 stands in where it does not.
template <class B>
using operand = std::conditional_t<blocq::integer_format<B>, blocq::integer_operand_t<B>, blocq::q8_0>;

template <class B>
void check_shape(const shape& s) {
  constexpr bool integers = blocq::integer_format<B>;
  using A = operand<B>;
  const std::size_t k = s.blocks * blocq::block_size<B>, x_blocks = k / blocq::block_size<A>;
  const auto w = random_blocks<B>(s.rows_w * s.blocks, next);
  const misaligned<B> weights(w, s.rows_w, s.blocks, s.blocks + 2);
  const auto wd = decoded(w);

  std::vector<float> x(s.rows_x * (k + 3));
  for (float& v : x) v = next.uniform();
  std::vector<A> operand(s.rows_x * x_blocks);
  std::vector<double> xd(s.rows_x * k);
  if constexpr (integers) {
    for (std::size_t n = 0; n < s.rows_x; ++n)
      encode(x.data() + n * (k + 3), x_blocks, blocq::encode_context{}, operand.data() + n * x_blocks);
    xd = decoded(operand);
  } else {
    for (std::size_t n = 0; n < s.rows_x; ++n)
      for (std::size_t i = 0; i < k; ++i) xd[n * k + i] = static_cast<double>(x[n * (k + 3) + i]);
  }

  std::vector<std::byte> scratch(blocq::gemm_scratch<B>(s.rows_x, k));
  const std::size_t stride = s.rows_w + 1;
  std::vector<float> y(s.rows_x * stride, -1.0f), z(y);
  blocq::gemm(weights.view, blocq::matrix_view<const float>{x.data(), s.rows_x, k, k + 3},
              blocq::matrix_view<float>{y.data(), s.rows_x, s.rows_w, stride}, scratch);
  if constexpr (integers) {
    const misaligned<A> operands(operand, s.rows_x, x_blocks, x_blocks + 1);
    blocq::gemm(weights.view, operands.view, blocq::matrix_view<float>{z.data(), s.rows_x, s.rows_w, stride}, scratch);
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
      if constexpr (integers) want += rounding_of_sums(&w[m * s.blocks], &operand[n * x_blocks], s.blocks);
      worst = std::max(worst, std::abs(static_cast<double>(y[n * stride + m]) - want) / (magnitude + 1e-300));
    }
    CHECK(y[n * stride + s.rows_w] == -1.0f);  // the gap between the rows of Y
  }
  CHECK_MESSAGE(worst <= 2e-6, std::string(blocq::format_traits<B>::name), ": ", worst);
}

template <class B>
void check_format() {
  for (const shape& s : {shape{1, 1, 1}, shape{5, 17, 3}, shape{4, 16, 9}, shape{0, 3, 1}, shape{3, 0, 1}}) {
    shape scaled = s;
    scaled.blocks = s.blocks * (blocq::block_size<B> == 1 ? 13 : 1);
    check_shape<B>(scaled);
  }
}

#ifdef BLOCQ_TEST_HAS_FENCED
// The page behind the last byte, or before the first, cannot be read.
template <class B>
void run_fenced(std::size_t blocks, bool behind) {
  const std::size_t k = blocks * blocq::block_size<B>;
  const fenced<B> w(std::span<const B>(random_blocks<B>(blocks, next)), behind);
  std::vector<float> numbers(k);
  for (float& v : numbers) v = next.uniform();
  const fenced<float> x(std::span<const float>(numbers), behind);
  fenced<float> y(k, behind), one(1, behind);
  CHECK(blocq::dequantize(w.items, y.items));
  const blocq::matrix_view<const B> weights{w.items.data(), 1, blocks, blocks};
  blocq::gemv(weights, x.items, one.items);
  if constexpr (!std::is_same_v<B, blocq::q8_1> && !std::is_same_v<B, blocq::q8_k>) {
    fenced<std::byte> scratch(blocq::gemm_scratch<B>(1, k), behind);
    blocq::gemm(weights, blocq::matrix_view<const float>{x.items.data(), 1, k, k},
                blocq::matrix_view<float>{one.items.data(), 1, 1, 1}, scratch.items);
  }
  if constexpr (blocq::integer_format<B>) {
    using A = blocq::integer_operand_t<B>;
    fenced<A> operand(k / blocq::block_size<A>, behind);
    blocq::quantize_activations(x.items, operand.items);
    blocq::gemv(weights, operand.items, one.items);
    CHECK(one.items[0] == blocq::dot(w.items, operand.items));
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
  blocq::for_each(test::formats{}, []<class B> {
    for (const std::size_t blocks : {1u, 2u, 3u, 8u, 9u, 37u})
      for (const bool behind : {true, false}) run_fenced<B>(blocks, behind);
  });
}
#endif

TEST_CASE("gemm agrees with double precision for every format") {
  blocq::for_each(test::formats{}, []<class B> {
    if constexpr (!std::is_same_v<B, blocq::q8_1> && !std::is_same_v<B, blocq::q8_k>) check_format<B>();
  });
}

TEST_CASE_TEMPLATE("gemm is exact for activations of -128 against the lowest weights", B, blocq::q5_0, blocq::q6_k,
                   blocq::q4_0, blocq::q8_0, blocq::iq2_xs, blocq::mxint8, blocq::mxfp6_e2m3, blocq::mxfp6_e3m2,
                   blocq::mxfp4_ocp) {
  using A = operand<B>;
  constexpr std::size_t k = 256;
  auto w = random_blocks<B>(k / blocq::block_size<B>, next);
  for (B& b : w) {
    if constexpr (requires { b.ql; })
      std::memset(b.ql, 0, sizeof b.ql), std::memset(b.qh, 0, sizeof b.qh);
    else if constexpr (requires { b.codes; })
      std::memset(b.codes, std::is_same_v<B, blocq::mxint8> ? 0x80 : 0xff, sizeof b.codes);
    else
      std::memset(b.qs, std::is_same_v<B, blocq::q8_0> ? 0x80 : 0, sizeof b.qs);
    if constexpr (std::is_same_v<B, blocq::q5_0>) std::memset(b.qh, 0, sizeof b.qh);
  }
  const auto x = lowest_activations<A>(k / blocq::block_size<A>);
  const auto wd = decoded(w);
  double want = 0, magnitude = 0;
  for (const double v : wd) {
    want += v * -64.0;
    magnitude += std::abs(v) * 64.0;
  }
  float y = 0;
  std::vector<std::byte> scratch(blocq::gemm_scratch<B>(1, k));
  blocq::gemm(blocq::matrix_view<const B>{w.data(), 1, w.size(), w.size()},
              blocq::matrix_view<const A>{x.data(), 1, x.size(), x.size()}, blocq::matrix_view<float>{&y, 1, 1, 1},
              scratch);
  CHECK(std::abs(static_cast<double>(y) - want) <= 1e-6 * magnitude);
  if constexpr (std::is_same_v<A, blocq::operand_t<B>>)
    CHECK(std::abs(static_cast<double>(blocq::dot(w, x)) - want) <= 1e-6 * magnitude);
}

TEST_CASE_TEMPLATE("gemm is right at the ends of the range of scales", B, blocq::mxfp4, blocq::mxfp4_ocp,
                   blocq::mxfp6_e2m3, blocq::mxfp6_e3m2, blocq::mxint8, blocq::mxfp8_e4m3, blocq::mxfp8_e5m2,
                   blocq::q4_0, blocq::q8_0) {
  constexpr std::size_t rows = 17, blocks = 8, k = blocks * 32;
  static constexpr std::uint8_t scales[] = {0, 1, 7, 127, 253, 254};
  for (const std::uint8_t scale : scales) {
    auto w = random_blocks<B>(rows * blocks, next);
    const auto set_scales = [&w](std::uint8_t to) {
      for (B& b : w)
        if constexpr (requires { b.e; })
          b.e = to;
        else if constexpr (requires { b.scale; })
          b.scale = to;
        else
          store(b.d, static_cast<std::uint16_t>(to));  // a subnormal number
    };
    if constexpr (!blocq::integer_format<B>)
      for (B& b : w)
        for (std::uint8_t& c : b.codes) c &= 0xbf;  // below 2, so that the decoded weights are finite
    double unit = 1;  // what the decoder, which is right at a scale of 1, has to be multiplied by
    if constexpr (requires(B & b) { b.d; }) {
      set_scales(scale);
    } else {
      set_scales(127);
      unit = std::ldexp(1.0, scale - 127);
    }
    const auto wd = decoded(w);
    set_scales(scale);

    std::vector<float> x(k);
    for (float& v : x) v = next.uniform() * (scale > 200 ? 0x1p-20f : 1.0f);  // finite products
    std::vector<double> xd(x.begin(), x.end());
    if constexpr (blocq::integer_format<B>) {
      std::vector<blocq::q8_0> quantized(blocks);
      encode(x.data(), blocks, blocq::encode_context{}, quantized.data());
      xd = decoded(quantized);
    }
    std::vector<float> y(rows);
    std::vector<std::byte> scratch(blocq::gemm_scratch<B>(1, k));
    blocq::gemm(blocq::matrix_view<const B>{w.data(), rows, blocks, blocks},
                blocq::matrix_view<const float>{x.data(), 1, k, k}, blocq::matrix_view<float>{y.data(), 1, rows, rows},
                scratch);
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

TEST_CASE_TEMPLATE("gemm of a range of rows gives the numbers of the whole", B, blocq::q4_k, blocq::q8_0, blocq::iq2_s,
                   blocq::f16, blocq::mxfp8_e4m3, blocq::nf4) {
  constexpr std::size_t k = 512, blocks = k / blocq::block_size<B>, rows = 130, n = 6;
  const auto w = random_blocks<B>(rows * blocks, next);
  const blocq::matrix_view<const B> weights{w.data(), rows, blocks, blocks};
  std::vector<float> x(n * k), whole(n * rows), parts(n * rows);
  for (float& v : x) v = next.uniform();
  const blocq::matrix_view<const float> activations{x.data(), n, k, k};
  std::vector<std::byte> scratch(blocq::gemm_scratch<B>(n, k));
  blocq::gemm(weights, activations, blocq::matrix_view<float>{whole.data(), n, rows, rows}, scratch);
  for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 7}, {7, 101}, {101, 130}})
    blocq::gemm(weights.row_range(first, last), activations,
                blocq::matrix_view<float>{parts.data() + first, n, last - first, rows}, scratch);
  CHECK(whole == parts);
}

// Weights are decoded on their way for few rows of X and into panels for many, of which some fit a cache at a time.
TEST_CASE_TEMPLATE("gemm of floats does not depend on how many rows of X there are", B, float, blocq::f16, blocq::bf16,
                   blocq::mxfp8_e4m3, blocq::nf4) {
  constexpr std::size_t blocks = blocq::block_size<B> == 1 ? 523 : 11, k = blocks * blocq::block_size<B>, rows = 53,
                        n = 131;
  std::vector<B> w(rows * blocks);
  std::vector<double> wd(rows * k);
  if constexpr (blocq::block_format<B>) {
    w = random_blocks<B>(rows * blocks, next);
    wd = decoded(w);
  } else {
    for (std::size_t i = 0; i < w.size(); ++i) wd[i] = static_cast<double>(w[i] = next.uniform());
  }
  const blocq::matrix_view<const B> weights{w.data(), rows, blocks};
  std::vector<float> x(n * k), whole(n * rows), parts(n * rows);
  for (float& v : x) v = next.uniform();
  const blocq::matrix_view<const float> activations{x.data(), n, k};
  std::vector<std::byte> scratch(blocq::gemm_scratch<B>(n, k));
  blocq::gemm(weights, activations, blocq::matrix_view<float>{whole.data(), n, rows}, scratch);
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

  const blocq::matrix_view<float> y{parts.data(), n, rows};
  for (const auto& [first, last] : {std::pair<std::size_t, std::size_t>{0, 3}, {3, 11}, {11, 20}, {20, n}})
    blocq::gemm(weights, activations.row_range(first, last), y.row_range(first, last), scratch);
  CHECK(whole == parts);
  // One or two rows are what gemv and dot make of them.
  std::vector<float> row(rows);
  blocq::gemm(weights, activations.row_range(4, 6), y.row_range(4, 6), scratch);
  blocq::gemv(weights, activations.row(5), row);
  CHECK(std::equal(row.begin(), row.end(), y.row(5).begin()));
  CHECK(row[rows - 1] == blocq::dot(weights.row(rows - 1), activations.row(5)));
}

TEST_CASE_TEMPLATE("gemm of a few rows of X is what gemv makes of each", B, blocq::q4_0, blocq::iq2_xxs, blocq::tq1_0) {
  constexpr std::size_t few = std::is_same_v<B, blocq::q4_0> ? 2 : 4, blocks = 2048 / blocq::block_size<B>, rows = 9;
  const auto w = random_blocks<B>(rows * blocks, next);
  const blocq::matrix_view<const B> weights{w.data(), rows, blocks};
  std::vector<operand<B>> x(few * 2048 / blocq::block_size<operand<B>>);
  std::vector<float> numbers(few * 2048), y(few * rows), row(rows);
  for (float& v : numbers) v = next.uniform();
  blocq::quantize_activations(numbers, x);
  const blocq::matrix_view<const operand<B>> activations{x.data(), few, x.size() / few};
  std::vector<std::byte> scratch(blocq::gemm_scratch<B>(few, 2048));
  blocq::gemm(weights, activations, blocq::matrix_view<float>{y.data(), few, rows}, scratch);
  for (std::size_t n = 0; n < few; ++n) {
    blocq::gemv(weights, activations.row(n), row);
    CHECK(std::equal(row.begin(), row.end(), y.begin() + static_cast<std::ptrdiff_t>(n * rows)));
  }
}

TEST_CASE("gemm of bfloat16s adds pairs of columns, the odd one first, for any division of the rows") {
  constexpr std::size_t k = 1043, rows = 53, n = 131;
  const auto rounded = [](const std::vector<float>& numbers) {
    std::vector<blocq::bf16> v(numbers.size());
    for (std::size_t i = 0; i < v.size(); ++i) blocq::store(v[i].code, blocq::bfloat16::from_float(numbers[i]).code);
    return v;
  };
  const auto uniform = [&](std::size_t count) {
    std::vector<float> numbers(count);
    for (float& v : numbers) v = next.uniform();
    return rounded(numbers);
  };
  const std::vector<blocq::bf16> w = uniform(rows * k), x = uniform(n * k);
  const std::vector<double> wd = decoded(w), xd = decoded(x);
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
