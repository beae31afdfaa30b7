// Every format of the library behind one run-time interface: the list of types in <blocq/format/all.hpp> turned into a
// table of function pointers. This is how a program that learns a format's name at run time uses the library.
#ifndef BLOCQ_EXAMPLES_CATALOG_HPP
#define BLOCQ_EXAMPLES_CATALOG_HPP

#include <blocq/core/error.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

enum class number_kind { integer, floating, codebook };

struct encode_settings {
  std::span<const float> importance = {};  // one weight per column, or none
  bool best = false;                       // search longer than the reference does
};

struct format_entry {
  std::string_view name;
  std::size_t block_size;   // elements per block
  std::size_t block_bytes;  // bytes per block
  std::optional<int> gguf_id;
  number_kind kind;             // what a code stands for
  std::string_view operand;     // activation format that its dot product pairs it with; empty if none
  bool activation_only;         // made for activations: nobody stores weights in it
  bool importance;              // the reference encoder takes importance weights
  bool importance_required;     // and cannot do without
  std::string_view vectorized;  // operations that run on SIMD code in this build

  // Whole rows to blocks. Null if the format can only be decoded.
  blocq::status (*encode)(std::span<const float> rows, std::byte* blocks, const encode_settings& settings);
  blocq::status (*decode)(const std::byte* blocks, std::span<float> out);

  // Set for the forms of a tensor that are more than its blocks (whole_tensor.hpp): bytes of so many elements.
  std::size_t (*tensor_bytes)(std::size_t elements);

  std::size_t bytes_for(std::size_t elements) const {
    return tensor_bytes != nullptr ? tensor_bytes(elements) : elements / block_size * block_bytes;
  }
  double bits_per_weight() const {  // of a large tensor
    constexpr std::size_t elements = std::size_t{1} << 24;
    return 8.0 * static_cast<double>(bytes_for(elements)) / static_cast<double>(elements);
  }
};

// F32, then the library's formats in its order, then the forms of whole tensors.
const std::vector<format_entry>& catalog();

// Null if there is none. Names are compared without regard to case.
const format_entry* find_format(std::string_view name);
const format_entry* find_format(int gguf_id);

// The format of this name as a type to write tensors in. Throws failure with the reason if it cannot be that, and with
// the nearest type that can.
const format_entry& output_type(std::string_view name);

#endif
