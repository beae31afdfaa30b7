// Calls both units. With an argument only the baseline one, for a processor that has no more than that.
#include <cstdint>
#include <cstdio>
#include <cstring>

extern "C" const char* isa_baseline();
extern "C" const char* isa_wide();
extern "C" std::uint64_t hash_baseline();
extern "C" std::uint64_t hash_wide();

int main(int argc, char**) {
  const std::uint64_t baseline = hash_baseline();
  std::printf("%016llx %s\n", static_cast<unsigned long long>(baseline), isa_baseline());
  if (baseline == 0 || std::strstr(isa_baseline(), "avx") != nullptr) return 1;
  if (argc > 1) return 0;
  const std::uint64_t wide = hash_wide();
  std::printf("%016llx %s\n", static_cast<unsigned long long>(wide), isa_wide());
  return wide == baseline && std::strstr(isa_wide(), "avx2") != nullptr ? 0 : 2;
}
