// Matrix times vector, hot in the second-level cache and from memory. The activations are floats; formats with an
// integer kernel have them quantized first. The peer is a graph of ggml with one product.
#include "limits.hpp"
#include "products.hpp"

#include <blocq/op/gemv.hpp>

namespace bench {

namespace {

template <class B>
measurement prepare(const backend* peer, std::size_t bytes) {
  const std::size_t row = columns / blocq::block_size<B>, m = bytes / (row * sizeof(B)) / 16 * 16;
  const double work = static_cast<double>(m * columns);
  measurement result = prepare_product<B>(
      peer, m, 1, work, [=](const std::vector<B>& w, std::span<const float> x, std::vector<float>& y) {
        const blocq::matrix_view<const B> view{w.data(), m, row, row};
        static std::vector<std::byte> scratch(blocq::gemv_scratch<B>(columns));
        blocq::gemv(view, x, y, scratch);
      });
  result.limit = read_loop(m * row * sizeof(B) / sizeof(float));
  result.limit.work = work;
  return result;
}

}  // namespace

std::vector<entry> gemv_entries() {
  std::vector<entry> entries =
      for_all_formats({"gemv", "", "256 KB", million_elements, {}},
                      []<multipliable B>(const backend* peer) { return prepare<B>(peer, 256 << 10); });
  for (entry& e : for_all_formats({"gemv", "", "160 MB", million_elements, {}},
                                  []<multipliable B>(const backend* peer) { return prepare<B>(peer, 160 << 20); }))
    entries.push_back(std::move(e));
  return entries;
}

}  // namespace bench
