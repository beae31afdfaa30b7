// Writes a GGUF file with one quantized tensor and reads it back as an engine would: mapped, nothing copied.
#include <blocq/blocq.hpp>
#include <blocq/gguf/all.hpp>
#include <blocq/gguf/file.hpp>

#include <cstdio>
#include <vector>

namespace gguf = blocq::gguf;

static bool write(const char* path) {
  const std::vector<float> weights(2 * 64, 0.5f);
  std::vector<blocq::q8_0> blocks(4);
  if (!blocq::quantize(weights, blocks)) return false;

  gguf::writer w;
  const std::uint64_t dims[] = {64, 2};  // the length of a row first
  w.add("general.architecture", "example").add("example.layers", std::uint32_t{1});
  w.add_tensor("layer.weight", *gguf::find_type_id("q8_0"), dims);
  auto out = gguf::output_file::create(path);
  return out && w.begin(*out) && w.write(0, std::as_bytes(std::span(blocks))) && w.finish() && out->commit();
}

static bool read(const char* path) {
  const auto file = gguf::mapped_file::open(path);
  if (!file) return std::puts(file.message()), false;
  const auto model = gguf::reader::parse(file->bytes());
  if (!model) return std::puts(model.message()), false;  // names the key, the tensor or the byte

  const auto layers = model->get<std::uint32_t>("example.layers");
  const gguf::tensor_info* t = model->find_tensor("layer.weight");
  if (!layers || t == nullptr) return false;
  const auto rows = gguf::blocks_of<blocq::q8_0>(*t);  // a matrix_view over the mapping
  if (!rows) return std::puts(rows.message()), false;
  std::vector<float> row(t->row_elements());
  if (!blocq::dequantize(rows->row(1), row)) return false;
  std::printf("%u layer, %s, second row starts with %g\n", *layers, t->type_name(), static_cast<double>(row[0]));
  return true;
}

int main() {
  const char* path = "gguf_files_example.gguf";
  const bool done = write(path) && read(path);
  std::remove(path);
  return done ? 0 : 1;
}
