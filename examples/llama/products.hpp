// Products with matrices of every block format, compiled for several instruction sets: the seam between the programs,
// which start on any processor of the family they are compiled for, and what has to be fast on this one.
#ifndef LLAMA_PRODUCTS_HPP
#define LLAMA_PRODUCTS_HPP

#include <cstddef>
#include <span>

namespace llama {

// Of one format. A matrix is whole rows of blocks, one after the other.
struct product {
  const char* name;
  int type;  // of GGUF, -1 if it has none for the format

  // n rows of x, each of `columns` floats, to n rows of y, each of `rows`. Formats of small integers round x to 8 bits
  // first. `scratch` has scratch_bytes(n, columns) bytes.
  void (*multiply)(const std::byte* blocks, std::size_t rows, std::size_t columns, const float* x, std::size_t n,
                   float* y, std::byte* scratch);
  std::size_t (*scratch_bytes)(std::size_t n, std::size_t columns);
};

// Of all formats, as one compilation has them.
struct product_table {
  std::span<const product> all;
  product floats;  // of plain ones
  const char* compiled_for;
};

struct instruction_set {
  const char* name;
  bool runs_here;
  const product_table* products;
};

// Those that this program was compiled for, oldest first. The first is that of its other code.
std::span<const instruction_set> instruction_sets();

// The newest that runs here.
const instruction_set& best_instruction_set();

}  // namespace llama

#endif
