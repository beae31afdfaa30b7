// What roundings promise: the nearest value that fixed scales can express, and codes that decode to it.
#include <doctest/doctest.h>
#include <blocq/calib/rounding.hpp>
#include <formats.hpp>
#include <random_blocks.hpp>

#include <cmath>
#include <vector>

namespace calib = blocq::calib;

TEST_CASE("a value is rounded to the nearest one that the block's scales can express, and stored") {
  int formats = 0;
  blocq::for_each(test::formats{}, [&]<class B> {
    if constexpr (calib::scalar_format<B>) {
      ++formats;
      constexpr std::size_t n = blocq::block_size<B>;
      const calib::onto<B> r{};
      REQUIRE(r.width(2 * n) == n);
      CHECK(r.width(n + 1) == 0);
      random_bytes next(7);
      std::vector<float> w(3 * n), q(n), decoded(n);
      for (float& v : w) v = next.uniform();
      std::vector<typename calib::onto<B>::run> runs(3);
      REQUIRE(r.fit(w, {}, runs));
      auto stored = r.make_storage(1, 3 * n);
      std::vector<B> reference(3);
      REQUIRE(blocq::quantize(w, reference));
      for (std::size_t i = 0; i < 3; ++i) {
        std::vector<std::uint8_t> codes(n);
        // Other values than those that were fitted, some far outside.
        for (std::size_t k = 0; k < n; ++k) q[k] = runs[i].round(k, 1.5f * w[i * n + n - 1 - k], codes[k]);
        r.store(stored, 0, i, runs[i], codes.data());
        decode(stored.blocks[i], decoded.data());
        for (std::size_t k = 0; k < n; ++k) CHECK(blocq::to_bits(q[k] + 0.0f) == blocq::to_bits(decoded[k] + 0.0f));

        // No worse than what the encoder made of the fitted values.
        decode(reference[i], decoded.data());
        for (std::size_t k = 0; k < n; ++k) {
          const float v = w[i * n + k], near = runs[i].round(k, v, codes[k]);
          CHECK(std::fabs(near - v) <= std::fabs(decoded[k] - v));
          std::uint8_t again = 0;
          CHECK(runs[i].round(k, near, again) == near);
        }
      }
    }
  });
#ifndef BLOCQ_TEST_FEW
  CHECK(formats == 26);
#endif
}

TEST_CASE("integers: range, zero point, ties to even, saturation") {
  const calib::integers r{.bits = 3, .group = 4};
  const float w[] = {-1.0f, 0.0f, 6.0f, 2.0f, 1.0f, 2.0f, 3.0f, 7.0f, 0.0f, 0.0f, 0.0f, 0.0f};
  std::vector<calib::integers::run> runs(3);
  REQUIRE(r.fit(w, {}, runs));
  CHECK(runs[0].scale == 1.0f);
  CHECK(runs[0].zero == 1.0f);
  CHECK(runs[1].zero == 0.0f);  // zero is in the range of positive weights too
  CHECK(runs[1].scale == 1.0f);
  CHECK(runs[2].scale == 1.0f);
  std::uint8_t code = 0;
  CHECK(runs[0].round(0, 0.5f, code) == 0.0f);
  CHECK(code == 1);
  CHECK(runs[0].round(0, 1.5f, code) == 2.0f);
  CHECK(runs[0].round(0, 1e30f, code) == 6.0f);
  CHECK(code == 7);
  CHECK(runs[0].round(0, -1e30f, code) == -1.0f);
  CHECK(code == 0);

  const calib::integers even{.bits = 4, .group = 0, .symmetric = true};
  CHECK(even.width(17) == 17);
  REQUIRE(even.fit(std::span(w).first(8), {}, std::span(runs).first(1)));
  CHECK(runs[0].scale == 1.0f);
  CHECK(runs[0].round(0, -100.0f, code) == -7.0f);
  CHECK(code == 1);

  const float bad[] = {1.0f, 2.0f, 3.0f, 4.0f, 5.0f, blocq::from_bits(0x7fc00000u), 7.0f, 8.0f};
  const blocq::status refused = r.fit(bad, {}, std::span(runs).first(2));
  CHECK(refused.code == blocq::errc::not_finite);
  CHECK(refused.at == 1);
  const float huge[] = {-3e38f, 3e38f, 0.0f, 0.0f};
  REQUIRE(r.fit(huge, {}, std::span(runs).first(1)));
  CHECK(blocq::is_finite(runs[0].round(0, 3e38f, code)));
}
