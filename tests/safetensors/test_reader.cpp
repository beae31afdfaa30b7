// The reader against the reference's verdicts, and against files made to hurt it. docs/checkpoints.md lists the cases
// where blocq is stricter; where it accepts, the reference does.
#include <doctest/doctest.h>
#include <allocations.hpp>
#include <blocq/safetensors/reader.hpp>
#include <safetensors_cases.hpp>

#include <cstring>
#include <set>
#include <string>

namespace safetensors = blocq::safetensors;
using blocq::errc;
using safetensors::dtype;

BLOCQ_TEST_COUNT_ALLOCATIONS

namespace {

std::span<const std::byte> bytes_of(const std::string& s) { return std::as_bytes(std::span(s)); }

const char* name_of(errc code) {
  switch (code) {
    case errc::ok: return "ok";
    case errc::ragged: return "ragged";
    case errc::size_mismatch: return "size_mismatch";
    case errc::truncated: return "truncated";
    case errc::bad_magic: return "bad_magic";
    case errc::bad_type: return "bad_type";
    case errc::bad_value: return "bad_value";
    case errc::bad_name: return "bad_name";
    case errc::duplicate: return "duplicate";
    case errc::too_large: return "too_large";
    case errc::bad_alignment: return "bad_alignment";
    default: return "another error";
  }
}

// Parses the file in both ways and gives what is wrong with the reader's behaviour: nothing, or a sentence.
std::string examine(const std::string& file, errc& code) {
  const std::size_t before = allocations::bytes;
  const auto full = safetensors::reader::parse(bytes_of(file));
  if (allocations::bytes - before > 24 * file.size() + 1024) return "too much allocated";
  code = full ? errc::ok : full.error().code;
  if (!full && (code == errc::ok || full.error().text[0] == 0)) return "an error without a sentence";
  const auto head = safetensors::reader::parse(bytes_of(file), {.header_only = true});
  if (full && !head) return "the header alone is refused";
  if (head && !full && code != errc::truncated && code != errc::size_mismatch) return "the header alone is accepted";
  if (!full) return "";
  std::uint64_t sum = 0;
  for (const auto& t : full->tensors()) {
    if (t.data.size() != t.bytes || t.elements() * bits_of(t.type) != 8 * t.bytes) return "a tensor of another size";
    if (full->find(t.name) != &t) return "a tensor that is not found";
    sum += t.bytes;
  }
  return sum == full->data_size() && full->data_offset() + sum == file.size() ? "" : "bytes that belong to nobody";
}

const std::string small = R"({"b":{"dtype":"F4","shape":[2,2],"data_offsets":[8,10]},"__metadata__":{"k":"v\n"},)"
                          R"("\u0061":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

}  // namespace

TEST_CASE("the reference's verdicts") {
  const std::set<std::string> stricter = {"leading_space",       "leading_newline", "field_unknown",
                                          "field_unknown_first", "record_as_array", "shape_2_63_0",
                                          "name_empty",          "name_nul",        "name_twice_same"};
  std::size_t n = 0;
  for (const auto& c : safetensors_cases::all()) {
    CAPTURE(c.name);
    errc code{};
    CHECK(examine(c.bytes, code) == "");
    CHECK(std::string(name_of(code)) == c.verdict);
    CHECK((c.verdict == "ok") == (c.reference == "ok" && stricter.count(c.name) == 0));
    ++n;
  }
  CHECK(n == 297);
}

TEST_CASE("tensors come in the order of their data, with names and texts as they are meant") {
  const std::string file = safetensors_cases::container(small) + "abcdefghij";
  const auto r = safetensors::reader::parse(bytes_of(file));
  REQUIRE(r);
  REQUIRE(r->tensors().size() == 2);
  const auto& [a, b] = std::tie(r->tensors()[0], r->tensors()[1]);
  CHECK(a.name == "a");
  CHECK(a.type == dtype::f32);
  CHECK(std::memcmp(a.data.data(), "abcdefgh", 8) == 0);
  CHECK(b.name == "b");
  CHECK(b.type == dtype::f4);
  CHECK(b.shape.size() == 2);
  CHECK(b.elements() == 4);
  CHECK(b.bytes == 2);
  CHECK(r->find("c") == nullptr);
  REQUIRE(r->metadata().size() == 1);
  CHECK(r->metadata()[0].key == "k");
  CHECK(r->metadata()[0].text == "v\n");
  CHECK(r->data_offset() == file.size() - 10);

  const auto head = safetensors::reader::parse(bytes_of(file).first(file.size() - 10), {.header_only = true});
  REQUIRE(head);
  CHECK(head->tensors()[0].data.empty());
  CHECK(head->data_size() == 10);
}

TEST_CASE("a file of the reference's own writer") {
  const std::string file = golden::text("safetensors/numpy.safetensors");
  const auto r = safetensors::reader::parse(bytes_of(file));
  REQUIRE(r);
  CHECK(r->tensors().size() == 4);
  const auto* w = r->find("w");
  REQUIRE(w != nullptr);
  CHECK(w->type == dtype::f32);
  REQUIRE(w->shape.size() == 2);
  CHECK(w->shape[0] == 2);
  CHECK(w->shape[1] == 3);
  const float values[] = {0, 1, 2, 3, 4, 5};
  for (int i = 0; i < 6; ++i) {
    const auto bits = golden::in_file(values[i]);
    CHECK(std::memcmp(w->data.data() + 4 * i, bits.data(), 4) == 0);
  }
  CHECK(r->find("\xc3\xa9")->data[0] == std::byte{7});
  CHECK(r->find("empty")->elements() == 0);
  CHECK(r->metadata()[0].text == "pt");
}

TEST_CASE("files that are cut, and files with a byte that is another") {
  const std::string file = safetensors_cases::container(small) + "abcdefghij";
  errc code{};
  for (std::size_t n = 0; n < file.size(); ++n) {
    CHECK(examine(file.substr(0, n), code) == "");
    CHECK(code != errc::ok);
  }
  for (std::size_t i = 0; i < file.size(); ++i)
    for (const char byte : {'\0', ' ', '"', '\\', '{', '}', '[', ']', ',', '9', 'z', '\x80', '\xff'}) {
      std::string other = file;
      other[i] = byte;
      CHECK(examine(other, code) == "");
    }
}

TEST_CASE("many tensors, many dimensions and many escapes cost what they are long") {
  std::string header = "{";
  for (int i = 0; i < 20000; ++i)
    header += (i == 0 ? "\"" : ",\"") + std::to_string(i * 7919 % 20000) +
              R"(\t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  errc code{};
  CHECK(examine(safetensors_cases::container(header + "}"), code) == "");
  CHECK(code == errc::ok);
  header = R"({"a":{"dtype":"U8","data_offsets":[0,0],"shape":[0)";
  for (int i = 0; i < 100000; ++i) header += ",1";
  CHECK(examine(safetensors_cases::container(header + "]}}"), code) == "");
  CHECK(code == errc::ok);
}

TEST_CASE("every allocation may fail") {
  const std::string file = safetensors_cases::container(small) + "abcdefghij";
  const int n = allocations::fail_each(errc::ok, errc::no_memory, [&] {
    const auto r = safetensors::reader::parse(bytes_of(file));
    return r ? errc::ok : r.error().code;
  });
  CHECK(n > 5);
}

TEST_CASE("every type has a name that finds it") {
  for (int i = 0; i <= static_cast<int>(dtype::u64); ++i) {
    const auto type = static_cast<dtype>(i);
    const auto found = safetensors::find_dtype(name_of(type));
    REQUIRE(found);
    CHECK(*found == type);
  }
  CHECK_FALSE(safetensors::find_dtype("F3"));
  CHECK_FALSE(safetensors::find_dtype("F322"));
  CHECK_FALSE(safetensors::find_dtype(""));
}
