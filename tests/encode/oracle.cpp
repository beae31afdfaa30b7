// Every encoder and decoder against the reference library itself: on random rows of many kinds, and on the tensors of a
// real model. For this the library must be there:
//   BLOCQ_ORACLE_DIR      where libggml-base.so lies; scripts/fetch-oracle.sh gets it
//   BLOCQ_ORACLE_MODEL    a GGUF file with f32 tensors, if the test with a model is wanted
//   BLOCQ_ORACLE_WEIGHTS  how many random weights per format at least, each with and without importance; 10^6 if unset
#include <doctest/doctest.h>
#include <blocq/blocq.hpp>
#include <blocq/gguf/file.hpp>
#include <blocq/gguf/reader.hpp>
#include <ggml.hpp>
#include <random.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

namespace {

// Null, with a line that says why, if there is none.
const ggml::library* oracle() {
  const char* directory = std::getenv("BLOCQ_ORACLE_DIR");
  if (directory == nullptr) {
    std::puts("oracle skipped: BLOCQ_ORACLE_DIR is not set; see scripts/fetch-oracle.sh");
    return nullptr;
  }
  static const ggml::library library(directory);
  if (!library) std::printf("oracle skipped: %s\n", library.error().c_str());
  return library ? &library : nullptr;
}

struct source {
  test::random_bits bits{42};

  float uniform() { return static_cast<float>(bits.next() >> 40) * 0x1p-24f; }
  float normal() {
    const float radius = std::sqrt(-2.0f * std::log(uniform() + 0x1p-25f));
    return radius * std::cos(6.2831853f * uniform());
  }
  float sign() { return uniform() < 0.5f ? -1.0f : 1.0f; }
  // One of the integers 0 .. n - 1.
  int below(int n) { return static_cast<int>(uniform() * static_cast<float>(n)); }
};

// How a row's elements are drawn; i counts them, and `own` is between 0.5 and 1.5 and the same for the row.
struct kind {
  const char* name;
  float (*draw)(source& s, int i, float own);
};

constexpr kind kinds[] = {
    {"normal", [](source& s, int, float) { return s.normal(); }},
    {"weights", [](source& s, int, float) { return 0.02f * s.normal(); }},
    {"cubes of normal", [](source& s, int, float) { return std::pow(s.normal(), 3.0f); }},
    {"heavy tail", [](source& s, int, float) { return s.normal() / (std::fabs(s.normal()) + 0.01f); }},
    {"laplace", [](source& s, int, float) { return s.sign() * std::log(s.uniform() + 0x1p-25f); }},
    {"uniform", [](source& s, int, float) { return 2.0f * s.uniform() - 1.0f; }},
    {"constant", [](source&, int, float own) { return own; }},
    {"negative constant", [](source&, int, float own) { return -own; }},
    {"alternating", [](source&, int i, float own) { return i % 2 == 0 ? own : -own; }},
    {"alternating from below", [](source&, int i, float own) { return i % 2 == 0 ? -own : own; }},
    {"ramp", [](source&, int i, float own) { return own * static_cast<float>(i % 256 - 128); }},
    {"positive ramp", [](source&, int i, float own) { return own * static_cast<float>(i % 256); }},
    {"negative ramp", [](source&, int i, float own) { return -own * static_cast<float>(i % 256); }},
    {"zero", [](source&, int, float) { return 0.0f; }},
    {"negative zero", [](source&, int, float) { return -0.0f; }},
    {"normal after zeros", [](source& s, int i, float) { return i % 256 < 32 ? 0.0f : s.normal(); }},
    {"one hot", [](source&, int i, float own) { return i % 256 == 37 ? own : 0.0f; }},
    {"negative one hot", [](source&, int i, float own) { return i % 256 == 201 ? -own : 0.0f; }},
    {"sparse", [](source& s, int, float) { return s.uniform() < 0.9f ? 0.0f : s.normal(); }},
    {"sparse groups of 16", [](source& s, int i, float) { return i / 16 % 2 == 0 ? 0.0f : s.normal(); }},
    {"sparse groups of 32", [](source& s, int i, float) { return i / 32 % 3 != 0 ? -0.0f : s.normal(); }},
    {"magnitudes by group", [](source& s, int i, float) { return std::ldexp(s.normal(), i / 16 * 7 % 23 - 11); }},
    {"magnitudes by element", [](source& s, int i, float) { return std::ldexp(s.normal(), i * 5 % 13 - 6); }},
    {"integers", [](source& s, int, float) { return static_cast<float>(s.below(255) - 127); }},
    {"small integers", [](source& s, int, float) { return static_cast<float>(s.below(16) - 8); }},
    {"half steps", [](source& s, int, float) { return 0.5f * static_cast<float>(s.below(31) - 15); }},
    {"half steps of q8_0",
     [](source& s, int i, float) { return i % 32 == 0 ? 127.0f : 0.5f * static_cast<float>(s.below(255) - 127); }},
    {"quarter steps", [](source& s, int, float) { return 0.25f * static_cast<float>(s.below(49) - 24); }},
    {"ternary", [](source& s, int, float own) { return own * static_cast<float>(s.below(3) - 1); }},
    {"halves of ternary", [](source& s, int, float) { return 0.5f * static_cast<float>(s.below(5) - 2); }},
    {"tie of extremes",
     [](source& s, int i, float own) { return i % 16 == 3   ? own
                                              : i % 16 == 9 ? -own
                                                            : 0.4f * s.uniform(); }},
    {"tie of extremes, negative first",
     [](source& s, int i, float own) { return i % 16 == 3   ? -own
                                              : i % 16 == 9 ? own
                                                            : 0.4f * s.uniform(); }},
    {"positive", [](source& s, int, float) { return s.uniform(); }},
    {"negative", [](source& s, int, float) { return -s.uniform(); }},
    {"offset", [](source& s, int, float own) { return 100.0f * own + s.uniform(); }},
    {"powers of two",
     [](source& s, int, float) {
       return s.sign() * std::ldexp(1.0f + 0x1p-23f * static_cast<float>(s.below(3) - 1), s.below(9) - 4);
     }},
    {"midpoints of e2m1",
     [](source& s, int i, float) { return i % 16 == 0 ? 6.0f : s.sign() * 0.25f * static_cast<float>(s.below(25)); }},
    {"1e-4", [](source& s, int, float) { return 1e-4f * s.normal(); }},
    {"1e-6", [](source& s, int, float) { return 1e-6f * s.normal(); }},
    {"1e-7", [](source& s, int, float) { return 1e-7f * s.normal(); }},
    {"1e-9", [](source& s, int, float) { return 1e-9f * s.normal(); }},
    {"1e-14", [](source& s, int, float) { return 1e-14f * s.normal(); }},
    {"1e3", [](source& s, int, float) { return 1e3f * s.normal(); }},
    {"3e4", [](source& s, int, float) { return 3e4f * s.normal(); }},
    {"1e5", [](source& s, int, float) { return 1e5f * s.normal(); }},
    {"bf16", [](source& s, int, float) { return blocq::bf16_to_f32(blocq::f32_to_bf16(s.normal())); }},
    {"f16", [](source& s, int, float) { return blocq::f16_to_f32(blocq::f32_to_f16(s.normal())); }},
    {"few values", [](source& s, int, float own) { return own * std::ldexp(1.0f, s.below(4)); }},
    {"outliers", [](source& s, int i, float own) { return i % 97 == 13 ? 50.0f * own : s.normal(); }},
};

template <class B>
bool decodes_as(const ggml::library& reference, const std::vector<B>& blocks) {
  std::vector<float> got(blocks.size() * blocq::block_size<B>), want(got.size());
  REQUIRE(dequantize(blocks, got));
  reference.traits(blocq::format_traits<B>::gguf_id)
      .to_float(blocks.data(), want.data(), static_cast<std::int64_t>(want.size()));
  for (std::size_t i = 0; i < got.size(); ++i)
    if (blocq::to_bits(got[i]) != blocq::to_bits(want[i]) && !(blocq::is_nan(got[i]) && blocq::is_nan(want[i])))
      return false;
  return true;
}

// Encodes rows both ways and compares the bytes, then decodes them both ways and compares the floats. A block may
// differ where weights drove the reference's scale or minimum to infinity: quantize() then does without them.
template <class B>
bool encodes_as(const ggml::library& reference, const std::vector<float>& x, std::size_t columns,
                std::span<const float> importance) {
  constexpr int id = blocq::format_traits<B>::gguf_id;
  std::vector<B> got(x.size() / blocq::block_size<B>), want(got.size());
  static_cast<void>(quantize(x, got, {.importance = importance, .reference_bugs = true}));
  reference.quantize(id, x.data(), want.data(), x.size() / columns, columns,
                     importance.empty() ? nullptr : importance.data());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const bool mended = !importance.empty() && !is_valid(want[i]) && is_valid(got[i]);
    if (std::memcmp(&got[i], &want[i], sizeof(B)) != 0 && !mended) return false;
  }
  return decodes_as(reference, got);
}

// Calls f.template operator()<B>() for the GGUF formats that the reference converts.
template <class F>
void for_each_common(const ggml::library& reference, F f) {
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (blocq::gguf_format<B>) {
      INFO(std::string(blocq::format_traits<B>::name));
      if (reference.converts(blocq::format_traits<B>::gguf_id)) f.template operator()<B>();
    }
  });
}

// One weight of 97 is zero.
std::vector<float> importance_of(std::size_t columns) {
  source s{{7}};
  std::vector<float> importance(columns);
  for (std::size_t i = 0; i < columns; ++i) importance[i] = i % 97 == 5 ? 0.0f : std::pow(s.normal(), 2.0f) + 0.01f;
  return importance;
}

// Checks one matrix in every way that the reference can encode it. Returns the formats that could.
std::size_t check_rows(const ggml::library& reference, const std::vector<float>& x, std::size_t columns) {
  std::size_t formats = 0;
  const std::vector<float> importance = importance_of(columns);
  for_each_common(reference, [&]<class B> {
    if constexpr (blocq::encodable_format<B>) {
      if (columns % blocq::block_size<B> != 0) return;
      ++formats;
      if (!reference.needs_importance(blocq::format_traits<B>::gguf_id))
        CHECK(encodes_as<B>(reference, x, columns, {}));
      if (blocq::format_traits<B>::importance) CHECK(encodes_as<B>(reference, x, columns, importance));
    }
  });
  return formats;
}

}  // namespace

TEST_CASE("oracle: random rows, with and without importance") {
  const ggml::library* reference = oracle();
  if (reference == nullptr) return;
  const char* wanted = std::getenv("BLOCQ_ORACLE_WEIGHTS");
  const std::size_t weights = wanted != nullptr ? std::strtoul(wanted, nullptr, 10) : 1000000;
  source s;
  std::size_t compared = 0, formats = 0;
  while (compared < weights) {
    for (const kind& k : kinds) {
      for (const std::size_t columns : {256u, 512u, 768u, 4096u}) {
        std::vector<float> x(3 * columns);
        for (std::size_t row = 0; row < 3; ++row) {
          const float own = 0.5f + s.uniform();
          for (std::size_t i = 0; i < columns; ++i) x[row * columns + i] = k.draw(s, static_cast<int>(i), own);
        }
        CAPTURE(std::string(k.name));
        CAPTURE(columns);
        formats = check_rows(*reference, x, columns);
        compared += x.size();
      }
    }
  }
  std::printf("%zu weights of %zu kinds in each of %zu formats\n", compared, std::size(kinds), formats);
}

// The encoders of tables of points abort there.
TEST_CASE("oracle: what is not finite") {
  const ggml::library* reference = oracle();
  if (reference == nullptr) return;
  constexpr float infinity = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  for_each_common(*reference, [&]<class B> {
    if constexpr (blocq::encodable_format<B> && !requires {
                    requires blocq::element_t<B>::dimensions >
                    1;
                  }) {
      source s;
      for (const float odd : {nan, -nan, infinity, -infinity})
        for (std::size_t at = 0; at < 256; at += 5) {
          std::vector<float> x(256);
          for (std::size_t i = 0; i < 256; ++i) x[i] = (i < at ? 6.0f : 0.8f) * s.normal();
          x[at] = odd;
          std::vector<B> got(256 / blocq::block_size<B>), want(got.size());
          static_cast<void>(quantize(x, got));
          reference->quantize(blocq::format_traits<B>::gguf_id, x.data(), want.data(), 1, 256, nullptr);
          CAPTURE(at);
          CHECK(std::memcmp(got.data(), want.data(), got.size() * sizeof(B)) == 0);
        }
    }
  });
}

TEST_CASE("oracle: random blocks") {
  const ggml::library* reference = oracle();
  if (reference == nullptr) return;
  for_each_common(*reference, [&]<class B> {
    test::random_bits bits{1};
    std::vector<B> blocks(1000);
    for (B& b : blocks) b = test::random_block<B>(bits);
    CHECK(decodes_as(*reference, blocks));
  });
}

TEST_CASE("oracle: the tensors of a model") {
  const ggml::library* reference = oracle();
  if (reference == nullptr) return;
  const char* path = std::getenv("BLOCQ_ORACLE_MODEL");
  if (path == nullptr) {
    std::puts("oracle skipped for models: BLOCQ_ORACLE_MODEL is not set");
    return;
  }
  const auto mapped = blocq::gguf::mapped_file::open(path);
  REQUIRE(mapped);
  const auto file = blocq::gguf::reader::parse(mapped->bytes());
  REQUIRE(file);
  std::size_t tensors = 0;
  for (const blocq::gguf::tensor_info& t : file->tensors()) {
    if (t.type != 0) continue;
    CAPTURE(std::string(t.name));
    std::vector<float> x(t.elements());
    std::memcpy(x.data(), t.data.data(), t.data.size());
    tensors += check_rows(*reference, x, t.row_elements()) != 0;
  }
  std::printf("%zu tensors\n", tensors);
}
