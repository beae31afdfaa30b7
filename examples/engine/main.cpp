// blocq inside an engine that is not ours (engine.hpp). Three seams are all there is: a trait says which wire format
// the engine's struct is, views are laid over its tensors, and rows are shared out to its threads.
#include "engine.hpp"

#include <blocq/blocq.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

// The engine's struct has the bytes of q4_0.
template <>
struct blocq::format_traits<engine::block_q4> : blocq::format_traits<blocq::q4_0> {
  using wire = blocq::q4_0;
};

namespace engine {

blocq::matrix_view<const block_q4> view(const tensor& t) {
  const std::size_t blocks = t.cols / blocq::block_size<block_q4>;
  return {t.data, t.rows, blocks, blocks};
}

// y = W * x on the pool's threads: every thread has a range of rows, and the numbers do not depend on how many.
void multiply(thread_pool& pool, const tensor& w, std::span<const float> x, std::span<float> y) {
  const std::size_t parts = pool.size();
  pool.run(parts, [&](std::size_t i) {
    const std::size_t first = w.rows * i / parts, last = w.rows * (i + 1) / parts;
    blocq::gemv(view(w).row_range(first, last), x, y.subspan(first, last - first));
  });
}

tensor make_tensor(arena& memory, std::size_t rows, std::size_t cols, float phase) {
  std::vector<float> weights(rows * cols);
  for (std::size_t i = 0; i < weights.size(); ++i)
    weights[i] = std::sin(phase * static_cast<float>(i % 9973)) / std::sqrt(static_cast<float>(cols));
  const std::size_t blocks = weights.size() / blocq::block_size<block_q4>;
  block_q4* data = memory.take<block_q4>(blocks);
  if (data == nullptr || !blocq::quantize(weights, std::span(data, blocks))) return {};
  return {data, rows, cols};
}

// x + W2 * max(0, W1 * x), a feed-forward layer.
void layer(thread_pool& pool, arena& scratch, const tensor& w1, const tensor& w2, std::span<float> x) {
  const std::span hidden(scratch.take<float>(w1.rows), w1.rows), out(scratch.take<float>(w2.rows), w2.rows);
  multiply(pool, w1, x, hidden);
  for (float& h : hidden) h = std::max(h, 0.0f);
  multiply(pool, w2, hidden, out);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] += out[i];
  scratch.clear();
}

}  // namespace engine

int main() {
  constexpr std::size_t dim = 256, hidden = 768;
  engine::arena weights(std::size_t{1} << 20), scratch(std::size_t{1} << 16);
  const engine::tensor w1 = engine::make_tensor(weights, hidden, dim, 0.7f);
  const engine::tensor w2 = engine::make_tensor(weights, dim, hidden, 1.3f);
  if (w1.data == nullptr || w2.data == nullptr) return std::puts("the arena is too small"), 1;

  std::vector<float> first;
  for (const std::size_t threads : {1u, 2u, 3u}) {
    engine::thread_pool pool(threads);
    std::vector<float> x(dim);
    for (std::size_t i = 0; i < dim; ++i) x[i] = std::cos(static_cast<float>(i));
    for (int i = 0; i < 4; ++i) engine::layer(pool, scratch, w1, w2, x);
    if (first.empty()) first = x;
    if (x != first) return std::puts("the result depends on the number of threads"), 1;
  }
  std::printf("four layers, x[0] = %g, the same with 1, 2 and 3 threads\n", static_cast<double>(first[0]));
}
