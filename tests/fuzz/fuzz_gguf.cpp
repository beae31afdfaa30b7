// Any bytes as a GGUF file: refused with a sentence, or walked, validated and written again as they were.
#include <gguf_walk.hpp>

#include <cstdint>

namespace gguf = blocq::gguf;

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  const auto head = gguf::reader::parse(bytes, {.header_only = true, .allow_big_endian = true});
  const auto full = gguf::reader::parse(bytes, {.allow_big_endian = true});
  const auto plain = gguf::reader::parse(bytes);
  for (const auto* r : {&head, &full, &plain}) check(*r || (r->error().code != blocq::errc::ok && *r->message() != 0));
  check(head || !full);
  const auto lenient = gguf::reader::parse(bytes, {.allow_big_endian = true, .unknown_types = true});
  check(lenient || !full);
  if (lenient && !full) {
    gguf_walk::touch(*lenient);
    check(gguf_walk::rewrite(*lenient) == std::string_view(reinterpret_cast<const char*>(data), size));
  }
  check(bool(plain) == (full && !full->big_endian()));
  if (head) gguf_walk::touch(*head);
  if (full) {
    gguf_walk::touch(*full);
    check(gguf_walk::rewrite(*full) == std::string_view(reinterpret_cast<const char*>(data), size));
    const auto set = gguf::split_set::open({&*full, 1});
    if (set) check(set->tensors().size() == full->tensors().size());
    // Its metadata in the other byte order and back.
    gguf::writer there({.version = full->version(), .big_endian = !full->big_endian()});
    for (const auto& [key, value] : full->metadata()) there.add(key, value);
    std::string swapped, back;
    const auto to_swapped = [&](const void* p, std::size_t n) {
      return swapped.append(static_cast<const char*>(p), n), true;
    };
    check(bool(there.begin(to_swapped)));
    const auto again = gguf::reader::parse(std::as_bytes(std::span(swapped)), {.allow_big_endian = true});
    check(bool(again));
    gguf::writer home({.version = full->version(), .big_endian = full->big_endian()});
    for (const auto& [key, value] : again->metadata()) home.add(key, value);
    const auto to_back = [&](const void* p, std::size_t n) {
      return back.append(static_cast<const char*>(p), n), true;
    };
    check(bool(home.begin(to_back)));
    check(back.substr(24) == std::string_view(reinterpret_cast<const char*>(data), size).substr(24, back.size() - 24));
  }

  const auto name = gguf::parse_split_name({reinterpret_cast<const char*>(data), size});
  if (name) {
    std::string out(size + 1, '\0');
    check(gguf::format_split_name(*name, out) == std::string_view(reinterpret_cast<const char*>(data), size));
  }
  return 0;
}
