// The index of a model in several files, and their tensors as one list.
#include <doctest/doctest.h>
#include <blocq/safetensors/shards.hpp>
#include <safetensors_cases.hpp>

#include <cstring>
#include <string>
#include <vector>

namespace safetensors = blocq::safetensors;
using blocq::errc;
using safetensors::shard_index;
using safetensors::tensor_set;

namespace {

std::string file_with(const std::vector<std::string>& names) {
  std::string header = "{";
  for (const auto& name : names)
    header += (header.size() > 1 ? ",\"" : "\"") + name + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  return safetensors_cases::container(header + "}");
}

errc code(std::string_view map) {
  const auto index = shard_index::parse("{\"metadata\":{},\"weight_map\":" + std::string(map) + "}");
  return index ? errc::ok : index.error().code;
}

}  // namespace

TEST_CASE("files are named once, and entries know theirs") {
  const auto index = shard_index::parse(
      R"({"weight_map":{"x":"m-2.safetensors","\u0061":"m-1.safetensors","z":"m-2.safetensors"},"metadata":{"total":1}})");
  REQUIRE(index);
  REQUIRE(index->files().size() == 2);
  CHECK(index->files()[0] == "m-1.safetensors");
  CHECK(index->files()[1] == "m-2.safetensors");
  REQUIRE(index->entries().size() == 3);
  CHECK(index->entries()[0].tensor == "x");
  CHECK(index->entries()[0].file == 1);
  CHECK(index->entries()[1].tensor == "a");
  CHECK(index->entries()[1].file == 0);

  const std::string one = file_with({"a", "more"}), two = file_with({"z", "x"});
  std::vector<safetensors::reader> shards;
  for (const auto* file : {&one, &two})
    shards.push_back(std::move(*safetensors::reader::parse(std::as_bytes(std::span(*file)))));
  const auto set = tensor_set::open(shards, *index);
  REQUIRE(set);
  CHECK(set->tensors().size() == 4);
  CHECK(set->find("more") != nullptr);
  CHECK(set->find("y") == nullptr);
  CHECK(set->shard_of(static_cast<std::size_t>(set->find("x") - set->tensors().data())) == 1);

  std::swap(shards[0], shards[1]);
  const auto swapped = tensor_set::open(shards, *index);
  CHECK(swapped.error().code == errc::missing);
  CHECK(std::strstr(swapped.message(), "tensor 'x' is not in 'm-2.safetensors'") != nullptr);
  CHECK(tensor_set::open(std::span(shards).first(1), *index).error().code == errc::size_mismatch);
}

TEST_CASE("a tensor in two files is an error") {
  const std::string one = file_with({"a", "b"});
  std::vector<safetensors::reader> shards;
  for (int i = 0; i < 2; ++i) shards.push_back(std::move(*safetensors::reader::parse(std::as_bytes(std::span(one)))));
  CHECK(tensor_set::open(shards).error().code == errc::duplicate);
  CHECK(tensor_set::open({})->tensors().empty());
}

TEST_CASE("an index names files that lie beside it") {
  CHECK(code(R"({"a":"model.safetensors"})") == errc::ok);
  for (const char* file :
       {"", "../x", "/etc/passwd", "a/b", "a\\\\b", ".", "..", ".hidden", "C:x", "a\\u002fb", "x\\u0000"})
    CHECK(code("{\"a\":\"" + std::string(file) + "\"}") == errc::bad_name);
  CHECK(code("{}") == errc::bad_value);
  CHECK(code("[]") == errc::bad_value);
  CHECK(code(R"({"a":1})") == errc::bad_value);
  CHECK(shard_index::parse("{}").error().code == errc::bad_value);
  CHECK(shard_index::parse("").error().code == errc::bad_value);
}
