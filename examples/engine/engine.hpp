// An engine that knows nothing of blocq: its own block struct, its own tensors, its own memory and its own threads.
#ifndef ENGINE_HPP
#define ENGINE_HPP

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace engine {

// 32 weights of 4 bits with a 16-bit float scale, as the engine declares them.
struct block_q4 {
  std::uint16_t scale;
  std::uint8_t nibbles[16];
};

struct tensor {
  const block_q4* data;
  std::size_t rows, cols;  // in weights
};

// Memory that is given out front to back and taken back all at once.
class arena {
 public:
  explicit arena(std::size_t size) : memory_(new std::byte[size]), size_(size) {}

  // Null if there is not as much left.
  template <class T>
  T* take(std::size_t count) {
    const std::size_t at = (used_ + alignof(T) - 1) / alignof(T) * alignof(T);
    if (at > size_ || count > (size_ - at) / sizeof(T)) return nullptr;
    used_ = at + count * sizeof(T);
    return reinterpret_cast<T*>(memory_.get() + at);
  }
  void clear() { used_ = 0; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_, used_ = 0;
};

// A few threads that wait for work: run(n, f) calls f(0) to f(n - 1) and returns when all have returned.
class thread_pool {
 public:
  explicit thread_pool(std::size_t threads) {
    for (std::size_t i = 1; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~thread_pool() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    for (std::thread& t : threads_) t.join();
  }
  thread_pool(const thread_pool&) = delete;
  thread_pool& operator=(const thread_pool&) = delete;

  std::size_t size() const { return threads_.size() + 1; }

  void run(std::size_t n, const std::function<void(std::size_t)>& f) {
    std::unique_lock lock(mutex_);
    f_ = &f;
    next_ = 0;
    count_ = n;
    work_.notify_all();
    take_turns(lock);
    done_.wait(lock, [this] { return running_ == 0; });
    count_ = 0;
  }

 private:
  void take_turns(std::unique_lock<std::mutex>& lock) {
    while (next_ < count_) {
      const std::size_t i = next_++;
      ++running_;
      lock.unlock();
      (*f_)(i);
      lock.lock();
      if (--running_ == 0) done_.notify_all();
    }
  }
  void serve() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      take_turns(lock);
      work_.wait(lock, [this] { return stop_ || next_ < count_; });
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable work_, done_;
  const std::function<void(std::size_t)>* f_ = nullptr;
  std::size_t next_ = 0, count_ = 0, running_ = 0;
  bool stop_ = false;
};

}  // namespace engine

#endif
