// Packed matrices in GGUF files. The matrix NAME is a set of ordinary tensors, a part PART as NAME.PART of type I8,
// I16, I32, F16 or F32, and one entry of the metadata that says how they belong together:
//
//   blocq.packed.NAME = "palette rows=256 columns=512 bits=3 group=256"
//
// Every reader shows such a file; one that knows nothing of it has the parts. A tensor called NAME beside them is added
// to the matrix: blocks of any format whose errors a low_rank makes good.
#ifndef BLOCQ_PACKED_GGUF_HPP
#define BLOCQ_PACKED_GGUF_HPP

#include <blocq/gguf/tensor.hpp>
#include <blocq/packed/parts.hpp>

#include <string>

namespace blocq::inline v0::inline BLOCQ_ISA::packed {

inline constexpr std::string_view key_prefix = "blocq.packed.";

constexpr int gguf_type(part_type t) noexcept {
  switch (t) {
    case part_type::i8: return 24;
    case part_type::i16: return 25;
    case part_type::i32: return 26;
    case part_type::f16: return 1;
    case part_type::f32: break;
  }
  return 0;
}

// What the entry of the metadata says.
inline std::string describe(const part_set& set) {
  std::string text(set.scheme);
  for (const parameter& p : set.parameters()) text += ' ' + std::string(p.name) + '=' + std::to_string(p.value);
  return text;
}

// The scheme and the parameters of such a text, which has to outlive them. errc::bad_value if it is none.
inline result<part_set> parse_description(std::string_view text) noexcept {
  const auto refused = [&] {
    error e(errc::bad_value);
    e << "this does not describe a packed matrix: ";
    return e.quote(text.data(), text.size());
  };
  auto next = [rest = text]() mutable {
    const std::size_t end = rest.find(' ');
    const std::string_view first = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    return first;
  };
  part_set set;
  set.scheme = next();
  std::size_t length = set.scheme.size();
  if (set.scheme.empty()) return refused();
  while (length != text.size()) {
    const std::string_view item = next();
    length += 1 + item.size();
    const std::size_t equals = item.find('=');
    if (equals == std::string_view::npos || equals == 0 || item.size() - equals - 1 > 18 || equals + 1 == item.size() ||
        set.is_full())
      return refused();
    std::uint64_t value = 0;
    for (const char c : item.substr(equals + 1)) {
      if (c < '0' || c > '9') return refused();
      value = 10 * value + static_cast<std::uint64_t>(c - '0');
    }
    for (const parameter& p : set.parameters())
      if (p.name == item.substr(0, equals)) return refused();
    set.add(item.substr(0, equals), value);
  }
  return set;
}

// The part that a tensor is of the matrix `name`: what follows the name and a point. Empty if it is none.
inline std::string_view part_name(std::string_view tensor, std::string_view name) noexcept {
  return tensor.size() > name.size() + 1 && tensor.starts_with(name) && tensor[name.size()] == '.'
             ? tensor.substr(name.size() + 1)
             : std::string_view();
}

// The parts of the matrix `name` among the tensors of a file; `text` is its entry in the metadata. Views of both.
//   errc::bad_value   the entry is not understood
//   errc::bad_type    a part is of a type that parts do not have
//   errc::too_large   more parts than a packed matrix has
//   errc::missing     a part has no data: the file was read without them, or is big-endian
//   errc::bad_endian  this machine is big-endian
inline result<part_set> find_parts(std::string_view name, std::string_view text,
                                   std::span<const gguf::tensor_info> tensors) noexcept {
  auto set = parse_description(text);
  if (!set) return set;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return error(errc::bad_endian) << "packed matrices are read on little-endian machines only";
#endif
  const auto refused = [](errc code, const gguf::tensor_info& t, const char* what) {
    error e(code);
    e << "tensor ";
    e.quote(t.name.data(), t.name.size()) << what;
    return e;
  };
  for (const gguf::tensor_info& t : tensors) {
    const std::string_view part_of = part_name(t.name, name);
    if (part_of.empty()) continue;
    part p{part_of, part_type::f32, static_cast<std::size_t>(t.dims[1]), static_cast<std::size_t>(t.dims[0]), t.data};
    bool known = t.dims[2] == 1 && t.dims[3] == 1;
    switch (t.type) {
      case 0: break;
      case 1: p.type = part_type::f16; break;
      case 24: p.type = part_type::i8; break;
      case 25: p.type = part_type::i16; break;
      case 26: p.type = part_type::i32; break;
      default: known = false;
    }
    if (!known) return refused(errc::bad_type, t, " is of no type or shape that a packed matrix has");
    if (t.data.empty()) return refused(errc::missing, t, " has no data");
    if (set->is_full()) return refused(errc::too_large, t, " is one part too many");
    set->add(p);
  }
  return set;
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::packed

#endif
