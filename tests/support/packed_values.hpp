// All the weights of a packed matrix, row after row.
#ifndef BLOCQ_TESTS_PACKED_VALUES_HPP
#define BLOCQ_TESTS_PACKED_VALUES_HPP

#include <synthetic.hpp>

#include <span>
#include <vector>

namespace test {

template <class M>
matrix values_of(const M& m) {
  matrix out{m.rows(), m.cols()};
  for (std::size_t r = 0; r < m.rows(); ++r) m.dequantize_row(r, std::span(out.values).subspan(r * m.cols(), m.cols()));
  return out;
}

}  // namespace test

#endif
