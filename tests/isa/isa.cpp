// Prints hashes of what every operation makes of seeded data: the same on every instruction set, byte order and word
// size. isa.sh builds this for one after the other and compares the lines with those of the portable model.
//
// Floats are compared bit for bit, so scales here are powers of two and activations without a block are -1, 0 or 1:
// then no product is rounded, and a machine that fuses multiplication and addition has nothing to gain. The sums are
// rounded, in the order that the library promises. All NaNs count as one.
//
// BLOCQ_TEST_FEW: only the formats that between them reach every kernel, without encoders that search tables.
#include <blocq/op/dequantize.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/quantize.hpp>
#include <blocq/op/split.hpp>
#include <formats.hpp>
#include <random_blocks.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using namespace blocq;

// Tables of points that registers hold.
template <class B>
inline constexpr bool has_points = requires {
  format_traits<B>::grid;
};

#ifdef BLOCQ_TEST_FEW
template <class B>
inline constexpr bool is_encoded = encodable_format<B> && !has_points<B>;
#else
template <class B>
inline constexpr bool is_encoded = encodable_format<B>;
#endif

constexpr std::size_t columns = 768, rows = 19, activations = 5;

struct hash {
  std::uint64_t value = 0xcbf29ce484222325u;

  void add_byte(std::uint8_t byte) { value = (value ^ byte) * 0x100000001b3u; }
  void add(float x) {
    const std::uint32_t bits = is_nan(x) ? quiet_nan_bits : to_bits(x);
    for (int i = 0; i < 4; ++i) add_byte(static_cast<std::uint8_t>(bits >> (8 * i)));
  }
  void add(const std::vector<float>& v) {
    for (const float x : v) add(x);
  }
};

template <class B>
void print(const char* operation, const hash& h) {
  std::printf("%s %s %016llx\n", format_traits<B>::name, operation, static_cast<unsigned long long>(h.value));
}

// Random blocks whose scales are powers of two, so far apart that sums are rounded; not where registers hold tables,
// with which sums have another order (docs/support.md). (Scales of groups are integers, or have few bits.)
template <class B>
std::vector<B> blocks_of(std::size_t count, random_bytes& next, bool alike = false) {
  std::vector<B> blocks = random_blocks<B>(count, next);
  const auto power = [&] {
    return from_bits(static_cast<std::uint32_t>(127 - (alike ? 0 : next() % (has_points<B> ? 8 : 20))) << 23);
  };
  for (B& b : blocks) {
    if constexpr (requires { store(b.d, std::uint16_t{}); })
      store(b.d, f32_to_f16(power()));
    else if constexpr (requires { store(b.d, std::uint32_t{}); })
      store(b.d, to_bits(power()));
    if constexpr (requires { b.dmin; }) store(b.dmin, f32_to_f16(power()));
    if constexpr (requires { b.m; }) store(b.m, f32_to_f16(-power()));
    if constexpr (std::is_same_v<B, iq1_m>)  // the four nibbles of 1.0
      for (int i = 0; i < 4; ++i)
        store(b.scales[i], static_cast<std::uint16_t>((load(b.scales[i]) & 0x0fff) | (0x3c00 >> (4 * i) & 15) << 12));
    if constexpr (std::is_same_v<B, f16>) store(b.code, f32_to_f16(static_cast<float>(next() % 17)));
    if constexpr (std::is_same_v<B, bf16>) store(b.code, f32_to_bf16(static_cast<float>(next() % 17)));
  }
  return blocks;
}

template <class B>
void decode_blocks(random_bytes& next) {
  std::vector<B> blocks(1536 / block_size<B>);
  for (B& b : blocks) b = test::random_block<B>(next);
  std::vector<float> y(blocks.size() * block_size<B>), z(y);
  static_cast<void>(dequantize(blocks, y));
  for (std::size_t i = 0; i < blocks.size(); ++i) decode(blocks[i], z.data() + i * block_size<B>);
  hash h, model;
  h.add(y), model.add(z);
  print<B>("dequantize", h);
  print<B>("decode", model);
}

template <class B>
void encode_blocks(random_bytes& next) {
  std::vector<float> x(8 * 256);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::uint64_t r = next();  // magnitudes over 2^(i / 256) binades
    x[i] = from_bits((static_cast<std::uint32_t>(r) & 0x807fffffu) |
                     static_cast<std::uint32_t>(127 - r % (1u << i / 256)) << 23);
  }
  std::vector<B> blocks(x.size() / block_size<B>);
  std::vector<std::uint8_t> bytes(blocks.size() * sizeof(B));
  quantize_options options;
  std::vector<float> weights(256, 1.0f);
  if constexpr (format_traits<B>::importance) options.importance = weights;
  const status outcome = quantize(x, blocks, options);
  std::memcpy(bytes.data(), blocks.data(), bytes.size());
  hash h;
  h.add_byte(static_cast<std::uint8_t>(outcome.code));
  for (const std::uint8_t b : bytes) h.add_byte(b);
  print<B>("quantize", h);
}

template <class B, class X>
void multiply_row(const std::vector<B>& w, const std::vector<X>& x, const char* operation) {
  const std::size_t row = columns / block_size<B>;
  std::vector<float> y(rows);
  gemv(matrix_view<const B>{w.data(), rows, row, row}, x, std::span<float>(y));
  hash h;
  h.add(y);
  print<B>(operation, h);
}

template <class B, class X>
void multiply_matrix(const std::vector<B>& w, matrix_view<const X> x) {
  const std::size_t row = columns / block_size<B>;
  std::vector<float> y(rows * activations);
  std::vector<std::byte> scratch(gemm_scratch<B>(activations, columns));
  gemm(matrix_view<const B>{w.data(), rows, row, row}, x, matrix_view<float>{y.data(), activations, rows, rows},
       scratch);
  hash h;
  h.add(y);
  print<B>("gemm", h);
}

// Codes and scales in arrays of their own, which are multiplied where they lie.
template <class B>
void multiply_split(std::vector<B> w, const std::vector<q8_0>& x) {
  if constexpr (std::is_same_v<B, nvfp4>)
    for (B& b : w)
      for (std::uint8_t& scale : b.d) scale &= 0x77;  // 0x7f is none
  constexpr std::size_t scale_bytes = detail::scale_count<B>;
  std::vector<std::uint8_t> scales(w.size() * scale_bytes), codes(w.size() * (sizeof(B) - scale_bytes));
  split_view<B> weights;
  std::vector<float> y(rows);
  std::vector<std::byte> scratch(split_scratch<B>(1, columns));
  if (!split_scales(w, codes, scales) || !make_split_view(codes, scales, rows, columns, weights)) std::abort();
  gemv(weights, x, y, scratch);
  hash h;
  h.add(y);
  print<B>("gemv.split", h);
}

template <class B>
void multiply(random_bytes& next) {
  // Points are multiplied in groups of their own: their sums are whole numbers here.
  constexpr bool points = has_points<B>;
  const std::vector<B> w = blocks_of<B>(rows * columns / block_size<B>, next, points);
  std::vector<float> x(columns * activations);
  for (float& v : x) v = static_cast<float>(next() % 3) - 1.0f;
  multiply_row(w, std::vector<float>(x.begin(), x.begin() + columns), "gemv.floats");
  if constexpr (integer_format<B>) {
    using Operand = integer_operand_t<B>;
    const std::size_t row = columns / block_size<Operand>;
    const std::vector<Operand> operand = blocks_of<Operand>(activations * row, next, points);
    multiply_matrix<B, Operand>(w, {operand.data(), activations, row, row});
    const std::vector<Operand> first(operand.begin(), operand.begin() + static_cast<std::ptrdiff_t>(row));
    multiply_row(w, first, "gemv");
    if constexpr (detail::read_in_place<B>) multiply_split(w, first);
  } else if constexpr (std::is_same_v<B, f16> || std::is_same_v<B, bf16>) {  // whole numbers: the order does not matter
    multiply_matrix<B, float>(w, {x.data(), activations, columns, columns});
  }
}

}  // namespace

int main() {
  for_each(test::formats{}, []<class B> {
    random_bytes next(sizeof(B) * 1000 + block_size<B>);
    decode_blocks<B>(next);
    if constexpr (is_encoded<B>) encode_blocks<B>(next);
    multiply<B>(next);
  });
}
