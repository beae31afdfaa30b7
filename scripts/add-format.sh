#!/usr/bin/env bash
# Begins a format of blocks:
#
#   scripts/add-format.sh NAME
#
# writes format/NAME.hpp (wire struct, trait, decoder), encode/NAME.hpp (encoder) and tests/format/test_NAME.cpp, and enters
# the format in format/all.hpp and encode/all.hpp. What it writes is whole, 32 codes of 4 bits with one scale, so that
# kernels, program, benchmarks and tests have it from the first minute; then it is made into what NAME really is. NAME is
# in lower case, as GGUF or OCP write it. Nothing is written if NAME is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

[ $# = 1 ] && [[ $1 != -* ]] || { sed -n '2,/^set/{/^#/p}' "$0"; exit 2; }
name=$1 guard=${1^^}
fail() { echo "add-format: $*" >&2; exit 1; }
[[ $name =~ ^[a-z][a-z0-9]*(_[a-z0-9]+)*$ ]] || fail "a name is lower-case letters, digits and single underscores: $name"
files=(include/blocq/format/"$name".hpp include/blocq/encode/"$name".hpp tests/format/test_"$name".cpp)
for file in "${files[@]}"; do [ ! -e "$file" ] || fail "$file is there already"; done
taken=$(grep -rnwE "(struct|class|enum|namespace|using) $name|name = \"$name\"" include/blocq | head -n 1) || true
[ -z "$taken" ] || fail "$name is taken: $taken"

all=include/blocq/format/all.hpp encoders=include/blocq/encode/all.hpp
for list in "$all" "$encoders"; do
  grep -q '^#include <blocq/' "$list" || fail "$list has no list of headers"
done
grep -q '^using all_formats =$' "$all" || fail "$all has no all_formats"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cat >"$work/format" <<END
// Blocks of 32 codes of 4 bits with one scale. Layout and decoder only; the encoder is in encode/.
#ifndef BLOCQ_FORMAT_${guard}_HPP
#define BLOCQ_FORMAT_${guard}_HPP

#include <blocq/format/decode.hpp>
#include <blocq/format/q_legacy.hpp>

namespace blocq::inline v0 {

//   0    2                18
//   | d  | qs             |     d: binary16; y = d * (q - 8)
struct $name {
  le16 d;
  std::uint8_t qs[16];  // byte j: element j in the low, element j + 16 in the high nibble
};
static_assert(sizeof($name) == 18);

template <>
struct format_traits<$name> {
  static constexpr const char* name = "$name";
  static constexpr std::size_t block_size = 32;
  static constexpr bool importance = false;
  using element = packed_int<4, 8>;
  using operand = q8_0;
  using codes = planes<plane<&$name::qs, 4, 16>>;
};

}  // namespace blocq::inline v0

namespace blocq::inline v0::inline BLOCQ_ISA {

constexpr void decode(const $name& b, float* y) noexcept { detail::decode_scaled(b, y); }

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
END

cat >"$work/encode" <<END
// The largest magnitude of a block becomes the code 0, the others the nearest. A lane is a block.
#ifndef BLOCQ_ENCODE_${guard}_HPP
#define BLOCQ_ENCODE_${guard}_HPP

#include <blocq/encode/q_legacy.hpp>
#include <blocq/format/$name.hpp>

namespace blocq::inline v0::inline BLOCQ_ISA {

template <class L = lane>
void encode(const float* x, std::size_t blocks, const encode_context& c, $name* out) noexcept {
  detail::encode_symmetric<L>(x, blocks, c, out);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
END

cat >"$work/test" <<END
// $name: the place of each code, blocks by hand, and what the encoder makes of numbers.
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>

#include <cmath>
#include <cstring>

using namespace blocq;

TEST_CASE("$name: element j is in the low nibble of byte j, element j + 16 in the high one") {
  $name b{};
  store(b.d, f32_to_f16(0.5f));
  for (int j = 0; j < 16; ++j) b.qs[j] = static_cast<std::uint8_t>((15 - j) << 4 | j);
  float y[32];
  decode(b, y);
  for (int j = 0; j < 16; ++j) {
    CHECK(y[j] == 0.5f * static_cast<float>(j - 8));
    CHECK(y[j + 16] == 0.5f * static_cast<float>(7 - j));
  }
  std::uint8_t codes[32];
  get_codes(b, codes);
  $name again{b.d, {}};
  set_codes(again, codes);
  CHECK(std::memcmp(&b, &again, sizeof b) == 0);
}

TEST_CASE("$name: no element is further than half a step from its own, and products are those of the decoded") {
  float x[256], y[256], ones[256], sum = 0;
  for (int i = 0; i < 256; ++i) x[i] = std::sin(static_cast<float>(i)), ones[i] = 1;
  $name blocks[8];
  REQUIRE(quantize(x, blocks));
  REQUIRE(dequantize(blocks, y));
  for (int i = 0; i < 256; ++i) {
    const float step = std::abs(f16_to_f32(blocks[i / 32].d));
    CHECK(std::abs(y[i] - x[i]) <= (y[i] == 7 * step || y[i] == -7 * step ? 1.0f : 0.51f) * step);
    sum += y[i];
  }
  float product = 0;
  gemv(matrix_view<const $name>{blocks, 1, 8, 8}, ones, std::span(&product, 1));
  CHECK(product == doctest::Approx(sum).epsilon(1e-5));
}
END

# In its place among the headers, and last among the formats.
include() {  # LIST LINE
  awk -v line="$2" '
    /^#include <blocq\// { if (!done && $0 > line) { print line; done = 1 } last = 1; print; next }
    last && !done { print line; done = 1 }
    { print }' "$1"
}
include "$all" "#include <blocq/format/$name.hpp>" |
  awk -v name="$name" '
    /^using all_formats =$/ { open = 1 }
    open && /;$/ { sub(/>;$/, ",\n             type_list<" name ">>;"); open = 0 }
    { print }' >"$work/all"
include "$encoders" "#include <blocq/encode/$name.hpp>" >"$work/encoders"
grep -q "type_list<$name>>;" "$work/all" || fail "$all: its list has no end"

cp "$work/format" "${files[0]}"
cp "$work/encode" "${files[1]}"
cp "$work/test" "${files[2]}"
cp "$work/all" "$all"
cp "$work/encoders" "$encoders"
cat <<END
$name is in the list. What is left:
  1. ${files[0]}: its own struct, trait and decode
  2. ${files[1]}: its own encode, bytes equal to the reference's; or delete it
  3. ${files[2]}: its own layout
  4. tests/golden: blocks of the reference and what it decodes from them
END
