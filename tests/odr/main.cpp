// Calls the first units, as many as the argument says: a processor has no more than their instructions.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
const char* isa_baseline();
const char* isa_wide();
const char* isa_widest();
std::uint64_t hash_baseline();
std::uint64_t hash_wide();
std::uint64_t hash_widest();
}

int main(int, char** arguments) {
  const int units = std::atoi(arguments[1]);
  const char* isa[] = {isa_baseline(), isa_wide(), isa_widest()};
  if (std::strstr(isa[0], "avx") != nullptr || std::strstr(isa[1], "avx2") == nullptr ||
      std::strstr(isa[2], "avx512") == nullptr)
    return 1;
  const std::uint64_t baseline = hash_baseline();
  const std::uint64_t hash[] = {baseline, units > 1 ? hash_wide() : baseline, units > 2 ? hash_widest() : baseline};
  for (int i = 0; i < units; ++i) std::printf("%016llx %s\n", static_cast<unsigned long long>(hash[i]), isa[i]);
  return baseline != 0 && hash[1] == baseline && hash[2] == baseline ? 0 : 2;
}
