// What quantize() promises beyond the encoders' bytes: refusals leave the destination alone, values and weights that
// are no good stay where they are, floating-point modes, alignment and threads do not matter.
#include <doctest/doctest.h>
#include <blocq/format/all.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/parallel.hpp>
#include <blocq/op/quantize.hpp>
#include <engine_q4.hpp>
#include <formats.hpp>
#include <golden.hpp>
#include <modes.hpp>
#include <random.hpp>

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

template <class B>
std::vector<B> encoded(const std::vector<float>& x, const std::vector<float>& importance = {},
                       status* outcome = nullptr) {
  std::vector<B> blocks(x.size() / block_size<B>);
  const status s = quantize(x, blocks, {.importance = importance});
  if (outcome != nullptr) *outcome = s;
  return blocks;
}

template <class B>
std::vector<float> decoded(const std::vector<B>& blocks) {
  std::vector<float> y(blocks.size() * block_size<B>);
  REQUIRE(dequantize(blocks, y));
  return y;
}

template <class B>
bool same(const std::vector<B>& a, const std::vector<B>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(B)) == 0;
}

// Calls f.template operator()<B>() for every format that can be encoded.
template <class F>
void for_each_encoder(F f) {
  for_each(test::formats{}, [&]<class B> {
    INFO(std::string(format_traits<B>::name));
    // Formats that must have importance weights have tests of their own: encode/test_iq.cpp.
    if constexpr (encodable_format<B> && !blocq::detail::requires_importance<B>) f.template operator()<B>();
  });
}
template <class F>
void for_each_weighted_encoder(F f) {
  for_each_encoder([&]<class B> {
    if constexpr (format_traits<B>::importance) f.template operator()<B>();
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
  for_each_encoder([]<class B> {
    const std::vector<float> x = values(4 * block_size<B> + 1), w(x.size(), 1.0f);
    std::vector<B> blocks(4), before(4);
    std::memset(static_cast<void*>(blocks.data()), 0xaa, 4 * sizeof(B));
    before = blocks;
    const std::span<const float> all(x), weight(w);
    CHECK(quantize(all.first(3 * block_size<B>), blocks).code == errc::size_mismatch);
    CHECK(quantize(all.first(0), blocks).code == errc::size_mismatch);
    if (block_size < B >> 1) {
      CHECK(quantize(all, blocks).code == errc::ragged);
      // Importance that is not a whole number of blocks, or of which the source is not a whole number of rows.
      const auto four = all.first(4 * block_size<B>);
      CHECK(quantize(four, blocks, {.importance = weight.first(1)}).code == errc::ragged);
      CHECK(quantize(four, blocks, {.importance = weight.first(3 * block_size<B>)}).code == errc::ragged);
    }
    CHECK(same(blocks, before));
    CHECK(quantize(std::span<const float>(), std::span<B>()));
    CHECK(quantize(std::span<const float>(), std::span<B>(), {.importance = weight.first(block_size<B>)}));
  });
}

TEST_CASE("an engine's own struct is written through the format it names") {
  const std::vector<float> x = values(64);
  std::vector<engine_q4> mine(2);
  CHECK(quantize(x, mine));
  CHECK(std::memcmp(mine.data(), encoded<q4_0>(x).data(), 36) == 0);
}

TEST_CASE("a NaN or an infinity in one block changes no other block") {
  const std::vector<float> w = weights();
  for_each_encoder([&]<class B> {
    constexpr std::size_t n = block_size<B>, at = n + n / 2;  // in the second block
    std::vector<float> x = values();
    x[at] = 0.0f;
    for (const std::vector<float>& importance : {std::vector<float>(), w}) {
      const std::vector<B> clean = encoded<B>(x, importance);
      for (const float odd : {not_a_number, -not_a_number, infinite, -infinite}) {
        std::vector<float> spoilt = x;
        spoilt[at] = odd;
        status outcome;
        std::vector<B> blocks = encoded<B>(spoilt, importance, &outcome);
        CHECK(outcome.code == errc::not_finite);
        CHECK(outcome.at == 1);
        blocks[1] = clean[1];
        CHECK(same(blocks, clean));
      }
    }
  });
}

TEST_CASE("weights that are no good count as zero") {
  const std::vector<float> x = values(), good = weights();
  for_each_weighted_encoder([&]<class B> {
    std::vector<float> zeros = good;
    for (std::size_t i = 0; i < columns; i += 7) zeros[i] = 0.0f;
    const std::vector<B> expected = encoded<B>(x, zeros);
    for (const float bad : {not_a_number, -not_a_number, infinite, -infinite, -1.0f, -1e-40f, -0.0f}) {
      std::vector<float> w = good;
      for (std::size_t i = 0; i < columns; i += 7) w[i] = bad;
      CHECK(same(encoded<B>(x, w), expected));
    }

    const std::vector<B> weighted = encoded<B>(x, good);
    const auto without = [&](float bad) {  // no weight is left in the second block
      std::vector<float> w = good;
      for (std::size_t i = 0; i < block_size<B>; ++i) w[block_size<B> + i] = bad;
      return encoded<B>(x, w);
    };
    std::vector<B> blocks = without(0.0f);
    for (const float bad : {not_a_number, infinite, -1.0f}) CHECK(same(without(bad), blocks));
    blocks[1] = weighted[1];
    CHECK(same(blocks, weighted));
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
  for_each(test::formats{}, [&]<class B> {
    if constexpr (encodable_format<B>)
      if constexpr (format_traits<B>::importance) {
        INFO(std::string(format_traits<B>::name));
        const auto found = hashes.find(format_traits<B>::name);
        REQUIRE(found != hashes.end());
        const std::vector<B> blocks = encoded<B>(x, w);
        CHECK(golden::fnv1a(std::as_bytes(std::span(blocks))) == found->second);
        ++formats;
      }
  });
#ifndef BLOCQ_TEST_FEW
  CHECK(formats == hashes.size());
#endif
}

TEST_CASE("only the ratios of the weights count, from the least to the largest float") {
  const std::vector<float> x = values(), good = weights();
  for_each_weighted_encoder([&]<class B> {
    const std::vector<B> expected = encoded<B>(x, good);
    for (const float factor : {0x1p-119f, 0x1p-102f, 0x1p-66f, 0x1p-20f, 0x1p20f, 0x1p66f, 0x1p100f, 0x1p125f}) {
      CAPTURE(factor);
      std::vector<float> w = good;
      for (float& v : w) v *= factor;
      CHECK(same(encoded<B>(x, w), expected));
    }
  });
}

TEST_CASE("finite values that a format cannot hold are reported, never silently lost") {
  const std::vector<float> x = values(), w = weights();
  for_each_encoder([&]<class B> {
    int reported = 0;
    for (const std::vector<float>& importance : {std::vector<float>(), w}) {
      for (const float magnitude : {1e3f, 1e5f, 1e7f, 1e9f, 1e12f, 1e15f, 1e19f, 1e20f, 1e25f, 1e30f, 1e37f}) {
        CAPTURE(magnitude);
        std::vector<float> large = x;
        for (std::size_t i = 0; i < block_size<B>; ++i) large[block_size<B> + i] *= magnitude;
        status outcome;
        const std::vector<float> y = decoded(encoded<B>(large, importance, &outcome));
        CHECK((outcome || (outcome.code == errc::scale_range && outcome.at == 1)));
        reported += !outcome;
        float peak = 0, reached = 0;
        bool finite = true;
        for (std::size_t i = 0; i < block_size<B>; ++i) {
          peak = std::fmax(peak, std::fabs(large[block_size<B> + i]));
          reached = std::fmax(reached, std::fabs(y[block_size<B> + i]));
          finite = finite && is_finite(y[block_size<B> + i]);
        }
        if (outcome) {
          CHECK(finite);
          if (magnitude > 1e9f) CHECK(reached >= peak / 2);
        }
      }
    }
    constexpr bool wide = requires(B b) { b.absmax; }
    || sizeof(B) == 292 || !gguf_format<B>;
    if constexpr (!wide && !requires(B b) { b.e; } && !std::is_same_v<B, bf16>) CHECK(reported > 0);
  });
}

TEST_CASE("tiny values become tiny values") {
  const std::vector<float> x = values(), w = weights();
  for_each_encoder([&]<class B> {
    for (const std::vector<float>& importance : {std::vector<float>(), w}) {
      for (const float magnitude : {1e-6f, 1e-10f, 1e-20f, 1e-30f, 1e-37f, 1e-44f}) {
        CAPTURE(magnitude);
        std::vector<float> small = x;
        for (float& v : small) v *= magnitude;
        status outcome;
        const std::vector<float> y = decoded(encoded<B>(small, importance, &outcome));
        float reached = 0;
        for (const float v : y) reached = std::fmax(reached, std::fabs(v));
        CHECK(reached <= 16 * magnitude);
        if (magnitude >= 1e-37f) CHECK(outcome);
      }
    }
  });
}

TEST_CASE("rounding, flushing and traps do not reach the blocks, and are left as they were") {
  const std::vector<float> x = values(), w = weights();
  int changed = 0, different = 0;
  for_each_encoder([&]<class B> {
    const std::vector<B> plain = encoded<B>(x), weighted = encoded<B>(x, w);
    std::vector<B> got(plain.size());
    modes::for_each([&] {
      const std::uint64_t before = modes::current();
      bool done = static_cast<bool>(quantize(x, got));
      different += !done || !same(got, plain);
      done = static_cast<bool>(quantize(x, got, {.importance = w}));
      different += !done || !same(got, weighted);
      changed += modes::current() != before;
    });
  });
  CHECK(different == 0);
  CHECK(changed == 0);
}

TEST_CASE("blocks may lie at any address") {
  const std::vector<float> x = values();
  for_each_encoder([&]<class B> {
    const std::vector<B> expected = encoded<B>(x);
    const std::size_t bytes = expected.size() * sizeof(B);
    std::vector<unsigned char> buffer(bytes + 2, 0xaa);
    const std::span blocks(reinterpret_cast<B*>(buffer.data() + 1), expected.size());
    CHECK(quantize(x, blocks));
    CHECK(std::memcmp(buffer.data() + 1, expected.data(), bytes) == 0);
    CHECK(buffer.front() == 0xaa);
    CHECK(buffer.back() == 0xaa);
    std::vector<float> y(x.size());
    CHECK(dequantize(blocks, y));
    CHECK(std::memcmp(y.data(), decoded(expected).data(), y.size() * sizeof(float)) == 0);
  });
}

TEST_CASE("many threads may start at once") {
  const std::vector<float> x = values(), w = weights();
  std::vector<std::vector<unsigned char>> results(8);
  std::vector<std::thread> threads;
  for (std::vector<unsigned char>& result : results)
    threads.emplace_back([&] {
      for_each(test::formats{}, [&]<class B> {
        if constexpr (encodable_format<B>) {
          std::vector<B> blocks(columns / block_size<B>);
          std::vector<float> y(columns);
          static_cast<void>(quantize(x, blocks, {.importance = w}));
          static_cast<void>(dequantize(blocks, y));
          const std::size_t end = result.size();
          result.resize(end + columns * sizeof(float));
          std::memcpy(result.data() + end, y.data(), columns * sizeof(float));
        }
      });
    });
  for (std::thread& t : threads) t.join();
  for (const std::vector<unsigned char>& result : results) CHECK(result == results.front());
}
