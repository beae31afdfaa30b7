// must say: blocks_of<B>(tensor): B is a block format with a GGUF type id
#include <blocq/gguf/all.hpp>

#ifdef BAD
using block = float;
#else
using block = blocq::q4_0;
#endif

int main() { return blocq::gguf::blocks_of<block>(blocq::gguf::tensor_info{}) ? 0 : 1; }
