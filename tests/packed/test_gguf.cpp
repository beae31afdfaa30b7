// Packed matrices through a GGUF file.
#include <doctest/doctest.h>
#include <blocq/gguf/all.hpp>
#include <blocq/packed/gguf.hpp>
#include <packed_examples.hpp>

#include <cstring>
#include <string>

namespace packed = blocq::packed;

namespace {

std::vector<std::byte> file_of(std::string_view name, const packed::part_set& set) {
  blocq::gguf::writer out;
  const std::string key = std::string(packed::key_prefix) + std::string(name), text = packed::describe(set);
  out.add("general.architecture", "llama").add(key, std::string_view(text));
  std::vector<std::string> names;
  for (const packed::part& p : set.parts()) names.push_back(std::string(name) + '.' + std::string(p.name));
  for (std::size_t i = 0; i < names.size(); ++i) {
    const packed::part& p = set.parts()[i];
    const std::uint64_t dims[] = {p.cols, p.rows};
    out.add_tensor(names[i], packed::gguf_type(p.type), std::span(dims).first(p.rows == 1 ? 1 : 2));
  }
  std::vector<std::byte> bytes;
  const auto sink = [&](const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
    return true;
  };
  REQUIRE(out.begin(sink));
  for (std::size_t i = 0; i < names.size(); ++i) REQUIRE(out.write(i, set.parts()[i].bytes));
  REQUIRE(out.finish());
  return bytes;
}

}  // namespace

TEST_CASE("every packed matrix goes into a file and comes back") {
  blocq::for_each(packed::all_packed{}, []<class M> {
    const M m = test::make_packed<M>();
    const packed::part_set set = m.parts();
    const auto bytes = file_of("blk.0.ffn_up.weight", set);
    const auto file = blocq::gguf::reader::parse(bytes);
    REQUIRE(file);
    const auto text = file->template get<std::string_view>("blocq.packed.blk.0.ffn_up.weight");
    REQUIRE(text);
    const auto found = packed::find_parts("blk.0.ffn_up.weight", *text, file->tensors());
    REQUIRE_MESSAGE(static_cast<bool>(found), found.message());
    CHECK(found->scheme == M::scheme);
    const auto again = M::from_parts(*found);
    REQUIRE_MESSAGE(static_cast<bool>(again), again.message());
    std::vector<float> a(m.cols()), b(m.cols());
    for (std::size_t r = 0; r < m.rows(); ++r) {
      m.dequantize_row(r, a);
      again->dequantize_row(r, b);
      CHECK(a == b);
    }
    // Of another matrix there is nothing.
    CHECK_FALSE(M::from_parts(*packed::find_parts("blk.0.ffn_u", *text, file->tensors())));
  });
}

TEST_CASE("descriptions that are none") {
  for (const char* text : {"", " ", "palette ", "palette  rows=1", "palette rows", "palette rows=", "palette =1",
                           "palette rows=-1", "palette rows=1x", "palette rows=1234567890123456789",
                           "palette rows=1 rows=1", "p a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1"})
    CHECK(packed::parse_description(text).error().code == blocq::errc::bad_value);
  const auto set = packed::parse_description("palette rows=12 bits=999999999999999999");
  REQUIRE(set);
  CHECK(set->scheme == "palette");
  CHECK(set->parameters()[1].value == 999999999999999999u);
  CHECK(packed::parse_description("palette")->parameters().empty());
}

TEST_CASE("tensors that cannot be parts") {
  const auto code = [](int type, std::uint64_t third) {
    std::byte data[4] = {};
    blocq::gguf::tensor_info t;
    t.name = "w.codes", t.type = type, t.n_dims = 3, t.dims[2] = third, t.data = data;
    return packed::find_parts("w", "palette", {&t, 1}).error().code;
  };
  CHECK(code(2, 1) == blocq::errc::bad_type);
  CHECK(code(24, 2) == blocq::errc::bad_type);
  blocq::gguf::tensor_info bare;
  bare.name = "w.codes";
  CHECK(packed::find_parts("w", "palette", {&bare, 1}).error().code == blocq::errc::missing);
  std::byte data[4] = {};
  bare.data = data;
  const std::vector<blocq::gguf::tensor_info> many(13, bare);
  CHECK(packed::find_parts("w", "palette", many).error().code == blocq::errc::too_large);
}
