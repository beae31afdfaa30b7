// The scales of a super-block, all at once, are those of its groups.
#include <doctest/doctest.h>
#include <blocq/codec/superblock.hpp>
#include <random_blocks.hpp>

namespace {

random_bytes next(17);

template <class B>
void check_scales(const B& b) {
  const auto words = blocq::detail::group_scales(b);
  std::int16_t scales[16], mins[16];
  blocq::detail::vec::store_words(scales, words.scale);
  blocq::detail::vec::store_words(mins, words.min);
  bool same = true;
  for (int i = 0; i < 16; ++i) {
    const int g = 16 * i / blocq::step_group<B>;
    int scale = 1, min = 0;
    if constexpr (blocq::has_offset<B>)
      scale = get_scale(b, g).scale, min = get_scale(b, g).min;
    else if constexpr (requires { blocq::format_traits<B>::grid; })
      scale = 2 * get_scale(b, g) + 1;
    else if constexpr (requires { get_scale(b, g); })
      scale = get_scale(b, g);
    if (!blocq::has_offset<B>) min = -blocq::values_of<B>.lowest * scale;
    same = same && scales[i] == scale && mins[i] == min;
  }
  CHECK_MESSAGE(same, blocq::format_traits<B>::name);
}

}  // namespace

TEST_CASE("the scales of a super-block are those of its groups") {
  blocq::for_each(blocq::all_formats{}, []<class B> {
    if constexpr (blocq::detail::superblock_format<B>)
      for (int round = 0; round < 500; ++round) check_scales(random_blocks<B>(1, next)[0]);
  });
}
