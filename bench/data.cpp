#include "data.hpp"

#include <blocq/op/quantize.hpp>

#include <map>

namespace bench {

const std::vector<std::byte>& encoded(const std::string& format) {
  static std::map<std::string, std::vector<std::byte>> all;
  std::vector<std::byte>& bytes = all[format];
  if (bytes.empty())
    blocq::visit_name(format.c_str(), [&]<class B> {
      if constexpr (blocq::encodable_format<B>) {
        bytes.resize(blocq::blocks_for<B>(elements) * sizeof(B));
        const std::span blocks(reinterpret_cast<B*>(bytes.data()), bytes.size() / sizeof(B));
        const auto weight = blocq::format_traits<B>::importance ? importance() : std::span<const float>();
        static_cast<void>(blocq::quantize(weights(), blocks, {.importance = weight}));
      }
    });
  return bytes;
}

}  // namespace bench
