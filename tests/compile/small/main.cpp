// A small program that a compiler has to get right: four rows of weights, quantized and multiplied. Exit code 0 if the
// products are those of the portable model. With BLOCQ_TEST_MODULE the library is a module.
#include <cstddef>
#include <cstdio>
#include <span>
#ifdef BLOCQ_TEST_MODULE
import blocq;
#else
#include <blocq/blocq.hpp>
#endif

namespace {

constexpr std::size_t rows = 4, cols = 512;
float weights[rows * cols], x[cols], y[rows];

template <class B, class A>
bool right(const double (&wanted)[rows]) {
  static B blocks[rows * cols / blocq::block_size<B>];
  static A operand[cols / blocq::block_size<A>];
  if (!blocq::quantize(weights, blocks)) return false;
  blocq::quantize_activations(x, operand);
  blocq::gemv(blocq::matrix_view<const B>{blocks, rows, cols / blocq::block_size<B>}, operand, y);
  bool same = true;
  for (std::size_t r = 0; r < rows; ++r) {
    const double away = static_cast<double>(y[r]) - wanted[r];
    same = same && away > -0.01 && away < 0.01;
    if (!same) std::printf("row %d: %.9g instead of %.9g\n", static_cast<int>(r), static_cast<double>(y[r]), wanted[r]);
  }
  return same;
}

}  // namespace

int main() {
  unsigned state = 1;
  const auto next = [&] {
    state = state * 1664525u + 1013904223u;
    return static_cast<float>(state >> 24) / 64.0f - 2.0f;
  };
  for (float& v : weights) v = next();
  for (float& v : x) v = next();
  return right<blocq::q4_0, blocq::q8_0>({-4.66523361, -31.4694786, 30.591116, -29.0314236}) &&
                 right<blocq::q4_k, blocq::q8_k>({-5.86586189, -29.0146179, 30.5783386, -31.336977})
             ? 0
             : 1;
}
