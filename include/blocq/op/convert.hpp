// Blocks of one format to blocks of another, through floats. Numbers count as formats: f16 and bf16 are where an engine
// wants weights decoded to 16 bits.
#ifndef BLOCQ_OP_CONVERT_HPP
#define BLOCQ_OP_CONVERT_HPP

#include <blocq/op/dequantize.hpp>
#include <blocq/op/quantize.hpp>

#include <numeric>
#include <span>

namespace blocq::inline v0::inline BLOCQ_ISA {

// Decodes src and encodes dst, a few blocks at a time: what dequantize() and then quantize() give, without the floats
// between them. dst holds as many elements as src. Refused, with dst left as it was: errc::ragged, where the elements
// of src do not fill whole blocks of dst, and errc::size_mismatch. Reported with the index of the first block of dst
// concerned, as by quantize(): errc::not_finite and errc::scale_range.
template <class Source, class Blocks>
status convert(const Source& src, Blocks&& dst, scale_rule rule = scale_rule::floor) noexcept {
  const std::span from(src);
  const std::span to(dst);
  using From = std::remove_cv_t<typename decltype(from)::element_type>;
  using To = typename decltype(to)::element_type;
  static_assert(block_format<From>, "convert(src, dst): src is a range of blocks");
  static_assert(!std::is_const_v<To> && block_format<To>, "convert(src, dst): dst is a mutable range of blocks");
  static_assert(encodable_format<To>, "convert(src, dst): the format of dst can be read but not written");
  static_assert(!detail::requires_importance<wire_t<To>>, "convert(src, dst): the format of dst requires importance");
  constexpr std::size_t common = std::lcm(block_size<From>, block_size<To>),
                        unit = common < 512 ? 512 / common * common : common;
  const std::size_t elements = from.size() * block_size<From>;
  if (elements % block_size<To> != 0) return {errc::ragged, 0};
  if (elements / block_size<To> != to.size()) return {errc::size_mismatch, 0};
  status first{};
  for (std::size_t i = 0; i < elements; i += unit) {
    float y[unit];
    const std::size_t count = elements - i < unit ? elements - i : unit, at = i / block_size<To>;
    const std::span<float> some(y, count);
    static_cast<void>(dequantize(from.subspan(i / block_size<From>, count / block_size<From>), some));
    const status s = quantize(some, to.subspan(at, count / block_size<To>), {.rule = rule});
    if (first && !s) first = {s.code, at + s.at};
  }
  return first;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
