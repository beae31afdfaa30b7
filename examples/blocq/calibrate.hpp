// Rounding the matrices of a llama model with an eye on what a text sends through them: GPTQ and AWQ, layer by layer.
#ifndef BLOCQ_EXAMPLES_CALIBRATE_HPP
#define BLOCQ_EXAMPLES_CALIBRATE_HPP

#include "model.hpp"

#include <blocq/calib/gram.hpp>

#include <functional>
#include <map>
#include <string>
#include <vector>

struct calibration {
  bool awq = false, gptq = false;
  bool klt = false;   // the model is rotated before (rotate_model.hpp): all its tensors may be in the result then
  bool best = false;  // scales of blocks are searched for longer than the reference encoder does
  std::string text;
  std::size_t context = 256, windows = 64;
  unsigned threads = 1;
  // Instead of rounding onto types, whose ids say nothing then: makes something of a matrix that has these inputs, and
  // gives the weights that it has become.
  std::function<std::vector<float>(const std::string& name, blocq::matrix_view<const float> w,
                                   const blocq::calib::gram& inputs)>
      make = {};
};

// Tensors by name, as they go into a file.
struct calibrated_tensor {
  std::vector<std::byte> bytes;
  float unit = 1;  // of nvfp4 blocks: the scale that the file has beside them
};
using calibrated_tensors = std::map<std::string, calibrated_tensor, std::less<>>;

// Whether calibrate rounds onto this type: its codes stand for one element each.
bool calibrates(int type);

// `types` says what each matrix is to become, as GGUF type ids. The result has the blocks of all of them that lie
// behind known inputs, which is to say all but the embedding; with AWQ it also has floats of vectors and matrices that
// took up scales, and no tensor but those. Matrices that are to become plain floats are left to the caller.
//
// Each matrix sees the inputs that the matrices before it cause as they are after rounding. Nothing depends on the
// number of threads. Throws failure if the model is not one that the engine runs, if a type's codes do not stand for
// one element each, or if the text is too short.
calibrated_tensors calibrate(const model& source, const std::map<std::string, int, std::less<>>& types,
                             const calibration& how);

#endif
