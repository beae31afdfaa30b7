// Every encoder and decoder against the reference library itself: on random rows of many kinds, and on the tensors of a
// real model. For this the library must be there:
//   BLOCQ_ORACLE_DIR     where libggml-base.so lies; scripts/fetch-oracle.sh gets it
//   BLOCQ_ORACLE_MODEL   a GGUF file with f32 tensors, if the second test is wanted
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
};

struct kind {
  const char* name;
  float (*draw)(source&, std::size_t column);
};

constexpr kind kinds[] = {
    {"normal", [](source& s, std::size_t) { return s.normal(); }},
    {"heavy tail", [](source& s, std::size_t) { return s.normal() / (std::fabs(s.normal()) + 0.01f); }},
    {"constant", [](source&, std::size_t) { return 0.37f; }},
    {"positive", [](source& s, std::size_t) { return 1.0f + s.uniform(); }},
    {"small integers", [](source& s, std::size_t) { return std::floor(16.0f * s.uniform()) - 8.0f; }},
    {"tiny", [](source& s, std::size_t) { return 1e-7f * s.normal(); }},
    {"vanishing", [](source& s, std::size_t) { return 1e-14f * s.normal(); }},
    {"large", [](source& s, std::size_t) { return 3e4f * s.normal(); }},
    {"sparse", [](source& s, std::size_t) { return s.uniform() < 0.9f ? 0.0f : s.normal(); }},
    {"sparse blocks", [](source& s, std::size_t i) { return i / 32 % 3 != 0 ? -0.0f : s.normal(); }},
    {"mixed", [](source& s, std::size_t i) { return std::ldexp(s.normal(), static_cast<int>(i / 16 * 7 % 23) - 11); }},
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
  static_cast<void>(quantize(x, got, {.importance = importance}));
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

std::vector<float> importance_of(std::size_t columns) {
  source s{{7}};
  std::vector<float> importance(columns);
  for (float& w : importance) w = s.normal() * s.normal() + 0.01f;
  for (float& w : importance) w = std::fabs(w);
  return importance;
}

}  // namespace

TEST_CASE("oracle: random rows, with and without importance" * doctest::skip()) {
  const ggml::library* reference = oracle();
  if (reference == nullptr) return;
  for_each_common(*reference, [&]<class B> {
    if constexpr (blocq::encodable_format<B>) {
      for (const kind& k : kinds) {
        for (const std::size_t columns : {256u, 512u, 768u, 4096u}) {
          source s;
          std::vector<float> x(3 * columns);
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = k.draw(s, i);
          CAPTURE(std::string(k.name));
          CAPTURE(columns);
          if (!reference->needs_importance(blocq::format_traits<B>::gguf_id))
            CHECK(encodes_as<B>(*reference, x, columns, {}));
          if (blocq::format_traits<B>::importance) CHECK(encodes_as<B>(*reference, x, columns, importance_of(columns)));
        }
      }
    }
  });
}

TEST_CASE("oracle: random blocks" * doctest::skip()) {
  const ggml::library* reference = oracle();
  if (reference == nullptr) return;
  for_each_common(*reference, [&]<class B> {
    test::random_bits bits{1};
    std::vector<B> blocks(1000);
    for (B& b : blocks) b = test::random_block<B>(bits);
    CHECK(decodes_as(*reference, blocks));
  });
}

TEST_CASE("oracle: the tensors of a model" * doctest::skip()) {
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
  for_each_common(*reference, [&]<class B> {
    if constexpr (blocq::encodable_format<B>) {
      std::size_t tensors = 0;
      for (const blocq::gguf::tensor_info& t : file->tensors()) {
        if (t.type != 0 || t.row_elements() % blocq::block_size<B> != 0) continue;
        CAPTURE(std::string(t.name));
        std::vector<float> x(t.elements());
        std::memcpy(x.data(), t.data.data(), t.data.size());
        if (!reference->needs_importance(blocq::format_traits<B>::gguf_id))
          CHECK(encodes_as<B>(*reference, x, t.row_elements(), {}));
        if (blocq::format_traits<B>::importance)
          CHECK(encodes_as<B>(*reference, x, t.row_elements(), importance_of(t.row_elements())));
        ++tensors;
      }
      std::printf("%-8s %zu tensors compared\n", blocq::format_traits<B>::name, tensors);
    }
  });
}
