// Values as every type that they can and cannot be read as, in both byte orders.
#include <doctest/doctest.h>
#include <blocq/gguf/reader.hpp>
#include <gguf_builder.hpp>
#include <golden.hpp>

#include <utility>

namespace gguf = blocq::gguf;
using gguf::value_type;

namespace {
// A value over bytes of its own.
struct owned {
  std::string bytes;
  value_type type;
  gguf::value view() const {
    return {type, type, 1, reinterpret_cast<const std::byte*>(bytes.data()), bytes.size(), false};
  }
};
template <class T>
owned scalar(value_type type, T x) {
  const auto bytes = golden::in_file(x);
  return {std::string(bytes.begin(), bytes.end()), type};
}
}  // namespace

TEST_CASE("an integer is read as every type that can hold it and as no other") {
  const auto check = []<class X>(value_type type, X x) {
    const owned o = scalar(type, x);
    const gguf::value v = o.view();
    const auto as = [&]<class T>(T) {
      const gguf::maybe<T> got = v.get<T>();
      CAPTURE(x);
      CHECK(bool(got) == std::in_range<T>(x));
      if (got) CHECK(*got == static_cast<T>(x));
    };
    as(std::uint8_t{}), as(std::int8_t{}), as(std::uint16_t{}), as(std::int16_t{}), as(std::uint32_t{});
    as(std::int32_t{}), as(std::uint64_t{}), as(std::int64_t{}), as(0LL), as(0ULL), as(0L);
    CHECK_FALSE(v.get<float>());
    CHECK_FALSE(v.get<double>());
    CHECK_FALSE(v.get<bool>());
    CHECK_FALSE(v.get<std::string_view>());
  };
  const auto sweep = [&]<class X>(value_type type, X) {
    for (int bit = 0; bit < 64; ++bit)
      for (const std::uint64_t around : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1}}) {
        const X x = static_cast<X>((std::uint64_t{1} << bit) + around);
        check(type, x);
        check(type, static_cast<X>(~x));
      }
  };
  sweep(value_type::uint8, std::uint8_t{});
  sweep(value_type::int8, std::int8_t{});
  sweep(value_type::uint16, std::uint16_t{});
  sweep(value_type::int16, std::int16_t{});
  sweep(value_type::uint32, std::uint32_t{});
  sweep(value_type::int32, std::int32_t{});
  sweep(value_type::uint64, std::uint64_t{});
  sweep(value_type::int64, std::int64_t{});
}

TEST_CASE("floats, bools and strings are read as what they are") {
  CHECK(*scalar(value_type::float32, 1.5f).view().get<float>() == 1.5f);
  CHECK(*scalar(value_type::float32, 1.5f).view().get<double>() == 1.5);
  CHECK(*scalar(value_type::float64, 0.1).view().get<double>() == 0.1);
  CHECK_FALSE(scalar(value_type::float64, 0.5).view().get<float>());
  CHECK_FALSE(scalar(value_type::float32, 1.0f).view().get<int>());
  CHECK(*scalar(value_type::boolean, '\1').view().get<bool>());
  CHECK_FALSE(*scalar(value_type::boolean, '\0').view().get<bool>());
  CHECK_FALSE(scalar(value_type::boolean, '\1').view().get<int>());
  const owned text{std::string("\3\0\0\0\0\0\0\0a\0b", 11), value_type::string};
  CHECK(*text.view().get<std::string_view>() == std::string_view("a\0b", 3));
  CHECK_FALSE(text.view().get<int>());
}

TEST_CASE("a value that nobody set is an empty array") {
  const gguf::value none;
  CHECK(none.is_array());
  CHECK(none.size() == 0);
  CHECK_FALSE(none.get<int>());
  CHECK_FALSE(none.get<bool>());
  for (const gguf::value v : none) FAIL(v.size());
}

TEST_CASE("both byte orders give the same values and elements") {
  for (const bool big : {false, true}) {
    const std::string file = everything(3, big).build();
    const auto parsed = gguf::reader::parse(bytes_of(file), {.allow_big_endian = true});
    REQUIRE_MESSAGE(parsed, std::string(parsed.message()));
    const gguf::reader& r = *parsed;
    CHECK(r.big_endian() == big);
    CHECK(*r.get<int>("u8") == 251);
    CHECK(*r.get<int>("i8") == -5);
    CHECK(*r.get<int>("u16") == 0xfffb);
    CHECK(*r.get<int>("i16") == -5);
    CHECK(*r.get<std::uint32_t>("u32") == 0xfffffffe);
    CHECK(*r.get<int>("i32") == -5);
    CHECK(*r.get<std::uint64_t>("u64") == ~std::uint64_t{4});
    CHECK(*r.get<long>("i64") == -5);
    CHECK(*r.get<float>("f32") == 1.5f);
    CHECK(*r.get<double>("f64") == -2.25);
    CHECK(*r.get<bool>("bool"));
    CHECK(*r.get<std::string_view>("general.architecture") == "test");
    CHECK(r.get<std::string_view>("empty")->empty());
    CHECK_FALSE(r.get<int>("not there"));
    CHECK_FALSE(r.get<int>("strings"));

    const gguf::value& numbers = *r.find("i16s");
    CHECK(numbers.is_array());
    CHECK(numbers.type() == value_type::array);
    CHECK(numbers.element_type() == value_type::int16);
    REQUIRE(numbers.size() == 3);
    std::vector<int> walked;
    for (const gguf::value v : numbers) walked.push_back(*v.get<int>());
    CHECK(walked == std::vector<int>{-5, 7, -5});
    CHECK(*numbers[1].get<int>() == 7);
    CHECK(*(*r.find("f64s"))[2].get<double>() == -2.25);

    std::vector<std::string_view> words;
    for (const gguf::value v : *r.find("strings")) words.push_back(*v.get<std::string_view>());
    CHECK(words == std::vector<std::string_view>{"one", "", "\xc3\xa9\x01"});
    for (const gguf::value v : *r.find("none")) FAIL(v.size());
    CHECK(r.find("none")->element_type() == value_type::string);
    int once = 0;
    for (const gguf::value v : *r.find("i32")) once += *v.get<int>();
    CHECK(once == -5);
  }
}
