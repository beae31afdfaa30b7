// Any bytes as an importance matrix in either form: refused with a sentence, or weights that are numbers, written in
// both forms and read back.
#include <blocq/calib/imatrix.hpp>

#include <cstdint>
#include <cstring>
#include <string>

using blocq::calib::importance_table;

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

static importance_table read(const void* data, std::size_t size) {
  const auto table = importance_table::read({static_cast<const std::byte*>(data), size});
  check(bool(table));
  return *table;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto table = importance_table::read(std::as_bytes(std::span(data, size)));
  if (!table) {
    check(table.error().code != blocq::errc::ok && *table.message() != 0);
    return 0;
  }
  check(!table->layers().empty());
  for (const auto& [name, layer] : table->layers()) {
    check(!layer.sums.empty() && !layer.counts.empty());
    for (const double least : {0.0, blocq::calib::layer_importance::guarded_least})
      for (const float w : layer.weights(layer.sums.size() / layer.counts.size(), least))
        check(blocq::is_finite(w) && w >= 0);
  }
  std::string file;
  const auto sink = [&file](const void* p, std::size_t n) { return file.append(static_cast<const char*>(p), n), true; };
  if (table->write_gguf(sink)) check(read(file.data(), file.size()).layers().size() == table->layers().size());
  file.clear();
  if (table->write_legacy(sink)) check(read(file.data(), file.size()).layers().size() == table->layers().size());
  return 0;
}
