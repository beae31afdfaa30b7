// Writing a copy of a model with some tensors in another format: what `quantize` and `dequantize` share.
#ifndef BLOCQ_EXAMPLES_CONVERT_HPP
#define BLOCQ_EXAMPLES_CONVERT_HPP

#include "catalog.hpp"
#include "importance.hpp"
#include "measure.hpp"
#include "model.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

// One tensor of the output: in `target`'s format, or byte for byte as it is if that is null. If its bytes are `ready`
// they are taken.
struct conversion {
  const model::tensor* source;
  const format_entry* target = nullptr;
  std::span<const std::byte> ready = {};
  error_sums* error = nullptr;    // where to add how far its new numbers are from the old ones
  std::vector<float> units = {};  // that ready nvfp4 blocks are in, one for each matrix; empty: 1
};

struct conversion_job {
  std::string verb;  // for the progress line
  unsigned threads = 1;
  const importance_file* importance = nullptr;
  bool best = false;
  std::vector<conversion> tensors = {};  // one for each tensor of the model, in its order
  using metadata_value = std::variant<std::uint32_t, std::string>;
  std::vector<std::pair<std::string, metadata_value>> metadata = {};  // keys to set; all others are copied

  void set(std::string key, metadata_value value) { metadata.emplace_back(std::move(key), std::move(value)); }
};

// What came of it. The stages' times are seconds, of all copies that were made at once; reading, which makes floats of
// what is read, and encoding are done by all threads, and theirs is the mean over the threads.
struct conversion_result {
  std::uint64_t file_size = 0;
  std::size_t scales_folded = 0, scales_written = 0;  // tensors that are scales of others
  double reading = 0, encoding = 0, writing = 0;
};

// Streams the model through the job into a file, or into as many as the model has, a bounded number of elements at a
// time; of whole rows if columns have importance. The scale of a tensor that gets new bytes is multiplied in and left
// out; nvfp4 tensors get one, where it has a place. The bytes do not depend on the number of threads. The files appear
// when all are complete; after a failure there are none. Throws failure, naming tensor and element if a weight cannot
// be held.
conversion_result convert(const model& source, const conversion_job& job, const std::vector<std::string>& paths);
// Several copies at once, for which the model is read and decoded once: paths are those of each. The jobs have the same
// number of threads. All files appear when all are complete.
std::vector<conversion_result> convert(const model& source, std::span<const conversion_job> jobs,
                                       const std::vector<std::vector<std::string>>& paths);

// The value of general.file_type for a file whose matrices are mostly of this format.
std::uint32_t file_type_of(const format_entry& format);

// What became of scales, a line each; empty if there are none.
std::string scales_text(const conversion_result& r);

// "0.2 s reading, 3.1 s encoding, 0.4 s writing; 8 threads"
std::string stages_text(const conversion_result& r, unsigned threads);

#endif
