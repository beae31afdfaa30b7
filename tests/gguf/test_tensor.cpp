// The table of tensor types against the published one, and the arithmetic of shapes.
#include <doctest/doctest.h>
#include <blocq/gguf/reader.hpp>
#include <gguf_builder.hpp>

#include <map>

namespace gguf = blocq::gguf;

TEST_CASE("types have the published ids, block sizes and bytes; removed and unknown ids have none") {
  struct row {
    std::string name;
    unsigned block, bytes;
  };
  const std::map<int, row> published = {
      {0, {"f32", 1, 4}},         {1, {"f16", 1, 2}},         {2, {"q4_0", 32, 18}},      {3, {"q4_1", 32, 20}},
      {6, {"q5_0", 32, 22}},      {7, {"q5_1", 32, 24}},      {8, {"q8_0", 32, 34}},      {9, {"q8_1", 32, 36}},
      {10, {"q2_k", 256, 84}},    {11, {"q3_k", 256, 110}},   {12, {"q4_k", 256, 144}},   {13, {"q5_k", 256, 176}},
      {14, {"q6_k", 256, 210}},   {15, {"q8_k", 256, 292}},   {16, {"iq2_xxs", 256, 66}}, {17, {"iq2_xs", 256, 74}},
      {18, {"iq3_xxs", 256, 98}}, {19, {"iq1_s", 256, 50}},   {20, {"iq4_nl", 32, 18}},   {21, {"iq3_s", 256, 110}},
      {22, {"iq2_s", 256, 82}},   {23, {"iq4_xs", 256, 136}}, {24, {"i8", 1, 1}},         {25, {"i16", 1, 2}},
      {26, {"i32", 1, 4}},        {27, {"i64", 1, 8}},        {28, {"f64", 1, 8}},        {29, {"iq1_m", 256, 56}},
      {30, {"bf16", 1, 2}},       {34, {"tq1_0", 256, 54}},   {35, {"tq2_0", 256, 66}},   {39, {"mxfp4", 32, 17}},
      {40, {"nvfp4", 64, 36}},    {41, {"q1_0", 128, 18}},    {42, {"q2_0", 64, 18}},
  };
  for (int id = -2; id < 400; ++id) {
    CAPTURE(id);
    const gguf::type_info* type = gguf::find_type(id);
    const auto expected = published.find(id);
    REQUIRE((type != nullptr) == (expected != published.end()));
    if (type == nullptr) continue;
    CHECK(std::string(type->name) == expected->second.name);
    CHECK(type->block == expected->second.block);
    CHECK(type->bytes == expected->second.bytes);
    CHECK(gguf::find_type_id(type->name).value_or(-1) == id);
  }
  CHECK(gguf::find_type_id("Q4_K").value_or(-1) == 12);
  for (const char* name : {"", "q4", "q4_kk", "q4_2", "none"}) CHECK_FALSE(gguf::find_type_id(name));
  CHECK(std::string(gguf::find_type_name(12)) == "q4_k");
  CHECK(std::string(gguf::find_type_name(31)) == "q4_0_4_4");
  CHECK(std::string(gguf::find_type_name(399)) == "q8_k_r8");
  for (const int shared : {36, 37, 38, 43, 46, 142, 143, -1}) CHECK(gguf::find_type_name(shared) == nullptr);
  CHECK(gguf::find_type(INT32_MAX) == nullptr);
  CHECK(gguf::find_type(INT32_MIN) == nullptr);
}

TEST_CASE("a tensor's shape says how many rows, elements and bytes it has") {
  const std::string file = everything().build();
  const auto r = gguf::reader::parse(bytes_of(file));
  REQUIRE(r);
  const gguf::tensor_info& m = *r->find_tensor("matrix.weight");
  CHECK(m.row_elements() == 64);
  CHECK(m.rows() == 3);
  CHECK(m.row_blocks() == 2);
  CHECK(m.row_bytes() == 68);
  CHECK(m.elements() == 192);
  CHECK(m.bytes() == 204);
  CHECK(m.data.size() == 204);
  CHECK(std::string(m.type_name()) == "q8_0");
  const gguf::tensor_info& b = *r->find_tensor("bytes");
  CHECK(b.n_dims == 4);
  CHECK(b.rows() == 24);
  CHECK(r->find_tensor("scalar")->elements() == 1);
  CHECK(r->find_tensor("matrix") == nullptr);

  const auto blocks = gguf::blocks_of<blocq::q8_0>(m);
  REQUIRE(blocks);
  CHECK(blocks->rows == 3);
  CHECK(blocks->cols == 2);
  CHECK(static_cast<const void*>(blocks->row(2).data()) == m.data.data() + 136);
  CHECK(gguf::blocks_of<blocq::q4_0>(m).error().code == blocq::errc::bad_type);
  const auto head = gguf::reader::parse(bytes_of(file), {.header_only = true});
  CHECK(gguf::blocks_of<blocq::q8_0>(*head->find_tensor("matrix.weight")).error().code == blocq::errc::missing);
}
