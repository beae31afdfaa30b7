// Uses every function template of the library, so that the checks of this folder see what it is compiled to. Never run.
// No container of the standard library: what it would leave in the object file is not the library's doing.
// Of all formats, or a sample (support/formats.hpp) for checks that compile this more than once.
#include <blocq_all.hpp>
#include "../support/formats.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

using formats = test::formats;

namespace {

float x[256], y[256];
std::byte scratch[1 << 20];
std::uint8_t codes[256], scales[256];

template <class B>
int one_format() {
  static B blocks[256 / blocq::block_size<B>];
  int failures = blocq::dequantize(blocks, y) ? 0 : 1;
  if constexpr (blocq::encodable_format<B>) {
    failures += blocq::quantize(x, blocks) ? 0 : 1;
    failures += blocq::quantize(x, std::span(blocks), {.importance = y}) ? 0 : 1;
  }

  const blocq::matrix_view<const B> weights{blocks, 1, std::size(blocks), std::size(blocks)};
  const blocq::matrix_view<float> product{y, 1, 1, 1};
  blocq::gemv(weights, x, std::span(y).first(1));
  blocq::gemm(weights, blocq::matrix_view<const float>{x, 1, 256, 256}, product, scratch);
  if constexpr (blocq::integer_format<B>) {
    using A = blocq::integer_operand_t<B>;
    static A operand[256 / blocq::block_size<A>];
    const blocq::matrix_view<const A> row{operand, 1, std::size(operand), std::size(operand)};
    blocq::gemm(weights, row, product, scratch);
    blocq::gemv(weights, operand, std::span(y).first(1));
  }
  if constexpr (requires(B & b) { blocq::impl::scale_bytes(b); }) {
    failures += blocq::join_scales(codes, scales, blocks) ? 0 : 1;
    failures += blocq::split_scales(blocks, codes, scales) ? 0 : 1;
  }
  if constexpr (requires(B & b) { b.absmax; }) {
    failures += blocq::join_scales(codes, x, blocks) ? 0 : 1;
    failures += blocq::split_scales(blocks, codes, y) ? 0 : 1;
  }
  if constexpr (blocq::gguf_format<B>) failures += blocq::gguf::blocks_of<B>(blocq::gguf::tensor_info{}) ? 0 : 1;
  return failures;
}

int in_parts() {
  static blocq::q4_k blocks[1];
  const auto run = [](std::size_t n, const auto& f) {
    for (std::size_t i = 0; i < n; ++i) f(i);
  };
  const blocq::matrix_view<const blocq::q4_k> weights{blocks, 1, 1, 1};
  blocq::gemv(weights, x, std::span(y).first(1), 2, run);
  blocq::gemm(weights, blocq::matrix_view<const float>{x, 1, 256, 256}, blocq::matrix_view<float>{y, 1, 1, 1},
              std::span(scratch), 2, run);
  return blocq::quantize(x, blocks, {}, 2, run) ? 0 : 1;
}

template <class... Ts>
int values(const blocq::gguf::reader& file, blocq::gguf::writer& out) {
  return ((out.add("key", Ts{}).add_array("keys", std::span<const Ts>{}), file.get<Ts>("key") ? 0 : 1) + ...);
}

int published() {
  const auto file = blocq::safetensors::reader::parse(std::as_bytes(std::span(scratch)));
  blocq::safetensors::writer out;
  out.add_metadata("key", "text").add("name", blocq::safetensors::dtype::f32, {});
  int failures = out.plan() ? 0 : 1;
  const auto config = blocq::safetensors::json::parse("{}");
  if (!file || !config) return failures + 1;
  failures += blocq::safetensors::shard_index::parse("{}") ? 0 : 1;
  const auto tensors = blocq::safetensors::tensor_set::open({&*file, 1});
  if (!tensors) return failures + 1;
  const auto weights = blocq::checkpoint::weights::open(*tensors, *config);
  if (!weights || weights->list().empty()) return failures + 1;
  const auto& w = weights->list()[0];
  failures += decode(w, 0, 0, 1, y) ? 0 : 1;
  blocq::for_each(blocq::type_list<blocq::mxfp4, blocq::nvfp4, blocq::q8_0, blocq::bf16>{}, [&]<class B> {
    static B blocks[1];
    failures += to_blocks(w, 0, 0, 1, blocks) ? 0 : 1;
  });
  return failures;
}

}  // namespace

#ifndef EVERYTHING
#define EVERYTHING main
#endif

int EVERYTHING(int argc, char** argv) {
  int failures = 0;
  blocq::for_each(formats{}, [&]<class B> { failures += one_format<B>(); });
  blocq::visit_gguf(argc, [&]<class B> { failures += static_cast<int>(sizeof(B)); });
  blocq::visit_name(argv[0], [&]<class B> { failures += static_cast<int>(sizeof(B)); });

  failures += in_parts();
  failures += published();

  blocq::gguf::writer out;
  if (auto file = blocq::gguf::reader::parse(scratch))
    failures += values<bool, std::uint8_t, std::int8_t, std::uint16_t, std::int16_t, std::uint32_t, std::int32_t,
                       std::uint64_t, std::int64_t, float, double, std::string_view>(*file, out);
  return failures;
}
