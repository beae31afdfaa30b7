// What the library knows about a block format: its wire struct and a trait. Nothing here computes.
#ifndef BLOCQ_FORMAT_CONCEPT_HPP
#define BLOCQ_FORMAT_CONCEPT_HPP

#include <blocq/core/config.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>

namespace blocq::inline v0 {

// Specialized once per wire struct B:
//   static constexpr const char* name      lower-case name, as in GGUF or OCP
//   static constexpr std::size_t block_size  elements per block
//   using element                          what one code means (elem/)
//   using operand                          the activation format that its integer dot product pairs it with
//   static constexpr int gguf_id           only where GGUF has an id for it
//   static constexpr bool importance       true if the encoder takes importance weights
//   static constexpr bool importance_required  only where the reference refuses to encode without them: true
// An engine's own struct of the same bytes is adapted by deriving its trait from ours and naming our struct:
//   template <> struct blocq::format_traits<my_q4> : blocq::format_traits<blocq::q4_0> { using wire = blocq::q4_0; };
template <class B>
struct format_traits;

template <class B>
concept block_format = std::is_trivially_copyable_v<B> && requires {
  { format_traits<B>::name } -> std::convertible_to<const char*>;
  { format_traits<B>::block_size } -> std::convertible_to<std::size_t>;
  typename format_traits<B>::element;
};

namespace impl {
// The trait of a format that GGUF has an id for, all but its name.
template <int Id, std::size_t BlockSize, class Element, class Operand, bool Importance>
struct gguf_traits {
  static constexpr int gguf_id = Id;
  static constexpr std::size_t block_size = BlockSize;
  static constexpr bool importance = Importance;
  using element = Element;
  using operand = Operand;
};

template <class B>
struct wire_of {
  using type = B;
};
template <class B>
requires requires { typename format_traits<B>::wire; }
struct wire_of<B> {
  using type = typename format_traits<B>::wire;
  static_assert(sizeof(B) == sizeof(type), "an adapted struct must have the bytes of the wire struct it names");
};
}  // namespace impl

// The struct of this library that has the bytes of B; B itself unless B is an adapted struct.
template <class B>
using wire_t = typename impl::wire_of<B>::type;

template <class B>
using element_t = typename format_traits<B>::element;

// The activation format that B's dot product pairs it with.
template <class B>
using operand_t = typename format_traits<B>::operand;

template <class B>
inline constexpr std::size_t block_size = format_traits<B>::block_size;

// Plain floats can be weights as well: a block each, without traits.
template <>
inline constexpr std::size_t block_size<float> = 1;
template <class B>
concept weight_format = block_format<B> || std::is_same_v<B, float>;

// How many blocks hold n elements; a last block that is not full counts.
template <class B>
BLOCQ_INLINE constexpr std::size_t blocks_for(std::size_t n) noexcept {
  return n / block_size<B> + (n % block_size<B> != 0 ? 1 : 0);
}

template <class B>
inline constexpr double bits_per_element = 8.0 * sizeof(B) / static_cast<double>(format_traits<B>::block_size);

template <class B>
concept gguf_format = block_format<B> && requires {
  { format_traits<B>::gguf_id } -> std::convertible_to<int>;
};

}  // namespace blocq::inline v0

#endif
