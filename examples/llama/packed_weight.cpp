#include "packed_weight.hpp"

#include <blocq/packed/all.hpp>

#include <optional>

blocq::result<packed_weight> packed_weight::from_parts(const blocq::packed::part_set& parts) {
  blocq::error said(blocq::errc::bad_type);
  said << "the scheme ";
  said.quote(parts.scheme.data(), parts.scheme.size());
  said << " is not known";
  std::optional<packed_weight> found;
  blocq::packed::visit_scheme(parts.scheme, [&]<class M> {
    auto m = M::from_parts(parts);
    if (m)
      found.emplace(std::move(*m));
    else
      said = m.error();
  });
  if (!found) return said;
  return std::move(*found);
}

std::string packed_weight::text() const {
  const blocq::packed::part_set set = parts();
  std::string out(set.scheme);
  for (const blocq::packed::parameter& p : set.parameters())
    if (p.name != "rows" && p.name != "columns" && !(p.name == "group" && p.value >= rows() && p.value >= cols()))
      out += ' ' + std::string(p.name) + '=' + std::to_string(p.value);
  return out;
}
