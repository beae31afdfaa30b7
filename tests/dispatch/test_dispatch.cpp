#include <doctest/doctest.h>
#include <blocq/dispatch/dispatch.hpp>

#include <string_view>

namespace {
struct table {
  int number;
};
}  // namespace

// What blocq_add_kernels has three differently compiled translation units say.
namespace blocq::dispatch {
template <>
const table& kernels<table, arch::baseline>() noexcept {
  static constexpr table t{0};
  return t;
}
template <>
const table& kernels<table, arch::avx2>() noexcept {
  static constexpr table t{2};
  return t;
}
template <>
const table& kernels<table, arch::dotprod>() noexcept {
  static constexpr table t{6};
  return t;
}
}  // namespace blocq::dispatch

using blocq::dispatch::arch;

TEST_CASE("the best table that runs here and is allowed is chosen") {
  using namespace blocq::dispatch;
  CHECK(supports(arch::baseline));
  CHECK(best<arch::baseline>() == arch::baseline);
  CHECK(choose<table, arch::baseline, arch::avx2, arch::dotprod>(arch::baseline).number == 0);
  const int expected = supports(arch::dotprod) ? 6 : supports(arch::avx2) ? 2 : 0;
  CHECK(choose<table, arch::baseline, arch::avx2, arch::dotprod>().number == expected);
}

TEST_CASE("what the compiler was told to use is supported by the machine that runs it") {
  using blocq::dispatch::supports;
#if defined(__SSE4_2__) && defined(__SSSE3__) && defined(__POPCNT__)
  CHECK(supports(arch::sse4));
#endif
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__BMI2__)
  CHECK(supports(arch::avx2));
#endif
#if defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__BMI2__)
  CHECK(supports(arch::avx512));
#endif
  // A newer level never comes without the older ones.
  CHECK((!supports(arch::avx2) || supports(arch::sse4)));
  CHECK((!supports(arch::avx512) || supports(arch::avx2)));
  CHECK((!supports(arch::avx512_vnni) || supports(arch::avx512)));
  CHECK((!supports(arch::i8mm) || supports(arch::dotprod)));
}

TEST_CASE("every architecture has the name that CMake knows it by") {
  CHECK(name(arch::baseline) == std::string_view("baseline"));
  CHECK(name(arch::avx512_vnni) == std::string_view("avx512_vnni"));
}
