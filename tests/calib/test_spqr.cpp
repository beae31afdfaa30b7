// SpQR: the words, the product from them, and what outliers buy.
#include <doctest/doctest.h>
#include <blocq/calib/spqr.hpp>
#include <synthetic.hpp>

#include <cmath>
#include <string_view>
#include <thread>
#include <vector>

namespace calib = blocq::calib;

namespace {

struct problem {
  test::layer layer;
  calib::gram moments{layer.w.cols}, held_out{layer.w.cols};

  explicit problem(std::uint64_t seed) : layer(seed, {.rows = 40, .cols = 256, .tokens = 2048, .test_tokens = 512}) {
    REQUIRE(moments.add(layer.x.view()));
    REQUIRE(held_out.add(layer.held_out.view()));
  }
};

std::vector<float> values_of(const calib::spqr_matrix& q) {
  std::vector<float> out(q.rows() * q.cols());
  for (std::size_t r = 0; r < q.rows(); ++r) q.dequantize_row(r, std::span(out).subspan(r * q.cols(), q.cols()));
  return out;
}

}  // namespace

TEST_CASE("spqr: the product from the words is that of the decoded matrix; the loss is the trace form") {
  const problem p(1);
  for (const bool act_order : {false, true}) {
    const calib::spqr_options o{.act_order = act_order};
    const auto q = calib::spqr(p.layer.w.view(), p.moments, o);
    REQUIRE(q);
    CHECK(q->words.size() == 3 * 16 * 16);  // 40 rows are three bands
    CHECK(q->row_offsets.back() == q->entries.size());
    CHECK(q->order.empty() != act_order);
    const std::vector<float> values = values_of(*q);
    std::vector<float> y(40), space(q->scratch());
    q->gemv(p.layer.held_out.view().row(3), y, space);
    for (std::size_t r = 0; r < 40; ++r) {
      double sum = 0, size = 0;
      for (std::size_t k = 0; k < 256; ++k) {
        const double term = static_cast<double>(values[r * 256 + k]) * static_cast<double>(p.layer.held_out(3, k));
        sum += term;
        size += std::fabs(term);
      }
      CHECK(std::fabs(sum - static_cast<double>(y[r])) <= 2e-6 * size);
    }
    const auto f = calib::gptq_factorize(p.moments, {.damp = o.damp, .act_order = act_order});
    double trace = p.moments.error(p.layer.w.view(), {values.data(), 40, 256, 256});
    for (std::size_t i = 0; i < values.size(); ++i)
      trace += f->lambda * std::pow(static_cast<double>(p.layer.w.values[i] - values[i]), 2.0);
    CHECK(q->loss == doctest::Approx(trace).epsilon(1e-3));  // values are rounded to float
    for (std::size_t r = 0; r < 40; ++r)
      for (std::uint32_t at = q->row_offsets[r]; at < q->row_offsets[r + 1]; ++at) {
        CHECK((q->entries[at] & 0xffff) < 256);
        if (at > q->row_offsets[r]) CHECK((q->entries[at] & 0xffff) > (q->entries[at - 1] & 0xffff));
      }
  }
}

TEST_CASE("spqr: a lower threshold means more outliers and a smaller error; four bits without any are worse") {
  const problem p(2);
  const auto error_of = [&](const std::vector<float>& v) {
    return p.held_out.error(p.layer.w.view(), {v.data(), 40, 256, 256});
  };
  const auto four = calib::gptq(p.layer.w.view(), p.moments, calib::integers{.bits = 4, .group = 128});
  REQUIRE(four);
  double last = 1e30, part = -1;
  for (const double threshold : {1e9, 0.5, 0.2, 0.1, 0.05}) {
    const auto q = calib::spqr(p.layer.w.view(), p.moments, {.threshold = threshold, .damp = 0.01});
    REQUIRE(q);
    const double outliers = static_cast<double>(q->entries.size()) / (40.0 * 256.0), error = error_of(values_of(*q));
    CHECK(outliers > part);
    CHECK(error < last);
    if (threshold == 0.2) {
      // Fewer bits than four in groups of 128, as the paper counts, and less than half the error.
      CHECK(3.625 + 32.0 * outliers < 4.16);
      CHECK(error < 0.5 * error_of(four->values));
    }
    part = outliers;
    last = error;
  }
}

TEST_CASE("spqr: weights that hardly differ, and some too large for half precision") {
  const problem p(4);
  test::matrix w{40, 256};
  for (const float size : {0.5f, -3.0f, 1000.0f}) {
    for (std::size_t i = 0; i < w.values.size(); ++i)
      w.values[i] = size * (1.0f + 1e-6f * static_cast<float>((i % 256 * 7 + i / 256) % 16));
    const auto q = calib::spqr(w.view(), p.moments);
    REQUIRE_MESSAGE(static_cast<bool>(q), q.message());
    CHECK(blocq::is_finite(static_cast<float>(q->loss)));
    for (const float v : values_of(*q)) CHECK(v == doctest::Approx(size).epsilon(1e-4));
  }
  for (std::size_t k = 0; k < 256; ++k) w(17, k) = k % 2 == 0 ? 1e6f : -1e6f;
  const auto scale = calib::spqr(w.view(), p.moments);
  REQUIRE_FALSE(scale);
  CHECK(scale.error().code == blocq::errc::scale_range);
  CHECK(std::string_view(scale.message()).ends_with(": rows from 16"));
  // An outlier is an entry, which has no more range.
  test::matrix outlying = p.layer.w;
  outlying(3, 77) = 1e7f;
  CHECK(calib::spqr(outlying.view(), p.moments).error().code == blocq::errc::scale_range);
}

TEST_CASE("spqr: by threads the same; constant and empty rows; a last band that is not full") {
  const problem p(3);
  test::matrix w = p.layer.w;
  for (std::size_t k = 0; k < 256; ++k) w(0, k) = 0.0f, w(1, k) = 2.5f, w(33, k) = 1e-6f * w(33, k);
  const auto q = calib::spqr(w.view(), p.moments);
  REQUIRE(q);
  const auto threads = calib::spqr(w.view(), p.moments, {}, [](std::size_t n, auto&& f) {
    std::vector<std::thread> all;
    for (std::size_t i = n; i-- > 0;) all.emplace_back(f, i);
    for (std::thread& t : all) t.join();
  });
  REQUIRE(threads);
  CHECK(threads->words == q->words);
  CHECK(threads->entries == q->entries);
  const std::vector<float> values = values_of(*q);
  for (const float v : values) CHECK(blocq::is_finite(v));
  CHECK(p.held_out.error(w.view(), {values.data(), 40, 256, 256}) <
        0.01 * p.held_out.error(w.view(), test::matrix{40, 256}.view()));

  CHECK(calib::spqr({w.values.data(), 8, 250, 256}, p.moments).error().code == blocq::errc::ragged);
  CHECK(calib::spqr({w.values.data(), 8, 240, 256}, p.moments).error().code == blocq::errc::size_mismatch);
  w(12, 3) = blocq::from_bits(0x7f800000u);
  CHECK(calib::spqr(w.view(), p.moments).error().code == blocq::errc::not_finite);
}
