// must say: packed_int<Bits, Offset>: a code has 1 to 8 bits
#include <blocq/elem/integer.hpp>

#ifdef BAD
using code = blocq::packed_int<9, 0>;
#else
using code = blocq::packed_int<8, 0>;
#endif

int main() { return code::highest == 127 ? 0 : 1; }
