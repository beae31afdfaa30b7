// Uses every function template of the library, so that the checks of this folder see what it is compiled to. Never run.
#include <blocq_all.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace {

template <class B>
int one_format(std::span<const float> x, std::span<float> y) {
  std::vector<B> blocks(blocq::blocks_for<B>(x.size()));
  int failures = blocq::dequantize(blocks, y) ? 0 : 1;
  if constexpr (requires(B* out) { blocq::encode(x.data(), std::size_t{1}, blocq::encode_context{}, out); }) {
    failures += blocq::quantize(x, blocks) ? 0 : 1;
    failures += blocq::quantize(x, std::span(blocks), {.importance = x}) ? 0 : 1;
  }
  return failures;
}

}  // namespace

int main(int argc, char** argv) {
  const std::array<float, 256> x{};
  std::array<float, 256> y{};
  int failures = 0;
  blocq::for_each(blocq::all_formats{}, [&]<class B> { failures += one_format<B>(x, y); });
  blocq::visit_gguf(argc, [&]<class B> { failures += one_format<B>(x, y); });
  blocq::visit_name(argv[0], [&]<class B> { failures += one_format<B>(x, y); });

  const std::vector<std::byte> bytes(64);
  if (auto file = blocq::gguf::reader::parse(bytes)) failures += file->find(argv[0]) == nullptr;
  return failures;
}
