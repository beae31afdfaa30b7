#include "survey.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace {

namespace calib = blocq::calib;

constexpr std::uint64_t wanted_sample = std::uint64_t{1} << 19;
constexpr std::size_t longest_piece = std::size_t{1} << 18;  // of a row

// Rows in the middle of equal parts of the matrix, at least four; of long rows the beginning.
std::vector<float> sample_of(const model::tensor& t, std::uint64_t all, std::size_t& columns) {
  const double share = std::min(1.0, static_cast<double>(wanted_sample) / static_cast<double>(all));
  const std::size_t rows = std::min<std::size_t>(
      t.rows(), std::max<std::size_t>(4, static_cast<std::size_t>(share * static_cast<double>(t.rows()))));
  columns = std::min<std::size_t>(t.row_elements(), longest_piece);
  std::vector<float> sample(rows * columns);
  for (std::size_t i = 0; i < rows; ++i) {
    const auto row = static_cast<std::size_t>((static_cast<double>(i) + 0.5) * static_cast<double>(t.rows()) /
                                              static_cast<double>(rows));
    read_elements(t, row * t.row_elements(), std::span(sample).subspan(i * columns, columns));
  }
  return sample;
}

void name_parts(surveyed_matrix& m) {
  std::string_view name = m.tensor->name;
  if (name.starts_with("blk.")) {
    const std::size_t dot = name.find('.', 4);
    m.layer = calib::describe_tensor(name, 1).layer;
    if (dot != name.npos) name.remove_prefix(dot + 1);
  }
  if (name.ends_with(".weight")) name.remove_suffix(7);
  m.role = printable(name);
}

// Of `values`, in units of the largest of each 32 of `exact`.
void count(std::span<const float> exact, std::span<const float> values, histogram& counts) {
  for (std::size_t first = 0; first + 32 <= exact.size(); first += 32) {
    float largest = 0;
    for (std::size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(exact[first + i]));
    if (largest == 0) continue;
    for (std::size_t i = 0; i < 32; ++i) {
      const auto x = std::clamp(static_cast<double>(values[first + i] / largest) / 1.1, -1.0, 1.0);
      ++counts[static_cast<std::size_t>(std::lround((x + 1) / 2 * static_cast<double>(counts.size() - 1)))];
    }
  }
}

// What a format makes of a sample of whole rows; nothing if it cannot hold them.
std::optional<error_sums> sums_of(const format_entry& f, const model::tensor& t, std::span<const float> sample,
                                  std::size_t columns, std::vector<float>& decoded) {
  if (columns % f.block_size != 0) return {};
  const std::vector<float> equal(f.importance_required ? columns : 0, 1.0f);
  const std::size_t length = f.tensor_bytes != nullptr ? sample.size() : columns;
  std::vector<std::byte> blocks(f.bytes_for(length));
  decoded.resize(sample.size());
  for (std::size_t first = 0; first < sample.size(); first += length) {
    const auto s = f.encode(sample.subspan(first, length), blocks.data(), {.importance = equal});
    if (s.code == blocq::errc::not_finite)
      throw not_finite("tensor '" + printable(t.name) + "' contains a weight that is not finite");
    if (!s) return {};
    static_cast<void>(f.decode(blocks.data(), std::span(decoded).subspan(first, length)));
  }
  return measure(sample, decoded);
}

surveyed_matrix look_at(survey& all, const model::tensor& t, std::uint64_t elements, unsigned threads, progress& bar) {
  surveyed_matrix m{.tensor = &t, .role = {}, .layer = {}, .errors = {}};
  name_parts(m);
  std::size_t columns = 0;
  const std::vector<float> sample = sample_of(t, elements, columns);
  const error_sums exact = measure(sample, std::vector<float>(sample.size()));
  if (!std::isfinite(exact.signal))
    throw not_finite("tensor '" + printable(t.name) + "' contains a weight that is not finite");
  m.signal = exact.signal * static_cast<double>(t.elements()) / static_cast<double>(sample.size());
  m.rms = std::sqrt(exact.signal / static_cast<double>(sample.size()));
  m.largest = exact.largest;
  count(sample, sample, m.weights);
  m.errors.resize(all.formats.size());
  parallel_ranges(threads, all.formats.size(), [&](std::size_t begin, std::size_t end) {
    std::vector<float> decoded;
    for (std::size_t f = begin; f < end; ++f) {
      const auto sums = sums_of(*all.formats[f], t, sample, columns, decoded);
      if (!sums) continue;
      m.errors[f] = sums->relative_rmse();
      count(sample, decoded, all.levels[f]);
    }
  });
  check_interrupt();
  bar.advance(sample.size());
  all.sampled += sample.size();
  return m;
}

// Those that need no importance weights and whose formats all fit.
std::vector<surveyed_mix> mixes_of(const model& source, const survey& s) {
  const std::vector<blocq::gguf::tensor_info> tensors(source.tensors().begin(), source.tensors().end());
  const calib::mix_model shape = calib::describe_model(source.reader(), tensors, false);
  std::vector<surveyed_mix> mixes;
  for (const calib::mix_info& info : calib::all_mixes()) {
    if (info.id == calib::mix::f32) continue;
    const std::vector<calib::mix_tensor> described = calib::describe_tensors(info.id, shape, tensors);
    std::vector<const format_entry*> formats(tensors.size());
    bool possible = true;
    for (const surveyed_matrix& m : s.matrices) {
      const auto i = static_cast<std::size_t>(m.tensor - source.tensors().data());
      formats[i] = find_format(calib::type_for(info.id, described[i], shape));
      possible &= !calib::wants_importance(*formats[i]->gguf_id, described[i].role, info.id);
      if (formats[i] == format_of(*m.tensor)) formats[i] = nullptr;
    }
    surveyed_mix mix = s.look_at(source, &info, std::move(formats));
    if (possible && std::isfinite(mix.error)) mixes.push_back(std::move(mix));
  }
  std::ranges::stable_sort(mixes, {}, &surveyed_mix::bits);
  return mixes;
}

}  // namespace

double survey::error(std::size_t format) const {
  double noise = 0, signal = 0;
  for (const surveyed_matrix& m : matrices) {
    noise += m.errors[format] ? *m.errors[format] * *m.errors[format] * m.signal : std::nan("");
    signal += m.signal;
  }
  return signal > 0 ? std::sqrt(noise / signal) : std::nan("");
}

surveyed_mix survey::look_at(const model& source, const calib::mix_info* info,
                             std::vector<const format_entry*> chosen) const {
  surveyed_mix mix{.info = info, .formats = std::move(chosen)};
  const auto bytes = [&](const model::tensor& t) {
    const format_entry* const format = mix.formats[static_cast<std::size_t>(&t - source.tensors().data())];
    return format != nullptr ? format->bytes_for(t.elements()) : t.bytes();
  };
  for (const model::tensor& t : source.tensors()) mix.bytes += bytes(t);
  double noise = 0, signal = 0;
  std::uint64_t matrix_bytes = 0;
  for (const surveyed_matrix& m : matrices) {
    const double error = m.error_in(*this, mix.formats[static_cast<std::size_t>(m.tensor - source.tensors().data())]);
    noise += error * error * m.signal;
    signal += m.signal;
    matrix_bytes += bytes(*m.tensor);
  }
  mix.bits = 8 * static_cast<double>(matrix_bytes) / static_cast<double>(elements);
  mix.error = std::sqrt(noise / signal);
  return mix;
}

double surveyed_matrix::error_in(const survey& s, const format_entry* format) const {
  if (format == nullptr) return 0;
  const auto at = std::ranges::find(s.formats, format) - s.formats.begin();
  return static_cast<std::size_t>(at) < errors.size() && errors[static_cast<std::size_t>(at)]
             ? *errors[static_cast<std::size_t>(at)]
             : std::nan("");
}

const surveyed_mix* survey::best(double bits) const {
  const surveyed_mix* found = nullptr;
  for (const surveyed_mix& m : mixes)
    if (m.bits <= bits && (found == nullptr || m.error < found->error)) found = &m;
  return found;
}

survey survey_of(const model& source, unsigned threads) {
  survey s;
  for (const format_entry& f : catalog())
    if (f.encode != nullptr && f.name != "f32" && !f.activation_only) s.formats.push_back(&f);
  s.levels.resize(s.formats.size());
  std::vector<const model::tensor*> tensors;
  for (const model::tensor& t : source.tensors()) {
    if (!is_weight_matrix(source, t) || t.elements() == 0) continue;
    tensors.push_back(&t);
    s.elements += t.elements();
  }
  if (tensors.empty()) throw failure("the model has no weight matrix");
  progress bar("measuring", std::min(s.elements, wanted_sample));
  for (const model::tensor* t : tensors) s.matrices.push_back(look_at(s, *t, s.elements, threads, bar));
  s.mixes = mixes_of(source, s);
  return s;
}
