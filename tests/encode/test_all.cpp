// Every encoder against the golden records of its format, bit for bit: ordinary rows with and without importance, rows
// of extreme values, and hashes over a long stream.
#include <doctest/doctest.h>
#include <blocq/core/fp_environment.hpp>
#include <encoders.hpp>
#include <fenced.hpp>
#include <golden.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace {

using blocq::encode_context;
using blocq::lane;
using bytes = std::vector<std::byte>;

// The records of one kind about a format, but for those where the reference aborts.
std::vector<golden::record> records_of(const test::encoder& e, const std::string& kind) {
  std::vector<golden::record> found;
  for (golden::record& r : golden::records(kind)) {
    std::string type = r["type"];
    for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (type == e.name && r.words.empty()) found.push_back(std::move(r));
  }
  return found;
}

// What a record encodes: rows of `columns` values, under `importance` if that is not empty.
struct job {
  std::vector<float> values, importance;
  std::size_t columns = 256;

  job() = default;
  explicit job(const golden::record& r) {
    const std::string& mode = r["mode"];
    const bool weighted = mode.find("_imatrix") != std::string::npos || mode == "imatrix256";
    if (r.kind == "stream") {
      golden::stream s(r.number("nsb"));
      values = std::move(s.values);
      if (weighted) importance = std::move(s.weights);
    } else if (r.kind == "extreme") {
      const std::vector<float> rows = golden::input("extreme256");
      values.assign(rows.data() + r.number("row") * 256, rows.data() + (r.number("row") + 1) * 256);
      if (weighted) importance = golden::input("imatrix256");
    } else {
      values = golden::input(r["input"]);
      columns = r.number("n_per_row");
      if (weighted) importance = golden::input(mode.substr(mode.find("imatrix")));
    }
  }
};

// A bare encoder under what the reference passes to it, whatever the values; quantize() mends what a NaN, an infinity
// or an overflow would spoil.
bytes encode_bare(const test::encoder& e, decltype(e.encode_lane) encode, const job& j) {
  const blocq::fp_environment modes;
  bytes out = e.blocks_of(j.values.size());
  const std::size_t row = j.columns / e.elements;
  for (std::size_t i = 0; i < out.size() / e.bytes; i += row) {
    const float* x = j.values.data() + i * e.elements;
    encode_context c;
    c.reference_bugs = true;
    if (!j.importance.empty()) {
      lane sum = 0.0f;
      for (std::size_t k = 0; k < j.columns; ++k) sum += lane(x[k]) * lane(x[k]);
      c.row_mean_square = (sum / lane(static_cast<float>(j.columns))).v;
      c.weights = j.importance.data();
    }
    encode(x, row, c, out.data() + i * e.bytes);
  }
  return out;
}

// The reference's other encoder of iq4_nl, which no file uses, out of the parts of ours: level -127 for the extreme
// element, and codes from the scale that gives, not from the fitted one that is stored.
std::vector<blocq::iq4_nl> encode_iq4_nl_once(const job& j) {
  const blocq::fp_environment modes;
  std::vector<blocq::iq4_nl> out(j.values.size() / blocq::block_size<blocq::iq4_nl>);
  blocq::detail::for_each_tile<lane, 32>(
      j.values.data(), out.size(), [&](std::size_t first, std::size_t count, const lane(&x)[32]) {
        lane w[32], code[32];
        blocq::detail::square_weights(x, w);
        const auto extreme = blocq::detail::find_peak(x);
        const lane inverse = lane(1.0f) / (extreme.value / lane(-127.0f));
        const auto m = blocq::detail::measure_iq4(x, w, inverse);
        const auto live = (extreme.magnitude >= lane(blocq::detail::negligible)) & (m.qq > lane(0.0f));
        blocq::detail::iq4_codes(x, inverse, code);
        blocq::detail::store_f16(m.scale(live), &blocq::iq4_nl::d, out.data() + first, count);
        blocq::detail::store_codes(code, out.data() + first, count);
      });
  return out;
}

void check_rows(const test::encoder& e, const golden::record& r) {
  const job j(r);
  if (e.name == "iq4_nl" && r["mode"] == "ref") {
    const auto got = encode_iq4_nl_once(j);
    auto want = golden::array<blocq::iq4_nl>(r["file"], r.number("off"), got.size());
    for (std::size_t i = 0; i < got.size();
         ++i)  // codes of zero blocks: what happened to lie in the reference's memory
      if (load(want[i].d) == 0) std::memcpy(want[i].qs, got[i].qs, sizeof want[i].qs);
    CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof got[0]) == 0);
    return;
  }
  bytes got = e.blocks_of(j.values.size());
  const bytes want = golden::array<std::byte>(r["file"], r.number("off"), got.size());
  CHECK(encode_bare(e, e.encode_lane, j) == want);
  CHECK(encode_bare(e, e.encode_native, j) == want);
  const blocq::quantize_options options{.importance = j.importance, .reference_bugs = true};
  const blocq::status outcome = e.quantize(j.values, got.data(), got.size() / e.bytes, options);
  if (outcome || j.importance.empty()) CHECK(got == want);
}

void check_stream(const test::encoder& e, const std::vector<golden::record>& records) {
  bytes blocks;
  for (const golden::record& r : records) {
    CAPTURE(r["mode"]);
    if (r["mode"] == "dequant_of_last") {
      std::vector<float> y(blocks.size() / e.bytes * e.elements);
      REQUIRE(e.dequantize(blocks.data(), blocks.size() / e.bytes, y));
      CHECK(golden::fnv1a(std::span<const float>(y)) == r.hash("out_fnv"));
      continue;
    }
    const job j(r);
    CHECK(golden::fnv1a(std::span<const float>(j.values)) == r.hash("in_fnv"));
    blocks = e.blocks_of(j.values.size());
    const blocq::quantize_options options{.importance = j.importance, .reference_bugs = true};
    CHECK(e.quantize(j.values, blocks.data(), blocks.size() / e.bytes, options));
    if (e.name == "iq4_nl" && r["mode"] == "ref") {
      const auto once = encode_iq4_nl_once(j);
      std::memcpy(blocks.data(), once.data(), blocks.size());
    }
    CHECK(golden::fnv1a(std::span<const std::byte>(blocks)) == r.hash("out_fnv"));
  }
}

// Calls f(encoder, records) for every GGUF block format that can be encoded.
template <class F>
void for_each_encoder(const char* kind, F f) {
  for (const test::encoder& e : test::encoders())
    if (e.gguf && e.elements > 1) {
      CAPTURE(std::string(e.name));
      const std::vector<golden::record> records = records_of(e, kind);
      CHECK(!records.empty());
      f(e, records);
    }
}

}  // namespace

TEST_CASE("encoders give the reference's bytes") {
  for_each_encoder("quant", [](const test::encoder& e, const std::vector<golden::record>& records) {
    for (const golden::record& r : records) {
      CAPTURE(r["mode"]);
      check_rows(e, r);
    }
  });
}

TEST_CASE("encoders give the reference's bytes for extreme values") {
  for_each_encoder("extreme", [](const test::encoder& e, const std::vector<golden::record>& records) {
    for (const golden::record& r : records) {
      CAPTURE(r["mode"]);
      CAPTURE(r["desc"]);
      check_rows(e, r);
    }
  });
}

TEST_CASE("encoders and decoders give the reference's stream hashes") { for_each_encoder("stream", check_stream); }

TEST_CASE("a NaN or an infinity gives the same bytes on any lanes, and whatever the compiler and its flags") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> importance = golden::input("imatrix256");
  std::vector<std::uint64_t> hashes;
  for (const test::encoder& e : test::encoders()) {
    if (e.elements == 1) continue;
    CAPTURE(std::string(e.name));
    constexpr std::size_t columns = 2048;
    const std::size_t n = e.elements;
    job j;
    j.columns = columns;
    for (std::size_t i = 0; i < columns; ++i) j.values.push_back(static_cast<float>(static_cast<int>(i % 13) - 6));
    // In most blocks something that is not finite: first, in the middle, last; what follows is smaller.
    const float odd[] = {nan, infinity, -infinity, -nan};
    for (std::size_t b = 0; b < columns / n; ++b) {
      const std::size_t at[] = {0, n / 2 + 1, n - 1, n - n / 8};
      if (b % 5 == 4) continue;
      for (std::size_t i = at[b % 4]; i < n; ++i) j.values[b * n + i] *= b % 2 == 0 ? 0.15f : -0.25f;
      j.values[b * n + at[b % 4]] = odd[(b / 2 + b) % 4];
      if (b % 3 == 1) j.values[b * n + at[b % 4] / 2] = odd[b % 4];
    }
    for (const bool weighted : {false, true}) {
      if (weighted)
        for (std::size_t i = 0; i < columns; ++i) j.importance.push_back(importance[i % importance.size()]);
      const bytes one = encode_bare(e, e.encode_lane, j);
      CHECK(encode_bare(e, e.encode_native, j) == one);
      bytes written(one.size());
      if (weighted || !e.requires_importance) {
        const blocq::quantize_options options{.importance = j.importance, .reference_bugs = true};
        CHECK(e.quantize(j.values, written.data(), columns / n, options).code == blocq::errc::not_finite);
        if (!weighted) CHECK(written == one);
      }
      hashes.push_back(golden::fnv1a(std::span<const std::byte>(weighted ? written : one)));
    }
  }
#if defined(__SSE2__) && !defined(BLOCQ_TEST_FEW)  // the NaN that an operation makes has another sign elsewhere
  CHECK(golden::fnv1a(std::span<const std::uint64_t>(hashes)) == 0x95a3b8722e6aa779u);
#endif
}

#ifdef BLOCQ_TEST_HAS_FENCED
// Encoders look at up to 16 blocks together. The page behind the last byte, or before the first, cannot be read.
TEST_CASE("each block is encoded from its own numbers, and nothing else is read") {
  constexpr std::size_t blocks = 17;
  const std::vector<float> values = golden::input("imatrix256");
  for (const test::encoder& e : test::encoders()) {
    CAPTURE(std::string(e.name));
    const blocq::fp_environment modes;
    std::vector<float> numbers(blocks * e.elements);
    for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = values[i * 7 % values.size()] - 0.5f;
    const std::vector<float> importance(numbers.size(), 1.0f);
    encode_context c;
    if (e.importance) c.weights = importance.data();
    bytes alone(blocks * e.bytes);
    for (std::size_t i = 0; i < blocks; ++i) {
      encode_context own = c;
      if (e.importance) own.weights += i * e.elements;
      e.encode_lane(&numbers[i * e.elements], 1, own, &alone[i * e.bytes]);
    }
    for (const std::size_t count : {std::size_t{1}, blocks})
      for (const bool behind : {true, false}) {
        const auto first = [&](const std::vector<float>& v) {
          return std::span<const float>(v).first(count * e.elements);
        };
        const fenced<float> x(first(numbers), behind), w(first(importance), behind);
        const fenced<std::byte> together(count * e.bytes, behind);
        if (e.importance) c.weights = w.items.data();
        e.encode_native(x.items.data(), count, c, together.items.data());
        CHECK(std::equal(together.items.begin(), together.items.end(), alone.begin()));
      }
  }
}
#endif
