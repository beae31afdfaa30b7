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

// Everything that a program does with a file.
int gguf_files(const char* path) {
  namespace gguf = blocq::gguf;
  const auto in = gguf::mapped_file::open(path);
  auto out = gguf::output_file::create(path);
  if (!in || !out) return 1;
  const auto parsed = gguf::reader::parse(in->bytes());
  if (!parsed) return 1;
  const gguf::reader& file = *parsed;
  const auto set = gguf::split_set::open(std::span(&file, 1));
  char name[64];
  int failures = set && set->find_tensor(path) != nullptr && set->shard_of(0) == 0 ? 0 : 1;
  failures += gguf::format_split_name(*gguf::parse_split_name(path), name).empty();

  gguf::writer w;
  for (const auto& [key, value] : file.metadata()) {
    w.add(key, value);
    for (const gguf::value v : value)
      w.add(key, v.get<bool>().value_or(false))
          .add(key, *v.get<int>())
          .add(key, *v.get<unsigned char>())
          .add(key, *v.get<float>())
          .add(key, *v.get<double>())
          .add(key, v.get<std::string_view>()->substr(1));
    w.add(key, value[0]).add("key", "text").add_array("key", value.bytes().size() == 0 ? std::span<const float>() : x);
  }
  for (const gguf::tensor_info& t : file.tensors()) {
    w.add_tensor(t.name, *gguf::find_type_id(t.type_name()), {t.dims, t.n_dims});
    failures += (validate(t) ? 0 : 1) + (gguf::blocks_of<blocq::q8_0>(t) ? 0 : 1);
  }
  failures += (validate(file) ? 0 : 1) + (w.begin(*out) ? 0 : 1) + (w.write(0, file.raw(file.tensors()[0])) ? 0 : 1) +
              (w.finish() ? 0 : 1) + (gguf::writer::copy(file, *out) ? 0 : 1) + (out->commit() ? 0 : 1);
  return failures +
         (file.get<int>("key") && file.find_tensor(path) == nullptr && w.find_tensor(path) == nullptr ? 0 : 1);
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

  return failures + gguf_files(argv[0]);
}
