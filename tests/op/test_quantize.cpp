// What quantize() promises beyond the encoders' bytes: refusals leave the destination alone, values and weights that
// are no good stay where they are, floating-point modes, alignment and threads do not matter.
#include <doctest/doctest.h>
#include <blocq/op/parallel.hpp>
#include <blocq/op/quantize.hpp>
#include <encoders.hpp>
#include <engine_q4.hpp>
#include <golden.hpp>
#include <modes.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace blocq;

namespace {

using bytes = std::vector<std::byte>;
using test::encoder;

constexpr float infinite = std::numeric_limits<float>::infinity();
constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();
constexpr std::size_t columns = 1024;  // at least four blocks of every format

std::vector<float> values(std::size_t n = columns) {
  test::random_bits source{5};
  std::vector<float> x(n);
  for (float& v : x) {
    v = 0;
    for (int i = 0; i < 4; ++i) v += static_cast<float>(source.byte()) / 128.0f - 1.0f;
  }
  return x;
}

std::vector<float> weights() {
  test::random_bits source{6};
  std::vector<float> w(columns);
  for (float& v : w) v = 0.01f + static_cast<float>(source.byte()) / 64.0f;
  return w;
}

bytes encoded(const encoder& e, const std::vector<float>& x, const std::vector<float>& importance = {},
              status* outcome = nullptr) {
  bytes blocks = e.blocks_of(x.size());
  const status s = e.quantize(x, blocks.data(), blocks.size() / e.bytes, {.importance = importance});
  if (outcome != nullptr) *outcome = s;
  return blocks;
}

std::vector<float> decoded(const encoder& e, const std::byte* blocks, std::size_t count) {
  std::vector<float> y(count * e.elements);
  REQUIRE(e.dequantize(blocks, count, y));
  return y;
}

// Formats that must have importance weights have tests of their own: encode/test_iq.cpp.
void for_each_encoder(const auto& f) {
  for (const encoder& e : test::encoders())
    if (!e.requires_importance) {
      INFO(std::string(e.name));
      f(e);
    }
}
void for_each_weighted_encoder(const auto& f) {
  for_each_encoder([&](const encoder& e) {
    if (e.importance) f(e);
  });
}

}  // namespace

TEST_CASE("of two reasons to refuse the first is given, with an executor and without") {
  const std::vector<float> x(256);
  std::vector<iq2_xxs> blocks(1);  // cannot be encoded without importance
  const auto run = [](std::size_t n, const auto& f) {
    for (std::size_t i = 0; i < n; ++i) f(i);
  };
  const auto refused = [&](std::size_t n, std::size_t count, errc code) {
    const auto src = std::span(x).first(n);
    const auto dst = std::span(blocks).first(count);
    CHECK(quantize(src, dst).code == code);
    CHECK(quantize(src, dst, {}, 2, run).code == code);
  };
  refused(255, 1, errc::ragged);
  refused(256, 0, errc::size_mismatch);
  refused(256, 1, errc::missing);
  refused(0, 0, errc::ok);
}

TEST_CASE("sizes that do not fit are refused and the destination is left as it was") {
  for_each_encoder([](const encoder& e) {
    const std::size_t n = e.elements;
    const std::vector<float> x = values(4 * n + 1), w(x.size(), 1.0f);
    const bytes before(4 * e.bytes, std::byte{0xaa});
    bytes blocks = before;
    const std::span<const float> all(x), weight(w);
    const auto refusal = [&](std::span<const float> from, std::span<const float> importance = {}) {
      return e.quantize(from, blocks.data(), 4, {.importance = importance}).code;
    };
    CHECK(refusal(all.first(3 * n)) == errc::size_mismatch);
    CHECK(refusal(all.first(0)) == errc::size_mismatch);
    if (n > 1) {
      CHECK(refusal(all) == errc::ragged);
      // Importance that is not a whole number of blocks, or of which the source is not a whole number of rows.
      CHECK(refusal(all.first(4 * n), weight.first(1)) == errc::ragged);
      CHECK(refusal(all.first(4 * n), weight.first(3 * n)) == errc::ragged);
    }
    CHECK(blocks == before);
    CHECK(e.quantize({}, nullptr, 0, {}));
    CHECK(e.quantize({}, nullptr, 0, {.importance = weight.first(n)}));
  });
}

TEST_CASE("an engine's own struct is written through the format it names") {
  const std::vector<float> x = values(64);
  std::vector<engine_q4> mine(2);
  CHECK(quantize(x, mine));
  CHECK(std::memcmp(mine.data(), encoded(test::encoder_named("q4_0"), x).data(), 36) == 0);
}

TEST_CASE("a NaN or an infinity in one block changes no other block") {
  const std::vector<float> w = weights();
  for_each_encoder([&](const encoder& e) {
    const std::size_t n = e.elements, at = n + n / 2;  // in the second block
    std::vector<float> x = values();
    x[at] = 0.0f;
    for (const std::vector<float>& importance : {std::vector<float>(), w}) {
      const bytes clean = encoded(e, x, importance);
      for (const float odd : {not_a_number, -not_a_number, infinite, -infinite}) {
        std::vector<float> spoilt = x;
        spoilt[at] = odd;
        status outcome;
        bytes blocks = encoded(e, spoilt, importance, &outcome);
        CHECK(outcome.code == errc::not_finite);
        CHECK(outcome.at == 1);
        std::memcpy(&blocks[e.bytes], &clean[e.bytes], e.bytes);
        CHECK(blocks == clean);
      }
    }
  });
}

TEST_CASE("weights that are no good count as zero") {
  const std::vector<float> x = values(), good = weights();
  for_each_weighted_encoder([&](const encoder& e) {
    std::vector<float> zeros = good;
    for (std::size_t i = 0; i < columns; i += 7) zeros[i] = 0.0f;
    const bytes expected = encoded(e, x, zeros);
    for (const float bad : {not_a_number, -not_a_number, infinite, -infinite, -1.0f, -1e-40f, -0.0f}) {
      std::vector<float> w = good;
      for (std::size_t i = 0; i < columns; i += 7) w[i] = bad;
      CHECK(encoded(e, x, w) == expected);
    }

    const bytes weighted = encoded(e, x, good);
    const auto without = [&](float bad) {  // no weight is left in the second block
      std::vector<float> w = good;
      for (std::size_t i = 0; i < e.elements; ++i) w[e.elements + i] = bad;
      return encoded(e, x, w);
    };
    bytes blocks = without(0.0f);
    for (const float bad : {not_a_number, infinite, -1.0f}) CHECK(without(bad) == blocks);
    std::memcpy(&blocks[e.bytes], &weighted[e.bytes], e.bytes);
    CHECK(blocks == weighted);
  });
}

TEST_CASE("blocks without a weight are what the reference makes of them") {
  // Of values() with weights() but for 256 columns of zero: libggml-base 0.25.1.
  const std::map<std::string_view, std::uint64_t> hashes = {
      {"q4_0", 0x1e0f6b4ba992759cu},   {"q4_1", 0x5b4d8ba9ee1067b4u},   {"q5_0", 0x236632b90864494bu},
      {"q5_1", 0x8ab09d3f8102cd43u},   {"q2_k", 0x9dd1f2cdb5ebb875u},   {"q3_k", 0x1d10274c744dfce4u},
      {"q4_k", 0xcd63da896e3b28f1u},   {"q5_k", 0x4ed75c30f667b659u},   {"q6_k", 0x631fe04f3ebdd7b6u},
      {"iq1_s", 0x458a7c66423031c3u},  {"iq1_m", 0xb484ef7d1c7549abu},  {"iq2_xxs", 0x751327ee6702fc76u},
      {"iq2_xs", 0x61e292e3285870bcu}, {"iq2_s", 0x42b36066e9f1b0ebu},  {"iq3_xxs", 0x4563c0dea7f7cc7eu},
      {"iq3_s", 0xf0cdbef23c27ec73u},  {"iq4_nl", 0x79cca7ddd2473189u}, {"iq4_xs", 0xb13005dba09f1a01u}};
  const std::vector<float> x = values();
  std::vector<float> w = weights();
  std::fill_n(w.begin(), 256, 0.0f);
  std::size_t formats = 0;
  for (const encoder& e : test::encoders()) {
    if (!e.importance) continue;
    INFO(std::string(e.name));
    const auto found = hashes.find(e.name);
    REQUIRE(found != hashes.end());
    CHECK(golden::fnv1a(std::span<const std::byte>(encoded(e, x, w))) == found->second);
    ++formats;
  }
#ifndef BLOCQ_TEST_FEW
  CHECK(formats == hashes.size());
#endif
}

TEST_CASE("only the ratios of the weights count, from the least to the largest float") {
  const std::vector<float> x = values(), good = weights();
  for_each_weighted_encoder([&](const encoder& e) {
    const bytes expected = encoded(e, x, good);
    for (const float factor : {0x1p-119f, 0x1p-102f, 0x1p-66f, 0x1p-20f, 0x1p20f, 0x1p66f, 0x1p100f, 0x1p125f}) {
      CAPTURE(factor);
      std::vector<float> w = good;
      for (float& v : w) v *= factor;
      CHECK(encoded(e, x, w) == expected);
    }
  });
}

TEST_CASE("finite values that a format cannot hold are reported, never silently lost") {
  const std::vector<float> x = values(), w = weights();
  for_each_encoder([&](const encoder& e) {
    int reported = 0;
    for (const std::vector<float>& importance : {std::vector<float>(), w}) {
      for (const float magnitude : {1e3f, 1e5f, 1e7f, 1e9f, 1e12f, 1e15f, 1e19f, 1e20f, 1e25f, 1e30f, 1e37f}) {
        CAPTURE(magnitude);
        std::vector<float> large = x;
        for (std::size_t i = 0; i < e.elements; ++i) large[e.elements + i] *= magnitude;
        status outcome;
        const bytes blocks = encoded(e, large, importance, &outcome);
        const std::vector<float> y = decoded(e, &blocks[e.bytes], 1);
        CHECK((outcome || (outcome.code == errc::scale_range && outcome.at == 1)));
        reported += !outcome;
        float peak = 0, reached = 0;
        bool finite = true;
        for (std::size_t i = 0; i < e.elements; ++i) {
          peak = std::fmax(peak, std::fabs(large[e.elements + i]));
          reached = std::fmax(reached, std::fabs(y[i]));
          finite = finite && is_finite(y[i]);
        }
        if (outcome) {
          CHECK(finite);
          if (magnitude > 1e9f) CHECK(reached >= peak / 2);
        }
      }
    }
    // Scales with the exponents of a float hold all of them.
    const bool wide = !e.gguf || e.name == "q8_k" || e.name == "mxfp4" || e.name == "bf16";
    if (!wide) CHECK(reported > 0);
  });
}

TEST_CASE("tiny values become tiny values") {
  const std::vector<float> x = values(), w = weights();
  for_each_encoder([&](const encoder& e) {
    for (const std::vector<float>& importance : {std::vector<float>(), w}) {
      for (const float magnitude : {1e-6f, 1e-10f, 1e-20f, 1e-30f, 1e-37f, 1e-44f}) {
        CAPTURE(magnitude);
        std::vector<float> small = x;
        for (float& v : small) v *= magnitude;
        status outcome;
        const bytes blocks = encoded(e, small, importance, &outcome);
        float reached = 0;
        for (const float v : decoded(e, blocks.data(), columns / e.elements))
          reached = std::fmax(reached, std::fabs(v));
        CHECK(reached <= 16 * magnitude);
        if (magnitude >= 1e-37f) CHECK(outcome);
      }
    }
  });
}

TEST_CASE("rounding, flushing and traps do not reach the blocks, and are left as they were") {
  const std::vector<float> x = values(), w = weights();
  int changed = 0, different = 0;
  for_each_encoder([&](const encoder& e) {
    const bytes plain = encoded(e, x), weighted = encoded(e, x, w);
    bytes got(plain.size());
    const std::size_t count = got.size() / e.bytes;
    modes::for_each([&] {
      const std::uint64_t before = modes::current();
      bool done = static_cast<bool>(e.quantize(x, got.data(), count, {}));
      different += !done || got != plain;
      done = static_cast<bool>(e.quantize(x, got.data(), count, {.importance = w}));
      different += !done || got != weighted;
      changed += modes::current() != before;
    });
  });
  CHECK(different == 0);
  CHECK(changed == 0);
}

TEST_CASE("blocks may lie at any address") {
  const std::vector<float> x = values();
  for_each_encoder([&](const encoder& e) {
    const bytes expected = encoded(e, x);
    const std::size_t size = expected.size(), count = size / e.bytes;
    bytes buffer(size + 2, std::byte{0xaa});
    CHECK(e.quantize(x, &buffer[1], count, {}));
    CHECK(std::equal(expected.begin(), expected.end(), buffer.begin() + 1));
    CHECK(buffer.front() == std::byte{0xaa});
    CHECK(buffer.back() == std::byte{0xaa});
    CHECK(decoded(e, &buffer[1], count) == decoded(e, expected.data(), count));
  });
}

TEST_CASE("many threads may start at once") {
  const std::vector<float> x = values(), w = weights();
  std::vector<bytes> results(8);
  std::vector<std::thread> threads;
  for (bytes& result : results)
    threads.emplace_back([&] {
      for (const encoder& e : test::encoders()) {
        bytes blocks = e.blocks_of(columns);
        std::vector<float> y(columns);
        static_cast<void>(e.quantize(x, blocks.data(), columns / e.elements, {.importance = w}));
        static_cast<void>(e.dequantize(blocks.data(), columns / e.elements, y));
        const auto decoded = std::as_bytes(std::span(y));
        result.insert(result.end(), decoded.begin(), decoded.end());
      }
    });
  for (std::thread& t : threads) t.join();
  for (const bytes& result : results) CHECK(result == results.front());
}
