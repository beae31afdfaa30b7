// Names of shards, and shards that fit together or do not.
#include <doctest/doctest.h>
#include <blocq/gguf/split.hpp>
#include <gguf_builder.hpp>

namespace gguf = blocq::gguf;
using blocq::errc;

namespace {

struct shards {
  std::vector<std::string> files;
  std::vector<gguf::reader> readers;

  void add(const gguf_builder& b) { files.push_back(b.build()); }
  blocq::result<gguf::split_set> open() {
    readers.clear();
    for (const std::string& f : files) readers.push_back(std::move(*gguf::reader::parse(bytes_of(f))));
    return gguf::split_set::open(readers);
  }
};

gguf_builder shard(std::uint32_t number, std::uint32_t count, std::uint32_t tensors) {
  gguf_builder b;
  b.key("split.no", 2, b.number(number, 2)).key("split.count", 2, b.number(count, 2));
  b.key("split.tensors.count", 5, b.number(tensors, 4));
  return b;
}

errc code(shards& s) {
  const auto r = s.open();
  return r ? errc::ok : r.error().code;
}

}  // namespace

TEST_CASE("names of shards are read and written") {
  struct {
    std::string path, prefix;
    std::uint32_t number, count;
  } const good[] = {
      {"model-00001-of-00003.gguf", "model", 1, 3},
      {"/a/b-c/model-q4_k-00042-of-00042.gguf", "/a/b-c/model-q4_k", 42, 42},
      {"-00001-of-00001.gguf", "", 1, 1},
      {"m-00002-of-123456.gguf", "m", 2, 123456},
      {"m-123456-of-4294967295.gguf", "m", 123456, 4294967295u},
      {"00001-of-00002-00001-of-00002.gguf", "00001-of-00002", 1, 2},
  };
  for (const auto& g : good) {
    CAPTURE(g.path);
    const auto name = gguf::parse_split_name(g.path);
    REQUIRE(name);
    CHECK(name->prefix == g.prefix);
    CHECK(name->number == g.number);
    CHECK(name->count == g.count);
    std::string out(g.path.size() + 1, '?');
    CHECK(gguf::format_split_name(*name, out) == g.path);
    CHECK(out.back() == '\0');
    out.resize(g.path.size());
    CHECK(gguf::format_split_name(*name, out).empty());
    CHECK(gguf::format_split_name(*name, {}).empty());
  }
  for (const char* bad :
       {"", "model.gguf", "model-00001-of-00003", "model-00001-of-00003.GGUF", "model-0001-of-0003.gguf",
        "model-00000-of-00003.gguf", "model-00004-of-00003.gguf", "model-000001-of-00003.gguf",
        "model-00001-of-99999999999.gguf", "model-00001-of-4294967296.gguf", "model00001-of-00003.gguf",
        "model-00001of-00003.gguf", "00001-of-00003.gguf", "model-00001-of-.gguf", "model--of-00003.gguf",
        "model-0000a-of-00003.gguf", "model-00001-of-18446744073709551617.gguf"}) {
    CAPTURE(std::string(bad));
    CHECK_FALSE(gguf::parse_split_name(bad));
  }
}

TEST_CASE("shards give one list of tensors") {
  shards s;
  s.add(shard(0, 3, 3).string("general.name", "whole"));  // a first shard with metadata only
  s.add(shard(1, 3, 3).tensor("a", 0, {1}, "aaaa").tensor("b", 0, {1}, "bbbb"));
  s.add(shard(2, 3, 3).tensor("c", 0, {1}, "cccc"));
  const auto set = s.open();
  REQUIRE_MESSAGE(set, std::string(set.message()));
  REQUIRE(set->tensors().size() == 3);
  CHECK(set->tensors()[2].name == "c");
  CHECK(static_cast<char>(set->find_tensor("b")->data[0]) == 'b');
  CHECK(set->find_tensor("d") == nullptr);
  CHECK(set->shard_of(0) == 1);
  CHECK(set->shard_of(1) == 1);
  CHECK(set->shard_of(2) == 2);
  CHECK(set->shards().size() == 3);
  CHECK(*set->first().get<std::string_view>("general.name") == "whole");
}

TEST_CASE("one file is a set, with the keys or without") {
  shards s;
  s.add(gguf_builder().tensor("a", 0, {1}, "aaaa"));
  CHECK(code(s) == errc::ok);
  s.files = {shard(0, 1, 1).tensor("a", 0, {1}, "aaaa").build()};
  CHECK(code(s) == errc::ok);
  s.files = {shard(0, 2, 1).tensor("a", 0, {1}, "aaaa").build()};
  CHECK(code(s) == errc::size_mismatch);
  s.files.clear();
  CHECK(code(s) == errc::missing);
}

TEST_CASE("shards that do not belong together are refused, and it is said which and why") {
  const auto a = [](gguf_builder b) { return b.tensor("a", 0, {1}, "aaaa"); };
  const auto b = [](gguf_builder x) { return x.tensor("b", 0, {1}, "bbbb"); };
  const gguf_builder n;
  struct {
    const char* what;
    std::vector<gguf_builder> files;
    errc expected;
    const char* named;
  } const cases[] = {
      {"fine", {a(shard(0, 2, 2)), b(shard(1, 2, 2))}, errc::ok, ""},
      {"out of order", {b(shard(1, 2, 2)), a(shard(0, 2, 2))}, errc::size_mismatch, "split.no of shard 1 is 1, not 0"},
      {"the same twice", {a(shard(0, 2, 2)), a(shard(0, 2, 2))}, errc::size_mismatch, "split.no of shard 2"},
      {"one missing", {a(shard(0, 3, 3)), b(shard(1, 3, 3))}, errc::size_mismatch, "split.count of shard 1 is 3"},
      {"one too many", {a(shard(0, 1, 2)), b(shard(1, 1, 2))}, errc::size_mismatch, "split.count"},
      {"counts differ", {a(shard(0, 2, 2)), b(shard(1, 3, 2))}, errc::size_mismatch, "split.count of shard 2"},
      {"tensors missing", {a(shard(0, 2, 3)), b(shard(1, 2, 3))}, errc::size_mismatch, "split.tensors.count"},
      {"tensor twice", {a(shard(0, 2, 2)), a(shard(1, 2, 2))}, errc::duplicate, "tensor 'a'"},
      {"no keys", {a(gguf_builder()), b(gguf_builder())}, errc::missing, "split.no of shard 1"},
      {"key of another kind",
       {a(gguf_builder().string("split.no", "0").u32("split.count", 2).u32("split.tensors.count", 2)),
        b(shard(1, 2, 2))},
       errc::missing,
       "split.no of shard 1"},
      {"negative",
       {a(gguf_builder().key("split.no", 5, n.number(~0ull, 4))), b(shard(1, 2, 2))},
       errc::missing,
       "split.no"},
  };
  for (const auto& c : cases) {
    CAPTURE(std::string(c.what));
    shards s;
    for (const auto& f : c.files) s.add(f);
    const auto r = s.open();
    CHECK((r ? errc::ok : r.error().code) == c.expected);
    if (!r) CHECK(std::string(r.message()).find(c.named) != std::string::npos);
  }
}
