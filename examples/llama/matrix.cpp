#include "matrix.hpp"

#include "products.hpp"

#include <blocq/core/bits.hpp>
#include <blocq/format/all.hpp>
#include <blocq/gguf/tensor.hpp>
#include <blocq/op/dequantize.hpp>
#include <blocq/packed/gguf.hpp>

#include <algorithm>
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

// The entry of the metadata for a packed matrix.
static std::optional<std::string_view> entry_of(const blocq::gguf::split_set& file, const std::string& name) {
  const auto* const found = file.first().find(std::string(blocq::packed::key_prefix) + name);
  return found != nullptr ? found->get<std::string_view>().value_or("") : std::optional<std::string_view>();
}

std::optional<packed_weight> tensors::find_packed(const std::string& name) {
  const auto entry = entry_of(file_, name);
  if (!entry) return std::nullopt;
  const auto refused = [&](const char* why) {
    throw std::runtime_error("the packed matrix " + quoted(name) + ": " + why);
  };
  const auto parts = blocq::packed::find_parts(name, *entry, file_.tensors());
  if (!parts) refused(parts.message());
  auto weight = packed_weight::from_parts(*parts);
  if (!weight) refused(weight.message());
  for (const tensor_info& t : file_.tensors())
    if (!blocq::packed::part_name(t.name, name).empty()) used_.insert(t.name);
  return std::move(*weight);
}

std::size_t tensors::rows_of(const std::string& name) const {
  if (const auto entry = entry_of(file_, name)) {
    if (const auto set = blocq::packed::parse_description(*entry); set)
      for (const blocq::packed::parameter& p : set->parameters())
        if (p.name == "rows") return static_cast<std::size_t>(p.value);
  }
  const tensor_info* const found = file_.find_tensor(name);
  return found != nullptr ? found->rows() : 0;
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
    : name_(name + ".weight"),
      rows_(rows),
      columns_(columns),
      packed_(file.find_packed(name_)),
      weight_(file.find(name_)) {
  if (file.find(name + ".bias") != nullptr) bias_ = read_vector(file, name + ".bias", rows);
  if (packed_ && (packed_->rows() != rows || packed_->cols() != columns))
    throw std::runtime_error("the packed matrix " + quoted(name_) + " does not have the shape that the metadata say");
  if (weight_ == nullptr) {
    if (!packed_) throw std::runtime_error("the model lacks the tensor '" + name_ + "'");
    return;
  }
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
}

// At least so many bytes, as floats: what a vector of bytes holds is aligned for them.
static std::span<float> floats_in(std::vector<std::byte>& scratch, std::size_t count) {
  if (scratch.size() < count * sizeof(float)) scratch.resize(count * sizeof(float));
  return {reinterpret_cast<float*>(scratch.data()), count};
}

void matrix::multiply(std::span<const float> x, std::size_t n, std::span<float> y,
                      std::vector<std::byte>& scratch) const {
  if (weight_ != nullptr) {
    if (const std::size_t needed = product_->scratch_bytes(n, columns()); scratch.size() < needed)
      scratch.resize(needed);
    const std::byte* const w =
        floats_.empty() ? weight_->data.data() : reinterpret_cast<const std::byte*>(floats_.data());
    product_->multiply(w, rows(), columns(), x.data(), n, y.data(), scratch.data());
    if (scale_ != 1)
      for (float& v : y) v *= scale_;
  } else {
    std::fill(y.begin(), y.end(), 0.0f);
  }
  if (packed_) add_packed(x, n, y, scratch);
  if (!bias_.empty())
    for (std::size_t i = 0; i < y.size(); ++i) y[i] += bias_[i % bias_.size()];
}

// Adds the product of what is packed. One row of x, and inputs that are rounded, go through its own product. Of several
// rows a few rows of weights at a time are decoded, each for all of them.
void matrix::add_packed(std::span<const float> x, std::size_t n, std::span<float> y,
                        std::vector<std::byte>& scratch) const {
  if (n == 1 || packed_->rounds_inputs()) {
    const std::span<float> space = floats_in(scratch, rows() + packed_->scratch());
    const std::span<float> product = space.first(rows());
    for (std::size_t t = 0; t < n; ++t) {
      packed_->multiply(x.subspan(t * columns(), columns()), product, space.subspan(rows()));
      for (std::size_t r = 0; r < rows(); ++r) y[t * rows() + r] += product[r];
    }
    return;
  }
  constexpr std::size_t most = 64;
  const product& floats = best_instruction_set().products->floats;
  const std::size_t needed = floats.scratch_bytes(n, columns());
  const std::span<float> space =
      floats_in(scratch, most * (columns() + n) + (needed + sizeof(float) - 1) / sizeof(float));
  const std::span<float> weights = space.first(most * columns()), products = space.subspan(weights.size(), most * n);
  for (std::size_t first = 0; first < rows(); first += most) {
    const std::size_t count = std::min(most, rows() - first);
    std::fill(weights.begin(), weights.end(), 0.0f);
    for (std::size_t r = 0; r < count; ++r) packed_->add_row(first + r, weights.subspan(r * columns(), columns()));
    floats.multiply(reinterpret_cast<const std::byte*>(weights.data()), count, columns(), x.data(), n, products.data(),
                    reinterpret_cast<std::byte*>(products.data() + most * n));
    for (std::size_t t = 0; t < n; ++t)
      for (std::size_t r = 0; r < count; ++r) y[t * rows() + first + r] += products[t * count + r];
  }
}

void matrix::row(std::size_t r, std::span<float> out) const {
  if (weight_ != nullptr) {
    read_row(*weight_, r, out);
    for (float& v : out) v *= scale_;
  } else {
    std::fill(out.begin(), out.end(), 0.0f);
  }
  if (packed_) packed_->add_row(r, out);
}

}  // namespace llama
