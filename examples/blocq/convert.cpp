#include "convert.hpp"

#include "command.hpp"
#include "terminal.hpp"

#include <blocq/core/bits.hpp>
#include <blocq/gguf/file.hpp>
#include <blocq/gguf/writer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>

namespace {

using blocq::gguf::tensor_info;

// Rows that go to the encoder at once, and to the file at once.
constexpr std::size_t batch_elements = std::size_t{1} << 15;
constexpr std::size_t chunk_elements = std::size_t{1} << 19;

std::string place_of(const tensor_info& tensor, std::size_t row, std::size_t column) {
  return "tensor '" + printable(tensor.name) + "', row " + std::to_string(row) + ", column " + std::to_string(column);
}

// `rows` are those from first_row on; `s` is what the encoder said about them.
[[noreturn]] void refuse(const blocq::status& s, const tensor_info& tensor, const format_entry& target,
                         std::span<const float> rows, std::size_t first_row) {
  const std::size_t columns = tensor.row_elements();
  const auto block =
      rows.subspan(std::min(s.at * target.block_size, rows.size() - target.block_size), target.block_size);
  const auto worst =
      s.code == blocq::errc::not_finite
          ? std::find_if_not(block.begin(), block.end(), [](float x) { return blocq::is_finite(x); })
          : std::max_element(block.begin(), block.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  const std::size_t element = static_cast<std::size_t>(&*worst - rows.data());
  throw failure(place_of(tensor, first_row + element / columns, element % columns) + ": " +
                significant_text(static_cast<double>(*worst), 6) + " cannot be written as " + std::string(target.name) +
                ": " + s.message());
}

// Time as it passes: lap() is that since the last lap, in nanoseconds.
class stopwatch {
 public:
  std::int64_t lap() {
    const auto now = clock::now();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(now - std::exchange(last_, now)).count();
  }

 private:
  using clock = std::chrono::steady_clock;
  clock::time_point last_ = clock::now();
};

// Nanoseconds, summed over all threads.
struct stage_times {
  std::atomic<std::int64_t> reading = 0, encoding = 0, writing = 0;
};

// Rows [first, last) of a tensor in the target's format, at `out`.
void convert_rows(const conversion_job& job, const conversion& c, std::size_t first, std::size_t last, std::byte* out,
                  stage_times& times) {
  const tensor_info& tensor = *c.source;
  const std::size_t columns = tensor.row_elements();
  const std::size_t matrix_rows = tensor.dims[1];  // a tensor of experts is a stack of matrices
  const std::size_t batch = std::max<std::size_t>(1, batch_elements / columns);
  std::vector<float> floats(std::min(batch, last - first) * columns);
  const std::vector<float> alike(c.target->importance_required ? columns : 0, 1.0f);
  for (std::size_t row = first; row < last;) {
    const std::size_t end = std::min({row + batch, last, (row / matrix_rows + 1) * matrix_rows});
    const std::span rows(floats.data(), (end - row) * columns);
    stopwatch watch;
    read_rows(tensor, row, end, rows);
    times.reading += watch.lap();
    encode_settings settings{.best = job.best};
    if (job.importance != nullptr) settings.importance = job.importance->find(tensor, row / matrix_rows);
    if (settings.importance.empty() && c.target->importance_required) settings.importance = alike;
    if (const auto s = c.target->encode(rows, out, settings); !s) refuse(s, tensor, *c.target, rows, row);
    times.encoding += watch.lap();
    out += c.target->bytes_for(rows.size());
    row = end;
  }
}

// A file of the output in the making.
struct shard {
  std::string path;
  blocq::gguf::writer out{};
  std::optional<blocq::gguf::output_file> file = {};
  std::size_t tensors = 0;

  explicit shard(std::string p) : path(std::move(p)) {}
  void create() {
    auto created = blocq::gguf::output_file::create(path.c_str());
    if (!created) throw failure(created.message());
    file.emplace(std::move(*created));
  }
  void check(const blocq::result<void>& r) {  // commit says why a write failed
    if (!r) throw failure(r.error().code == blocq::errc::io ? file->commit().message() : r.message());
  }
};

// The model's keys in their order, with what the job sets in place or at the end.
void add_metadata(const model& source, const conversion_job& job, blocq::gguf::writer& out) {
  auto missing = job.metadata;
  const auto add = [&](std::string_view key, const conversion_job::metadata_value& value) {
    if (const auto* text = std::get_if<std::string>(&value))
      out.add(key, std::string_view(*text));
    else
      out.add(key, std::get<std::uint32_t>(value));
  };
  for (const auto& [key, value] : source.metadata()) {
    const auto set =
        std::find_if(missing.begin(), missing.end(), [&, &k = key](const auto& m) { return m.first == k; });
    if (set == missing.end()) {
      out.add(key, value);
    } else {
      add(key, set->second);
      missing.erase(set);
    }
  }
  for (const auto& [key, value] : missing) add(key, value);
}

}  // namespace

conversion_result convert(const model& source, const conversion_job& job, const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::error_code ignored;
  for (const auto& file : source.files())
    for (const std::string& path : paths)
      if (fs::equivalent(file, path, ignored)) throw failure("the output is the input: " + printable(path));

  std::vector<shard> shards;
  for (const std::string& path : paths) {
    auto& out = shards.emplace_back(path).out;
    if (shards.size() == 1) add_metadata(source, job, out);
    if (paths.size() == 1) continue;
    out.add("split.no", static_cast<std::uint16_t>(shards.size() - 1));
    out.add("split.count", static_cast<std::uint16_t>(paths.size()));
    out.add("split.tensors.count", static_cast<std::int32_t>(job.tensors.size()));
  }
  std::uint64_t elements = 0;
  std::vector<std::size_t> places;  // of each tensor in its shard
  const auto shard_of = [&](std::size_t i) -> shard& { return shards[paths.size() == 1 ? 0 : source.file_of(i)]; };
  for (std::size_t i = 0; i < job.tensors.size(); ++i) {
    const conversion& c = job.tensors[i];
    const tensor_info& t = *c.source;
    elements += t.elements();
    places.push_back(shard_of(i).tensors++);
    shard_of(i).out.add_tensor(t.name, c.target != nullptr ? *c.target->gguf_id : t.type, {t.dims, t.n_dims});
  }
  for (shard& s : shards) {
    if (const auto planned = s.out.plan(); !planned) throw failure(printable(s.path) + ": " + planned.message());
    s.create();
    s.check(s.out.begin(*s.file));
  }
  progress bar(job.verb, elements);
  std::vector<std::byte> chunk;
  stage_times times;
  for (std::size_t i = 0; i < job.tensors.size(); ++i) {
    const conversion& c = job.tensors[i];
    const tensor_info& t = *c.source;
    shard& s = shard_of(i);
    const std::size_t step = std::max<std::size_t>(1, chunk_elements * job.threads / t.row_elements());
    for (std::size_t first = 0; first < t.rows(); first += step) {
      check_interrupt();
      const std::size_t rows = std::min<std::size_t>(step, t.rows() - first);
      const std::size_t row_bytes = c.target != nullptr ? c.target->bytes_for(t.row_elements()) : t.row_bytes();
      if (c.target == nullptr || !c.ready.empty()) {
        stopwatch watch;
        s.check(
            s.out.write(places[i], (c.ready.empty() ? t.data : c.ready).subspan(first * row_bytes, rows * row_bytes)));
        times.writing += watch.lap();
      } else {
        chunk.resize(rows * row_bytes);
        parallel_ranges(job.threads, rows, [&](std::size_t begin, std::size_t end) {
          convert_rows(job, c, first + begin, first + end, chunk.data() + begin * row_bytes, times);
        });
        stopwatch watch;
        s.check(s.out.write(places[i], chunk));
        times.writing += watch.lap();
      }
      source.release(t.data.subspan(first * t.row_bytes(), rows * t.row_bytes()));
      bar.advance(rows * t.row_elements());
    }
  }
  stopwatch watch;
  conversion_result result;
  for (shard& s : shards) {
    s.check(s.out.finish());
    result.file_size += s.out.file_size();
  }
  for (shard& s : shards) s.check(s.file->commit());
  times.writing += watch.lap();
  const auto seconds = [](std::int64_t sum, unsigned threads) { return 1e-9 * static_cast<double>(sum) / threads; };
  result.reading = seconds(times.reading, job.threads);
  result.encoding = seconds(times.encoding, job.threads);
  result.writing = seconds(times.writing, 1);
  return result;
}

std::string stages_text(const conversion_result& r, unsigned threads) {
  return number_text(r.reading, 1) + " s reading, " + number_text(r.encoding, 1) + " s encoding, " +
         number_text(r.writing, 1) + " s writing; " + std::to_string(threads) + (threads == 1 ? " thread" : " threads");
}

std::uint32_t file_type_of(const format_entry& format) {
  // The numbers that llama.cpp gives to file types (llama_ftype, not ggml_ftype). Where it has several for one block
  // format, the one whose mix adds least to it.
  static const std::map<std::string_view, std::uint32_t> types = {
      {"f32", 0},      {"f16", 1},    {"q4_0", 2},    {"q4_1", 3},   {"q8_0", 7},   {"q5_0", 8},     {"q5_1", 9},
      {"q2_k", 10},    {"q3_k", 11},  {"q4_k", 14},   {"q5_k", 16},  {"q6_k", 18},  {"iq2_xxs", 19}, {"iq2_xs", 20},
      {"iq3_xxs", 23}, {"iq1_s", 24}, {"iq4_nl", 25}, {"iq3_s", 26}, {"iq2_s", 28}, {"iq4_xs", 30},  {"iq1_m", 31},
      {"bf16", 32},    {"tq1_0", 36}, {"tq2_0", 37},  {"mxfp4", 38}, {"nvfp4", 39}, {"q1_0", 40},    {"q2_0", 41}};
  const auto found = types.find(format.name);
  if (found == types.end()) throw failure("no file type is known for " + std::string(format.name));
  return found->second;
}
