// The calibration methods on one made-up layer: what each call looks like, and what it does to the layer's output.
#include <blocq/blocq.hpp>
#include <blocq/calib/all.hpp>

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace calib = blocq::calib;
namespace packed = blocq::packed;
using const_matrix = blocq::matrix_view<const float>;

namespace {

auto round_to_nearest(const_matrix w) { return calib::rtn(w, calib::integers{.bits = 4, .group = 128}); }

auto look_at_inputs(const_matrix x, calib::gram& inputs) { return inputs.add(x); }

// Above 10 or so AWQ and importance weights have something to do.
double stands_out(const_matrix inputs) {
  calib::outlier_meter meter(inputs.cols);
  return meter.add(inputs) ? meter.peak_ratio() : 0.0;
}

auto weighted(const_matrix w, const calib::gram& inputs) {
  std::vector<blocq::q4_k> blocks(w.rows * w.cols / 256);
  const blocq::status s = blocq::quantize({w.data, w.rows * w.cols}, blocks, {.importance = inputs.mean_squares()});
  return s ? blocks : std::vector<blocq::q4_k>{};
}

auto gptq_to_blocks(const_matrix w, const calib::gram& inputs) {
  return calib::gptq(w, inputs, calib::onto<blocq::q4_k>{}, {.act_order = true});
}

// The producer of the inputs is to be divided by the returned scale.
auto awq_in_place(blocq::matrix_view<float> w, calib::gram& inputs) {
  const calib::onto<blocq::q4_0> r;
  auto found = calib::awq_scale({w.data, w.rows, w.cols, w.stride}, inputs, r);
  if (found) {
    calib::multiply_columns(w, found->scale);
    inputs.divide_columns(found->scale);
    if (const auto clipped = calib::awq_clip(w, inputs, r); !clipped) std::puts(clipped.message());
  }
  return found;
}

auto smooth(const_matrix w, const calib::gram& inputs) { return calib::smooth_scale(inputs.peaks(), w, 0.5); }

bool rotate(blocq::matrix_view<float> w, blocq::matrix_view<float> x) {
  const auto r = calib::rotation::make(w.cols, 1);
  if (!r) return false;
  r->apply(w);
  r->apply(x);
  return true;
}

// Whatever computes the inputs, and what they are multiplied with; between them nothing, sums, or a norm without a
// gain.
bool rotate_by_eigenvectors(blocq::matrix_view<float> producer, blocq::matrix_view<float> w,
                            const calib::gram& inputs) {
  const auto r = calib::klt_rotation::make(inputs);
  if (!r) return false;
  calib::rotate_outputs(producer, *r);
  r->apply(w);
  return true;
}

auto int8_with_outliers(const_matrix w, const calib::gram& inputs) {
  return packed::int8_matrix::quantize(w, calib::outlier_columns(inputs.peaks(), 6.0f));
}

// Three bits, columns of large inputs first; the second call is for whoever multiplies.
auto clustered(const_matrix w, const calib::gram& inputs) {
  return calib::make_palette(w, {.bits = 3, .group = 16}, inputs.mean_squares());
}
void multiply(const packed::palette& w, std::span<const float> x, std::span<float> y) { w.gemv(x, y); }

auto sparse_and_3_bits(const_matrix w, const calib::gram& inputs) { return calib::spqr(w, inputs, {.threshold = 0.2}); }

// Matrices of so many weights each, with 5.6 bits per weight for all together; their errors in q4_k and in q6_k.
auto spend(std::size_t weights, std::span<const std::pair<double, double>> errors) {
  std::vector<std::vector<calib::budget_choice>> matrices;
  for (const auto& [coarse, fine] : errors)
    matrices.push_back({{weights / 256 * sizeof(blocq::q4_k), coarse}, {weights / 256 * sizeof(blocq::q6_k), fine}});
  return calib::plan_budget(matrices, errors.size() * weights * 7 / 10);
}

struct matrix {
  std::size_t rows, cols;
  std::vector<float> values = std::vector<float>(rows * cols);

  const_matrix view() const { return {values.data(), rows, cols, cols}; }
  blocq::matrix_view<float> writable() { return {values.data(), rows, cols, cols}; }
};

// Numbers between -1 and 1 that look random.
float noise() {
  static std::uint64_t state = 1;
  state = state * 6364136223846793005u + 1442695040888963407u;
  return static_cast<float>(static_cast<std::int32_t>(state >> 40) - (1 << 23)) * 0x1p-23f;
}

std::vector<int> types_of(const blocq::gguf::reader& file, bool importance) {
  const auto tensors = file.tensors();
  return calib::types_for(calib::mix::q4_k_m, calib::describe_model(file, tensors, importance), tensors);
}

// What a file says of a model, without the data.
std::vector<std::byte> header_of_a_model() {
  blocq::gguf::writer out;
  out.add("general.architecture", "llama").add("llama.block_count", std::uint32_t{1});
  const std::uint64_t vector[] = {256}, square[] = {256, 256};
  out.add_tensor("blk.0.ffn_norm.weight", 0, vector).add_tensor("blk.0.ffn_down.weight", 0, square);
  std::vector<std::byte> bytes;
  const auto sink = [&](const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
    return true;
  };
  return out.begin(sink) ? bytes : std::vector<std::byte>{};
}

}  // namespace

int main() {
  matrix w{64, 256}, x{1024, 256};
  for (float& v : w.values) v = noise();
  // Neighbouring columns have something in common, and one in fifty is large.
  for (std::size_t t = 0; t < x.rows; ++t)
    for (std::size_t k = 0; k < x.cols; ++k) {
      const float shared = k % 16 == 0 ? noise() : x.values[t * x.cols + k - 1];
      x.values[t * x.cols + k] = 0.8f * shared + 0.2f * noise();
    }
  for (std::size_t i = 0; i < x.values.size(); ++i)
    if (i % x.cols % 50 == 7) x.values[i] *= 20.0f;

  calib::gram inputs(w.cols);
  if (!look_at_inputs(x.view(), inputs)) return 1;
  const matrix nothing{w.rows, w.cols};
  const double energy = inputs.error(w.view(), nothing.view());
  const double ratio = stands_out(x.view());
  std::printf("some columns are %.0f times as large as others\n", ratio);
  int failures = !(ratio > 10);
  double most = 1.0;
  const auto say = [&](const char* name, const std::vector<float>& values) {
    const double error = inputs.error(w.view(), {values.data(), w.rows, w.cols, w.cols}) / energy;
    std::printf("%-28s %.5f\n", name, error);
    failures += !(error < most);
  };

  const auto nearest = round_to_nearest(w.view());
  if (!nearest) return 1;
  say("4 bits, nearest", nearest->values);

  std::vector<float> decoded(w.values.size());
  if (!blocq::dequantize(weighted(w.view(), inputs), decoded)) return 1;
  say("Q4_K, importance", decoded);
  most = inputs.error(w.view(), {decoded.data(), w.rows, w.cols, w.cols}) / energy;
  const auto blocks = gptq_to_blocks(w.view(), inputs);
  if (!blocks) return 1;
  say("Q4_K, GPTQ", blocks->values);

  most = 1.0;
  matrix scaled = w;
  calib::gram divided = inputs;
  const auto awq = awq_in_place(scaled.writable(), divided);
  if (!awq) return 1;
  const auto q = calib::rtn(scaled.view(), calib::onto<blocq::q4_0>{}, divided.mean_squares());
  if (!q) return 1;
  std::vector<float> unscaled = q->values;
  for (std::size_t i = 0; i < unscaled.size(); ++i) unscaled[i] /= awq->scale[i % w.cols];
  say("Q4_0, AWQ", unscaled);

  const auto sparse = sparse_and_3_bits(w.view(), inputs);
  if (!sparse) return 1;
  for (std::size_t r = 0; r < w.rows; ++r) sparse->dequantize_row(r, std::span(decoded).subspan(r * w.cols, w.cols));
  say("3 bits and outliers, SpQR", decoded);

  const auto few = clustered(w.view(), inputs);
  if (!few) return 1;
  for (std::size_t r = 0; r < w.rows; ++r) few->dequantize_row(r, std::span(decoded).subspan(r * w.cols, w.cols));
  say("3 bits, palettes", decoded);

  const auto scale = smooth(w.view(), inputs);
  const auto bytes = int8_with_outliers(w.view(), inputs);
  if (!scale || !bytes) return 1;
  std::printf("%zu columns in half precision\n", bytes->outliers.size());
  std::vector<float> y(w.rows), rotated(w.rows), space(bytes->scratch());
  bytes->gemv(x.view().row(0), y, space);
  std::vector<float> by_table(w.rows);
  multiply(*few, x.view().row(0), by_table);
  std::printf("by a table %.3f\n", static_cast<double>(by_table[0]));
  matrix turned = w;
  const auto first_input = x.view().row(0);
  std::vector<float> input(first_input.begin(), first_input.end());
  if (!rotate_by_eigenvectors({input.data(), input.size(), 1}, turned.writable(), inputs)) return 1;
  float folded = 0;
  for (std::size_t k = 0; k < w.cols; ++k) folded += turned.values[k] * input[k];
  std::printf("behind eigenvectors %.3f\n", static_cast<double>(folded));
  if (!rotate(w.writable(), x.writable())) return 1;
  for (std::size_t n = 0; n < w.rows; ++n)
    for (std::size_t k = 0; k < w.cols; ++k) rotated[n] += w.values[n * w.cols + k] * x.values[k];
  std::printf("in 8 bits %.3f, rotated %.3f\n", static_cast<double>(y[0]), static_cast<double>(rotated[0]));

  const std::pair<double, double> errors[] = {{0.02, 0.01}, {0.5, 0.01}};
  const auto plan = spend(65536, errors);
  if (!plan) return 1;
  for (std::size_t i = 0; i < plan->choices.size(); ++i)
    std::printf("matrix %zu becomes %s\n", i, plan->choices[i] == 0 ? "q4_k" : "q6_k");
  failures += plan->choices != std::vector<std::size_t>{0, 1};

  const auto header = header_of_a_model();
  const auto file = blocq::gguf::reader::parse(header, {.header_only = true});
  if (!file) return 1;
  const std::vector<int> types = types_of(*file, false);
  for (std::size_t i = 0; i < types.size(); ++i)
    std::printf("%s becomes %s\n", std::string(file->tensors()[i].name).c_str(),
                blocq::gguf::find_type(types[i])->name);
  return failures;
}
