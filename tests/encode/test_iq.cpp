// What the encoders of iq1, iq2 and iq3 do besides the reference's bytes (test_all.cpp): formats that require
// importance, input that makes the reference abort, and a bug of the reference that is only reproduced on demand.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>
#include <golden.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

namespace {

template <class B>
void check_required() {
  std::vector<float> x(512);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 17) - 8.0f;
  std::vector<B> refused(2);
  std::memset(refused.data(), 0xa5, 2 * sizeof(B));
  CHECK(quantize(x, refused).code == blocq::errc::missing);
  std::uint8_t bytes[2 * sizeof(B)];
  std::memcpy(bytes, refused.data(), sizeof bytes);
  for (const std::uint8_t byte : bytes) CHECK(byte == 0xa5);
  CHECK(quantize(x, refused, {.importance = std::vector<float>(256, 1.0f)}));
}

// The records of B for which the reference aborts.
template <class B>
void check_aborts(std::size_t want) {
  INFO(std::string(blocq::format_traits<B>::name));
  const std::vector<float> rows = golden::input("extreme256"), importance = golden::input("imatrix256");
  std::size_t count = 0;
  for (const golden::record& r : golden::records("extreme", blocq::format_traits<B>::name)) {
    if (r.words.empty()) continue;
    CAPTURE(r["desc"]);
    ++count;
    const std::span row(rows.data() + r.number("row") * 256, 256);
    std::vector<B> blocks(1), scalar(1);
    const blocq::status s =
        quantize(row, blocks, {.importance = r["mode"] == "ref" ? std::vector<float>() : importance});
    bool finite = true;
    for (const float v : row) finite = finite && blocq::is_finite(v);
    CHECK(s.code == (finite ? blocq::errc::scale_range : blocq::errc::not_finite));
    blocq::encode_context c;
    c.weights = r["mode"] == "ref" ? nullptr : importance.data();
    const blocq::fp_environment modes;
    encode(row.data(), 1, c, scalar.data());
    encode<blocq::native_lane>(row.data(), 1, c, blocks.data());
    CHECK(std::memcmp(blocks.data(), scalar.data(), sizeof(B)) == 0);
  }
  CHECK(count == want);
}

}  // namespace

TEST_CASE("formats that require importance say so") {
  check_required<blocq::iq1_s>();
  check_required<blocq::iq2_xxs>();
  check_required<blocq::iq2_xs>();
}

TEST_CASE("where the reference aborts there is an error and a block") {
  check_aborts<blocq::iq2_xxs>(2);
  check_aborts<blocq::iq2_xs>(8);
  check_aborts<blocq::iq2_s>(16);
  check_aborts<blocq::iq3_xxs>(16);
  check_aborts<blocq::iq3_s>(18);
}

TEST_CASE("iq3_s: a group of zeros before others") {
  std::vector<float> x(256);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = i / 32 == 0 || i / 32 == 4 ? 0.0f : static_cast<float>(i * 37 % 64) - 31.5f;
  std::vector<blocq::iq3_s> right(1), wrong(1);
  REQUIRE(quantize(x, right));
  REQUIRE(quantize(x, wrong, {.reference_bugs = true}));
  const auto largest_error = [&](const std::vector<blocq::iq3_s>& blocks) {
    std::vector<float> y(256);
    REQUIRE(dequantize(blocks, y));
    float largest = 0.0f;
    for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
    return largest;
  };
  CHECK(largest_error(right) < 10.0f);
  CHECK(largest_error(wrong) > 30.0f);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = i < 192 ? x[i % 32 + 32] : 0.0f;  // zeros last: nothing to move
  REQUIRE(quantize(x, right));
  REQUIRE(quantize(x, wrong, {.reference_bugs = true}));
  CHECK(std::memcmp(right.data(), wrong.data(), sizeof(blocq::iq3_s)) == 0);
}

TEST_CASE("iq1: equal values keep their order, and -0 is 0") {
  std::vector<float> x(256), y(256);
  for (std::size_t i = 0; i < x.size(); ++i) {
    x[i] = static_cast<float>(i * i % 5) - 2.0f;
    y[i] = x[i] == 0.0f && i % 3 == 0 ? -0.0f : x[i];
  }
  std::vector<float> importance(256);
  for (std::size_t i = 0; i < x.size(); ++i) importance[i] = static_cast<float>(1 + i * 7 % 13);
  const auto check = [&]<class B>(std::vector<B> a, std::vector<B> b) {
    REQUIRE(quantize(x, a, {.importance = importance}));
    REQUIRE(quantize(y, b, {.importance = importance}));
    CHECK(std::memcmp(a.data(), b.data(), sizeof(B)) == 0);
  };
  check(std::vector<blocq::iq1_s>(1), std::vector<blocq::iq1_s>(1));
  check(std::vector<blocq::iq1_m>(1), std::vector<blocq::iq1_m>(1));
}
