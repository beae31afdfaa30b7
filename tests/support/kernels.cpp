#include <kernels.hpp>

#include <blocq/encode/all.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/op/gemm.hpp>
#include <blocq/op/gemv.hpp>
#include <blocq/op/interleave.hpp>
#include <formats.hpp>

#include <algorithm>
#include <cstdlib>
#include <cstring>

namespace test {
namespace {

using namespace blocq;

template <class W>
matrix_view<const W> view(block_rows m) {
  return {static_cast<const W*>(m.data), m.rows, m.cols, m.stride};
}

template <class A>
const operand_type& operand_of() {
  static const operand_type operand = [] {
    operand_type t{};
    fill_in<A>(t);
    t.encode = [](const float* x, std::size_t count, void* to) {
      encode(x, count, encode_context{}, static_cast<A*>(to));
    };
    t.quantize_activations = [](std::span<const float> x, void* to) {
      quantize_activations(x, std::span(static_cast<A*>(to), x.size() / block_size<A>));
    };
    t.lowest = [](std::size_t count, void* to) { std::fill_n(static_cast<A*>(to), count, lowest_activation<A>()); };
    return t;
  }();
  return operand;
}

// W: B or interleaved<B>.
template <class B, class W>
products products_of() {
  constexpr bool direct = std::is_same_v<W, B>, is_operand = std::is_same_v<B, q8_1> || std::is_same_v<B, q8_k>;
  products p{};
  if constexpr (!is_operand) {
    p.scratch = [](std::size_t n, std::size_t k) { return gemm_scratch<W>(n, k); };
    p.gemm_floats = [](block_rows w, float_rows x, results y, scratch_bytes s) { gemm(view<W>(w), x, y, s); };
  }
  if constexpr (direct) {
    p.gemv_floats = [](block_rows w, const float* x, std::span<float> y) {
      gemv(view<B>(w), std::span(x, w.cols * block_size<B>), y);
    };
    p.dot_floats = [](const void* w, const float* x, std::size_t blocks) {
      return dot(row<B>(w, blocks), std::span(x, blocks * block_size<B>));
    };
  }
  if constexpr (integer_format<B>) {
    using A = integer_operand_t<B>;
    if constexpr (!is_operand)
      p.gemm = [](block_rows w, block_rows x, results y, scratch_bytes s) { gemm(view<W>(w), view<A>(x), y, s); };
    p.gemv = [](block_rows w, const void* x, std::span<float> y) {
      gemv(view<W>(w), row<A>(x, w.cols * block_size<B> / block_size<A>), y);
    };
  }
  if constexpr (direct && (integer_format<B> || std::is_same_v<B, q8_k>))
    p.dot = [](const void* w, const void* x, std::size_t blocks) {
      using A = detail::row_operand_t<B>;
      return dot(row<B>(w, blocks), row<A>(x, blocks * block_size<B> / block_size<A>));
    };
  return p;
}

template <class B>
void set_lowest(B& b) {
  constexpr bool is_float = std::is_same_v<B, mxfp4> || std::is_same_v<B, nvfp4>;
  const auto fill = [](auto& field, int byte) { std::memset(field, byte, sizeof field); };
  if constexpr (requires { b.codes; }) fill(b.codes, std::is_same_v<B, mxint8> ? 0x80 : 0xff);
  if constexpr (requires { b.qs; }) fill(b.qs, std::is_same_v<B, q8_0> ? 0x80 : is_float ? 0xff : 0);
  if constexpr (requires { b.ql; }) fill(b.ql, 0);
  if constexpr (requires { b.qh; }) fill(b.qh, 0);
  if constexpr (requires { b.hmask; }) fill(b.hmask, 0);
}
template <class B>
void set_scale(B& b, std::uint8_t scale) {
  if constexpr (requires { b.e; })
    b.e = scale;
  else if constexpr (requires { b.scale; })
    b.scale = scale;
  else if constexpr (requires { store(b.d, std::uint16_t{}); })
    store(b.d, std::uint16_t{scale});
}

template <class B>
weight_type weights_of(const char* name = nullptr) {
  weight_type t{};
  fill_in<B>(t);
  if (name != nullptr) t.name = name;
  t.direct = products_of<B, B>();
  if constexpr (block_format<B>) {
    t.dequantize = [](const void* blocks, std::size_t count, std::span<float> y) {
      return dequantize(row<B>(blocks, count), y);
    };
    t.set_lowest = [](void* blocks, std::size_t count) {
      std::for_each_n(static_cast<B*>(blocks), count, set_lowest<B>);
    };
    t.set_scale = [](void* blocks, std::size_t count, std::uint8_t scale) {
      std::for_each_n(static_cast<B*>(blocks), count, [scale](B& b) { set_scale(b, scale); });
    };
  }
  if constexpr (integer_format<B> || std::is_same_v<B, q8_k>) {
    using A = detail::row_operand_t<B>;
    t.operand = &operand_of<A>();
    t.rounding_of_sums = [](const void* w, const void* x, std::size_t blocks) {
      return rounding_of_sums(static_cast<const B*>(w), static_cast<const A*>(x), blocks);
    };
  }
  if constexpr (interleavable<B>) {
    using I = interleaved<B>;
    t.interleaved = products_of<B, I>();
    t.interleave = [](block_rows w, void* to) {
      interleave(view<B>(w), std::span(static_cast<I*>(to), interleaved_blocks(w.rows, w.cols)));
    };
    t.deinterleave = [](const void* from, void* to, std::size_t rows, std::size_t cols, std::size_t stride) {
      deinterleave(row<I>(from, interleaved_blocks(rows, cols)),
                   matrix_view<B>{static_cast<B*>(to), rows, cols, stride});
    };
  }
  return t;
}

using others = type_list<q5_0, iq2_xxs, iq2_s, bf16, mxfp4_ocp, mxint8, mxfp8_e5m2>;

const std::vector<weight_type>& all() {
  static const std::vector<weight_type> types = [] {
    std::vector<weight_type> v;
    for_each(formats{}, [&]<class B> { v.push_back(weights_of<B>()); });
    for_each(others{}, [&]<class B> {
      if constexpr (!formats::contains<B>) v.push_back(weights_of<B>());
    });
    v.push_back(weights_of<float>());
    v.push_back(weights_of<mx_block<float6_e2m3fn, 64>>("mxfp6_e2m3 of 64"));
    v.push_back(weights_of<mx_block<float6_e3m2fn, 128>>("mxfp6_e3m2 of 128"));
    return v;
  }();
  return types;
}

}  // namespace

std::span<const weight_type> weight_types() { return std::span(all()).first(formats::size); }

const weight_type& weights_named(std::string_view name) {
  for (const weight_type& t : all())
    if (t.name == name) return t;
  std::abort();
}

}  // namespace test
