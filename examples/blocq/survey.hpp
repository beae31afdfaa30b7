// What every format and every mix would make of a model's matrices, from a sample of their rows: what `report` shows.
#ifndef BLOCQ_EXAMPLES_SURVEY_HPP
#define BLOCQ_EXAMPLES_SURVEY_HPP

#include "catalog.hpp"
#include "measure.hpp"
#include "model.hpp"

#include <blocq/calib/mix.hpp>

#include <array>
#include <optional>
#include <string>
#include <vector>

// Numbers between -1 and 1 in parts of equal width, counted.
using histogram = std::array<std::uint32_t, 121>;

struct survey;

struct surveyed_matrix {
  const model::tensor* tensor;
  std::string role;  // "attn_q"; the name without ".weight" of what is in no layer
  std::optional<std::size_t> layer;
  std::vector<std::optional<double>> errors;  // relative RMS by format; nothing where it does not fit or has no room
  double signal = 0;                          // sum of squares of all its weights, estimated
  double rms = 0, largest = 0;                // of the sample
  histogram weights{};                        // of the sample, each 32 in units of the largest of them

  // NaN where it does not fit; 0 for null, which leaves it as it is.
  double error_in(const survey& s, const format_entry* format) const;
};

struct surveyed_mix {
  const blocq::calib::mix_info* info;        // null for what has no name
  std::vector<const format_entry*> formats;  // of each tensor of the model; null for what stays as it is
  std::uint64_t bytes = 0;                   // of all tensors
  double bits = 0, error = 0;                // of the matrices: per weight, relative RMS
};

struct survey {
  std::vector<const format_entry*> formats;
  std::vector<histogram> levels;  // of each format, what the sample became
  std::vector<surveyed_matrix> matrices;
  std::vector<surveyed_mix> mixes;  // those that need no importance weights, smallest first
  std::uint64_t elements = 0, sampled = 0;

  // Of all matrices in one format, NaN if one of them does not fit.
  double error(std::size_t format) const;
  // What a choice of formats for each tensor of the model costs and loses.
  surveyed_mix look_at(const model& source, const blocq::calib::mix_info* info,
                       std::vector<const format_entry*> chosen) const;
  // The mix of at most so many bits per weight with the smallest error; null if all are larger.
  const surveyed_mix* best(double bits) const;
};

// Throws failure if the model has no matrix of weights, not_finite if one of them has a weight that is no number. The
// figures do not depend on the number of threads.
survey survey_of(const model& source, unsigned threads);

#endif
