// Any bytes as a safetensors file, as an index and as JSON: refused with a sentence, or walked and written again.
#include <blocq/safetensors/all.hpp>

#include <cstdint>
#include <string>

namespace safetensors = blocq::safetensors;

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

static std::uint64_t walk(const safetensors::json& value, std::string& scratch) {
  scratch.resize(value.text().size());
  std::uint64_t sum = value.unescape(scratch.data()) + value.get<std::uint64_t>().value_or(1);
  for (const auto& [key, member] : value) {
    check(key.kind() == safetensors::json_kind::string || !key);
    check(bool(member));
    sum += walk(member, scratch);
  }
  return sum;
}

static void rewrite(const safetensors::reader& r) {
  safetensors::writer w;
  for (const auto& [key, text] : r.metadata()) w.add_metadata(key, text);
  for (const auto& t : r.tensors()) w.add(t.name, t.type, t.shape);
  std::string out;
  const auto sink = [&](const void* p, std::size_t n) { return out.append(static_cast<const char*>(p), n), true; };
  check(bool(w.begin(sink)));
  for (std::size_t i = 0; i < r.tensors().size(); ++i) check(bool(w.write(i, r.tensors()[i].data)));
  check(bool(w.finish()));
  const auto again = safetensors::reader::parse(std::as_bytes(std::span(out)));
  check(again && again->tensors().size() == r.tensors().size() && again->metadata().size() == r.metadata().size());
  for (const auto& t : r.tensors()) {
    const auto* other = again->find(t.name);
    check(other != nullptr && other->type == t.type && other->offset == t.offset && other->bytes == t.bytes);
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto full = safetensors::reader::parse(bytes);
  const auto head = safetensors::reader::parse(bytes, {.header_only = true});
  for (const auto* r : {&full, &head}) check(*r || (r->error().code != blocq::errc::ok && *r->message() != 0));
  check(head || !full);
  if (full) {
    rewrite(*full);
    const auto set = safetensors::tensor_set::open({&*full, 1});
    check(set && set->tensors().size() == full->tensors().size());
  }
  // Most inputs have no right length in front: the rest as JSON.
  const std::string_view text(reinterpret_cast<const char*>(data) + (size < 8 ? size : 8), size < 8 ? 0 : size - 8);
  if (const auto value = safetensors::json::parse(text)) {
    std::string scratch;
    static_cast<void>(walk(*value, scratch));
    if (const auto index = safetensors::shard_index::parse(text))
      for (const auto& e : index->entries()) check(e.file < index->files().size());
  }
  return 0;
}
