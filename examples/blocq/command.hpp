// The commands, as functions of their options. main.cpp fills the options from the command line.
#ifndef BLOCQ_EXAMPLES_COMMAND_HPP
#define BLOCQ_EXAMPLES_COMMAND_HPP

#include "parallel.hpp"

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

// Exit codes, as diff(1) and cmp(1) have them; docs/cli.md says what leads to which. After a signal it is 128 plus the
// number of the signal.
inline constexpr int exit_done = 0;
inline constexpr int exit_different = 1;
inline constexpr int exit_not_finite = 1;
inline constexpr int exit_failed = 2;

// What ends a command: one sentence for the user.
struct failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The same where something was measured and what came out is no number.
struct not_finite : failure {
  using failure::failure;
};

struct formats_options {
  std::string name, svg;  // of one format
  bool json = false;
};
int formats(const formats_options& o);

struct bench_options {
  std::vector<std::string> formats;
  std::string instruction_set;  // empty: the newest that runs here
  std::size_t memory = 0;       // megabytes; 0: more than the caches hold
  double seconds = 0.6;         // for a format
  bool json = false;
  unsigned threads = default_threads();
};
int bench(const bench_options& o);

struct inspect_options {
  std::string file;
  bool json = false, full = false;
};
int inspect(const inspect_options& o);

struct quantize_options {
  std::string in, out, importance, include, exclude;
  std::vector<std::string> all_types, all_mixes;  // one of them, or several, for a file each
  std::string type, mix;                          // the one of a file
  std::string output_type, token_embedding_type;
  std::vector<std::string> tensor_types;  // REGEX=TYPE
  double target_bits = 0;                 // of the whole file, per weight; then the formats that it is spent on, if
  std::vector<std::string> types;         // not the usual ones, and where measurements are kept
  std::string measurements;
  std::string method = "rtn", calibration;
  std::vector<std::string> with;  // NAME=VALUE, parameters of a method
  std::size_t context = 256, windows = 64;
  double least_importance = 0;
  bool best = false, pure = false, force = false, keep_split = false, dry_run = false, json = false;
  unsigned threads = default_threads();
};
int quantize(const quantize_options& o);

struct convert_options {
  std::string in, out, type = "bf16", mix, pre, architecture_map;
  bool best = false;
  unsigned threads = default_threads();
};
int convert_checkpoint(const convert_options& o);

struct export_options {
  std::string in, folder, layout, config;
  unsigned bits = 4;
  bool best = false;
  unsigned threads = default_threads();
};
int export_checkpoint(const export_options& o);

struct dequantize_options {
  std::string in, out, type = "f32";
  unsigned threads = default_threads();
};
int dequantize(const dequantize_options& o);

struct imatrix_options {
  std::string model, text, out;
  std::size_t context = 256, windows = 64;
  unsigned threads = default_threads();
};
int imatrix(const imatrix_options& o);

struct diff_options {
  std::string a, b;
  bool json = false;
  unsigned threads = default_threads();
};
int diff(const diff_options& o);

struct compare_options {
  std::string in, csv, svg;
  bool best = false, json = false;
  std::optional<std::size_t> rows;
  unsigned threads = default_threads();
};
int compare(const compare_options& o);

struct report_options {
  std::string model, text, calibration, out = "report.html";
  std::size_t context = 256, windows = 16;
  unsigned threads = default_threads();
  bool calibrates() const { return !text.empty() || !calibration.empty(); }
};
int report(const report_options& o);

struct perplexity_options {
  std::string model, text, base, svg;
  std::vector<std::string> copies;
  std::string cache = "f32", cache_keys, cache_values;  // the latter if they are not as the first says
  bool json = false;
  std::size_t context = 256, windows = 40;
  unsigned threads = default_threads();
};
int perplexity(const perplexity_options& o);

struct probe_options {
  std::string model, text;    // the text may be missing
  std::string type = "q4_0";  // that the matrices are rounded to, to see what the calibration text changes
  double noise = 0.01;        // energy of what disturbs a matrix, of that of its weights
  std::size_t parts = 4;      // of the text that calibrate
  std::size_t context = 256, windows = 40;
  bool json = false;
  unsigned threads = default_threads();
};
int probe(const probe_options& o);

struct explain_options {
  std::string mix, model;
  bool importance = false, json = false;
};
int explain(const explain_options& o);

#endif
