// Every encoder against the golden records of its format, bit for bit: ordinary rows with and without importance, rows
// of extreme values, and hashes over a long stream.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>
#include <formats.hpp>
#include <golden.hpp>

#include <cctype>
#include <cstring>

namespace {

using blocq::encode_context;
using blocq::lane;

// The records of one kind about B, but for those where the reference aborts.
template <class B>
std::vector<golden::record> records_of(const std::string& kind) {
  std::vector<golden::record> found;
  for (golden::record& r : golden::records(kind)) {
    std::string type = r["type"];
    for (char& c : type) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (type == blocq::format_traits<B>::name && r.words.empty()) found.push_back(std::move(r));
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

  template <class B>
  std::vector<B> blocks() const {
    return std::vector<B>(values.size() / blocq::block_size<B>);
  }
};

// The bare encoder under what the reference passes to it, whatever the values; quantize() mends what a NaN, an infinity
// or an overflow would spoil.
template <class L, class B>
std::vector<B> encode_bare(const job& j) {
  const blocq::fp_environment modes;
  std::vector<B> out = j.blocks<B>();
  const std::size_t row = j.columns / blocq::block_size<B>;
  for (std::size_t i = 0; i < out.size(); i += row) {
    const float* x = j.values.data() + i * blocq::block_size<B>;
    encode_context c;
    c.reference_bugs = true;
    if (!j.importance.empty()) {
      lane sum = 0.0f;
      for (std::size_t k = 0; k < j.columns; ++k) sum += lane(x[k]) * lane(x[k]);
      c.row_mean_square = (sum / lane(static_cast<float>(j.columns))).v;
      c.weights = j.importance.data();
    }
    if constexpr (requires { encode<L>(x, row, c, out.data()); })
      encode<L>(x, row, c, out.data() + i);
    else
      encode(x, row, c, out.data() + i);
  }
  return out;
}

// The reference's other encoder of iq4_nl, which no file uses, out of the parts of ours: level -127 for the extreme
// element, and codes from the scale that gives, not from the fitted one that is stored.
[[maybe_unused]] std::vector<blocq::iq4_nl> encode_iq4_nl_once(const job& j) {
  const blocq::fp_environment modes;
  std::vector<blocq::iq4_nl> out = j.blocks<blocq::iq4_nl>();
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

template <class B>
std::size_t differences(const std::vector<B>& got, const std::vector<B>& want) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < want.size(); ++i) count += std::memcmp(&got[i], &want[i], sizeof(B)) != 0;
  return count;
}

template <class B>
void check_rows(const golden::record& r) {
  const job j(r);
  auto want = golden::array<B>(r["file"], r.number("off"), j.blocks<B>().size());
  if constexpr (std::is_same_v<B, blocq::iq4_nl>) {
    if (r["mode"] == "ref") {
      const auto got = encode_iq4_nl_once(j);
      for (std::size_t i = 0; i < got.size();
           ++i)  // codes of zero blocks: what happened to lie in the reference's memory
        if (load(want[i].d) == 0) std::memcpy(want[i].qs, got[i].qs, sizeof want[i].qs);
      CHECK(differences(got, want) == 0);
      return;
    }
  }
  CHECK(differences(encode_bare<lane, B>(j), want) == 0);
  CHECK(differences(encode_bare<blocq::native_lane, B>(j), want) == 0);
  auto got = j.blocks<B>();
  const blocq::status outcome = quantize(j.values, got, {.importance = j.importance, .reference_bugs = true});
  if (outcome || j.importance.empty()) CHECK(differences(got, want) == 0);
}

template <class B>
void check_stream(const std::vector<golden::record>& records) {
  std::vector<B> blocks;
  for (const golden::record& r : records) {
    CAPTURE(r["mode"]);
    if (r["mode"] == "dequant_of_last") {
      std::vector<float> y(blocks.size() * blocq::block_size<B>);
      REQUIRE(dequantize(blocks, y));
      CHECK(golden::fnv1a(std::span<const float>(y)) == r.hash("out_fnv"));
      continue;
    }
    const job j(r);
    CHECK(golden::fnv1a(std::span<const float>(j.values)) == r.hash("in_fnv"));
    blocks = j.blocks<B>();
    CHECK(quantize(j.values, blocks, {.importance = j.importance, .reference_bugs = true}));
    if constexpr (std::is_same_v<B, blocq::iq4_nl>)
      if (r["mode"] == "ref") blocks = encode_iq4_nl_once(j);
    CHECK(golden::fnv1a(std::span<const B>(blocks)) == r.hash("out_fnv"));
  }
}

// Calls f.template operator()<B>(records) for every GGUF block format that can be encoded.
template <class F>
void for_each_encoder(const char* kind, F f) {
  blocq::for_each(test::formats{}, [&]<class B> {
    if constexpr (blocq::encodable_format<B> && blocq::gguf_format<B> && blocq::block_size < B >> 1) {
      INFO(std::string(blocq::format_traits<B>::name));
      const std::vector<golden::record> records = records_of<B>(kind);
      CHECK(!records.empty());
      f.template operator()<B>(records);
    }
  });
}

}  // namespace

TEST_CASE("encoders give the reference's bytes") {
  for_each_encoder("quant", []<class B>(const std::vector<golden::record>& records) {
    for (const golden::record& r : records) {
      CAPTURE(r["mode"]);
      check_rows<B>(r);
    }
  });
}

TEST_CASE("encoders give the reference's bytes for extreme values") {
  for_each_encoder("extreme", []<class B>(const std::vector<golden::record>& records) {
    for (const golden::record& r : records) {
      CAPTURE(r["mode"]);
      CAPTURE(r["desc"]);
      check_rows<B>(r);
    }
  });
}

TEST_CASE("encoders and decoders give the reference's stream hashes") {
  for_each_encoder("stream", []<class B>(const std::vector<golden::record>& records) { check_stream<B>(records); });
}

TEST_CASE("a NaN or an infinity gives the same bytes on any lanes, and whatever the compiler and its flags") {
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> importance = golden::input("imatrix256");
  std::vector<std::uint64_t> hashes;
  blocq::for_each(test::formats{}, [&]<class B> {
    if constexpr (blocq::encodable_format<B> && blocq::block_size < B >> 1) {
      INFO(std::string(blocq::format_traits<B>::name));
      constexpr std::size_t n = blocq::block_size<B>, columns = 2048;
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
        const std::vector<B> one = encode_bare<lane, B>(j), wide = encode_bare<blocq::native_lane, B>(j);
        CHECK(differences(wide, one) == 0);
        auto written = j.blocks<B>();
        if (weighted || !blocq::detail::requires_importance<B>) {
          const blocq::quantize_options options{.importance = j.importance, .reference_bugs = true};
          CHECK(quantize(j.values, written, options).code == blocq::errc::not_finite);
          if (!weighted) CHECK(differences(written, one) == 0);
        }
        hashes.push_back(golden::fnv1a(std::span<const B>(weighted ? written : one)));
      }
    }
  });
#if defined(__SSE2__) && !defined(BLOCQ_TEST_FEW)  // the NaN that an operation makes has another sign elsewhere
  CHECK(golden::fnv1a(std::span<const std::uint64_t>(hashes)) == 0x95a3b8722e6aa779u);
#endif
}
