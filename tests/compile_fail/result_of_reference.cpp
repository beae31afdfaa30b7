// must say: result<T> holds a value: T is an object type
#include <blocq/core/error.hpp>

int main() {
  int x = 0;
#ifdef BAD
  const blocq::result<int&> r(x);
#else
  const blocq::result<int> r(x);
#endif
  return r ? 0 : 1;
}
