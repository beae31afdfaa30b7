// Any number of parts, in any order, on any threads: the same numbers, bit for bit.
#include <doctest/doctest.h>
#include <blocq/op/activations.hpp>
#include <blocq/op/parallel.hpp>
#include <engine_q4.hpp>
#include <random_blocks.hpp>

#include <cstddef>
#include <limits>
#include <thread>
#include <vector>

namespace {

random_bytes next(29);

void run_on_threads(std::size_t n, const auto& f) {
  std::vector<std::thread> threads;
  for (std::size_t i = n; i-- > 0;) threads.emplace_back([&f, i] { f(i); });
  for (std::thread& t : threads) t.join();
}

}  // namespace

TEST_CASE_TEMPLATE("results do not depend on how rows are divided among threads", B, blocq::q4_0, blocq::q4_k,
                   blocq::q8_0, blocq::iq2_xs, blocq::mxfp8_e4m3) {
  constexpr std::size_t k = 768, rows = 75, columns = 5, blocks = k / blocq::block_size<B>;
  const auto w = random_blocks<B>(rows * blocks, next);
  const blocq::matrix_view<const B> weights{w.data(), rows, blocks, blocks};
  std::vector<float> x(columns * k);
  for (float& v : x) v = next.uniform();
  const blocq::matrix_view<const float> activations{x.data(), columns, k, k};
  const std::size_t scratch_size = blocq::gemm_scratch<B>(columns, k);
  std::vector<std::byte> scratch(scratch_size);
  std::vector<float> vector(rows), matrix(columns * rows);
  blocq::gemv(weights, activations.row(0), std::span(vector));
  blocq::gemm(weights, activations, blocq::matrix_view<float>{matrix.data(), columns, rows, rows}, scratch);
  const auto run = [](std::size_t n, const auto& f) { run_on_threads(n, f); };
  for (const std::size_t parts : {0u, 1u, 2u, 3u, 8u}) {  // 0 counts as 1
    std::vector<float> y(rows), z(columns * rows);
    std::vector<std::byte> more(blocq::gemm_scratch<B>(columns, k, parts));
    CHECK(more.size() == (parts != 0 ? parts : 1) * scratch_size);
    blocq::gemv(weights, activations.row(0), std::span(y), parts, run);
    CHECK(y == vector);
    blocq::gemm(weights, activations, blocq::matrix_view<float>{z.data(), columns, rows, rows}, std::span(more), parts,
                run);
    CHECK(z == matrix);
  }
  for (std::size_t m = 0; m < rows; ++m) CHECK(vector[m] == blocq::dot(weights.row(m), activations.row(0)));
  if constexpr (blocq::integer_format<B>) {
    using A = blocq::integer_operand_t<B>;
    std::vector<A> operand(k / blocq::block_size<A>);
    blocq::quantize_activations(activations.row(0), operand);
    std::vector<float> y(rows), z(rows);
    blocq::gemv(weights, operand, std::span(y));
    blocq::gemv(weights, operand, std::span(z), 3, run);
    CHECK(y == z);
    std::vector<std::byte> room(blocq::gemv_scratch<B>(k));
    blocq::gemv(weights, activations.row(0), z, room, 3, run);
    CHECK(y == z);
    for (std::size_t m = 0; m < rows; ++m) CHECK(y[m] == blocq::dot(weights.row(m), operand));
  }
}

TEST_CASE("an engine's own struct is multiplied as the format it names") {
  constexpr std::size_t k = 256, rows = 20, columns = 3, blocks = k / 32;
  const auto w = random_blocks<blocq::q4_0>(rows * blocks, next);
  const blocq::matrix_view<const blocq::q4_0> weights{w.data(), rows, blocks, blocks};
  const blocq::matrix_view<const engine_q4> own{reinterpret_cast<const engine_q4*>(w.data()), rows, blocks, blocks};
  std::vector<float> x(columns * k), y(columns * rows), z(columns * rows);
  for (float& v : x) v = next.uniform();
  const blocq::matrix_view<const float> activations{x.data(), columns, k, k};
  std::vector<blocq::q8_0> operand(columns * blocks);
  blocq::quantize_activations(x, operand);
  const blocq::matrix_view<const blocq::q8_0> quantized{operand.data(), columns, blocks, blocks};
  std::vector<std::byte> scratch(blocq::gemm_scratch<engine_q4>(columns, k));
  const auto to = [&](std::vector<float>& v) { return blocq::matrix_view<float>{v.data(), columns, rows, rows}; };
  blocq::gemm(weights, activations, to(y), scratch);
  blocq::gemm(own, activations, to(z), scratch);
  CHECK(y == z);
  blocq::gemm(own, quantized, to(z), scratch);
  CHECK(y == z);
  blocq::gemv(weights, activations.row(0), std::span(y).first(rows));
  blocq::gemv(own, activations.row(0), std::span(z).first(rows));
  CHECK(y == z);
}

TEST_CASE_TEMPLATE("encoded bytes and what is reported do not depend on the number of parts", B, blocq::q4_0,
                   blocq::q4_k, blocq::mxfp4, blocq::nvfp4) {
  constexpr std::size_t k = 512, rows = 21, count = rows * k / blocq::block_size<B>;
  std::vector<float> x(rows * k), importance(k);
  for (float& v : x) v = next.uniform();
  for (float& v : importance) v = 1.0f + next.uniform();
  const auto run = [](std::size_t n, const auto& f) { run_on_threads(n, f); };
  const auto image = [](const std::vector<B>& blocks) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(blocks.data());
    return std::vector<unsigned char>(bytes, bytes + blocks.size() * sizeof(B));
  };
  for (const bool odd : {false, true}) {
    if (odd) x[7 * k + 300] = x[19 * k] = std::numeric_limits<float>::infinity();
    for (const blocq::quantize_options& options : {blocq::quantize_options{}, {.importance = importance}}) {
      std::vector<B> whole(count), divided(count);
      const blocq::status expected = blocq::quantize(x, whole, options);
      CHECK(bool(expected) == !odd);
      for (const std::size_t parts : {0u, 1u, 2u, 3u, 7u, 40u}) {
        const blocq::status s = blocq::quantize(x, divided, options, parts, run);
        CHECK(s.code == expected.code);
        CHECK(s.at == expected.at);
        CHECK(image(divided) == image(whole));
      }
    }
  }
  std::vector<B> blocks(count);
  const std::span<const float> all(x), weights(importance);
  CHECK(blocq::quantize(all.first(k - 1), blocks, {}, 3, run).code == blocq::errc::ragged);
  CHECK(blocq::quantize(all.first(k), blocks, {}, 3, run).code == blocq::errc::size_mismatch);
  CHECK(blocq::quantize(all, blocks, {.importance = weights.first(k - 1)}, 3, run).code == blocq::errc::ragged);
}
