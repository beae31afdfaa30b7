// The writer against files built byte by byte, and its refusals.
#include <doctest/doctest.h>
#include <allocations.hpp>
#include <gguf_builder.hpp>
#include <gguf_walk.hpp>

namespace gguf = blocq::gguf;
using blocq::errc;

namespace {

using dims = std::vector<std::uint64_t>;

// Keeps what is written, up to a number of bytes.
struct memory {
  std::string bytes;
  std::size_t room = SIZE_MAX;
  int calls = 0;
  bool operator()(const void* data, std::size_t size) {
    ++calls;
    if (size > room - bytes.size()) return false;
    bytes.append(static_cast<const char*>(data), size);
    return true;
  }
};

// The metadata of everything(), from C++ values.
template <class T>
void add_number(gguf::writer& w, const char* name, T x, T second = 7) {
  const T elements[] = {x, second, x};
  w.add(name, x).add_array(std::string(name) + "s", std::span<const T>(elements));
}
gguf::writer everything_written(gguf::write_options options, std::uint32_t alignment) {
  gguf::writer w(options);
  w.add("general.architecture", "test").add("empty", std::string()).add("u32", 0xfffffffeu);
  add_number<std::uint8_t>(w, "u8", 251);
  add_number<std::int8_t>(w, "i8", -5);
  add_number<std::uint16_t>(w, "u16", 0xfffb);
  add_number<std::int16_t>(w, "i16", -5);
  add_number<std::uint32_t>(w, "v4", 0xfffffffb);
  add_number<std::int32_t>(w, "i32", -5);
  add_number(w, "f32", 1.5f, blocq::from_bits(7));
  const bool bools[] = {true, false, true};
  w.add("bool", true).add_array("bools", std::span<const bool>(bools));
  add_number<unsigned long long>(w, "u64", ~std::uint64_t{4});
  add_number<std::int64_t>(w, "i64", -5);
  add_number(w, "f64", -2.25, __builtin_bit_cast(double, std::uint64_t{7}));
  const std::string_view strings[] = {"one", "", "\xc3\xa9\x01"};
  w.add_array("strings", std::span<const std::string_view>(strings));
  w.add_array("none", std::span<const std::string_view>()).add_array("nothing", std::span<const std::int32_t>());
  if (alignment != 32) w.add("general.alignment", alignment);
  w.add_tensor("scalar", 0, dims{}).add_tensor("vector", 26, dims{5}).add_tensor("matrix.weight", 8, dims{64, 3});
  w.add_tensor("bytes", 24, dims{1, 2, 3, 4});
  return w;
}

const std::string tensor_data[] = {std::string(4, '\x3c'), std::string(20, '\x01'), std::string(204, '\x02'),
                                   std::string(24, '\x03')};

errc planned(gguf::writer& w) {
  const auto r = w.plan();
  return r ? errc::ok : r.error().code;
}

}  // namespace

TEST_CASE("what is declared comes out as the bytes that the format asks for, in pieces of any size") {
  for (const std::uint32_t version : {2u, 3u})
    for (const bool big : {false, true})
      for (const std::uint32_t alignment : {8u, 32u, 512u})
        for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
          const std::string expected = everything(version, big, alignment).build();
          gguf::writer w = everything_written({.version = version, .big_endian = big}, alignment);
          memory out;
          REQUIRE(w.begin(out));
          CHECK(w.file_size() == expected.size());
          CHECK(w.alignment() == alignment);
          CHECK(out.bytes.size() == w.data_offset());
          for (std::size_t t = 0; t < 4; ++t) {
            CHECK(w.tensors()[t].bytes() == tensor_data[t].size());
            std::span<const std::byte> left = bytes_of(tensor_data[t]);
            while (!left.empty()) {
              REQUIRE(w.write(t, {}));
              REQUIRE(w.write(t, left.first(std::min(piece, left.size()))));
              left = left.subspan(std::min(piece, left.size()));
            }
          }
          REQUIRE(w.finish());
          CHECK(out.bytes == expected);
        }
}

TEST_CASE("values of another file are taken over bit for bit, whatever the byte orders") {
  for (const bool from : {false, true})
    for (const bool to : {false, true}) {
      const std::string source = everything(3, from).build(), expected = everything(3, to).build();
      const auto r = gguf::reader::parse(bytes_of(source), {.allow_big_endian = true});
      gguf::writer w({.big_endian = to});
      for (const auto& [key, value] : r->metadata()) w.add(key, value);
      for (const auto& t : r->tensors()) w.add_tensor(t.name, t.type, {t.dims, t.n_dims});
      memory out;
      REQUIRE(w.begin(out));
      for (std::size_t t = 0; t < 4; ++t) REQUIRE(w.write(t, r->raw(r->tensors()[t])));
      REQUIRE(w.finish());
      CHECK(out.bytes == expected);
    }
}

TEST_CASE("a copy keeps padding and what follows the data") {
  gguf_builder b;
  b.u32("b", 1).u32("a", 2).alignment(64).tensor("t", 0, {3}, "123456789012");
  std::string file = b.build();
  file[file.size() - 1] = 'p';  // of the tensor
  file[b.header_size()] = 'h';  // of the header
  file += "something else follows";
  const auto r = gguf::reader::parse(bytes_of(file));
  REQUIRE(r);
  CHECK(gguf_walk::rewrite(*r) == file);
  const auto head = gguf::reader::parse(bytes_of(file), {.header_only = true});
  memory out;
  const std::string cut = file.substr(0, 150);
  CHECK(gguf::writer::copy(*gguf::reader::parse(bytes_of(cut), {.header_only = true}), out).error().code ==
        errc::missing);
  CHECK(gguf::writer::copy(*head, out).error().code == errc::missing);
  CHECK(out.bytes.empty());
}

TEST_CASE("a tensor of an unknown type is written with the size that it is said to have") {
  gguf::writer w;
  w.add_tensor("a", 139, dims{256}, 144).add_tensor("b", 0, dims{1}).add_tensor("c", 150, dims{32, 2}, 5);
  memory out;
  REQUIRE(w.begin(out));
  const std::vector<std::byte> data(200);
  CHECK_FALSE(w.write(0, std::span(data).first(145)));
  out.bytes.clear();
  REQUIRE(w.begin(out));
  REQUIRE(w.write(0, std::span(data).first(144)));
  REQUIRE(w.write(1, std::span(data).first(4)));
  REQUIRE(w.write(2, std::span(data).first(5)));
  REQUIRE(w.finish());
  CHECK(out.bytes.size() == w.file_size());
  const auto r = gguf::reader::parse(bytes_of(out.bytes), {.unknown_types = true});
  REQUIRE(r);
  CHECK(r->tensors()[1].offset == 160);
  CHECK(r->tensors()[2].bytes() == 32);
  w.add_tensor("d", 151, dims{1});
  CHECK(w.plan().error().code == errc::bad_type);
}

TEST_CASE("the writer refuses what the reader refuses") {
  const auto refusal = [](auto&& declare) {
    gguf::writer w;
    declare(w);
    memory out;
    const auto begun = w.begin(out);
    CHECK(out.bytes.empty());
    CHECK_FALSE(w.write(0, {}));
    CHECK_FALSE(w.finish());
    const errc code = planned(w);
    CHECK(code == (begun ? errc::ok : begun.error().code));
    return code;
  };
  const std::uint64_t big = std::uint64_t{1} << 62;
  CHECK(refusal([](auto& w) { w.add("", 1); }) == errc::bad_name);
  CHECK(refusal([](auto& w) { w.add(std::string_view("a\0b", 3), 1); }) == errc::bad_name);
  CHECK(refusal([](auto& w) { w.add("\xff", 1); }) == errc::bad_name);
  CHECK(refusal([](auto& w) { w.add(std::string(65536, 'k'), 1); }) == errc::bad_name);
  CHECK(refusal([](auto& w) { w.add("a", 1).add("b", 1).add("a", "x"); }) == errc::duplicate);
  CHECK(refusal([](auto& w) { w.add("general.alignment", 32); }) == errc::bad_alignment);
  CHECK(refusal([](auto& w) { w.add("general.alignment", 4u); }) == errc::bad_alignment);
  CHECK(refusal([](auto& w) { w.add("general.alignment", 0u).add_tensor("t", 0, dims{1}); }) == errc::bad_alignment);
  CHECK(refusal([](auto& w) { w.add("general.alignment", 48u); }) == errc::bad_alignment);
  CHECK(refusal([](auto& w) { w.add_tensor("", 0, dims{1}); }) == errc::bad_name);
  CHECK(refusal([](auto& w) { w.add_tensor(std::string(257, 't'), 0, dims{1}); }) == errc::bad_name);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 0, dims{1}).add_tensor("t", 0, dims{1}); }) == errc::duplicate);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 4, dims{32}); }) == errc::bad_type);
  CHECK(refusal([](auto& w) { w.add_tensor("t", -1, dims{32}); }) == errc::bad_type);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 43, dims{32}); }) == errc::bad_type);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 0, dims{1, 1, 1, 1, 1}); }) == errc::bad_value);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 0, dims{4, 0}); }) == errc::bad_value);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 8, dims{33}); }) == errc::ragged);
  CHECK(refusal([](auto& w) { w.add_tensor("t", 8, dims{}); }) == errc::ragged);
  CHECK(refusal([&](auto& w) { w.add_tensor("t", 24, dims{big, 2}); }) == errc::too_large);
  CHECK(refusal([&](auto& w) { w.add_tensor("t", 24, dims{big, 4}); }) == errc::too_large);
  CHECK(refusal([&](auto& w) { w.add_tensor("t", 27, dims{big / 2}); }) == errc::too_large);
  CHECK(refusal([&](auto& w) { w.add_tensor("t", 24, dims{big}).add_tensor("u", 24, dims{big}); }) == errc::too_large);
  for (const bool swapped : {false, true})
    for (const std::uint32_t version : {0u, 1u, 4u, 0x10000u, 0x2000000u, 0x3000000u}) {
      gguf::writer w({.version = version, .big_endian = swapped});
      CHECK(planned(w) == (version < 5 || swapped ? errc::bad_version : errc::bad_endian));
    }
}

TEST_CASE("too many bytes, too few, and another tensor's turn are told by name") {
  const std::string piece(16, 'x');
  const auto bytes = [&](std::size_t n) { return bytes_of(piece).first(n); };
  const auto started = [](memory& out) {
    gguf::writer w;
    w.add_tensor("first", 0, dims{2}).add_tensor("second", 0, dims{1});
    REQUIRE(w.begin(out));
    return w;
  };
  const auto refused = [](const blocq::result<void>& r, const char* name) {
    REQUIRE_FALSE(r);
    CHECK(r.error().code == errc::size_mismatch);
    CHECK(std::string(r.message()).find(name) != std::string::npos);
  };
  memory out;
  {
    gguf::writer w = started(out);
    const auto before = out.bytes.size();
    refused(w.write(0, bytes(9)), "first");
    CHECK(out.bytes.size() == before);
    refused(w.write(0, bytes(8)), "first");  // and it stays so
    refused(w.finish(), "first");
  }
  {
    gguf::writer w = started(out = {});
    REQUIRE(w.write(0, bytes(5)));
    refused(w.write(0, bytes(4)), "first");
  }
  {
    gguf::writer w = started(out = {});
    REQUIRE(w.write(0, bytes(7)));
    refused(w.write(1, bytes(4)), "first");
  }
  {
    gguf::writer w = started(out = {});
    REQUIRE(w.write(0, bytes(8)));
    refused(w.write(0, bytes(1)), "first");
  }
  {
    gguf::writer w = started(out = {});
    REQUIRE(w.write(0, bytes(8)));
    refused(w.finish(), "second");
  }
  {
    gguf::writer w = started(out = {});
    REQUIRE(w.write(0, bytes(8)));
    REQUIRE(w.write(1, bytes(4)));
    REQUIRE(w.finish());
    REQUIRE(w.finish());
    refused(w.write(2, bytes(1)), "not declared");
  }
}

TEST_CASE("a sink that refuses ends the writing") {
  const std::string whole = everything().build();
  for (std::size_t room = 0; room < whole.size(); room += 5) {
    gguf::writer w = everything_written({}, 32);
    memory out{{}, room};
    blocq::result<void> r = w.begin(out);
    for (std::size_t t = 0; r && t < 4; ++t) r = w.write(t, bytes_of(tensor_data[t]));
    if (!r) {
      const int calls = out.calls;
      CHECK_FALSE(w.write(0, {}));
      CHECK(w.finish().error().code == errc::io);
      CHECK(out.calls == calls);
    }
    CHECK_FALSE(r);
  }
}

TEST_CASE("the layout is known before a byte is written and follows later declarations") {
  gguf::writer w;
  REQUIRE(w.plan());
  CHECK(w.file_size() == 24);
  w.add_tensor("a", 0, dims{9});
  REQUIRE(w.plan());
  CHECK(w.file_size() == 64 + 64);
  w.add("general.alignment", 0x80000000u).add_tensor("b", 24, dims{1});
  const std::size_t before = allocations::bytes;
  REQUIRE(w.plan());
  CHECK(allocations::bytes - before < 10000);
  CHECK(w.data_offset() == 0x80000000u);
  CHECK(w.find_tensor("b")->offset == 0x80000000u);
  CHECK(w.find_tensor("c") == nullptr);
  CHECK(w.file_size() == 3 * std::uint64_t{0x80000000u});
}

TEST_CASE("a failed allocation is reported, not lost") {
  const int failures = allocations::fail_each(errc::ok, errc::no_memory, [] {
    gguf::writer w;
    const std::uint64_t four[] = {4};
    w.add("a key", "and a value").add("another", 1.0).add_tensor("tensor", 0, four).add_tensor("and another", 0, four);
    return planned(w);
  });
  CHECK(failures >= 6);
}
