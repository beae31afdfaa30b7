// The name index: it finds what is there, sees what is there twice, and no choice of names makes it slow.
#include <doctest/doctest.h>
#include <blocq/file/storage.hpp>

#include <string>
#include <vector>

using blocq::detail::growing_array;
using blocq::detail::name_index;

TEST_CASE("the array grows, keeps its contents and moves") {
  growing_array<int> a;
  for (int i = 0; i < 1000; ++i) REQUIRE(a.append(i));
  REQUIRE(a.append(a.data(), 0));
  REQUIRE(a.resize(1100));
  growing_array<int> b(std::move(a));
  CHECK(a.size() == 0);
  REQUIRE(b.size() == 1100);
  CHECK(b[999] == 999);
  CHECK(b[1099] == 0);
  CHECK_FALSE(b.resize(SIZE_MAX / 2));
  CHECK(b.size() == 1100);
  CHECK(b[500] == 500);
}

TEST_CASE("the index finds every name and nothing else") {
  for (const std::size_t n : {0u, 1u, 2u, 3u, 7u, 64u, 1000u}) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < n; ++i) names.push_back(std::to_string(i * 7919 % 1000003) + "x");
    const auto name = [&](std::size_t i) { return std::string_view(names[i]); };
    name_index index;
    REQUIRE(index.build(n, name) == name_index::outcome::unique);
    for (std::size_t i = 0; i < n; ++i) CHECK(index.find(names[i], name) == i);
    for (const char* other : {"", "x", "0", "zzzzzzzzzzzzzzzzz"}) CHECK(index.find(other, name) == n);
  }
}

TEST_CASE("a name that occurs twice is seen wherever the two are") {
  constexpr std::size_t n = 37;
  for (std::size_t first = 0; first < n; ++first)
    for (std::size_t second = first + 1; second < n; ++second) {
      std::vector<std::string> names;
      for (std::size_t i = 0; i < n; ++i) names.push_back("name" + std::to_string(i));
      names[second] = names[first];
      name_index index;
      REQUIRE(index.build(n, [&](std::size_t i) { return std::string_view(names[i]); }) ==
              name_index::outcome::duplicate);
      CHECK(names[index.duplicate()] == names[first]);
    }
}

TEST_CASE("building takes n log n comparisons, whatever the names") {
  constexpr std::size_t n = 100000;
  for (const int kind : {0, 1, 2, 3}) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < n; ++i) {
      const std::string digits = std::to_string(1000000 + (kind == 1 ? n - i : i));
      names.push_back(kind == 2   ? std::string(40, 'a') + digits
                      : kind == 3 ? digits + std::string(i % 50, 'b')
                                  : digits);
    }
    std::size_t looks = 0;
    name_index index;
    CHECK(index.build(n, [&](std::size_t i) { return ++looks, std::string_view(names[i]); }) ==
          name_index::outcome::unique);
    CHECK(looks < 2 * n * 18);
  }
}
