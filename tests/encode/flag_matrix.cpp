// Prints one hash per format: over what quantize() makes of hostile rows, with and without importance, and over what
// dequantize() makes of those blocks and of random bytes. flag_matrix.sh builds this under many compilers and flags;
// the hashes must always be the same. An optimized build checks that they do not depend on the floating-point modes.
//
// Inputs are made, and results are compared, by integer arithmetic only. All NaNs of a result count as one: which of
// two NaNs an addition returns is left open by IEEE 754.
#include <blocq/format/all.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/quantize.hpp>
#include <formats.hpp>
#include <modes.hpp>
#include <random.hpp>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

namespace {

float bits(std::uint32_t pattern) { return blocq::from_bits(pattern); }

// 256 values a row: magnitudes over `spread` binades from 2^lowest on, both signs unless `positive`.
void add_row(std::vector<float>& rows, test::random_bits& random, int lowest, unsigned spread, bool positive = false) {
  for (int i = 0; i < 256; ++i) {
    const auto r = static_cast<std::uint32_t>(random.next());
    const auto exponent = static_cast<std::uint32_t>(lowest + 127) + static_cast<std::uint32_t>(random.next() % spread);
    rows.push_back(bits((positive ? 0u : r & 0x80000000u) | exponent << 23 | (r & 0x7fffffu)));
  }
}

std::vector<float> hostile_rows() {
  std::vector<float> rows;
  test::random_bits random{1};
  for (const unsigned spread : {1u, 2u, 4u, 8u, 16u}) add_row(rows, random, -4 - static_cast<int>(spread), spread);
  add_row(rows, random, -3, 3, true);
  for (const int lowest : {-127, -124, -60, -48, -30, 12, 28, 55, 66, 120}) add_row(rows, random, lowest, 4);
  for (int i = 0; i < 256; ++i) rows.push_back(bits(i % 2 != 0 ? 0x3f800000u : 0xbf800000u));      // 1, -1
  for (int i = 0; i < 256; ++i) rows.push_back(bits(i < 150 ? 0x80000000u : 0u));                  // -0, 0
  for (int i = 0; i < 256; ++i) rows.push_back(bits(i % 77 == 0 ? 0x40490fdbu : 0u));              // sparse
  for (int i = 0; i < 256; ++i) rows.push_back(bits(0x3dcccccdu + static_cast<unsigned>(i % 3)));  // all but constant
  constexpr std::uint32_t odd[] = {0x7fc00000u, 0xffc12345u, 0x7f800000u, 0xff800000u, 0x7f7fffffu, 0xff7fffffu, 1u};
  for (const std::uint32_t pattern : odd) {  // one such value in every second block of 32
    add_row(rows, random, -5, 4);
    for (std::size_t i = rows.size() - 256; i < rows.size(); i += 64) rows[i + random.next() % 32] = bits(pattern);
  }
  return rows;
}

// What a format is tried on: little code, because this is compiled many times.
struct workshop {
  std::vector<float> rows = hostile_rows(), weights, decoded;
  std::vector<unsigned char> bytes;
  std::uint64_t hash = 0;

  workshop() : decoded(rows.size()) {
    test::random_bits random{2};
    add_row(weights, random, -6, 8, true);
    for (std::size_t i = 0; i < weights.size(); i += 61) weights[i] = 0;
  }
  void start(std::size_t size) {
    hash = 0xcbf29ce484222325u;
    test::random_bits random{3};
    bytes.resize(size);
    for (unsigned char& byte : bytes) byte = random.byte();
  }
  void add(const void* data, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<const unsigned char*>(data)[i]) * 0x100000001b3u;
  }
  void add_decoded() {
    for (float& v : decoded)
      if (blocq::is_nan(v)) v = bits(blocq::quiet_nan_bits);
    add(decoded.data(), decoded.size() * sizeof(float));
  }
  void add_encoded(blocq::status outcome) {
    const std::uint64_t told[] = {static_cast<std::uint64_t>(outcome.code), outcome.at};
    add(told, sizeof told);
    add(bytes.data(), bytes.size());
  }
};

template <class B>
std::uint64_t hash_of(workshop& w) {
  w.start(w.rows.size() / blocq::block_size<B> * sizeof(B));
  const std::span blocks(reinterpret_cast<B*>(w.bytes.data()), w.bytes.size() / sizeof(B));
  const auto decode_blocks = [&] {
    static_cast<void>(dequantize(blocks, w.decoded));
    w.add_decoded();
  };
  decode_blocks();
  if constexpr (blocq::encodable_format<B>) {
    constexpr int rules = blocq::gguf_format<B> ? 1 : 6, weightings = blocq::format_traits<B>::importance ? 2 : 1;
    for (int i = 0; i <= rules * weightings; ++i) {
      blocq::quantize_options options;
      options.rule = static_cast<blocq::scale_rule>(i % rules);
      if (i >= rules) options.importance = w.weights;
      if (i == rules * weightings) options.quality = blocq::quality_level::best;
      w.add_encoded(quantize(w.rows, blocks, options));
      decode_blocks();
    }
  }
  return w.hash;
}

constexpr std::size_t formats = test::formats::size;

struct hashes {
  std::uint64_t of[formats];
  const char* name[formats];

  explicit hashes(workshop& w) {
    std::size_t i = 0;
    blocq::for_each(test::formats{}, [&]<class B> {
      name[i] = blocq::format_traits<B>::name;
      of[i++] = hash_of<B>(w);
    });
  }
};

}  // namespace

int main() {
  workshop w;
  const hashes all(w);
  for (std::size_t i = 0; i < formats; ++i)
    std::printf("%s %016llx\n", all.name[i], static_cast<unsigned long long>(all.of[i]));

  bool same = true;
#ifdef __OPTIMIZE__  // else a run takes minutes
  modes::for_each([&] {
    const hashes now(w);
    for (std::size_t i = 0; i < formats; ++i) same = same && now.of[i] == all.of[i];
  });
#endif
  return same ? 0 : 1;
}
