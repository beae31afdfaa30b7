// What is written is read again as it was declared, in pieces of any size, and nothing else can be written.
#include <doctest/doctest.h>
#include <blocq/safetensors/writer.hpp>

#include <cstring>
#include <string>
#include <vector>

namespace safetensors = blocq::safetensors;
using blocq::errc;
using safetensors::dtype;
using safetensors::writer;
using shape = std::vector<std::uint64_t>;

namespace {

struct memory {
  std::string text;
  std::size_t limit = SIZE_MAX;
  bool operator()(const void* data, std::size_t size) {
    if (text.size() + size > limit) return false;
    text.append(static_cast<const char*>(data), size);
    return true;
  }
};

std::span<const std::byte> bytes_of(std::string_view s) { return std::as_bytes(std::span(s.data(), s.size())); }

}  // namespace

TEST_CASE("a file is read as it was written") {
  memory out;
  writer w;
  w.add_metadata("format", "pt").add_metadata("a \"key\"\n", "\\ \x01 \xc3\xa9");
  w.add("first\t\"x\"", dtype::bf16, shape{2, 3})
      .add("empty", dtype::f32, shape{0, 5})
      .add("scalar", dtype::f32, shape{});
  w.add("nibbles", dtype::f4, shape{3, 2});
  REQUIRE(w.begin(out));
  CHECK(out.text.size() % 8 == 0);
  REQUIRE(w.write(0, bytes_of("abcdefgh")));
  REQUIRE(w.write(0, {}));
  REQUIRE(w.write(0, bytes_of("ijkl")));
  REQUIRE(w.write(1, {}));
  REQUIRE(w.write(2, bytes_of("mnop")));
  REQUIRE(w.write(3, bytes_of("qrs")));
  REQUIRE(w.finish());
  CHECK(out.text.size() == w.file_size());

  const auto r = safetensors::reader::parse(bytes_of(out.text));
  REQUIRE(r);
  REQUIRE(r->tensors().size() == 4);
  CHECK(r->tensors()[0].name == "first\t\"x\"");
  CHECK(std::memcmp(r->tensors()[0].data.data(), "abcdefghijkl", 12) == 0);
  CHECK(r->find("empty")->elements() == 0);
  CHECK(r->find("scalar")->shape.empty());
  CHECK(std::memcmp(r->find("nibbles")->data.data(), "qrs", 3) == 0);
  REQUIRE(r->metadata().size() == 2);
  CHECK(r->metadata()[1].key == "a \"key\"\n");
  CHECK(r->metadata()[1].text == "\\ \x01 \xc3\xa9");
}

TEST_CASE("a file without anything") {
  memory out;
  writer w;
  REQUIRE(w.begin(out));
  REQUIRE(w.finish());
  CHECK(out.text == std::string("\x08\0\0\0\0\0\0\0{}      ", 16));
}

TEST_CASE("declarations that no reader takes") {
  const auto code = [](std::string_view name, dtype type, const shape& dims) {
    const auto planned = writer().add(name, type, dims).plan();
    return planned ? errc::ok : planned.error().code;
  };
  CHECK(code("x", dtype::f32, {1}) == errc::ok);
  CHECK(code("", dtype::f32, {1}) == errc::bad_name);
  CHECK(code(std::string_view("a\0b", 3), dtype::f32, {1}) == errc::bad_name);
  CHECK(code("\xff", dtype::f32, {1}) == errc::bad_value);
  CHECK(code("x", dtype::f4, {3}) == errc::ragged);
  CHECK(code("x", dtype::f32, {std::uint64_t{1} << 62, 2}) == errc::too_large);
  CHECK(code("x", dtype::f32, {std::uint64_t{1} << 63, 2}) == errc::too_large);
  CHECK(writer().add("x", dtype::u8, shape{1}).add("x", dtype::u8, shape{1}).plan().error().code == errc::duplicate);
}

TEST_CASE("data out of turn, too many, too few, and a sink that refuses") {
  memory out;
  const auto declared = [] { return std::move(writer().add("a", dtype::u8, shape{4}).add("b", dtype::u8, shape{2})); };
  {
    writer w = declared();
    CHECK(w.write(0, bytes_of("abcd")).error().code == errc::missing);
    REQUIRE(w.begin(out));
    REQUIRE(w.write(0, bytes_of("abc")));
    CHECK(w.write(1, bytes_of("ef")).error().code == errc::size_mismatch);
    CHECK(std::strstr(w.write(0, bytes_of("d")).message(), "'a'") != nullptr);  // and stays so
  }
  {
    writer w = declared();
    REQUIRE(w.begin(out));
    CHECK(w.write(0, bytes_of("abcde")).error().code == errc::size_mismatch);
  }
  {
    writer w = declared();
    REQUIRE(w.begin(out));
    REQUIRE(w.write(0, bytes_of("abcd")));
    CHECK(w.finish().error().code == errc::size_mismatch);
  }
  {
    writer w = declared();
    REQUIRE(w.begin(out));
    REQUIRE(w.write(0, bytes_of("abcd")));
    REQUIRE(w.write(1, bytes_of("ef")));
    CHECK(w.write(2, bytes_of("g")).error().code == errc::size_mismatch);
  }
  {
    memory full{.text = {}, .limit = 3};
    writer w = declared();
    CHECK(w.begin(full).error().code == errc::io);
    CHECK(w.finish().error().code == errc::io);
  }
}
