#include <doctest/doctest.h>
#include <blocq/core/type_list.hpp>

#include <string>

using namespace blocq;

using two = type_list<char, int>;
using joined = concat_t<two, type_list<>, type_list<double>>;
static_assert(std::is_same_v<joined, type_list<char, int, double>> && joined::size == 3);
static_assert(std::is_same_v<concat_t<type_list<>>, type_list<>>);
static_assert(joined::contains<double> && !two::contains<double>);

TEST_CASE("for_each visits every member in order") {
  std::string sizes;
  for_each(joined{}, [&]<class T> { sizes += std::to_string(sizeof(T)); });
  CHECK(sizes == "148");
  for_each(type_list<>{}, [&]<class T> { sizes += "never"; });
  CHECK(sizes == "148");
}
