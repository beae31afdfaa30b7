// Errors speak, are never overrun by foreign text, and a result owns its value exactly once.
#include <doctest/doctest.h>
#include <blocq/core/error.hpp>

#include <cstring>
#include <memory>
#include <set>
#include <string>
#include <string_view>

using namespace blocq;

TEST_CASE("every code has its own sentence") {
  std::set<std::string> seen;
  for (int code = 0; code <= static_cast<int>(errc::io); ++code) {
    const std::string sentence = message(static_cast<errc>(code));
    CHECK(sentence != "unknown error");
    CHECK(sentence.back() != '.');
    CHECK(seen.insert(sentence).second);
  }
  CHECK(std::string(message(static_cast<errc>(200))) == "unknown error");
}

TEST_CASE("a status is true when all went well") {
  CHECK(status{});
  CHECK_FALSE(status{errc::ragged, 3});
  CHECK(std::string_view(status{errc::ragged, 3}.message()) == message(errc::ragged));
}

TEST_CASE("an error speaks for its code until it is given words") {
  error e(errc::bad_value);
  CHECK(std::string_view(e.message()) == message(errc::bad_value));
  e << "tensor " << 17 << " at " << -9223372036854775807 - 1 << ',' << ' ' << 18446744073709551615u;
  CHECK(std::string_view(e.message()) == "tensor 17 at -9223372036854775808, 18446744073709551615");
}

TEST_CASE("foreign text is escaped and cut") {
  error e(errc::bad_name);
  e.quote("a'b\\\n\x7f\xff", 7);
  CHECK(std::string_view(e.text) == "'a\\x27b\\x5c\\x0a\\x7f\\xff'");
  error cut(errc::bad_name);
  cut.quote((std::string(32, 'x') + "lost" + std::string(32, 'y')).c_str(), 68);
  CHECK(std::string_view(cut.text) == "'" + std::string(32, 'x') + "..." + std::string(32, 'y') + "'");
  error full(errc::bad_name);
  for (int i = 0; i < 1000; ++i) full << "0123456789";
  CHECK(std::strlen(full.text) == sizeof full.text - 1);
}

TEST_CASE("a result carries a value or an error") {
  result<int> good(7);
  REQUIRE(good);
  CHECK(*good == 7);
  CHECK(std::string_view(good.message()) == message(errc::ok));
  result<int> bad(error(errc::truncated) << "no bytes");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == errc::truncated);
  CHECK(std::string_view(bad.message()) == "no bytes");
}

TEST_CASE("a result moves its value and destroys it once") {
  const auto shared = std::make_shared<int>(1);
  {
    result<std::shared_ptr<int>> first(shared);
    CHECK(shared.use_count() == 2);
    result<std::shared_ptr<int>> second(std::move(first));
    CHECK(shared.use_count() == 2);
    CHECK(second->get() == shared.get());
    const std::shared_ptr<int> taken = *std::move(second);
    CHECK(shared.use_count() == 2);
    result<std::shared_ptr<int>> failed{error(errc::io)};
    result<std::shared_ptr<int>> moved(std::move(failed));
    CHECK(moved.error().code == errc::io);
  }
  CHECK(shared.use_count() == 1);
}
