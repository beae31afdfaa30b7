# What tests, benchmarks and examples need: the system's package if there is one, else the sources of a fixed commit.
# The library itself needs nothing; xsimd makes it fast.
include(FetchContent)

macro(blocq_find package target repository commit)
  find_package(${package} QUIET)
  if(NOT TARGET ${target})
    FetchContent_Declare(${package} URL https://github.com/${repository}/archive/${commit}.tar.gz)
    FetchContent_MakeAvailable(${package})
  endif()
endmacro()

macro(blocq_find_doctest)
  blocq_find(doctest doctest::doctest doctest/doctest 1da23a3e8119ec5cce4f9388e91b065e20bf06f5)  # 2.4.12
endmacro()

macro(blocq_find_cli11)
  blocq_find(CLI11 CLI11::CLI11 CLIUtils/CLI11 4160d259d961cd393fd8d67590a8c7d210207348)  # 2.5.0
endmacro()

macro(blocq_find_json)
  blocq_find(nlohmann_json nlohmann_json::nlohmann_json nlohmann/json 9cca280a4d0ccf0c08f47a99aa71d1b0e52f8d03)  # 3.11.3
endmacro()

macro(blocq_find_benchmark)
  set(BENCHMARK_ENABLE_TESTING OFF)
  set(BENCHMARK_ENABLE_INSTALL OFF)
  blocq_find(benchmark benchmark::benchmark google/benchmark eddb0241389718a23a42db6af5f0164b6e0139af)  # 1.9.4
endmacro()

macro(blocq_fetch_xsimd)
  blocq_find(xsimd xsimd xtensor-stack/xsimd e88a72831858123924f7118f345dfe5d70d95991)  # 14.3.0
endmacro()
