// JSON in place: what is no JSON is refused with its byte, and what is read is what the text says.
#include <doctest/doctest.h>
#include <blocq/safetensors/json.hpp>

#include <cstring>
#include <string>
#include <vector>

using blocq::safetensors::json;
using blocq::safetensors::json_kind;

namespace {

std::string unescaped(const json& string) {
  std::string out(string.text().size(), '\0');
  out.resize(string.unescape(out.data()));
  return out;
}

json parsed(std::string_view text) {
  const auto value = json::parse(text);
  REQUIRE(value);
  return *value;
}

}  // namespace

TEST_CASE("values are of the kinds that they look like") {
  CHECK(parsed("null").kind() == json_kind::null);
  CHECK(parsed(" true ").kind() == json_kind::boolean);
  CHECK(parsed("-0.5e+3").kind() == json_kind::number);
  CHECK(parsed("\"\"").kind() == json_kind::string);
  CHECK(parsed("[]").kind() == json_kind::array);
  CHECK(parsed("\n{ }\t").kind() == json_kind::object);
  CHECK(json().kind() == json_kind::missing);
  CHECK_FALSE(json());
}

TEST_CASE("numbers are those that fit") {
  CHECK(*parsed("18446744073709551615").get<std::uint64_t>() == ~std::uint64_t{0});
  CHECK_FALSE(parsed("18446744073709551616").get<std::uint64_t>());
  CHECK_FALSE(parsed("99999999999999999999999").get<std::uint64_t>());
  CHECK(*parsed("-9223372036854775808").get<std::int64_t>() == INT64_MIN);
  CHECK_FALSE(parsed("9223372036854775808").get<std::int64_t>());
  CHECK_FALSE(parsed("-9223372036854775809").get<std::int64_t>());
  CHECK(*parsed("-128").get<std::int8_t>() == -128);
  CHECK_FALSE(parsed("-129").get<std::int8_t>());
  CHECK_FALSE(parsed("256").get<std::uint8_t>());
  CHECK_FALSE(parsed("-1").get<unsigned>());
  CHECK_FALSE(parsed("1.0").get<int>());
  CHECK_FALSE(parsed("1e1").get<int>());
  CHECK_FALSE(parsed("\"1\"").get<int>());
  CHECK(*parsed("false").get<bool>() == false);
  CHECK_FALSE(parsed("0").get<bool>());
}

TEST_CASE("strings are read with their escapes") {
  CHECK(*parsed("\"plain \xc3\xa9\"").get<std::string_view>() == "plain \xc3\xa9");
  CHECK_FALSE(parsed(R"("a\n")").get<std::string_view>());
  CHECK(unescaped(parsed(R"("\"\\\/\b\f\n\r\t x")")) == "\"\\/\b\f\n\r\t x");
  CHECK(unescaped(parsed(R"("\u0041\u00e9\u20AC\ud83d\ude00\uffff\u07ff")")) ==
        "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbf\xdf\xbf");
  CHECK(unescaped(parsed(R"("\u0000")")) == std::string(1, '\0'));
  CHECK(json().unescape(nullptr) == 0);
}

TEST_CASE("lookups go down and find nothing where there is nothing") {
  const json root = parsed(R"({"a": {"b": [1, [2, 3], "x]", {"c": "}"}]}, "n": 7, "n": 8})");
  CHECK(*root["n"].get<int>() == 8);
  CHECK_FALSE(root["c"]);
  CHECK_FALSE(root["a"]["b"]["c"]["d"]);
  CHECK(root["a"].text() == R"({"b": [1, [2, 3], "x]", {"c": "}"}]})");
  std::vector<std::string> texts;
  for (const auto& m : root["a"]["b"]) texts.emplace_back(m.value.text());
  CHECK(texts == std::vector<std::string>{"1", "[2, 3]", "\"x]\"", R"({"c": "}"})"});
  for ([[maybe_unused]] const auto& m : root["n"]) FAIL("a number has no members");
  texts.clear();
  for (const auto& m : root) texts.emplace_back(m.key.text());
  CHECK(texts == std::vector<std::string>{"\"a\"", "\"n\"", "\"n\""});
}

TEST_CASE("what is cut off anywhere is refused") {
  const std::string whole = R"({"a": [1.5e3, -2, true, null, "\u00e9\\"], "b": {"c": {}}})";
  REQUIRE(json::parse(whole));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto cut = json::parse(whole.substr(0, n));
    CHECK_FALSE(cut);
    CHECK(std::strstr(cut.message(), "byte ") != nullptr);
  }
}

TEST_CASE("nesting has a limit and a million brackets cost nothing") {
  const auto nested = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  CHECK(json::parse(nested(128)));
  CHECK(json::parse(std::string(128, '[') + "0" + std::string(128, ']')));
  CHECK_FALSE(json::parse(nested(129)));
  CHECK_FALSE(json::parse(nested(1000000)));
}
