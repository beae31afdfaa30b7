#include <doctest/doctest.h>
#include <blocq/core/view.hpp>

TEST_CASE("a matrix view reaches its rows over the stride and narrows to a range of them") {
  int memory[15];
  for (int i = 0; i < 15; ++i) memory[i] = i;
  const blocq::matrix_view<int> m{memory, 3, 4, 5};
  CHECK(m.row(2).size() == 4);
  CHECK(m.row(2).front() == 10);
  CHECK(m.row(2).back() == 13);
  const auto lower = m.row_range(1, 3);
  CHECK(lower.rows == 2);
  CHECK(lower.row(0).data() == memory + 5);
  CHECK(lower.row(1).data() == memory + 10);
  CHECK(m.row_range(3, 3).rows == 0);
}
