// The products of a graph, done by blocq in the threads of ggml's CPU backend. Each node that is a product of a format
// that blocq multiplies is replaced by a node that calls back here; the CPU backend then runs the graph, all else of it
// as ever. So there is one pool of threads, ggml's, and no border between devices in the graph.
#ifndef PRODUCTS_HPP
#define PRODUCTS_HPP

#include "ggml.hpp"
#include "kernels.hpp"

#include <atomic>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

// ggml's numbers of operations, which differ between its versions.
struct operations {
  int mul_mat = -1, mul_mat_id = -1, flash_attn_ext = -1;
  bool by_expert = true;  // whether mul_mat_id is for blocq
};

// What `node` is, if it is for blocq.
const kernel* kernel_for(const operations&, const kernel_table&, const ggml::tensor& node);

// Threads of one operation that wait for each other: a while awake, then asleep.
class barrier {
 public:
  void wait(int threads) noexcept;

 private:
  std::atomic<int> waiting_{0}, round_{0};
};

// One graph at a time.
class products {
 public:
  products(const ggml::library&, const operations&, const kernel_table&);
  products(const products&) = delete;
  products& operator=(const products&) = delete;

  // Puts our nodes in the place of products; `threads` is the most that will run them. Throws std::bad_alloc, and has
  // changed nothing then.
  void replace(ggml::graph*, int threads);
  // Puts back what was there.
  void restore(ggml::graph*) noexcept;

 private:
  struct shape;
  struct task_counter {
    alignas(64) std::atomic<std::size_t> next{0};
  };
  // Rows of X, from one expert's on, that are multiplied together.
  struct segment {
    std::size_t expert, first, count;
  };

  static void run(ggml::tensor* node, int thread, int threads, void* self) noexcept;
  void multiply(const ggml::tensor& node, const kernel&, int thread, int threads, task_counter&) noexcept;
  void multiply_by_expert(const ggml::tensor& node, const kernel&, int thread, int threads, task_counter&) noexcept;
  void sort_by_expert(const ggml::tensor& ids, std::size_t experts) noexcept;
  // The rows of X to the operand format, at the beginning of the scratch.
  void quantize_rows(const kernel&, const shape&, const std::byte* x, int thread, int threads) noexcept;
  // f(task) for the tasks that this thread gets.
  template <class F>
  static void take_tasks(task_counter&, std::size_t tasks, int threads, F&&) noexcept;

  std::byte* thread_scratch(int thread) noexcept {
    return scratch_.get() + shared_bytes_ + static_cast<std::size_t>(thread) * thread_bytes_;
  }

  const ggml::library& library_;
  const operations& numbers_;
  const kernel_table& kernels_;
  ggml::tensor callback_{};  // a node that calls run(.., this)

  struct replacement {
    ggml::tensor node;  // first: run() is told where it is
    const kernel* k;
    bool by_expert;
    std::size_t index;
    ggml::tensor* original;
  };
  std::vector<replacement> nodes_;

  std::unique_ptr<std::byte[]> scratch_;
  std::size_t scratch_bytes_ = 0, shared_bytes_ = 0, thread_bytes_ = 0;
  barrier barrier_;
  task_counter counters_[2];  // in turn: while one is used the other is set back
  std::vector<std::size_t> by_expert_, first_of_expert_;
  std::vector<segment> segments_;
};

#endif
