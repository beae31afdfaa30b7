// Scales of whole tensors: found by name, and only where they are what the name says.
#include <doctest/doctest.h>
#include <blocq/gguf/all.hpp>
#include <gguf_builder.hpp>

namespace gguf = blocq::gguf;

namespace {
std::string floats(std::initializer_list<float> values) {
  std::string bytes;
  for (const float v : values)
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(blocq::to_bits(v) >> (8 * i));
  return bytes;
}
}  // namespace

TEST_CASE("a weight has the scale beside it, one for all of it or one for each matrix") {
  const std::string weights(4 * 2 * 3 * 4, '\0'), long_name(250, 'n');
  const std::string file = gguf_builder()
                               .tensor("a.weight", 0, {2, 3}, weights.substr(0, 24))
                               .tensor("a.scale", 0, {1}, floats({0.5f}))
                               .tensor("a.input_scale", 0, {1}, floats({7.0f}))
                               .tensor("b.scale", 0, {4}, floats({1.0f, 2.0f, 3.0f, -4.0f}))
                               .tensor("b.weight", 0, {2, 3, 4}, weights)
                               .tensor("c.weight", 0, {2, 3, 4}, weights)
                               .tensor("c.scale", 0, {}, floats({8.0f}))
                               .tensor("router.weight", 0, {2, 3}, weights.substr(0, 24))
                               .tensor("router.scale", 0, {2}, floats({1.0f, 2.0f}))  // of its inputs: not a scale
                               .tensor("whole.weight", 0, {2, 3}, weights.substr(0, 24))
                               .tensor("whole.scale", 26, {1}, "1234")
                               .tensor("lonely.scale", 0, {1}, floats({1.0f}))
                               .tensor("scale", 0, {1}, floats({1.0f}))
                               .tensor("weight", 0, {1}, floats({1.0f}))
                               .tensor(long_name + ".scal", 0, {1}, floats({1.0f}))
                               .build();
  const auto r = gguf::reader::parse(bytes_of(file));
  REQUIRE(r);
  const auto scale_of = [&](const char* name) { return gguf::find_scale(*r, *r->find_tensor(name)); };
  CHECK(scale_of("a.weight")[0] == 0.5f);
  CHECK(scale_of("b.weight")[0] == 1.0f);
  CHECK(scale_of("b.weight")[3] == -4.0f);
  CHECK(scale_of("c.weight")[3] == 8.0f);
  for (const char* none : {"router.weight", "whole.weight", "a.scale", "weight", "scale"}) {
    CHECK_FALSE(scale_of(none));
    CHECK(scale_of(none)[5] == 1.0f);
  }
  const auto scaled_by = [&](const std::string& name) { return gguf::find_scaled(*r, *r->find_tensor(name)); };
  CHECK(scaled_by("a.scale") == r->find_tensor("a.weight"));
  CHECK(scaled_by("a.input_scale") == r->find_tensor("a.weight"));
  CHECK(scaled_by("b.scale") == r->find_tensor("b.weight"));
  for (const char* none : {"a.weight", "router.scale", "whole.scale", "lonely.scale", "scale", "weight"})
    CHECK(scaled_by(none) == nullptr);
  CHECK(scaled_by(long_name + ".scal") == nullptr);

  const auto set = gguf::split_set::open({&*r, 1});
  REQUIRE(set);
  CHECK(gguf::find_scale(*set, *set->find_tensor("b.weight"))[1] == 2.0f);
}
