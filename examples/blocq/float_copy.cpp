#include "float_copy.hpp"

#include "command.hpp"

#include <blocq/gguf/writer.hpp>

#include <cstring>

float_copy::float_copy(const model& source) {
  blocq::gguf::writer out;
  for (const auto& [key, value] : source.metadata()) out.add(key, value);
  std::vector<const model::tensor*> tensors;
  for (const model::tensor& t : source.tensors()) {
    if (t.scales != nullptr) continue;  // it is multiplied in
    tensors.push_back(&t);
    out.add_tensor(t.name, format_of(t) != nullptr ? 0 : t.type, {t.dims, t.n_dims}, t.bytes());
  }
  const auto check = [](const auto& r) {
    if (!r) throw failure(r.message());
  };
  check(out.plan());
  bytes_.reserve(out.file_size());
  auto sink = [&](const void* data, std::size_t size) {
    const auto* p = static_cast<const std::byte*>(data);
    bytes_.insert(bytes_.end(), p, p + size);
    return true;
  };
  check(out.begin(sink));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const model::tensor& t = *tensors[i];
    if (format_of(t) == nullptr) {
      check(out.write(i, t.data));
      continue;
    }
    std::vector<float> row(t.row_elements());
    for (std::size_t r = 0; r < t.rows(); ++r) {
      read_elements(t, r * row.size(), row);
      check(out.write(i, image_of(row)));
    }
  }
  check(out.finish());
  auto parsed = blocq::gguf::reader::parse(bytes_, {.unknown_types = true});
  check(parsed);
  reader_ = std::move(*parsed);
  auto set = blocq::gguf::split_set::open({&reader_, 1});
  check(set);
  set_ = std::move(*set);
}

std::vector<float> float_copy::get(const blocq::gguf::tensor_info& t) const {
  std::vector<float> out(t.elements());
  read_elements({t, {}}, 0, out);
  return out;
}

void float_copy::set(const blocq::gguf::tensor_info& t, std::span<const float> values) {
  const auto image = image_of(values);
  std::memcpy(bytes_.data() + (t.data.data() - bytes_.data()), image.data(), image.size());
}
