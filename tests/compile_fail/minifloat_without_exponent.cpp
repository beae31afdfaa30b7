// must say: minifloat: two or more exponent bits
#include <blocq/elem/minifloat.hpp>

#ifdef BAD
using code = blocq::minifloat<1, 2, blocq::specials::none>;
#else
using code = blocq::float4_e2m1fn;
#endif

int main() { return static_cast<int>(sizeof(code)); }
