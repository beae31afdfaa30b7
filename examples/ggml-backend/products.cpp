#include "products.hpp"

#include "buffers.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace {

// Rows of X that are multiplied at once, and of one expert's weights: more need more memory and save little time.
constexpr std::size_t columns_at_once = 128, expert_rows_at_once = 512;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }
std::size_t index(int i) { return static_cast<std::size_t>(i); }
// Pieces of scratch are whole cache lines.
std::size_t rounded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
std::size_t parts(std::size_t n, std::size_t part) { return (n + part - 1) / part; }

}  // namespace

// A product of matrices in four dimensions, with n rows of X for each matrix of W. A matrix of W that serves several
// matrices of X of one row each (the heads of attention to one token) is taken as one with several rows.
struct products::shape {
  std::size_t k, m, n;
  std::size_t batches2, batches3;      // of X and Y
  std::size_t share2, share3;          // how many of them share one of W
  std::size_t x1, x2, x3, y1, y2, y3;  // strides in bytes

  shape(const ggml::tensor& node, bool by_expert) {
    const ggml::tensor &w = *node.src[0], &x = *node.src[1];
    k = size(w.ne[0]), m = size(w.ne[1]), n = size(x.ne[1]);
    batches2 = size(x.ne[2]), batches3 = size(x.ne[3]);
    share2 = by_expert ? 1 : batches2 / size(w.ne[2]), share3 = by_expert ? 1 : batches3 / size(w.ne[3]);
    x1 = x.nb[1], x2 = x.nb[2], x3 = x.nb[3], y1 = node.nb[1], y2 = node.nb[2], y3 = node.nb[3];
    if (n == 1 && share2 > 1) {
      n = share2, batches2 /= share2, share2 = 1;
      x1 = x2, x2 = x1 * n, y1 = y2, y2 = y1 * n;
    }
  }
  std::size_t rows() const { return n * batches2 * batches3; }
  // Row i of X, the batches one after the other.
  std::size_t x_offset(std::size_t i) const { return i % n * x1 + i / n % batches2 * x2 + i / n / batches2 * x3; }
};

namespace {

// Rows of weights that are one task: few enough that the threads end together, and enough to be worth preparing X for.
std::size_t rows_per_task(std::size_t m, std::size_t n, int threads) {
  if (threads == 1) return m;
  const std::size_t least = n == 1 ? 64 : 256, even = parts(m, static_cast<std::size_t>(threads)),
                    fair = parts(even, 4);
  return parts(std::min(std::max(fair, least), std::max<std::size_t>(even, 1)), 64) * 64;
}

std::size_t operand_row(const kernel& k, std::size_t length) { return length / k.operand_size * k.operand_bytes; }

void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#endif
}

bool in_rows(const ggml::tensor& t, std::size_t unit) {
  return t.nb[0] == unit && t.nb[1] % unit == 0 && t.nb[2] % unit == 0 && t.nb[3] % unit == 0;
}

}  // namespace

const kernel* kernel_for(const operations& numbers, const kernel_table& kernels, const ggml::tensor& node) {
  const bool by_expert = node.op == numbers.mul_mat_id;
  if (by_expert ? !numbers.by_expert : node.op != numbers.mul_mat) return nullptr;
  const ggml::tensor *const w = node.src[0], *const x = node.src[1], *const ids = node.src[2];
  if (w == nullptr || x == nullptr) return nullptr;
  const kernel* const k = kernels.find(w->type);
  if (k == nullptr || x->type != ggml::f32 || node.type != ggml::f32) return nullptr;
  if (!in_rows(*w, k->block_bytes) || !in_rows(*x, sizeof(float)) || !in_rows(node, sizeof(float))) return nullptr;
  if (w->ne[0] % static_cast<std::int64_t>(k->block_size) != 0 || x->ne[0] != w->ne[0]) return nullptr;
  for (int d = 0; d < 4; ++d)
    if (w->ne[d] <= 0 || x->ne[d] <= 0 || node.ne[d] <= 0) return nullptr;
  if (by_expert) {
    const bool known = ids != nullptr && ids->type == ggml::i32 && ids->nb[0] == sizeof(std::int32_t) &&
                       w->ne[3] == 1 && x->ne[3] == 1 && node.ne[1] == ids->ne[0] && node.ne[2] == ids->ne[1] &&
                       x->ne[2] == ids->ne[1] && ids->ne[0] % x->ne[1] == 0;
    if (!known) return nullptr;
  } else if (x->ne[2] % w->ne[2] != 0 || x->ne[3] % w->ne[3] != 0) {
    return nullptr;
  }
  const ggml::tensor& owner = w->view_src != nullptr ? *w->view_src : *w;
  if (buffers::may_interleave(*w)) {
    if (&owner != w || buffers::interleaving(*w) == nullptr) return nullptr;
  } else if (owner.buffer != nullptr && owner.buffer->type != buffers::type() &&
             !buffers::is_readable(owner.buffer->type)) {
    return nullptr;
  }
  return k;
}

void barrier::wait(int threads) noexcept {
  const int round = round_.load(std::memory_order_acquire);
  if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads) {
    waiting_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    round_.notify_all();
    return;
  }
  for (int i = 0; i < 10000; ++i) {
    if (round_.load(std::memory_order_acquire) != round) return;
    relax();
  }
  round_.wait(round, std::memory_order_acquire);
}

products::products(const ggml::library& library, const operations& numbers, const kernel_table& kernels)
    : library_(library), numbers_(numbers), kernels_(kernels) {
  ggml::context* const context = library.init({std::size_t{1} << 14, nullptr, true});
  if (context == nullptr) throw std::bad_alloc();
  ggml::tensor* x = library.new_tensor_3d(context, ggml::f32, 1, 1, 1);
  callback_ = *library.custom_4d(context, ggml::f32, 1, 1, 1, 1, &x, 1, run, ggml::all_threads, this);
  library.free(context);
}

void products::replace(ggml::graph* graph, int threads) {
  ggml::tensor** const all = library_.graph_nodes(graph);
  const auto count = static_cast<std::size_t>(library_.graph_n_nodes(graph));
  nodes_.clear();
  std::size_t rows_by_expert = 0, experts = 0;
  shared_bytes_ = thread_bytes_ = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const ggml::tensor& node = *all[i];
    const kernel* const k = kernel_for(numbers_, kernels_, node);
    if (k == nullptr) continue;
    const bool by_expert = node.op == numbers_.mul_mat_id;
    nodes_.push_back({node, k, by_expert, i, all[i]});

    const std::size_t length = size(node.src[0]->ne[0]), row = operand_row(*k, length);
    const shape s(node, by_expert);
    if (k->quantize != nullptr) shared_bytes_ = std::max(shared_bytes_, s.rows() * row);
    if (by_expert) {
      const std::size_t rows = size(node.ne[1] * node.ne[2]), n = std::min(rows, columns_at_once);
      thread_bytes_ = std::max(
          thread_bytes_, rounded(n * row) + rounded(n * expert_rows_at_once * sizeof(float)) + k->scratch(n, length));
      rows_by_expert = std::max(rows_by_expert, rows);
      experts = std::max(experts, size(node.src[0]->ne[2]));
    } else {
      thread_bytes_ = std::max(thread_bytes_, rounded(row) + k->scratch(std::min(s.n, columns_at_once), length));
    }
  }
  by_expert_.resize(std::max(by_expert_.size(), rows_by_expert));
  first_of_expert_.resize(std::max(first_of_expert_.size(), experts + 1));
  segments_.reserve(experts + rows_by_expert / columns_at_once);
  shared_bytes_ = rounded(shared_bytes_), thread_bytes_ = rounded(thread_bytes_);
  const std::size_t needed = shared_bytes_ + thread_bytes_ * static_cast<std::size_t>(threads);
  if (needed > scratch_bytes_) {
    scratch_bytes_ = 0;
    scratch_.reset();
    scratch_.reset(new std::byte[needed]);
    scratch_bytes_ = needed;
  }

  for (task_counter& c : counters_) c.next = 0;
  for (replacement& r : nodes_) {
    r.node.op = callback_.op;
    std::copy(std::begin(callback_.op_params), std::end(callback_.op_params), r.node.op_params);
    all[r.index] = &r.node;
  }
}

void products::restore(ggml::graph* graph) noexcept {
  ggml::tensor** const all = library_.graph_nodes(graph);
  for (const replacement& r : nodes_) all[r.index] = r.original;
}

void products::run(ggml::tensor* node, int thread, int threads, void* self) noexcept {
  auto& all = *static_cast<products*>(self);
  const auto& r = *reinterpret_cast<const replacement*>(node);
  // ggml's threads meet between two nodes, so that nobody is left in the one before.
  const auto turn = static_cast<std::size_t>(&r - all.nodes_.data()) % 2;
  if (thread == 0) all.counters_[1 - turn].next.store(0, std::memory_order_relaxed);
  if (r.by_expert)
    all.multiply_by_expert(*node, *r.k, thread, threads, all.counters_[turn]);
  else
    all.multiply(*node, *r.k, thread, threads, all.counters_[turn]);
}

template <class F>
void products::take_tasks(task_counter& counter, std::size_t tasks, int threads, F&& f) noexcept {
  if (threads == 1)
    for (std::size_t i = 0; i < tasks; ++i) f(i);
  else
    for (std::size_t i; (i = counter.next.fetch_add(1, std::memory_order_relaxed)) < tasks;) f(i);
}

namespace {
void multiply_rows(const kernel& k, const ggml::tensor& w, product& p) {
  const bool eight = buffers::is_interleaved(w);
  p.w_stride = w.nb[1] * (eight ? 8 : 1);
  (eight ? k.multiply_interleaved : k.multiply)(p);
}
}  // namespace

void products::quantize_rows(const kernel& k, const shape& s, const std::byte* x, int thread, int threads) noexcept {
  const std::size_t row = operand_row(k, s.k), rows = s.rows(), t = index(thread), n = index(threads);
  for (std::size_t i = rows * t / n; i < rows * (t + 1) / n; ++i)
    k.quantize(reinterpret_cast<const float*>(x + s.x_offset(i)), s.k, scratch_.get() + i * row);
}

void products::multiply(const ggml::tensor& node, const kernel& k, int thread, int threads,
                        task_counter& counter) noexcept {
  const shape s(node, false);
  const auto* const w = static_cast<const std::byte*>(node.src[0]->data);
  const auto* const x = static_cast<const std::byte*>(node.src[1]->data);
  auto* const y = static_cast<std::byte*>(node.data);
  const std::size_t row = operand_row(k, s.k);
  std::byte* const own = thread_scratch(thread);

  // Where the rows of X lie as operands: a single one is quantized by every thread for itself, which is sooner done
  // than waited for.
  const std::byte* operands = scratch_.get();
  if (k.quantize != nullptr && s.rows() == 1) {
    k.quantize(reinterpret_cast<const float*>(x), s.k, own);
    operands = own;
  } else if (k.quantize != nullptr) {
    quantize_rows(k, s, x, thread, threads);
    barrier_.wait(threads);
  }

  const std::size_t tiles = parts(s.n, columns_at_once), columns = parts(s.n, tiles),
                    rows = rows_per_task(s.m, columns, threads), chunks = parts(s.m, rows);
  take_tasks(counter, s.batches2 * s.batches3 * tiles * chunks, threads, [&](std::size_t i) {
    const std::size_t m = i % chunks * rows, n = i / chunks % tiles * columns, batch = i / chunks / tiles,
                      b2 = batch % s.batches2, b3 = batch / s.batches2;
    product p{};
    p.w = w + m * node.src[0]->nb[1] + b2 / s.share2 * node.src[0]->nb[2] + b3 / s.share3 * node.src[0]->nb[3];
    p.rows = std::min(rows, s.m - m), p.blocks = s.k / k.block_size;
    p.n = std::min(columns, s.n - n);
    if (k.quantize != nullptr)
      p.x = operands + (batch * s.n + n) * row, p.x_stride = row;
    else
      p.x = x + s.x_offset(batch * s.n + n), p.x_stride = s.x1;
    p.y = reinterpret_cast<float*>(y + n * s.y1 + b2 * s.y2 + b3 * s.y3) + m, p.y_stride = s.y1 / sizeof(float);
    p.scratch = {own + rounded(row), thread_bytes_ - rounded(row)};
    multiply_rows(k, *node.src[0], p);
  });
}

// Column j of the ids names the experts of token j. Rows of Y are numbered through: slot i of token j is i + slots * j.
void products::sort_by_expert(const ggml::tensor& ids, std::size_t experts) noexcept {
  const std::size_t slots = size(ids.ne[0]), tokens = size(ids.ne[1]);
  const auto for_each_row = [&](auto&& f) {
    for (std::size_t j = 0; j < tokens; ++j) {
      const auto* const of_token =
          reinterpret_cast<const std::int32_t*>(static_cast<const std::byte*>(ids.data) + j * ids.nb[1]);
      for (std::size_t i = 0; i < slots; ++i)
        if (of_token[i] >= 0 && index(of_token[i]) < experts) f(index(of_token[i]), i + slots * j);
    }
  };
  std::size_t* const next = first_of_expert_.data();
  std::fill_n(next, experts + 1, std::size_t{0});
  for_each_row([&](std::size_t expert, std::size_t) { ++next[expert + 1]; });
  for (std::size_t e = 0; e < experts; ++e) next[e + 1] += next[e];
  segments_.clear();
  for (std::size_t e = 0; e < experts; ++e) {
    const std::size_t rows = next[e + 1] - next[e], tiles = parts(rows, columns_at_once);
    for (std::size_t t = 0; t < tiles; ++t)
      segments_.push_back({e, next[e] + rows * t / tiles, rows * (t + 1) / tiles - rows * t / tiles});
  }
  for_each_row([&](std::size_t expert, std::size_t row) { by_expert_[next[expert]++] = row; });
}

void products::multiply_by_expert(const ggml::tensor& node, const kernel& k, int thread, int threads,
                                  task_counter& counter) noexcept {
  const ggml::tensor &w = *node.src[0], &ids = *node.src[2];
  const shape s(node, true);
  const auto* const x = static_cast<const std::byte*>(node.src[1]->data);
  const std::size_t row = operand_row(k, s.k), slots = size(ids.ne[0]);
  if (thread == 0) sort_by_expert(ids, size(w.ne[2]));
  if (k.quantize != nullptr) quantize_rows(k, s, x, thread, threads);
  barrier_.wait(threads);

  const std::size_t rows = std::min(rows_per_task(s.m, 1, threads), expert_rows_at_once), chunks = parts(s.m, rows);
  const auto y_of = [&](std::size_t i) {
    return reinterpret_cast<float*>(static_cast<std::byte*>(node.data) + i % slots * node.nb[1] +
                                    i / slots * node.nb[2]);
  };
  take_tasks(counter, segments_.size() * chunks, threads, [&](std::size_t i) {
    const segment& g = segments_[i / chunks];
    const std::size_t m = i % chunks * rows;
    std::byte* own = thread_scratch(thread);
    for (std::size_t j = 0; j < g.count; ++j) {
      // A token's row of X may serve all of its experts.
      const std::size_t to = by_expert_[g.first + j], from = to / slots * s.n + to % slots % s.n;
      std::memcpy(own + j * row, k.quantize != nullptr ? scratch_.get() + from * row : x + s.x_offset(from), row);
    }
    product p{};
    p.x = own, p.x_stride = row, p.n = g.count;
    own += rounded(g.count * row);
    p.w = static_cast<const std::byte*>(w.data) + g.expert * w.nb[2] + m * w.nb[1];
    p.rows = std::min(rows, s.m - m), p.blocks = s.k / k.block_size;
    if (g.count == 1) {
      p.y = y_of(by_expert_[g.first]) + m;
      multiply_rows(k, w, p);
      return;
    }
    auto* const sums = reinterpret_cast<float*>(own);
    own += rounded(g.count * expert_rows_at_once * sizeof(float));
    p.y = sums, p.y_stride = p.rows;
    p.scratch = {own, static_cast<std::size_t>(thread_scratch(thread + 1) - own)};
    multiply_rows(k, w, p);
    for (std::size_t j = 0; j < g.count; ++j) std::copy_n(sums + j * p.rows, p.rows, y_of(by_expert_[g.first + j]) + m);
  });
}
