// The scale of a whole tensor, which GGUF files keep in a tensor of its own: "blk.0.ffn_up.scale" multiplies what
// "blk.0.ffn_up.weight" holds, whatever its type, or each product with it. NVFP4 checkpoints have one for every matrix,
// and beside it ".input_scale", which was meant for activations and changes no product of floats.
#ifndef BLOCQ_GGUF_SCALE_HPP
#define BLOCQ_GGUF_SCALE_HPP

#include <blocq/gguf/tensor.hpp>

namespace blocq::gguf::inline v0::inline BLOCQ_ISA {

namespace detail {
inline constexpr std::string_view weight_ending = "weight", scale_ending = "scale", input_scale_ending = "input_scale";

inline bool ends_with(std::string_view name, std::string_view ending) noexcept {
  return name.size() > ending.size() && name[name.size() - ending.size() - 1] == '.' &&
         name.substr(name.size() - ending.size()) == ending;
}

// The tensor whose name has `to` where this one's has `from`; null if there is none.
template <class File>
const tensor_info* find_sibling(const File& file, std::string_view name, std::string_view from,
                                std::string_view to) noexcept {
  char sibling[max_tensor_name + input_scale_ending.size()];
  if (!ends_with(name, from) || name.size() > max_tensor_name) return nullptr;
  std::size_t n = 0;
  for (const char c : name.substr(0, name.size() - from.size())) sibling[n++] = c;
  for (const char c : to) sibling[n++] = c;
  return file.find_tensor({sibling, n});
}

// One number for the weight, or one for each of its matrices; anything else under such a name is something else.
inline bool is_scale_for(const tensor_info& scale, const tensor_info& weight) noexcept {
  return scale.type == 0 && (scale.elements() == 1 || scale.elements() == weight.dims[2] * weight.dims[3]);
}
}  // namespace detail

// What a weight has to be multiplied with. dims[2] * dims[3] matrices, those of a stack of experts for example, may
// have a scale each.
struct weight_scale {
  const tensor_info* tensor = nullptr;  // null: 1

  explicit operator bool() const noexcept { return tensor != nullptr; }
  // Of matrix number `matrix`. Precondition: the file was read with its data.
  float operator[](std::uint64_t matrix) const noexcept {
    if (tensor == nullptr) return 1.0f;
    const std::size_t at = tensor->elements() == 1 ? 0 : 4 * static_cast<std::size_t>(matrix);
    return from_bits(static_cast<std::uint32_t>(impl::load_uint(&tensor->data[at], 4, false)));
  }
};

// The scale of a tensor whose name ends in ".weight". File: a reader or a split_set.
template <class File>
weight_scale find_scale(const File& file, const tensor_info& weight) noexcept {
  const tensor_info* scale = detail::find_sibling(file, weight.name, detail::weight_ending, detail::scale_ending);
  return {scale != nullptr && detail::is_scale_for(*scale, weight) ? scale : nullptr};
}

// The weight that a tensor is the scale or the input scale of; null if it is neither.
template <class File>
const tensor_info* find_scaled(const File& file, const tensor_info& scale) noexcept {
  for (const std::string_view ending : {detail::scale_ending, detail::input_scale_ending})
    if (const tensor_info* weight = detail::find_sibling(file, scale.name, ending, detail::weight_ending))
      return detail::is_scale_for(scale, *weight) ? weight : nullptr;
  return nullptr;
}

}  // namespace blocq::gguf::inline v0::inline BLOCQ_ISA

#endif
