#include <blocq/format/all.hpp>

float first_weight(const unsigned char* bytes) {
  float y[32];
  decode(*reinterpret_cast<const blocq::q4_0*>(bytes), y);
  return y[0];
}
