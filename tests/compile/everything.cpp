// Uses every function template of the library, so that the checks of this folder see what it is compiled to. Never run.
// No container of the standard library: what it would leave in the object file is not the library's doing.
#include <blocq_all.hpp>

#include <cstddef>
#include <span>

namespace {

float x[256], y[256];

template <class B>
int one_format() {
  static B blocks[256 / blocq::block_size<B>];
  int failures = blocq::dequantize(blocks, y) ? 0 : 1;
  if constexpr (blocq::encodable_format<B>) {
    failures += blocq::quantize(x, blocks) ? 0 : 1;
    failures += blocq::quantize(x, std::span(blocks), {.importance = y}) ? 0 : 1;
  }
  return failures;
}

}  // namespace

#ifndef EVERYTHING
#define EVERYTHING main
#endif

int EVERYTHING(int argc, char** argv) {
  int failures = 0;
  blocq::for_each(blocq::all_formats{}, [&]<class B> { failures += one_format<B>(); });
  blocq::visit_gguf(argc, [&]<class B> { failures += one_format<B>(); });
  blocq::visit_name(argv[0], [&]<class B> { failures += one_format<B>(); });

  static std::byte bytes[64];
  if (auto file = blocq::gguf::reader::parse(bytes)) failures += file->find(argv[0]) == nullptr;
  return failures;
}
