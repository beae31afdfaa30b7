// Blocks that would decode to something not finite are found wherever they are, and only those.
#include <doctest/doctest.h>
#include <blocq/gguf/all.hpp>
#include <fenced.hpp>
#include <gguf_builder.hpp>

#include <cstring>
#include <set>

namespace gguf = blocq::gguf;
using blocq::errc;

namespace {
// Three rows of two blocks, zero but for the block at this index.
std::string file_with(int type, unsigned block, const std::string& zero, const std::string& bad, std::size_t at) {
  std::string data;
  for (std::size_t i = 0; i < 6; ++i) data += i == at ? bad : zero;
  return gguf_builder().tensor("w", static_cast<std::uint32_t>(type), {2 * block, 3}, data).build();
}
void check_found(int type, unsigned block, const std::string& zero, const std::string& bad) {
  for (std::size_t at = 0; at < 6; ++at) {
    const std::string file = file_with(type, block, zero, bad, at);
    const auto r = gguf::reader::parse(bytes_of(file));
    REQUIRE(r);
    const gguf::tensor_info& t = r->tensors()[0];
    const auto v = validate(*r);
    REQUIRE_FALSE(v);
    CHECK(v.error().code == errc::not_finite);
    CHECK(std::string(v.message()) ==
          "not finite: row " + std::to_string(at / 2) + ", block " + std::to_string(at % 2) + " of tensor 'w'");
    for (std::uint64_t row = 0; row < 3; ++row) CHECK(bool(validate_rows(t, row, row + 1)) == (row != at / 2));
    CHECK(validate_rows(t, 0, at / 2));
    CHECK(validate_rows(t, at / 2 + 1, 3));
  }
}
bool all_valid(int type, unsigned block, const std::string& zero) {
  const std::string file = file_with(type, block, zero, zero, 0);
  return bool(validate(*gguf::reader::parse(bytes_of(file))));
}
}  // namespace

TEST_CASE("a block of any format that is not valid is named") {
  int formats = 0;
  std::set<std::string> always_valid;
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (blocq::gguf_format<B>) {
      constexpr int id = blocq::format_traits<B>::gguf_id;
      constexpr auto block = static_cast<unsigned>(blocq::block_size<B>);
      CAPTURE(std::string(blocq::format_traits<B>::name));
      const std::string zero(sizeof(B), '\0'), ones(sizeof(B), '\xff');
      ++formats;
      CHECK(all_valid(id, block, zero));
      B b;
      std::memcpy(&b, ones.data(), sizeof b);
      if (is_valid(b)) {
        always_valid.insert(blocq::format_traits<B>::name);
        CHECK(all_valid(id, block, ones));
      } else {
        check_found(id, block, zero, ones);
      }
    }
  });
  CHECK(formats > 20);
  CHECK(always_valid.size() < 3);
}

TEST_CASE("plain floats are finite, plain integers are anything") {
  const gguf_builder b;
  for (const std::uint64_t bad : {0x7f800000u, 0xff800000u, 0x7fc00000u, 0x7f800001u, 0xffffffffu})
    check_found(0, 1, b.number(0x7f7fffff, 4), b.number(bad, 4));
  for (const std::uint64_t bad : {0x7ff0000000000000u, 0xfff8000000000000u, 0x7ff0000000000001u})
    check_found(28, 1, b.number(0xffefffffffffffffu, 8), b.number(bad, 8));
  for (const int id : {24, 25, 26, 27}) CHECK(all_valid(id, 1, std::string(gguf::find_type(id)->bytes, '\xff')));
}

TEST_CASE("without data, or beyond the rows, validation says so") {
  const std::string file = gguf_builder().tensor("w", 0, {2, 2}, std::string(16, '\0')).build();
  const auto head = gguf::reader::parse(bytes_of(file), {.header_only = true});
  CHECK(validate(*head).error().code == errc::missing);
  const auto full = gguf::reader::parse(bytes_of(file));
  const gguf::tensor_info& t = full->tensors()[0];
  CHECK(validate_rows(t, 0, 3).error().code == errc::bad_value);
  CHECK(validate_rows(t, 2, 1).error().code == errc::bad_value);
  CHECK(validate_rows(t, ~std::uint64_t{0}, ~std::uint64_t{0}).error().code == errc::bad_value);
  CHECK(std::string(validate_rows(t, 0, 3).message()).find("'w'") != std::string::npos);
  CHECK(validate_rows(t, 2, 2));
}

TEST_CASE("data of a type that is not known are not called valid") {
  const std::string file = gguf_builder().tensor("w", 139, {256}, std::string(144, '\0')).build();
  const auto r = gguf::reader::parse(bytes_of(file), {.unknown_types = true});
  REQUIRE(r);
  CHECK(validate(*r).error().code == errc::bad_type);
  CHECK(std::string(validate(*r).message()).find("139") != std::string::npos);
}

TEST_CASE("what an importance file notes may be anything, what a model has may not") {
  const std::string nan = gguf_builder().number(0x7fc00000u, 4);
  const auto outcome = [&](std::string_view type, std::string_view name) {
    const std::string file = gguf_builder().string("general.type", type).tensor(name, 0, {1}, nan).build();
    return bool(validate(*gguf::reader::parse(bytes_of(file))));
  };
  CHECK(outcome("imatrix", "blk.0.attn_q.weight.stats"));
  CHECK_FALSE(outcome("imatrix", "blk.0.attn_q.weight.in_sum2"));
  CHECK_FALSE(outcome("model", "blk.0.attn_q.weight.stats"));
}

#ifdef BLOCQ_TEST_HAS_FENCED
TEST_CASE("no block behind the last is looked at") {
  const std::string file = gguf_builder().tensor("w", 8, {32 * 512}, std::string(34 * 512, '\0')).build();
  const auto r = gguf::reader::parse(bytes_of(file));
  REQUIRE(r);
  gguf::tensor_info t = r->tensors()[0];
  const fenced<std::byte> data(t.data, true);
  t.data = data.items;
  CHECK(validate_rows(t, 0, 1));
}
#endif
