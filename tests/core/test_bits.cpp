// Fields, byte order and the 16-bit floats: every binary16 number, a stride through all floats, and the corners.
#include <doctest/doctest.h>
#include <blocq/core/bits.hpp>

#include <bit>
#include <golden.hpp>

using namespace blocq;

TEST_CASE("little-endian integers keep their value and their byte order") {
  le32 word{};
  store(word, std::uint32_t{0x81020304});
  CHECK(word.bytes[0] == 0x04);
  CHECK(word.bytes[3] == 0x81);
  CHECK(load(word) == 0x81020304);
  little<std::int16_t> negative{};
  store(negative, std::int16_t{-2});
  CHECK(negative.bytes[0] == 0xfe);
  CHECK(load(negative) == -2);
}

TEST_CASE("a field is read and written without its neighbours") {
  for (int width = 1; width <= 8; ++width)
    for (int from = 0; from + width <= 32; ++from)
      for (const std::uint32_t before : {0u, 0xffffffffu, 0xa5c3960fu}) {
        const std::uint32_t mask = ((1u << width) - 1u) << from;
        const int value = 0x35a96 >> (from % 8);  // wider than the field: the upper bits must not leak
        const std::uint32_t after = (before & ~mask) | ((static_cast<std::uint32_t>(value) << from) & mask);
        le32 word{};
        store(word, before);
        CHECK(static_cast<std::uint32_t>(get_field(word, from, width)) == (before & mask) >> from);
        set_field(word, from, width, value);
        CHECK(load(word) == after);
        if (from + width <= 16) {
          le16 half{};
          store(half, static_cast<std::uint16_t>(before));
          set_field(half, from, width, value);
          CHECK(load(half) == (after & 0xffff));
        }
        if (from + width <= 8) {
          auto byte = static_cast<std::uint8_t>(before);
          set_field(byte, from, width, value);
          CHECK(byte == (after & 0xff));
          CHECK(get_field(byte, from, width) == static_cast<int>((after & mask) >> from));
        }
      }
}

TEST_CASE("NaN and infinity are told by their bits") {
  for (const std::uint32_t sign : {0u, 0x80000000u}) {
    CHECK(is_finite(from_bits(sign | 0x7f7fffff)));
    CHECK_FALSE(is_finite(from_bits(sign | 0x7f800000)));
    CHECK_FALSE(is_nan(from_bits(sign | 0x7f800000)));
    CHECK(is_nan(from_bits(sign | 0x7f800001)));
    CHECK(is_nan(from_bits(sign | 0x7fffffff)));
    CHECK_FALSE(is_finite(from_bits(sign | 0x7f800001)));
  }
}

TEST_CASE("binary16 to binary32, all 65536") {
  std::vector<std::uint32_t> bits(65536);
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const float value = f16_to_f32(static_cast<std::uint16_t>(h));
    bits[h] = to_bits(value);
    if (is_nan(value)) {
      CHECK(bits[h] == ((h & 0x8000) << 16 | 0x7f800000 | (h & 0x3ff) << 13));
      bits[h] = 0;
    }
  }
  for (const auto& r : golden::records("scalar"))
    if (r["name"] == "fp16_to_fp32_exhaustive_nan_as_zero")
      CHECK(golden::fnv1a(std::span<const std::uint32_t>(bits)) == r.hash("fnv"));
}

TEST_CASE("binary32 to the 16-bit floats") {
  std::vector<std::uint16_t> f16, bf16;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 4099) {
    f16.push_back(f32_to_f16(from_bits(static_cast<std::uint32_t>(bits))));
    bf16.push_back(f32_to_bf16(from_bits(static_cast<std::uint32_t>(bits))));
  }
  int checked = 0;
  for (const auto& r : golden::records("scalar")) {
    const bool half = r["name"].starts_with("fp32_to_fp16"), brain = r["name"].starts_with("fp32_to_bf16");
    if (!half && !brain) continue;
    ++checked;
    INFO(r["name"]);
    if (r["name"].ends_with("_stride4099")) {
      CHECK(golden::fnv1a(std::span<const std::uint16_t>(half ? f16 : bf16)) == r.hash("fnv"));
    } else {
      const float x = from_bits(static_cast<std::uint32_t>(r.hash("in")));
      CHECK((half ? f32_to_f16(x) : f32_to_bf16(x)) == r.hash("out"));
    }
  }
  CHECK(checked > 10);
}

TEST_CASE("16-bit floats survive the way to binary32 and back") {
  for (std::uint32_t h = 0; h < 65536; ++h) {
    const auto code = static_cast<std::uint16_t>(h);
    if (!is_nan(f16_to_f32(code))) CHECK(f32_to_f16(f16_to_f32(code)) == code);
    if (!is_nan(bf16_to_f32(code))) CHECK(f32_to_bf16(bf16_to_f32(code)) == code);
  }
}

static_assert(f16_to_f32(f32_to_f16(-0.1f)) == -0.0999755859375f && bf16_to_f32(f32_to_bf16(1.0f)) == 1.0f);
