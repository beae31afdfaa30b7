// blocq-bench-packed: products of packed matrices beside those of formats, of as many columns, in turn and in one
// thread: seconds of the processor, medians. Activations are floats, and what is done to them is part of the time.
#include <blocq/blocq.hpp>
#include <blocq/calib/abq.hpp>
#include <blocq/calib/dgq.hpp>
#include <blocq/calib/palette.hpp>
#include <blocq/packed/gemm.hpp>

#include <synthetic.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace {

using function = std::function<void()>;

double seconds(const function& f) {
  const std::clock_t start = std::clock();
  int runs = 0;
  do {
    f();
    ++runs;
  } while (std::clock() - start < CLOCKS_PER_SEC / 100);
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC / runs;
}

struct contender {
  std::string name;
  function run;
};

// The times of all, and how they compare with the first.
void compare(const char* what, double products, const std::vector<contender>& all) {
  std::vector<std::vector<double>> times(all.size());
  for (int round = 0; round < 21; ++round)
    for (std::size_t i = 0; i < all.size(); ++i) times[i].push_back(seconds(all[i].run));
  std::printf("%s\n", what);
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (auto* t : {&times[0], &times[i]}) std::nth_element(t->begin(), t->begin() + 10, t->end());
    std::printf("  %-34s %7.1f ps a product, %.2f times the first\n", all[i].name.c_str(),
                times[i][10] / products * 1e12, times[i][10] / times[0][10]);
  }
}

constexpr std::size_t rows = 512, cols = 4096, tokens = 32;

template <class B>
std::vector<B> encoded(const std::vector<float>& w) {
  std::vector<B> blocks(w.size() / blocq::block_size<B>);
  if (!blocq::quantize(w, blocks)) std::puts("the weights are not finite");
  return blocks;
}
template <class B>
blocq::matrix_view<const B> view(const std::vector<B>& blocks) {
  return {blocks.data(), rows, cols / blocq::block_size<B>};
}

}  // namespace

int main() {
  namespace calib = blocq::calib;
  test::normal_numbers next{{1}};
  std::vector<float> w(rows * cols), x(tokens * cols), y(tokens * rows);
  for (float& v : w) v = static_cast<float>(next.normal());
  for (float& v : x) v = static_cast<float>(next.normal());
  const std::span<const float> one(x.data(), cols);
  const std::span<float> out(y.data(), rows);
  const blocq::matrix_view<const float> weights(w.data(), rows, cols), many(x.data(), tokens, cols);
  const blocq::matrix_view<float> outs(y.data(), tokens, rows);

  const auto q2 = encoded<blocq::q2_k>(w);
  const auto q4 = encoded<blocq::q4_0>(w);
  const auto q41 = encoded<blocq::q4_1>(w);
  const auto gemv_of = [&]<class B>(const std::vector<B>& blocks) {
    return [&] {
      std::vector<blocq::integer_operand_t<B>> operand(cols / blocq::block_size<blocq::integer_operand_t<B>>);
      blocq::quantize_activations(one, operand);
      blocq::gemv(view(blocks), operand, out);
    };
  };
  const auto planes = [&](int bits, bool balanced) {
    return *calib::abq(weights, {.bits = bits, .balanced = balanced});
  };
  const auto two = planes(2, false), five = planes(2, true), one_bit = planes(1, false);
  const auto palette_of = [&](int bits) { return *calib::make_palette(weights, {.bits = bits}); };
  const auto p3 = palette_of(3), p4 = palette_of(4);
  const auto dual = *calib::dgq(weights, calib::gram::of_units(cols));

  std::vector<float> space(std::max({two.scratch(), five.scratch(), p3.integer_scratch()}));
  const auto packed_gemv = [&](const auto& m) { return [&] { m.gemv(one, out, space); }; };
  compare("one row of activations", rows * cols,
          {{"q2_k", gemv_of(q2)},
           {"2-bit planes times 8", packed_gemv(two)},
           {"five levels (3 planes) times 8", packed_gemv(five)},
           {"1-bit planes times 8", packed_gemv(one_bit)}});
  compare("one row of activations", rows * cols,
          {{"q4_0", gemv_of(q4)},
           {"palette, 3 bits, in integers", [&] { p3.integer_gemv(one, out, space); }},
           {"palette, 4 bits, in integers", [&] { p4.integer_gemv(one, out, space); }},
           {"palette, 3 bits, in floats", packed_gemv(p3)},
           {"palette, 4 bits, in floats", packed_gemv(p4)}});
  std::vector<std::byte> scratch(blocq::gemm_scratch<blocq::q4_1>(tokens, cols));
  std::vector<std::byte> dual_scratch(gemm_scratch(dual, tokens));
  compare("32 rows of activations", rows * cols * tokens,
          {{"q4_1", [&] { blocq::gemm(view(q41), many, outs, scratch); }},
           {"dual groups", [&] { gemm(dual, many, outs, dual_scratch); }}});
  return 0;
}
