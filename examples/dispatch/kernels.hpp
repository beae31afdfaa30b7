// What this program wants fast: the seam between its ordinary code and the code compiled for each processor.
#ifndef KERNELS_HPP
#define KERNELS_HPP

#include <cstddef>

struct matvec_kernels {
  // y = W * x; the weights are m rows of k numbers in the format q4_k, as they lie in a file.
  void (*gemv)(const void* weights, std::size_t m, std::size_t k, const float* x, float* y);
  // The instruction set, as the compiler tells it.
  const char* compiled_for;
};

#endif
