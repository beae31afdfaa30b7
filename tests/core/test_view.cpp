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

TEST_CASE("rows lie one behind the other unless a view says otherwise, and a writable view is a readable one") {
  int memory[6] = {0, 1, 2, 3, 4, 5};
  blocq::matrix_view<int> m{memory, 2, 3};
  CHECK(m.stride == 3);
  CHECK(m.row(1).front() == 3);
  const auto last = [](blocq::matrix_view<const int> view) { return view.row(view.rows - 1).back(); };
  CHECK(last(m) == 5);
  CHECK(last(m.row_range(0, 1)) == 2);
  CHECK(blocq::matrix_view<int>{}.rows == 0);
}
