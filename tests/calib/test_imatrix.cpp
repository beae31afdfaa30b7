// Importance matrices: what is collected, merged and written is what comes back, from files of this library and from
// files built byte by byte, and hostile bytes are refused with a sentence.
#include <doctest/doctest.h>
#include <blocq/calib/imatrix.hpp>
#include <gguf_builder.hpp>
#include <limits>

using blocq::errc;
using blocq::calib::importance_table;
using blocq::calib::layer_importance;

namespace {

struct text_sink {
  std::string text;
  bool operator()(const void* data, std::size_t size) {
    text.append(static_cast<const char*>(data), size);
    return true;
  }
};
std::string gguf_of(const importance_table& t) {
  text_sink sink;
  REQUIRE(t.write_gguf(sink));
  return sink.text;
}
std::string legacy_of(const importance_table& t) {
  text_sink sink;
  REQUIRE(t.write_legacy(sink));
  return sink.text;
}
errc error_of(const std::string& file, std::string_view sentence = "") {
  const auto r = importance_table::read(bytes_of(file));
  if (r) return errc::ok;
  CHECK_MESSAGE(std::string_view(r.message()).find(sentence) != std::string_view::npos, r.message());
  return r.error().code;
}

std::string word(std::uint32_t x) {
  std::string s;
  for (int i = 0; i < 4; ++i) s += static_cast<char>(x >> (8 * i));
  return s;
}
std::string word(float x) { return word(blocq::to_bits(x)); }
std::string text(std::string_view s) { return word(static_cast<std::uint32_t>(s.size())) + std::string(s); }

// Two linear layers and a stack of three experts, one of which is never asked.
importance_table small_table(float scale) {
  importance_table t;
  t.datasets = {"a text"};
  t.chunks = 2;
  t.chunk_size = 4;
  std::vector<float> x(6 * 8);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = scale * static_cast<float>(static_cast<int>(i % 7) - 3);
  const blocq::matrix_view<const float> rows{x.data(), 6, 8, 8};
  REQUIRE(t.collect("blk.0.attn_q.weight", rows));
  REQUIRE(t.collect("blk.0.attn_q.weight", rows.row_range(1, 3)));
  REQUIRE(t.collect("blk.1.attn_q.weight", rows));
  REQUIRE(t.collect("blk.0.ffn_up_exps.weight", rows.row_range(0, 4), 0, 3));
  REQUIRE(t.collect("blk.0.ffn_up_exps.weight", rows.row_range(4, 5), 2, 3));
  return t;
}

void check_near(const layer_importance& a, const layer_importance& b) {
  const auto x = a.weights(8), y = b.weights(8);
  REQUIRE(x.size() == y.size());
  for (std::size_t i = 0; i < x.size(); ++i) CHECK(x[i] == doctest::Approx(y[i]).epsilon(1e-6));
}

}  // namespace

TEST_CASE("sums of squares are collected for each layer, column and expert") {
  importance_table t;
  const float x[] = {1, 2, 3, 0, -4, 5};
  REQUIRE(t.collect("a", {x, 2, 3, 3}));
  REQUIRE(t.collect("a", {x, 1, 3, 3}));
  REQUIRE(t.collect("e", {x, 2, 2, 3}, 1, 2));
  CHECK(t.find("a")->sums == std::vector<double>{2, 24, 43});
  CHECK(t.find("a")->counts == std::vector<double>{3});
  CHECK(t.find("e")->sums == std::vector<double>{0, 0, 1, 20});
  CHECK(t.find("e")->counts == std::vector<double>{0, 2});
  CHECK(t.find("b") == nullptr);

  // A token that is not a number spoils nothing, nor does another shape.
  const float bad[] = {1, 2, 3, 4, std::numeric_limits<float>::infinity(), 6};
  const auto s = t.collect("a", {bad, 2, 3, 3});
  CHECK(s.code == errc::not_finite);
  CHECK(s.at == 1);
  CHECK(t.collect("a", {x, 3, 2, 2}).code == errc::size_mismatch);
  CHECK(t.collect("a", {x, 2, 3, 3}, 0, 2).code == errc::size_mismatch);
  CHECK(t.find("a")->sums == std::vector<double>{2, 24, 43});
  CHECK(t.collect("e", {x, 2, 2, 3}, 2, 2).code == errc::bad_value);
  CHECK(t.collect("n", {x, 2, 2, 3}, 0, 0).code == errc::bad_value);
  CHECK(t.collect("n", {x, 2, 0, 3}).code == errc::bad_value);
  CHECK(t.find("n") == nullptr);
}

TEST_CASE("the sums do not lose small tokens among many") {
  importance_table t;
  std::vector<float> x(1 << 16, 4096.0f);
  const float one = 1;
  REQUIRE(t.collect("a", {x.data(), x.size(), 1, 1}));
  REQUIRE(t.collect("a", {&one, 1, 1, 1}));
  CHECK(t.find("a")->sums.front() == 0x1p40 + 1);
}

TEST_CASE("weights are means, 1 where nothing was seen, and no less than is asked for") {
  CHECK(layer_importance{{4, 8, 12}, {4}}.weights(3) == std::vector<float>{1, 2, 3});
  CHECK(layer_importance{{4, 8, 0, 0, 6, 2}, {4, 0, 2}}.weights(2) == std::vector<float>{1, 2, 1, 1, 3, 1});
  CHECK(layer_importance{{0, 0}, {3}}.weights(2) == std::vector<float>{0, 0});
  CHECK(layer_importance{{0, 8, 1e-12}, {2}}.weights(3) == std::vector<float>{0, 4, 5e-13f});
  // Quotients of floats, as llama-quantize has them.
  const float third = 0.1f / 3.0f;
  CHECK(layer_importance{{0.1f}, {3}}.weights(1).front() == third);

  constexpr double least = layer_importance::guarded_least;
  const auto w = layer_importance{{0, 8, 16}, {2}}.weights(3, least);
  CHECK(w[0] == 4e-6f);
  CHECK(w[1] == 4);
  // One count for two matrices, each with its own mean.
  const auto v = layer_importance{{0, 8, 0, 8e6}, {1}}.weights(2, least);
  CHECK(v[0] == 4e-6f);
  CHECK(v[2] == 4.0f);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(layer_importance{{nan, -3, 1e300, 4}, {2}}.weights(4) == std::vector<float>{0, 0, 0, 2});
  CHECK(layer_importance{{nan, -3, 1e300, 4}, {2}}.weights(4, least) == std::vector<float>{5e-7f, 5e-7f, 5e-7f, 2});
}

TEST_CASE("tables add up") {
  importance_table t = small_table(1);
  const auto before = *t.find("blk.0.attn_q.weight");
  REQUIRE(t.merge(small_table(2)));
  const auto& after = *t.find("blk.0.attn_q.weight");
  for (std::size_t i = 0; i < after.sums.size(); ++i) CHECK(after.sums[i] == 5 * before.sums[i]);
  CHECK(after.counts.front() == 2 * before.counts.front());
  CHECK(t.find("blk.0.ffn_up_exps.weight")->counts == std::vector<double>{8, 0, 2});
  CHECK(t.chunks == 4);
  CHECK(t.datasets.size() == 2);

  importance_table none;
  REQUIRE(none.merge(t));
  CHECK(gguf_of(none).size() == gguf_of(t).size());
  CHECK(none.find("blk.0.ffn_up_exps.weight")->counts == std::vector<double>{8, 0, 2});

  importance_table other;
  const float x[4] = {1, 1, 1, 1};
  REQUIRE(other.collect("a new layer", {x, 1, 4, 4}));
  REQUIRE(other.collect("blk.0.attn_q.weight", {x, 1, 4, 4}));
  const auto r = t.merge(other);
  CHECK(r.error().code == errc::size_mismatch);
  CHECK(std::string_view(r.message()).find("blk.0.attn_q.weight") != std::string_view::npos);
  CHECK(t.find("a new layer") == nullptr);
}

TEST_CASE("both forms come back") {
  const importance_table t = small_table(0.3f);
  const auto gguf = importance_table::read(bytes_of(gguf_of(t)));
  const auto legacy = importance_table::read(bytes_of(legacy_of(t)));
  REQUIRE(gguf);
  REQUIRE(legacy);
  for (const auto* back : {&*gguf, &*legacy}) {
    CHECK(back->datasets == t.datasets);
    CHECK(back->chunks == 2);
    REQUIRE(back->layers().size() == 3);
    for (const auto& [name, layer] : t.layers()) check_near(*back->find(name), layer);
  }
  CHECK(gguf->chunk_size == 4);
  CHECK(gguf->find("blk.0.ffn_up_exps.weight")->counts == std::vector<double>{4, 0, 1});
  CHECK(gguf_of(*gguf) == gguf_of(t));
  CHECK(legacy_of(*legacy) == legacy_of(t));

  // A legacy table merged with one that knows its experts.
  importance_table both;
  REQUIRE(both.merge(*legacy));
  REQUIRE(both.merge(*gguf));
  CHECK(both.find("blk.0.ffn_up_exps.weight")->counts.size() == 3);
  check_near(*both.find("blk.0.attn_q.weight"), *t.find("blk.0.attn_q.weight"));
}

TEST_CASE("legacy files, byte by byte") {
  const std::string entry = text("a") + word(3u) + word(2u) + word(6.0f) + word(1.5f);
  for (const std::string& tail : {std::string(), word(9u), word(9u) + text("wiki")}) {
    const auto t = importance_table::read(bytes_of(word(1u) + entry + tail));
    REQUIRE(t);
    CHECK(t->find("a")->weights(2) == std::vector<float>{2, 0.5f});
    CHECK(t->chunks == (tail.empty() ? 0 : 9));
    CHECK(t->datasets.size() == (tail.size() > 4 ? 1 : 0));
  }
  {
    const auto t = importance_table::read(bytes_of(word(1u) + text("a") + word(0u) + word(1u) + word(7.0f)));
    REQUIRE(t);
    CHECK(t->find("a")->weights(1) == std::vector<float>{7});
  }
  const std::string whole = word(2u) + entry + text("b") + word(1u) + word(1u) + word(1.0f) + word(1u) + text("t");
  CHECK(error_of(whole) == errc::ok);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const bool between = size == whole.size() - 9 || size == whole.size() - 5;  // before and after the chunks
    CHECK((error_of(whole.substr(0, size)) == errc::ok) == between);
  }
  CHECK(error_of(word(0u), "no entries") == errc::bad_value);
  CHECK(error_of(word(2u) + entry + entry, "'a' has two entries") == errc::duplicate);
  CHECK(error_of(word(1u) + text("a") + word(1u) + word(0u), "no weights") == errc::bad_value);
  CHECK(error_of(word(~0u) + entry, "the number of entries of 4294967295") == errc::too_large);
  CHECK(error_of(word(1u) + word(~0u) + entry, "length of a name") == errc::too_large);
  CHECK(error_of(word(1u) + text("a") + word(1u) + word(0x7fffffffu) + entry, "weights") == errc::too_large);
  CHECK(error_of(word(1u) + text("a") + word(1u) + word(5u) + std::string(19, 'x'), "weights") == errc::too_large);
}

TEST_CASE("GGUF files, byte by byte") {
  const std::string sums = word(2.0f) + word(4.0f) + word(5.0f) + word(7.0f);
  const auto build = [&](const std::vector<std::uint64_t>& dims, std::uint32_t type, std::string_view data) {
    return gguf_builder()
        .string("imatrix.datasets", "one")
        .tensor("a.in_sum2", 0, {2, 2}, sums)
        .tensor("a.counts", type, dims, data)
        .build();
  };
  const std::string counts = word(2.0f) + word(0.0f);
  for (const auto& dims : {std::vector<std::uint64_t>{1, 2}, {2}}) {
    const auto t = importance_table::read(bytes_of(build(dims, 0, counts)));
    REQUIRE(t);
    CHECK(t->find("a")->weights(2) == std::vector<float>{1, 2, 1, 1});
    CHECK(t->datasets == std::vector<std::string>{"one"});
    CHECK(t->chunk_size == 512);
  }
  {
    const auto t = importance_table::read(bytes_of(build({1}, 0, counts.substr(0, 4))));  // one for both matrices
    REQUIRE(t);
    CHECK(t->find("a")->weights(2) == std::vector<float>{1, 2, 2.5f, 3.5f});
  }
  {
    const auto t = importance_table::read(bytes_of(build({1, 2}, 0, word(1.5f) + word(0.4f))));  // whole tokens
    REQUIRE(t);
    CHECK(t->find("a")->counts == std::vector<double>{2, 0});
  }
  CHECK(error_of(build({3}, 0, counts + counts.substr(0, 4)), "no counts that fit 'a.in_sum2'") == errc::bad_value);
  CHECK(error_of(build({1, 2}, 26, counts), "no counts") == errc::bad_value);
  for (const std::uint32_t bits : {0xbf800000u, 0x7f800000u, 0xff800000u, 0x7fc00000u})
    CHECK(error_of(build({1, 2}, 0, word(2.0f) + word(bits)),
                   "'a.counts' has a number that is negative or not finite") == errc::bad_value);
  CHECK(error_of(gguf_builder().tensor("a.in_sum2", 0, {1}, "1234").build(), "no counts") == errc::bad_value);
  CHECK(error_of(gguf_builder().tensor("a", 0, {1}, "1234").build(), "*.in_sum2") == errc::bad_value);
  const std::string file = build({1, 2}, 0, counts);
  for (std::size_t size = 0; size < file.size() - 64; ++size) CHECK(error_of(file.substr(0, size)) != errc::ok);
}

TEST_CASE("sums that cannot be are refused, and what others note beside them is not looked at") {
  for (const std::uint32_t bits : {0xbf800000u, 0x7f800000u, 0xff800000u, 0x7fc00000u}) {
    const std::string sums = word(2.0f) + word(bits);
    const auto file = gguf_builder().tensor("a.in_sum2", 0, {2}, sums).tensor("a.counts", 0, {1}, word(2.0f)).build();
    CHECK(error_of(file, "'a.in_sum2' has a number that is negative or not finite") == errc::bad_value);
    const std::string legacy = word(1u) + text("a") + word(2u) + word(2u) + sums;
    CHECK(error_of(legacy, "'a' has a number that is negative or not finite") == errc::bad_value);
  }
  // The four tensors of llama-imatrix 0.7.0.
  const auto file = gguf_builder()
                        .string("general.type", "imatrix")
                        .u32("imatrix.stats_schema", 1)
                        .tensor("a.in_sum2", 0, {2}, word(2.0f) + word(4.0f))
                        .tensor("a.counts", 0, {1}, word(2.0f))
                        .tensor("a.in_sum", 0, {2}, word(-2.0f) + word(0x7fc00000u))
                        .tensor("a.stats", 0, {2}, word(0x7fc00000u) + word(0xff800000u))
                        .build();
  const auto t = importance_table::read(bytes_of(file));
  REQUIRE(t);
  CHECK(t->layers().size() == 1);
  CHECK(t->find("a")->weights(2) == std::vector<float>{1, 2});
}

TEST_CASE("what a sink does not take is an error") {
  const auto refuse = [](const void*, std::size_t) { return false; };
  CHECK(small_table(1).write_gguf(refuse).error().code == errc::io);
  CHECK(small_table(1).write_legacy(refuse).error().code == errc::io);
}

TEST_CASE("a sum that the file's floats do not hold is refused, and nothing is written") {
  const auto table = [](float each) {
    importance_table t;
    const std::vector<float> x(512, each);
    REQUIRE(t.collect("large", blocq::matrix_view<const float>{x.data(), 512, 1, 1}));
    return t;
  };
  text_sink sink;
  const auto refused = [](const auto& written) {
    CHECK(written.error().code == errc::bad_value);
    CHECK(std::string_view(written.message()).find("'large'") != std::string_view::npos);
  };
  refused(table(1e18f).write_gguf(sink));  // 512e36
  refused(table(3e38f).write_gguf(sink));
  refused(table(3e38f).write_legacy(sink));
  CHECK(sink.text.empty());
  CHECK(error_of(legacy_of(table(1e18f))) == errc::ok);  // a mean, which a float holds
}
