// Typical mistakes are failed preconditions. Every one is made here without harm: memory is as large as it takes.
#include <cstddef>

namespace {
std::size_t failed = 0;
}
#define BLOCQ_ASSERT(condition) static_cast<void>((condition) || ++failed != 0)

#include <doctest/doctest.h>
#include <blocq/core/error.hpp>
#include <blocq/op/parallel.hpp>

#include <span>
#include <vector>

namespace {

std::size_t failures(const auto& mistake) {
  failed = 0;
  mistake();
  return failed;
}

}  // namespace

TEST_CASE("mistakes in sizes are noticed where preconditions are checked") {
  constexpr std::size_t rows = 16, k = 256;
  std::vector<blocq::q4_0> blocks(rows * k);
  const blocq::matrix_view<const blocq::q4_0> w{blocks.data(), rows, k / 32};
  std::vector<float> x(k), y(4 * rows);
  std::vector<std::byte> memory(2 * blocq::gemm_scratch<blocq::q4_0>(4, k));
  const std::span<std::byte> scratch(memory);
  const std::span<float> out(y);
  const auto run = [](std::size_t n, const auto& f) {
    for (std::size_t i = 0; i < n; ++i) f(i);
  };
  const blocq::matrix_view<float> product{y.data(), 1, rows};
  const blocq::matrix_view<const float> columns{x.data(), 1, k};

  CHECK(failures([&] { blocq::gemv(w, x, out.first(rows)); }) == 0);
  CHECK(failures([&] { blocq::gemv(w, x, out.first(rows), scratch); }) == 0);
  CHECK(failures([&] { blocq::gemm(w, columns, product, scratch); }) == 0);
  CHECK(failures([&] { blocq::gemm(w, columns, product, scratch, 2, run); }) == 0);

  CHECK(failures([&] { blocq::matrix_view<float>{x.data(), 2, 8, 4}; }) > 0);
  CHECK(failures([&] { static_cast<void>(w.row(rows)); }) > 0);
  CHECK(failures([&] { blocq::gemv(w, x, out.first(rows + 1)); }) > 0);
  CHECK(failures([&] { blocq::gemv(w.row_range(0, 4), std::span(x).first(k - 32), out.first(4)); }) > 0);
  CHECK(failures([&] { blocq::gemv(w, x, out.first(rows), scratch.first(1)); }) > 0);
  CHECK(failures([&] { blocq::gemm(w, columns, product, scratch.first(100)); }) > 0);
  CHECK(failures([&] {
          blocq::gemm(w, columns, product, scratch.first(blocq::gemm_scratch<blocq::q4_0>(1, k)), 2, run);
        }) > 0);
  CHECK(failures([&] { blocq::dot(w.row(0), std::span(x).first(k - 1)); }) > 0);
  CHECK(failures([&] { static_cast<void>(blocq::result<int>(blocq::error(blocq::errc::io)).error()); }) == 0);
  CHECK(failures([&] { static_cast<void>(blocq::result<int>(7).error()); }) > 0);
}
