// A code's integer stays in the range that the element states, and reaches both ends of it.
#include <doctest/doctest.h>
#include <blocq/core/type_list.hpp>
#include <blocq/elem/integer.hpp>

using namespace blocq;

static_assert(packed_int<4, 8>::value(0) == -8 && packed_int<4, 8>::value(15) == 7);
static_assert(packed_int<5, 0>::value(31) == 31);
static_assert(packed_int<8, 0>::value(0x80) == -128 && packed_int<8, 0>::value(0x7f) == 127);

TEST_CASE("the values of a code span exactly its range") {
  for_each(type_list<packed_int<2, 0>, packed_int<2, 1>, packed_int<3, 4>, packed_int<6, 32>, packed_int<8, 0>>{},
           []<class E> {
             int lowest = 1000, highest = -1000;
             for (int code = 0; code < 1 << E::bits; ++code) {
               lowest = E::value(code) < lowest ? E::value(code) : lowest;
               highest = E::value(code) > highest ? E::value(code) : highest;
             }
             CHECK(lowest == E::lowest);
             CHECK(highest == E::highest);
             CHECK(highest - lowest == (1 << E::bits) - 1);
           });
}
