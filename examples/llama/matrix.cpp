#include "matrix.hpp"

#include "products.hpp"

#include <blocq/core/bits.hpp>
#include <blocq/format/all.hpp>
#include <blocq/gguf/tensor.hpp>
#include <blocq/op/dequantize.hpp>

#include <bit>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace llama {

namespace {

using blocq::gguf::tensor_info;

constexpr int f32 = 0;

template <class B>
blocq::matrix_view<const B> view_of(const tensor_info& tensor) {
  return *blocq::gguf::blocks_of<B>(tensor);
}

// Row r of a tensor as it is stored.
void read_row(const tensor_info& tensor, std::size_t r, std::span<float> out) {
  if (tensor.type == f32) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      blocq::le32 bytes;
      std::memcpy(&bytes, tensor.data.data() + 4 * (r * out.size() + i), 4);
      out[i] = blocq::from_bits(blocq::load(bytes));
    }
  } else {
    blocq::visit_gguf(tensor.type,
                      [&]<class B> { static_cast<void>(blocq::dequantize(view_of<B>(tensor).row(r), out)); });
  }
}

// The numbers of a tensor in f32 where they lie; null if they are not aligned, or of the other byte order.
const std::byte* in_place(const tensor_info& tensor) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data.data());
  const bool readable = std::endian::native == std::endian::little && address % alignof(float) == 0;
  return readable ? tensor.data.data() : nullptr;
}

// The tensor if it can be read as so many rows of so many numbers.
const tensor_info& checked(const tensor_info& t, std::size_t rows, std::size_t columns) {
  const std::string name(t.name);
  if (t.row_elements() != columns || t.rows() != rows || t.dims[1] != rows)
    throw std::runtime_error("the tensor '" + name + "' does not have the shape that the metadata say");
  if (t.type != f32 && !blocq::visit_gguf(t.type, []<class B> {}))
    throw std::runtime_error("the tensor '" + name + "' has a type that is not for weights: " +
                             std::to_string(static_cast<std::uint32_t>(t.type)) + " (" + t.type_name() + ")");
  if (t.data.empty()) throw std::runtime_error("the tensor '" + name + "' is there without its data");
  return t;
}

}  // namespace

std::string quoted(std::string_view text) {
  blocq::error e(blocq::errc::bad_name);
  return e.quote(text.data(), text.size()).message();
}

const tensor_info* tensors::find(const std::string& name) {
  const tensor_info* const found = file_.find_tensor(name);
  if (found != nullptr) used_.insert(found->name);
  return found;
}

blocq::gguf::weight_scale tensors::scale_of(const tensor_info& weight) {
  const auto scale = find_scale(file_, weight);
  if (scale) used_.insert(scale.tensor->name);
  return scale;
}

void tensors::finish() const {
  for (const tensor_info& t : file_.tensors()) {
    if (used_.contains(t.name)) continue;
    // The scale of what goes in belongs to another way of multiplying.
    const tensor_info* const weight = find_scaled(file_, t);
    if (weight != nullptr && used_.contains(weight->name) && t.name.ends_with(".input_scale")) continue;
    throw std::runtime_error("the tensor " + quoted(t.name) +
                             " is not one that this engine knows, and may change results");
  }
}

std::vector<float> read_vector(tensors& file, const std::string& name, std::size_t size) {
  const tensor_info* const t = file.find(name);
  if (t == nullptr) throw std::runtime_error("the model lacks the tensor '" + name + "'");
  std::vector<float> v(size);
  read_row(checked(*t, 1, size), 0, v);
  return v;
}

matrix::matrix(tensors& file, const std::string& name, std::size_t rows, std::size_t columns)
    : weight_(file.find(name + ".weight")) {
  if (weight_ == nullptr) throw std::runtime_error("the model lacks the tensor '" + name + ".weight'");
  checked(*weight_, rows, columns);
  scale_ = file.scale_of(*weight_)[0];
  const product_table& products = *best_instruction_set().products;
  for (const product& p : products.all)
    if (p.type == weight_->type) product_ = &p;
  if (weight_->type == f32) {
    product_ = &products.floats;
    if (in_place(*weight_) == nullptr) {
      floats_.resize(rows * columns);
      read_row(*weight_, 0, floats_);
    }
  }
  if (file.find(name + ".bias") != nullptr) bias_ = read_vector(file, name + ".bias", rows);
}

void matrix::multiply(std::span<const float> x, std::size_t n, std::span<float> y,
                      std::vector<std::byte>& scratch) const {
  if (const std::size_t needed = product_->scratch_bytes(n, columns()); scratch.size() < needed) scratch.resize(needed);
  const std::byte* const w =
      floats_.empty() ? weight_->data.data() : reinterpret_cast<const std::byte*>(floats_.data());
  product_->multiply(w, rows(), columns(), x.data(), n, y.data(), scratch.data());
  if (scale_ != 1)
    for (float& v : y) v *= scale_;
  if (!bias_.empty())
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias_[i % bias_.size()];
}

void matrix::row(std::size_t r, std::span<float> out) const {
  read_row(*weight_, r, out);
  for (float& v : out) v *= scale_;
}

}  // namespace llama
