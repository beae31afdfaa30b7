// must say: blocq needs C++20
// only there: -std=c++17
#include <blocq/version.hpp>
#ifdef BAD
#include <blocq/core/config.hpp>
#endif

int main() { return BLOCQ_VERSION_MAJOR; }
