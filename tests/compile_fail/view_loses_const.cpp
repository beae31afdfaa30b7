// must say: matrix_view
#include <blocq/core/view.hpp>

int main() {
  static float numbers[4];
  const blocq::matrix_view<const float> readable{numbers, 2, 2};
#ifdef BAD
  const blocq::matrix_view<float> writable = readable;
#else
  const blocq::matrix_view<const float> writable = readable;
#endif
  return static_cast<int>(writable.rows) - 2;
}
