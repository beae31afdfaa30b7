// Products of matrices between two marks, for scripts/count-aarch64.sh, which counts the instructions between them:
//
//   instructions [DIR]     blocq's, or those of ggml, whose shared libraries lie in DIR
//
// A line for each product, "gemv q4_0 16384", comes before its marks: the number is that of weights times columns, in
// units of 256. The rounding of the activations is a part of it.
#include "backend.hpp"
#include "data.hpp"

#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/quantize.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace {

using bench::columns;
constexpr std::size_t outputs = 1024, batch = 32;

void mark() { static_cast<void>(::syscall(BLOCQ_MARK)); }

// The second run: the first allocates, and binds symbols.
template <class B, class Run>
void count(std::size_t n, Run run) {
  run();
  std::fprintf(stderr, "%s %s %zu\n", n == 1 ? "gemv" : "gemm", blocq::format_traits<B>::name,
               outputs * columns * n / 256);
  mark();
  run();
  mark();
}

template <class B>
void multiply(std::size_t n, const bench::backend* peer) {
  constexpr std::size_t row = columns / blocq::block_size<B>;
  const std::span<const float> x = bench::activations().first(n * columns);
  std::vector<B> w(outputs * row);
  const auto importance = blocq::format_traits<B>::importance ? bench::importance() : std::span<const float>();
  static_cast<void>(
      blocq::quantize(bench::weights().first(columns), std::span(w).first(row), {.importance = importance}));
  for (std::size_t r = 1; r < outputs; ++r)
    std::copy_n(w.begin(), row, w.begin() + static_cast<std::ptrdiff_t>(r * row));

  const blocq::matrix_view<const B> weights{w.data(), outputs, row, row};
  std::vector<float> y(outputs * n);
  std::vector<std::byte> scratch(n == 1 ? blocq::gemv_scratch<B>(columns) : blocq::gemm_scratch<B>(n, columns));
  const auto ours = [&] {
    if (n == 1)
      blocq::gemv(weights, x, y, scratch);
    else
      blocq::gemm(weights, blocq::matrix_view<const float>{x.data(), n, columns, columns},
                  blocq::matrix_view<float>{y.data(), n, outputs, outputs}, scratch);
  };
  if (peer == nullptr) return count<B>(n, ours);
  ours();
  for (const auto& p : peer->products(blocq::format_traits<B>::gguf_id, w.data(), w.size() * sizeof(B), outputs,
                                      columns, x.data(), n)) {
    count<B>(n, p.run);
    std::vector<float> theirs(y.size());
    p.result(theirs.data());
    if (!bench::close(y, theirs, 0.02)) {
      std::fprintf(stderr, "the results of %s differ\n", blocq::format_traits<B>::name);
      std::exit(1);
    }
  }
}

template <class... B>
void multiply_all(const bench::backend* peer) {
  for (const std::size_t n : {std::size_t{1}, batch}) (multiply<B>(n, peer), ...);
}

}  // namespace

int main(int argc, char** argv) {
  std::unique_ptr<bench::backend> peer;
  if (argc > 1) {
    peer = std::make_unique<bench::backend>(argv[1]);
    if (!*peer) {
      std::fprintf(stderr, "%s\n", peer->error().c_str());
      return 1;
    }
  }
  using namespace blocq;
  multiply_all<q4_0, q8_0, mxfp4, iq4_nl, q2_k, q4_k, q6_k, iq2_xxs, iq3_s, f16>(peer.get());
}
