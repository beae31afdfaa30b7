#include "layout.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <blocq/format/all.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <span>

namespace {

// The members of a wire struct by name: all names that any format has. A struct with another one does not compile.
template <class B>
std::vector<block_field> fields_of() {
  std::vector<block_field> fields;
  std::size_t covered = 0;
#define BLOCQ_FIELD(NAME)                                                                          \
  if constexpr (requires(B b) { b.NAME; }) {                                                       \
    using member = decltype(B::NAME);                                                              \
    using number = std::remove_all_extents_t<member>;                                              \
    fields.push_back({#NAME, offsetof(B, NAME), sizeof(member), sizeof(member) / sizeof(number)}); \
  }
  BLOCQ_FIELD(absmax)
  BLOCQ_FIELD(bsums)
  BLOCQ_FIELD(code)
  BLOCQ_FIELD(codes)
  BLOCQ_FIELD(d)
  BLOCQ_FIELD(dmin)
  BLOCQ_FIELD(e)
  BLOCQ_FIELD(groups)
  BLOCQ_FIELD(hmask)
  BLOCQ_FIELD(m)
  BLOCQ_FIELD(qh)
  BLOCQ_FIELD(ql)
  BLOCQ_FIELD(qs)
  BLOCQ_FIELD(s)
  BLOCQ_FIELD(scale)
  BLOCQ_FIELD(scales)
  BLOCQ_FIELD(scales_h)
  BLOCQ_FIELD(scales_l)
  BLOCQ_FIELD(signs)
  BLOCQ_FIELD(signs_scale)
#undef BLOCQ_FIELD
  std::ranges::sort(fields, {}, &block_field::offset);
  for (const block_field& f : fields) {
    if (f.offset != covered) break;
    covered += f.bytes;
  }
  if (covered != sizeof(B)) throw failure("a member of " + std::string(blocq::format_traits<B>::name) + " has no name");
  return fields;
}

// Numbers of a block, each by name and index.
struct number {
  std::string_view name;
  int index, value;
};

// Two formats have codes without planes.
template <class B>
concept has_codes = requires {
  typename blocq::format_traits<B>::codes;
}
|| std::is_same_v<B, blocq::q8_0> || std::is_same_v<B, blocq::tq1_0>;

template <class B>
constexpr int groups_of() {
  if constexpr (requires { blocq::format_traits<B>::group_size; })
    return static_cast<int>(blocq::block_size<B>) / blocq::format_traits<B>::group_size;
  else
    return 0;
}

// All numbers that the accessors of a format get from a block.
template <class B>
std::vector<number> numbers_of(const B& b) {
  constexpr int size = static_cast<int>(blocq::block_size<B>);
  std::vector<number> all;
  if constexpr (has_codes<B>) {
    std::uint8_t codes[blocq::block_size<B>];
    get_codes(b, codes);
    for (int i = 0; i < size; ++i) all.push_back({"q", i, codes[i]});
  }
  if constexpr (requires { get_index(b, 0); })
    for (int i = 0; i < size / blocq::element_t<B>::dimensions; ++i) all.push_back({"index", i, get_index(b, i)});
  if constexpr (requires { get_signs(b, 0); })
    for (int i = 0; i < size; ++i) all.push_back({"sign", i, get_signs(b, i / 8) >> i % 8 & 1});
  if constexpr (requires { get_shift(b, 0); })
    for (int k = 0; k < size / 8; ++k) all.push_back({"shift", k, get_shift(b, k)});
  if constexpr (requires { get_scale(b, 0); })
    for (int g = 0; g < groups_of<B>(); ++g) {
      const auto s = get_scale(b, g);
      if constexpr (requires { s.min; }) {
        all.push_back({"s", g, s.scale});
        all.push_back({"min", g, s.min});
      } else {
        all.push_back({"s", g, s});
      }
    }
  if constexpr (requires { get_d(b); }) all.push_back({"d", -1, get_d(b)});
  return all;
}

// Blocks that show between them what each bit does: one bit may do nothing where a scale or a code is zero.
template <class B>
std::vector<B> probes() {
  std::vector<B> blocks(34);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    std::uint8_t bytes[sizeof(B)];
    for (std::uint8_t& byte : bytes) {
      state = state * 1664525u + 1013904223u;
      byte = i == 0 ? 0 : i == 1 ? 255 : static_cast<std::uint8_t>(state >> 24);
    }
    std::memcpy(&blocks[i], bytes, sizeof(B));
  }
  return blocks;
}

template <class B>
B flipped(const B& b, std::size_t bit) {
  std::uint8_t bytes[sizeof(B)];
  std::memcpy(bytes, &b, sizeof(B));
  bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1u << bit % 8);
  B out;
  std::memcpy(&out, bytes, sizeof(B));
  return out;
}

// Two NaNs are the same: their payload means nothing.
bool same(float a, float b) {
  const auto bits = [](float x) { return blocq::is_nan(x) ? 0x7fc00000u : blocq::to_bits(x); };
  return bits(a) == bits(b);
}

// A block, and what is read from it.
template <class B>
struct reading {
  B block;
  std::vector<number> numbers;
  std::vector<float> weights;
};
template <class B>
reading<B> read(const B& b) {
  reading<B> r{b, numbers_of(b), std::vector<float>(blocq::block_size<B>)};
  decode(b, r.weights.data());
  return r;
}

block_bit bit_of_field(const std::vector<block_field>& fields, std::size_t bit) {
  for (const block_field& f : fields) {
    if (bit / 8 >= f.offset + f.bytes) continue;
    const std::size_t width = 8 * f.bytes / f.count, at = bit - 8 * f.offset;
    return {f.name, f.count == 1 ? -1 : static_cast<int>(at / width), static_cast<int>(at % width), {}, {}};
  }
  return {};
}

int log2_of(int power) {
  int place = 0;
  while (1 << place < power) ++place;
  return place;
}

// By the accessors: the number that the bit is in, where it is in none by the field. By the decoder: its weights.
template <class B>
block_bit meaning_of(const std::vector<reading<B>>& readings, const std::vector<block_field>& fields, std::size_t bit) {
  std::set<int> indices;
  std::array<bool, blocq::block_size<B>> changes{};
  std::string_view name;
  int place = 0;
  for (const reading<B>& before : readings) {
    const reading<B> after = read(flipped(before.block, bit));
    for (std::size_t i = 0; i < changes.size(); ++i) changes[i] |= !same(before.weights[i], after.weights[i]);
    for (std::size_t i = 0; i < before.numbers.size(); ++i) {
      const auto &x = before.numbers[i], &y = after.numbers[i];
      if (x.value == y.value) continue;
      name = x.name;
      indices.insert(x.index);
      place = log2_of(std::abs(x.value - y.value));
    }
  }
  block_bit meaning = bit_of_field(fields, bit);
  if (!indices.empty()) meaning = {name, *indices.begin(), place, {}, {}};
  if (name == "q" && indices.size() > 1) {  // digits
    meaning.place = -1;
    meaning.others.assign(std::next(indices.begin()), indices.end());
  }
  if (name == "shift") meaning.index /= static_cast<int>(indices.size());  // one for several runs
  for (std::size_t i = 0; i < changes.size(); ++i)
    if (changes[i]) meaning.weights.push_back(static_cast<int>(i));
  return meaning;
}

std::string over(float unit) { return unit == 1.0f ? "" : " / " + std::to_string(static_cast<int>(1 / unit + 0.5f)); }
std::string minus(int offset) { return offset == 0 ? "" : " - " + std::to_string(offset); }

// What a code stands for, as a factor of the formula.
template <class B>
std::string code_text() {
  using element = blocq::element_t<B>;
  using block = B;
  if constexpr (requires(block b) { get_shift(b, 0); })
    return "(point ± 1/8)";
  else if constexpr (requires(block b) { get_index(b, 0); })
    return "(± point)";
  else if constexpr (requires { element::values; })
    return "table[q]";
  else if constexpr (std::is_base_of_v<blocq::binary, element>)
    return "(2 q - 1)";
  else if constexpr (std::is_base_of_v<blocq::ternary, element>)
    return "(q - 1)";
  else if constexpr (requires { element::exponent_bits; })
    return "E" + std::to_string(element::exponent_bits) + "M" + std::to_string(element::mantissa_bits) + "(" +
           (blocq::block_size<B> == 1 ? "code" : "q") + ")";
  else if constexpr (requires { element::emax; })
    return "(q / 64)";
  else if constexpr (element::lowest == -128)
    return has_codes<B> ? "q" : "qs";
  else if constexpr (element::lowest == 0)
    return "q";
  else
    return "(q" + minus(-element::lowest) + ")";
}

template <class B>
std::string formula_of() {
  std::string scale, minimum;
  const B zero{};
  if constexpr (requires(B b) { b.absmax; })
    scale = "absmax ";
  else if constexpr (requires(B b) { b.e; })
    scale = "2^(e - 128) ";
  else if constexpr (requires(B b) { b.scale; })
    scale = "2^(scale - 127) ";
  else if constexpr (requires(B b) { b.d[0]; })
    scale = "E4M3(d[g]) / 2 ";
  else if constexpr (blocq::block_size<B> > 1)
    scale = "d ";
  if constexpr (requires(B b) { get_scale(b, 0); }) {
    const auto s = get_scale(zero, 0);
    if constexpr (requires { blocq::format_traits<B>::unit; }) {
      using traits = blocq::format_traits<B>;
      // What is shifted counts in eighths already.
      scale += "(2 s[g] + 1)" + (requires(B b) { get_shift(b, 0); } ? "" : over(traits::unit)) + " ";
    } else if constexpr (requires { s.min; }) {
      scale += "s[g] ", minimum = " - dmin min[g]";
    } else {
      scale += s == 0 ? "s[g] " : "(s[g]" + minus(-s) + ") ";
    }
  }
  if constexpr (requires(B b) { b.m; }) minimum = " + m";
  return "y = " + scale + code_text<B>() + minimum;
}

template <class B>
std::string values_text() {
  using element = blocq::element_t<B>;
  if constexpr (requires { blocq::format_traits<B>::levels; }) {
    std::set<int> levels;
    for (const auto packed : blocq::format_traits<B>::grid)
      for (int j = 0; j < element::dimensions; ++j) {
        constexpr int bits = element::dimensions == 8 ? 2 : 3;
        levels.insert(blocq::format_traits<B>::levels[packed >> (bits * j) & ((1 << bits) - 1)]);
      }
    std::string text;
    for (const int level : levels) text += (text.empty() ? "" : ", ") + std::to_string(level);
    return "one of " + std::to_string(element::entries) + " points of " + std::to_string(element::dimensions) +
           " coordinates, each " + text;
  } else if constexpr (requires { element::values; }) {
    std::string text;
    for (const auto v : element::values)
      text += (text.empty() ? "" : ", ") + significant_text(static_cast<double>(v), 6);
    return "table: " + text;
  } else if constexpr (requires { element{}.to_float(); }) {
    if constexpr (element::bits == 16) {
      return "a number by itself";
    } else {
      std::set<float> values;
      for (int code = 0; code < 1 << element::bits; ++code) {
        const float v = element{static_cast<std::uint8_t>(code)}.to_float();
        if (blocq::is_finite(v)) values.insert(v);
      }
      return std::to_string(values.size()) + " numbers from " +
             significant_text(static_cast<double>(*values.begin()), 6) + " to " +
             significant_text(static_cast<double>(*values.rbegin()), 6);
    }
  } else {
    return "whole numbers from " + std::to_string(element::lowest) + " to " + std::to_string(element::highest);
  }
}

template <class B>
block_layout make_layout() {
  block_layout layout{formula_of<B>(), values_text<B>(), fields_of<B>(), {}};
  std::vector<reading<B>> readings;
  for (const B& b : probes<B>()) readings.push_back(read(b));
  for (std::size_t bit = 0; bit < 8 * sizeof(B); ++bit) layout.bits.push_back(meaning_of(readings, layout.fields, bit));
  // All bits of a byte are part of each of its digits, though a short one may never tip the last of them.
  for (std::size_t byte = 0; byte < sizeof(B); ++byte) {
    const std::span bits(&layout.bits[8 * byte], 8);
    const auto digits = std::ranges::max_element(bits, {}, [](const block_bit& b) { return b.others.size(); });
    if (digits->others.empty()) continue;
    const block_bit all = *digits;
    std::ranges::fill(bits, all);
  }
  return layout;
}

}  // namespace

block_layout layout_of(std::string_view format) {
  block_layout layout;
  if (!blocq::visit_name(std::string(format).c_str(), [&]<class B> { layout = make_layout<B>(); }))
    throw failure("'" + printable(format) + "' is no format of rows of blocks");
  return layout;
}

std::vector<byte_cell> cells_of(const block_layout& layout, std::size_t byte) {
  std::vector<byte_cell> cells;
  for (int bit = 7; bit >= 0; --bit) {
    const block_bit& b = layout.bits[8 * byte + static_cast<std::size_t>(bit)];
    const bool continues = !cells.empty() && cells.back().top->name == b.name && cells.back().top->index == b.index &&
                           (b.place < 0 ? cells.back().top->others == b.others
                                        : cells.back().top->place - (cells.back().high - bit) == b.place);
    if (continues)
      cells.back().low = bit;
    else
      cells.push_back({bit, bit, &b});
  }
  return cells;
}
