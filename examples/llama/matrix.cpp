#include "matrix.hpp"

#include <blocq/blocq.hpp>

#include <cstring>
#include <stdexcept>

namespace llama {

namespace {

constexpr int f32 = 0;

template <class B>
blocq::matrix_view<const B> view_of(const blocq::gguf::tensor_info& tensor) {
  return *blocq::gguf::blocks_of<B>(tensor);
}

// A function of its own, since g++ makes registers of the sums only where they are all that there is.
[[gnu::noinline]] float dot_floats(const float* a, const float* b, std::size_t n) {
  float sums[8] = {}, sum = 0;
  std::size_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (std::size_t k = 0; k < 8; ++k) sums[k] += a[i + k] * b[i + k];
  for (; i < n; ++i) sum += a[i] * b[i];
  for (const float s : sums) sum += s;
  return sum;
}

// Plain floats are no block format; this is for what the others are compared with, and calibrated to.
void multiply_floats(const matrix& w, std::span<const float> x, std::size_t n, std::span<float> y) {
  std::vector<float> row(w.columns());
  for (std::size_t r = 0; r < w.rows(); ++r) {
    w.row(r, row);
    for (std::size_t j = 0; j < n; ++j) y[j * w.rows() + r] = dot_floats(row.data(), &x[j * row.size()], row.size());
  }
}

}  // namespace

matrix::matrix(const blocq::gguf::reader& file, const std::string& name, std::size_t rows, std::size_t columns)
    : tensor_(file.find_tensor(name)) {
  if (tensor_ == nullptr) throw std::runtime_error("the model lacks the tensor '" + name + "'");
  if (tensor_->row_elements() != columns || tensor_->rows() != rows || tensor_->data.empty())
    throw std::runtime_error("the tensor '" + name + "' does not have the shape that the metadata say");
  if (tensor_->type != f32 && !blocq::visit_gguf(tensor_->type, []<class B> {}))
    throw std::runtime_error("the tensor '" + name + "' has a type that is not for weights");
}

void matrix::multiply(std::span<const float> x, std::size_t n, std::span<float> y,
                      std::vector<std::byte>& scratch) const {
  if (tensor_->type == f32) return multiply_floats(*this, x, n, y);
  blocq::visit_gguf(tensor_->type, [&]<class B> {
    const auto w = view_of<B>(*tensor_);
    if (n == 1) return blocq::gemv(w, x, y);
    if (const std::size_t needed = blocq::gemm_scratch<B>(n, columns()); scratch.size() < needed)
      scratch.resize(needed);
    blocq::gemm(w, {x.data(), n, columns(), columns()}, {y.data(), n, rows(), rows()}, scratch);
  });
}

void matrix::row(std::size_t r, std::span<float> out) const {
  if (tensor_->type == f32) {
    for (std::size_t i = 0; i < columns(); ++i) {
      blocq::le32 bytes;
      std::memcpy(&bytes, tensor_->data.data() + 4 * (r * columns() + i), 4);
      out[i] = blocq::from_bits(blocq::load(bytes));
    }
  } else {
    blocq::visit_gguf(tensor_->type,
                      [&]<class B> { static_cast<void>(blocq::dequantize(view_of<B>(*tensor_).row(r), out)); });
  }
}

}  // namespace llama
