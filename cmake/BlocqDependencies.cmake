# What tests, benchmarks and examples need: the system's package if there is one, else the release from its home page.
include(FetchContent)

macro(blocq_find_doctest)
  find_package(doctest QUIET)
  if(NOT TARGET doctest::doctest)
    FetchContent_Declare(doctest URL https://github.com/doctest/doctest/archive/refs/tags/v2.4.11.tar.gz)
    FetchContent_MakeAvailable(doctest)
  endif()
endmacro()
