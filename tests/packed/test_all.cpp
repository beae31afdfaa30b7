// What every packed matrix of the list has to do, whatever is in it.
#include <doctest/doctest.h>
#include <allocations.hpp>
#include <blocq/packed/all.hpp>
#include <packed_examples.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

BLOCQ_TEST_COUNT_ALLOCATIONS

namespace packed = blocq::packed;

namespace {

using packed::code_rows;
using numbers = std::vector<float>;

// Parts that a test may change, with bytes of their own.
struct copy_of_parts {
  std::vector<packed::parameter> parameters;
  std::vector<packed::part> parts;
  std::vector<std::vector<std::byte>> bytes;
  std::string_view scheme;

  explicit copy_of_parts(const packed::part_set& set)
      : parameters(set.parameters().begin(), set.parameters().end()),
        parts(set.parts().begin(), set.parts().end()),
        scheme(set.scheme) {
    for (const packed::part& p : parts) bytes.emplace_back(p.bytes.begin(), p.bytes.end());
  }
  packed::part_set view() const {
    packed::part_set set;
    set.scheme = scheme;
    for (const packed::parameter& p : parameters) set.add(p.name, p.value);
    for (std::size_t i = 0; i < parts.size(); ++i) {
      packed::part p = parts[i];
      p.bytes = bytes[i];
      set.add(p);
    }
    return set;
  }
};

bool same(const packed::part_set& a, const packed::part_set& b) {
  const auto equal = [](std::span<const std::byte> x, std::span<const std::byte> y) {
    return std::equal(x.begin(), x.end(), y.begin(), y.end());
  };
  return a.scheme == b.scheme &&
         std::equal(a.parameters().begin(), a.parameters().end(), b.parameters().begin(), b.parameters().end(),
                    [](const auto& x, const auto& y) { return x.name == y.name && x.value == y.value; }) &&
         std::equal(a.parts().begin(), a.parts().end(), b.parts().begin(), b.parts().end(),
                    [&](const auto& x, const auto& y) {
                      return x.name == y.name && x.type == y.type && x.rows == y.rows && x.cols == y.cols &&
                             equal(x.bytes, y.bytes);
                    });
}

// Refused, or as good as any: every row and every product can be computed.
template <class M>
void refused_or_safe(const copy_of_parts& parts) {
  const auto m = M::from_parts(parts.view());
  if (!m) {
    CHECK(std::string(m.message()).size() > std::string(M::scheme).size());
    return;
  }
  if (m->rows() * m->cols() > 100000) return;
  numbers x(m->cols(), 1.0f), y(m->rows()), space(m->scratch()), row(m->cols());
  m->gemv(x, y, space);
  for (std::size_t r = 0; r < m->rows(); ++r) m->dequantize_row(r, row);
}

}  // namespace

#define EVERY_MATRIX                                                                                           \
  packed::int_groups, packed::row_groups, packed::column_groups, packed::dual_groups, packed::palette,         \
      packed::vector_codes, packed::bit_stack, packed::low_rank, packed::bipolar_matrix, packed::plane_groups, \
      packed::mixed_blocks, packed::fp6_llm, packed::fp5_llm, packed::int8_matrix, packed::spqr_matrix

TEST_CASE("the list has every packed matrix, each with a scheme of its own") {
  CHECK(std::is_same_v<packed::all_packed, blocq::type_list<EVERY_MATRIX>>);
  std::vector<std::string> schemes;
  blocq::for_each(packed::all_packed{}, [&]<class M> {
    static_assert(packed::packed_matrix<M>);
    schemes.emplace_back(M::scheme);
    bool found = false;
    CHECK(packed::visit_scheme(M::scheme, [&]<class N> { found = std::is_same_v<M, N>; }));
    CHECK(found);
  });
  std::sort(schemes.begin(), schemes.end());
  CHECK(std::adjacent_find(schemes.begin(), schemes.end()) == schemes.end());
  CHECK_FALSE(packed::visit_scheme("palette2", []<class M> { FAIL("there is none"); }));
}

TEST_CASE_TEMPLATE("parts give an equal matrix, and their bytes are what a weight takes", M, EVERY_MATRIX) {
  const M m = test::make_packed<M>();
  const auto again = M::from_parts(m.parts());
  REQUIRE_MESSAGE(static_cast<bool>(again), again.message());
  CHECK(same(m.parts(), again->parts()));
  CHECK(again->rows() == m.rows());
  CHECK(again->cols() == m.cols());
  std::size_t bytes = 0;
  const packed::part_set parts = m.parts();
  for (const packed::part& p : parts.parts()) {
    CHECK(p.bytes.size() == p.rows * p.cols * size_of(p.type));
    bytes += p.bytes.size();
  }
  CHECK(bits_per_weight(m) ==
        doctest::Approx(8.0 * static_cast<double>(bytes) / static_cast<double>(m.rows() * m.cols())));
  numbers a(m.cols()), b(m.cols());
  for (std::size_t r = 0; r < m.rows(); ++r) {
    m.dequantize_row(r, a);
    again->dequantize_row(r, b);
    CHECK(a == b);
  }
}

TEST_CASE_TEMPLATE("a product is that of the decoded rows, the same for any ranges of rows", M, EVERY_MATRIX) {
  const M m = test::make_packed<M>();
  test::source s;
  const numbers x = s.floats(m.cols());
  numbers y(m.rows()), space(m.scratch()), row(m.cols());
  m.gemv(x, y, space);
  float peak = 0;
  for (const float v : x) peak = std::max(peak, std::fabs(v));
  for (std::size_t r = 0; r < m.rows(); ++r) {
    m.dequantize_row(r, row);
    double sum = 0, size = 0, weights = 0;
    for (std::size_t k = 0; k < row.size(); ++k) {
      sum += static_cast<double>(row[k]) * static_cast<double>(x[k]);
      size += std::fabs(static_cast<double>(row[k]) * static_cast<double>(x[k]));
      weights += std::fabs(static_cast<double>(row[k]));
    }
    const double rounding = M::rounds_inputs ? weights * static_cast<double>(peak) / (2 * test::largest_input<M>) : 0;
    // The zeros that some take off at the end make larger sums than the weights.
    CHECK(std::fabs(static_cast<double>(y[r]) - sum) <= 4e-6 * (size + weights) + rounding);
  }
  numbers none = x, bad(m.rows());
  none[m.cols() / 2] = std::numeric_limits<float>::infinity();
  if (!std::is_same_v<M, packed::int8_matrix>) {  // which asks for numbers
    m.gemv(none, bad, space);
    for (const float v : bad) CHECK_FALSE(blocq::is_finite(v));
  }
  for (std::size_t first = 0; first < m.rows(); ++first)
    for (const std::size_t count : {std::size_t{1}, std::size_t{2}, m.rows() - first}) {
      if (first + count > m.rows()) continue;
      numbers part(count);
      m.gemv(x, part, space, first);
      CHECK(std::equal(part.begin(), part.end(), y.begin() + static_cast<std::ptrdiff_t>(first)));
    }
  for (const std::size_t parts : {0u, 1u, 3u, 100u}) {
    numbers split(m.rows()), spaces(std::max<std::size_t>(parts, 1) * m.scratch());
    gemv(m, x, split, spaces, parts, [](std::size_t n, auto&& f) {
      for (std::size_t i = n; i-- > 0;) f(i);
    });
    CHECK(split == y);
  }
}

TEST_CASE_TEMPLATE("parts that are missing, of another type or shape, or too many are refused", M, EVERY_MATRIX) {
  const M m = test::make_packed<M>();
  const copy_of_parts good(m.parts());
  const auto refused = [](const copy_of_parts& bad) {
    const auto r = M::from_parts(bad.view());
    CHECK_FALSE(r);
  };
  for (std::size_t i = 0; i < good.parts.size(); ++i) {
    copy_of_parts bad = good;
    bad.parts[i].type = bad.parts[i].type == packed::part_type::f32 ? packed::part_type::i32 : packed::part_type::f32;
    refused(bad);
    bad = good;
    bad.bytes[i].pop_back();
    refused(bad);
    bad = good;
    bad.bytes[i].insert(bad.bytes[i].end(), good.bytes[i].begin(), good.bytes[i].end());
    bad.parts[i].rows *= 2;
    refused(bad);
    bad = good;
    bad.parts.push_back(bad.parts[i]);
    bad.parts.back().name = "something";
    bad.bytes.push_back(bad.bytes[i]);
    refused(bad);
    bad = good;
    bad.parts.erase(bad.parts.begin() + static_cast<std::ptrdiff_t>(i));
    bad.bytes.erase(bad.bytes.begin() + static_cast<std::ptrdiff_t>(i));
    refused_or_safe<M>(bad);
  }
  for (std::size_t i = 0; i < good.parameters.size(); ++i) {
    copy_of_parts bad = good;
    bad.parameters.erase(bad.parameters.begin() + static_cast<std::ptrdiff_t>(i));
    refused(bad);
    for (const std::uint64_t value : {std::uint64_t{0}, good.parameters[i].value + 1, good.parameters[i].value - 1,
                                      std::uint64_t{0x7fffffff}, std::uint64_t{1} << 32, ~std::uint64_t{0}}) {
      bad = good;
      bad.parameters[i].value = value;
      refused_or_safe<M>(bad);
    }
  }
  copy_of_parts bad = good;
  bad.parameters.push_back({"something", 1});
  refused(bad);
  bad = good;
  bad.scheme = "another";
  refused(bad);
}

TEST_CASE_TEMPLATE("any bytes are refused or a matrix", M, EVERY_MATRIX) {
  const copy_of_parts good(test::make_packed<M>().parts());
  test::random_bits next{3};
  for (int round = 0; round < 300; ++round) {
    copy_of_parts bad = good;
    std::vector<std::byte>& bytes = bad.bytes[next.next() % bad.bytes.size()];
    for (std::uint64_t n = 1 + next.next() % 4; n > 0; --n)
      bytes[next.next() % bytes.size()] = static_cast<std::byte>(next.byte());
    refused_or_safe<M>(bad);
  }
  for (std::size_t i = 0; i < good.bytes.size(); ++i) {
    copy_of_parts bad = good;
    std::fill(bad.bytes[i].begin(), bad.bytes[i].end(), std::byte{0xff});
    refused_or_safe<M>(bad);
  }
}

TEST_CASE_TEMPLATE("a failed allocation is std::bad_alloc, and the next attempt succeeds", M, EVERY_MATRIX) {
  const M m = test::make_packed<M>();
  const packed::part_set parts = m.parts();
  const int failures = allocations::fail_each(0, 1, [&] {
    try {
      return M::from_parts(parts) ? 0 : 2;
    } catch (const std::bad_alloc&) {
      return 1;
    }
  });
  CHECK(failures > 0);
  CHECK(M::from_parts(parts));
}

TEST_CASE("codes of every width come back and are loaded as registers of bytes") {
  test::source s;
  for (int bits = 1; bits <= 8; ++bits) {
    const std::size_t cols = 77;
    std::vector<int> expected;
    code_rows c(2, cols, bits);
    for (std::size_t i = 0; i < 2 * cols; ++i) {
      expected.push_back(static_cast<int>(s.next.next() % (1u << bits)));
      c.set(i / cols, i % cols, (1 << bits) - 1);  // what was there before leaves nothing
      c.set(i / cols, i % cols, expected.back());
    }
    CHECK(c.row_bytes() == 12 * static_cast<std::size_t>(bits));
    packed::detail::with_bits<8>(bits, [&]<int Bits> {
      for (std::size_t r = 0; r < 2; ++r)
        for (std::size_t k = 0; k < cols; ++k) {
          std::uint8_t loaded[32];
          blocq::simd::native::store_bytes(loaded, code_rows::load<Bits>(c.row(r) + k / 32 * 4 * Bits));
          CHECK(loaded[k % 32] == expected[r * cols + k]);
          CHECK(c.get(r, k) == expected[r * cols + k]);
        }
    });
  }
}
