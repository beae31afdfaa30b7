// Properties of every format in the list: what the table of formats says, golden decodes, any bytes decode, and the
// visitors find exactly what there is.
#include <doctest/doctest.h>
#include <blocq/format/all.hpp>

#include <cstring>
#include <golden.hpp>
#include <random.hpp>
#include <set>
#include <string>

using namespace blocq;

namespace {

// A format without its type, so that most of this file is compiled once. The calls are out of reach of constant
// folding.
struct format {
  std::string name;
  int id;  // -1 if GGUF has none
  std::size_t elements, bytes, alignment;
  double bits;
  void (*decode)(const void* block, float* y);
  bool (*valid)(const void* block);
};

template <class B>
format describe() {
  format f{format_traits<B>::name, -1, block_size<B>, sizeof(B), alignof(B), bits_per_element<B>, nullptr, nullptr};
  if constexpr (gguf_format<B>) f.id = format_traits<B>::gguf_id;
  f.decode = [](const void* block, float* y) { blocq::decode(*static_cast<const B*>(block), y); };
  f.valid = [](const void* block) { return blocq::is_valid(*static_cast<const B*>(block)); };
  return f;
}

const std::vector<format>& formats() {
  static const auto all = [] {
    std::vector<format> list;
    for_each(all_formats{}, [&]<class B> { list.push_back(describe<B>()); });
    return list;
  }();
  return all;
}

bool all_outputs_finite(const format& f, const void* block) {
  std::vector<float> y(f.elements);
  f.decode(block, y.data());
  for (const float v : y)
    if (!is_finite(v)) return false;
  return true;
}

// Block types of GGUF: id, elements, bytes.
struct row {
  const char* name;
  int id;
  std::size_t elements, bytes;
};
constexpr row table[] = {
    {"f16", 1, 1, 2},         {"bf16", 30, 1, 2},       {"q4_0", 2, 32, 18},      {"q4_1", 3, 32, 20},
    {"q5_0", 6, 32, 22},      {"q5_1", 7, 32, 24},      {"q8_0", 8, 32, 34},      {"q8_1", 9, 32, 36},
    {"q2_k", 10, 256, 84},    {"q3_k", 11, 256, 110},   {"q4_k", 12, 256, 144},   {"q5_k", 13, 256, 176},
    {"q6_k", 14, 256, 210},   {"q8_k", 15, 256, 292},   {"iq2_xxs", 16, 256, 66}, {"iq2_xs", 17, 256, 74},
    {"iq3_xxs", 18, 256, 98}, {"iq1_s", 19, 256, 50},   {"iq4_nl", 20, 32, 18},   {"iq3_s", 21, 256, 110},
    {"iq2_s", 22, 256, 82},   {"iq4_xs", 23, 256, 136}, {"iq1_m", 29, 256, 56},   {"tq1_0", 34, 256, 54},
    {"tq2_0", 35, 256, 66},   {"mxfp4", 39, 32, 17},    {"nvfp4", 40, 64, 36},    {"q1_0", 41, 128, 18},
    {"q2_0", 42, 64, 18}};

}  // namespace

TEST_CASE("the list says what the table of formats says") {
  std::set<std::string> names;
  std::set<int> ids;
  for (const format& f : formats()) {
    INFO(f.name);
    CHECK(f.alignment == 1);
    CHECK(names.insert(f.name).second);
    CHECK(f.bits * static_cast<double>(f.elements) == 8.0 * static_cast<double>(f.bytes));
    if (f.id < 0) continue;
    CHECK(ids.insert(f.id).second);
    bool listed = false;
    for (const row& r : table)
      if (r.id == f.id) listed = f.name == r.name && f.elements == r.elements && f.bytes == r.bytes;
    CHECK(listed);
  }
  CHECK(ids.size() == std::size(table));
}

TEST_CASE("a format is found by its id and by its name, and nothing else is") {
  std::vector<std::string> visited;
  const auto visit = [&]<class B> { visited.push_back(format_traits<B>::name); };
  for (const format& f : formats()) {
    INFO(f.name);
    visited.clear();
    CHECK(visit_name(f.name.c_str(), visit));
    CHECK(visit_gguf(f.id, visit) == (f.id >= 0));
    CHECK(visited == std::vector<std::string>(f.id >= 0 ? 2 : 1, f.name));
  }
  visited.clear();
  for (const int id : {-1, 0, 4, 5, 24, 25, 26, 27, 28, 31, 32, 33, 36, 37, 38, 43, 133})
    CHECK_FALSE(visit_gguf(id, visit));
  for (const char* name : {"", "q4_", "q4_00", "q4-0", "f32", "q4_0 "}) CHECK_FALSE(visit_name(name, visit));
  CHECK(visited.empty());
  CHECK(visit_name("IQ2_xxs", visit));
  CHECK(visited == std::vector<std::string>{"iq2_xxs"});
}

TEST_CASE("every golden block decodes to the reference's floats, bit for bit") {
  int decoded = 0;
  for (const auto& r : golden::records("dequant"))
    for (const format& f : formats()) {
      if (f.id != std::stoi(r["id"])) continue;
      INFO(f.name);
      ++decoded;
      const std::size_t count = r.number("nblocks");
      const auto blocks = golden::array<std::uint8_t>(r["file"], r.number("off_blocks"), count * f.bytes);
      const auto expected = golden::array<std::uint32_t>(r["file"], r.number("off_f32"), count * f.elements);
      std::vector<float> y(count * f.elements);
      for (std::size_t i = 0; i < count; ++i) f.decode(blocks.data() + i * f.bytes, y.data() + i * f.elements);
      CHECK(std::memcmp(y.data(), expected.data(), y.size() * sizeof(float)) == 0);
    }
  CHECK(decoded == 26);
}

TEST_CASE("any bytes decode, at any address, and a valid block decodes to finite numbers") {
  test::random_bits source{1};
  for (const format& f : formats()) {
    INFO(f.name);
    int valid = 0, broken = 0, moved = 0;
    for (int i = 0; i < 1002; ++i) {
      std::vector<std::uint8_t> bytes(f.bytes + 1, i == 0 ? 0x00 : 0xff);
      if (i >= 2)
        for (auto& byte : bytes) byte = source.byte();
      const std::uint8_t* misaligned = bytes.data() + 1;
      if (f.valid(misaligned)) {
        ++valid;
        broken += !all_outputs_finite(f, misaligned);
      }
      const std::vector<std::uint8_t> aligned(misaligned, misaligned + f.bytes);
      std::vector<float> y(f.elements), z(f.elements);
      f.decode(misaligned, y.data());
      f.decode(aligned.data(), z.data());
      moved += std::memcmp(y.data(), z.data(), f.elements * sizeof(float)) != 0;
    }
    CHECK(broken == 0);
    CHECK(moved == 0);
    CHECK(valid > 100);
  }
}

TEST_CASE("a scale that is not finite makes a block invalid") {
  int formats_seen = 0;
  for_each(all_formats{}, [&]<class B> {
    if constexpr (requires(B b) { requires std::same_as<decltype(b.d), le16>; }) {
      ++formats_seen;
      B block = test::filled_block<B>(0);
      int finite = 0, infinite = 0;
      for (const unsigned bits : {0x7bffu, 0xfbffu, 0x0001u, 0x8000u, 0x7c00u, 0xfc00u, 0x7c01u, 0xfe00u}) {
        store(block.d, static_cast<std::uint16_t>(bits));
        const bool all_finite = all_outputs_finite(describe<B>(), &block);
        finite += is_valid(block) && all_finite;
        infinite += !is_valid(block) && !all_finite;
      }
      INFO(std::string(format_traits<B>::name));
      CHECK(finite == 4);
      CHECK(infinite == 4);
    }
  });
  CHECK(formats_seen >= 20);
}

// The same bytes, decoded by the compiler: an undefined operation on the way would not compile.
namespace {
template <class B>
struct decoded {
  B block;
  float y[block_size<B>];
};
template <class B>
constexpr decoded<B> decode_at_compile_time() {
  decoded<B> result{};
  test::random_bits source{sizeof(B)};
  do result.block = test::random_block<B>(source);
  while (!is_valid(result.block));
  decode(result.block, result.y);
  return result;
}
template <class B>
constexpr decoded<B> compiled = decode_at_compile_time<B>();
}  // namespace

TEST_CASE("the compiler decodes random bytes to what the program does") {
  std::vector<const void*> blocks;
  std::vector<const float*> expected;
  for_each(all_formats{}, [&]<class B> {
    blocks.push_back(&compiled<B>.block);
    expected.push_back(compiled<B>.y);
  });
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const format& f = formats()[i];
    INFO(f.name);
    std::vector<float> y(f.elements);
    f.decode(blocks[i], y.data());
    CHECK(std::memcmp(y.data(), expected[i], f.elements * sizeof(float)) == 0);
  }
}
