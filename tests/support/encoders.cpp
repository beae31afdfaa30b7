#include <encoders.hpp>

#include <blocq/op/dequantize.hpp>
#include <formats.hpp>

#include <cstdlib>

namespace test {
namespace {

using namespace blocq;

template <class L, class B>
void encode_on(const float* x, std::size_t count, const encode_context& context, void* to) {
  auto* const out = static_cast<B*>(to);
  if constexpr (requires { encode<L>(x, count, context, out); })
    encode<L>(x, count, context, out);
  else
    encode(x, count, context, out);
}

template <class B>
encoder encoder_of() {
  encoder e{};
  fill_in<B>(e);
  e.gguf = gguf_format<B>;
  e.importance = format_traits<B>::importance;
  e.requires_importance = detail::requires_importance<B>;
  e.quantize = [](std::span<const float> x, void* blocks, std::size_t count, const quantize_options& options) {
    return quantize(x, std::span(static_cast<B*>(blocks), count), options);
  };
  e.dequantize = [](const void* blocks, std::size_t count, std::span<float> y) {
    return dequantize(row<B>(blocks, count), y);
  };
  e.encode_lane = encode_on<lane, B>;
  e.encode_native = encode_on<native_lane, B>;
  if constexpr (requires(const float* x, B& b) { improve<lane>(x, x, b); })
    e.improve_lane = [](const float* x, const float* w, void* block) { improve<lane>(x, w, *static_cast<B*>(block)); };
  return e;
}

}  // namespace

std::span<const encoder> encoders() {
  static const std::vector<encoder> all = [] {
    std::vector<encoder> v;
    for_each(formats{}, [&]<class B> {
      if constexpr (encodable_format<B>) v.push_back(encoder_of<B>());
    });
    return v;
  }();
  return all;
}

const encoder& encoder_named(std::string_view name) {
  for (const encoder& e : encoders())
    if (e.name == name) return e;
  std::abort();
}

}  // namespace test
