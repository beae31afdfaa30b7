// Rotations inside a llama model that leave what it computes as it is: what goes from layer to layer, and the values of
// each head, in a basis in which they are easier to round (blocq/calib/klt.hpp).
#ifndef BLOCQ_EXAMPLES_ROTATE_MODEL_HPP
#define BLOCQ_EXAMPLES_ROTATE_MODEL_HPP

#include "float_copy.hpp"

#include <blocq/calib/gram.hpp>

#include <cstddef>
#include <string>
#include <vector>

// The matrices of a layer on both sides of what is rotated.
struct rotated_layer {
  std::string attention_norm, feed_norm;
  std::vector<std::string> qkv, feed;  // consumers of the norms' outputs
  std::string values;                  // whose rows from `first_value` on are the heads' values
  std::size_t first_value = 0;
  std::string output, down;  // what writes back
};

// Multiplies the gains of norms into what follows them: rotations go through norms then. Throws failure if there is no
// matrix of the output's own to take up the last one.
void fold_gains(float_copy& model, const std::vector<rotated_layer>& layers);

// Rotates what goes from layer to layer by the eigenvectors of `moments`, those of the norms' outputs, and a Hadamard
// matrix. Norms are without gains. Throws failure if none is known of this order.
void rotate_stream(float_copy& model, const std::vector<rotated_layer>& layers, const blocq::calib::gram& moments);

// Evens out the values of each head and rotates them by a Hadamard matrix. `moments` are those of what goes into the
// layer's output: `shared` heads in a row have the same values. Throws failure if no matrix of this order is known.
void rotate_values(float_copy& model, const rotated_layer& layer, const blocq::calib::gram& moments,
                   std::size_t head_width, std::size_t shared);

#endif
