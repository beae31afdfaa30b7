#include "machine.hpp"

#include <blocq/simd/lane.hpp>

#include <fstream>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

#define BLOCQ_BENCH_TEXT_(x) #x
#define BLOCQ_BENCH_TEXT(x) BLOCQ_BENCH_TEXT_(x)

namespace bench {

namespace {

// The value of the first line "key : value" of a file of that form.
std::string field(const char* file, const std::string& key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (line.rfind(key, 0) == 0)
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown";
}

std::string processor() {
  std::string text = field("/proc/cpuinfo", "model name") + ", family " + field("/proc/cpuinfo", "cpu family") +
                     " model " + field("/proc/cpuinfo", "model\t") + ", " +
                     std::to_string(std::thread::hardware_concurrency()) + " processors";
  std::string load;
  if (std::ifstream("/proc/loadavg") >> load) text += ", load " + load;
  return text;
}

std::string compiler() {
#ifdef __clang__
  return "clang++ " __clang_version__;
#else
  return "g++ " __VERSION__;
#endif
}

std::string xsimd_version() {
#if BLOCQ_HAS_XSIMD
  return BLOCQ_BENCH_TEXT(XSIMD_VERSION_MAJOR) "." BLOCQ_BENCH_TEXT(XSIMD_VERSION_MINOR) "." BLOCQ_BENCH_TEXT(
      XSIMD_VERSION_PATCH);
#else
  return "none: one block at a time in encoders";
#endif
}

std::string version() {
  return BLOCQ_BENCH_TEXT(BLOCQ_VERSION_MAJOR) "." BLOCQ_BENCH_TEXT(BLOCQ_VERSION_MINOR) "." BLOCQ_BENCH_TEXT(
      BLOCQ_VERSION_PATCH);
}

}  // namespace

std::vector<std::pair<std::string, std::string>> describe_machine() {
  return {{"blocq", version() + " " BLOCQ_BENCH_TEXT(BLOCQ_ISA)},
          {"lanes", std::to_string(blocq::lane_traits<blocq::native_lane>::size) + ", xsimd " + xsimd_version()},
          {"compiler", compiler() + ", " BLOCQ_BENCH_FLAGS},
          {"cpu", processor()}};
}

bool pin_thread() {
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  for (std::size_t cpu = CPU_SETSIZE; cpu-- > 0;) {
    if (!CPU_ISSET(cpu, &allowed)) continue;
    CPU_ZERO(&allowed);
    CPU_SET(cpu, &allowed);
    return sched_setaffinity(0, sizeof allowed, &allowed) == 0;
  }
#endif
  return false;
}

}  // namespace bench
