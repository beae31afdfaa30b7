// One of the translation units of this source that are built for different instruction sets and linked together. UNIT
// names it: baseline, wide or widest.
#define BLOCQ_TEST_PASTE_(a, b) a##b
#define BLOCQ_TEST_PASTE(a, b) BLOCQ_TEST_PASTE_(a, b)
#define BLOCQ_TEST_STRING_(a) #a
#define BLOCQ_TEST_STRING(a) BLOCQ_TEST_STRING_(a)
#define EVERYTHING BLOCQ_TEST_PASTE(everything_, UNIT)
#include "../compile/everything.cpp"

#include <cstdint>

namespace blocq::inline v0::inline BLOCQ_ISA {
inline const char* compiled_for() noexcept { return BLOCQ_TEST_STRING(BLOCQ_ISA); }
}  // namespace blocq::inline v0::inline BLOCQ_ISA

extern "C" const char* BLOCQ_TEST_PASTE(isa_, UNIT)() { return blocq::compiled_for(); }

// A hash of what every encoder and decoder makes of the same numbers.
extern "C" std::uint64_t BLOCQ_TEST_PASTE(hash_, UNIT)() {
  static float x[1024], weights[1024], y[1024];
  std::uint32_t random = 1;
  for (std::size_t i = 0; i < 1024; ++i) {
    random = random * 1664525u + 1013904223u;
    x[i] = static_cast<float>(static_cast<std::int32_t>(random)) / 2147483648.0f;
    weights[i] = static_cast<float>(random >> 20);
  }
  std::uint64_t hash = 0xcbf29ce484222325u;
  const auto add = [&hash](const auto& array) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(array);
    for (std::size_t i = 0; i < sizeof array; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
  };
  blocq::for_each(formats{}, [&]<class B> {
    if constexpr (blocq::encodable_format<B>) {
      static B blocks[1024 / blocq::block_size<B>];
      const blocq::quantize_options variants[] = {{}, {.importance = weights}};
      for (const auto& options : variants) {
        if (!blocq::quantize(x, blocks, options) || !blocq::dequantize(blocks, y)) hash = 0;
        add(blocks);
        add(y);
      }
    }
  });
  return hash;
}
