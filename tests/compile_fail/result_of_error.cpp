// must say: result<T> holds a value: T is an object type
#include <blocq/core/error.hpp>

int main() {
#ifdef BAD
  const blocq::result<blocq::error> r{blocq::error(blocq::errc::io)};
#else
  const blocq::result<int> r{blocq::error(blocq::errc::io)};
#endif
  return r ? 0 : 1;
}
