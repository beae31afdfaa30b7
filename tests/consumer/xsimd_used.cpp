// Compiles only if blocq uses the xsimd of version XSIMD_MAJOR.
#include <blocq/simd/xsimd.hpp>
static_assert(BLOCQ_HAS_XSIMD && XSIMD_VERSION_MAJOR == XSIMD_MAJOR);
