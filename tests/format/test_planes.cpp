// Every code of a block lies somewhere, once: what is set is read back, and nothing else changes.
#include <doctest/doctest.h>
#include <blocq/format/all.hpp>

#include <cstring>
#include <random.hpp>
#include <string>
#include <vector>

using namespace blocq;

TEST_CASE("a plane puts runs of elements at one bit position of its bytes") {
  struct tile {
    std::uint8_t low[4];
    std::uint8_t high[2];
  };
  using low = plane<&tile::low, 4, 2>;       // byte 2c + j: elements 4c + j, 4c + 2 + j
  using high = plane<&tile::high, 2, 1, 4>;  // byte c: elements 4c .. 4c + 3
  constexpr tile t{{0x31, 0x42, 0x75, 0x86}, {0b11'10'01'00, 0b00'01'10'11}};
  std::uint8_t codes[8];
  planes<low, high>::unpack(t, codes, 8);
  const std::uint8_t expected[8] = {0x01, 0x12, 0x23, 0x34, 0x35, 0x26, 0x17, 0x08};
  for (int i = 0; i < 8; ++i) CHECK(codes[i] == expected[i]);
  tile back{};
  planes<low, high>::pack(codes, 8, back);
  CHECK(std::memcmp(&back, &t, sizeof t) == 0);
}

TEST_CASE("codes are read back as they were set, and setting them changes nothing else") {
  test::random_bits source{7};
  int formats = 0;
  for_each(all_formats{}, [&]<class B> {
    if constexpr (requires { typename format_traits<B>::codes; }) {
      INFO(std::string(format_traits<B>::name));
      ++formats;
      const B a = test::random_block<B>(source), b = test::random_block<B>(source);
      std::vector<std::uint8_t> of_a(block_size<B>), of_b(block_size<B>), read(block_size<B>);
      get_codes(a, of_a.data());
      get_codes(b, of_b.data());
      B block = a;
      set_codes(block, of_b.data());
      get_codes(block, read.data());
      CHECK(read == of_b);
      set_codes(block, of_a.data());
      CHECK(std::memcmp(&block, &a, sizeof(B)) == 0);
    }
  });
  CHECK(formats >= 14);
}
