// Any bytes as a set of GGUF files: cut at a mark, as many files as there are pieces. Refused with a sentence, or the
// tensors of all, each found under its name.
#include <gguf_walk.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace gguf = blocq::gguf;

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view mark = "\nNEXT\n";
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::vector<gguf::reader> shards;
  for (bool more = true; more;) {
    const std::size_t end = rest.find(mark);
    more = end != rest.npos;
    const std::string_view piece = rest.substr(0, end);
    if (more) rest.remove_prefix(end + mark.size());
    auto shard = gguf::reader::parse(std::as_bytes(std::span(piece)));
    if (!shard) return 0;
    shards.push_back(std::move(*shard));
  }
  const auto set = gguf::split_set::open(shards);
  if (!set) {
    check(set.error().code != blocq::errc::ok && *set.message() != 0);
    return 0;
  }
  std::size_t tensors = 0;
  for (const gguf::reader& shard : shards) tensors += shard.tensors().size();
  check(set->tensors().size() == tensors);
  for (const auto& t : set->tensors()) {
    const auto* const found = set->find_tensor(t.name);
    check(found != nullptr && found->name == t.name && found->data.size() == t.data.size());
  }
  return 0;
}
