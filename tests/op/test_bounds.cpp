// Kernels read their operands and no further: the page after the last byte, or before the first, cannot be read.
#if __has_include(<sys/mman.h>)
#include <doctest/doctest.h>
#include <blocq/op/activations.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <random_blocks.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>

namespace {

random_bytes next(23);

// Room for elements of T up against a page that cannot be read, behind them or in front of them.
template <class T>
class fenced {
 public:
  fenced(std::size_t count, bool behind) : page_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))) {
    const std::size_t bytes = count * sizeof(T), pages = (bytes + page_ - 1) / page_;
    size_ = (pages + 2) * page_;
    memory_ = static_cast<char*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(mprotect(memory_ + page_, pages * page_, PROT_READ | PROT_WRITE) == 0);
    items = {reinterpret_cast<T*>(memory_ + page_ + (behind ? pages * page_ - bytes : 0)), count};
  }
  fenced(const std::vector<T>& from, bool behind) : fenced(from.size(), behind) {
    std::memcpy(static_cast<void*>(items.data()), from.data(), from.size() * sizeof(T));
  }
  fenced(const fenced&) = delete;
  ~fenced() { munmap(memory_, size_); }

  std::span<T> items;

 private:
  std::size_t page_, size_ = 0;
  char* memory_ = nullptr;
};

template <class B>
void run_kernels(std::size_t blocks, bool behind) {
  const std::size_t k = blocks * blocq::block_size<B>;
  const fenced<B> w(random_blocks<B>(blocks, next), behind);
  std::vector<float> numbers(k);
  for (float& v : numbers) v = next.uniform();
  const fenced<float> x(numbers, behind);
  fenced<float> y(k, behind), one(1, behind);
  CHECK(blocq::dequantize(w.items, y.items));
  const blocq::matrix_view<const B> weights{w.items.data(), 1, blocks, blocks};
  blocq::gemv(weights, x.items, one.items);
  if constexpr (!std::is_same_v<B, blocq::q8_1> && !std::is_same_v<B, blocq::q8_k>) {
    fenced<std::byte> scratch(blocq::gemm_scratch<B>(1, k), behind);
    blocq::gemm(weights, blocq::matrix_view<const float>{x.items.data(), 1, k, k},
                blocq::matrix_view<float>{one.items.data(), 1, 1, 1}, scratch.items);
  }
  if constexpr (blocq::integer_format<B>) {
    using A = blocq::integer_operand_t<B>;
    fenced<A> operand(k / blocq::block_size<A>, behind);
    blocq::quantize_activations(x.items, operand.items);
    blocq::gemv(weights, operand.items, one.items);
    CHECK(one.items[0] == blocq::dot(w.items, operand.items));
  }
}

}  // namespace

TEST_CASE("kernels stay within their operands") {
  blocq::for_each(blocq::all_formats{}, []<class B> {
    for (const std::size_t blocks : {1u, 2u, 3u, 8u, 9u, 37u})
      for (const bool behind : {true, false}) run_kernels<B>(blocks, behind);
  });
}
#endif
