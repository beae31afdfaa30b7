// Published checkpoints: from tensors and a configuration to weights, and from weights to floats and blocks.
#ifndef BLOCQ_CHECKPOINT_ALL_HPP
#define BLOCQ_CHECKPOINT_ALL_HPP

#include <blocq/checkpoint/blocks.hpp>
#include <blocq/checkpoint/decode.hpp>
#include <blocq/checkpoint/recognize.hpp>

#endif
