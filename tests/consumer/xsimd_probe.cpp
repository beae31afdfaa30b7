// Compiles only if the directory of the xsimd package that CMake found reaches those who link to blocq.
#include <blocq_xsimd_probe.hpp>
