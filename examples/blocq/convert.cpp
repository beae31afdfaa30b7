#include "convert.hpp"

#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"
#include "whole_tensor.hpp"

#include <blocq/core/bits.hpp>
#include <blocq/gguf/writer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <deque>
#include <mutex>

namespace {

using blocq::gguf::tensor_info;

// Elements that go to the encoder at once, and to the file at once (bytes where they are only copied).
constexpr std::size_t batch_elements = std::size_t{1} << 15;
constexpr std::size_t chunk_elements = std::size_t{1} << 19;

std::string place_of(const tensor_info& tensor, std::size_t row, std::size_t column) {
  return "tensor '" + printable(tensor.name) + "', row " + std::to_string(row) + ", column " + std::to_string(column);
}

// `rows` are elements from number `first` on; `s` is what the encoder said about them.
[[noreturn]] void refuse(const blocq::status& s, const tensor_info& tensor, const format_entry& target,
                         std::span<const float> rows, std::size_t first) {
  const std::size_t columns = tensor.row_elements();
  const auto block =
      rows.subspan(std::min(s.at * target.block_size, rows.size() - target.block_size), target.block_size);
  const auto worst =
      s.code == blocq::errc::not_finite
          ? std::find_if_not(block.begin(), block.end(), [](float x) { return blocq::is_finite(x); })
          : std::max_element(block.begin(), block.end(), [](float a, float b) { return std::abs(a) < std::abs(b); });
  const std::size_t element = first + static_cast<std::size_t>(&*worst - rows.data());
  throw failure(place_of(tensor, element / columns, element % columns) + ": " +
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

// A file of the output in the making.
struct shard {
  output file;
  blocq::gguf::writer out{};
  std::size_t tensors = 0;

  explicit shard(const std::string& path) : file(path) {}
};

// What becomes of one tensor in one of the copies: its new bytes, and a scale beside it if it has units.
struct step {
  const conversion_job& job;
  const conversion& c;
  std::vector<float> units;  // of each matrix of an nvfp4 tensor in its two-level form
  shard& to;
  std::size_t index;  // in that file

  bool encodes() const { return c.target != nullptr && c.ready.empty(); }
};

// A step that encodes, and what comes of a chunk of the tensor: its bytes, and the error of each row, so that their
// order of summation is always the same; none if they are not measured.
struct encoding {
  const step& s;
  std::vector<std::byte> bytes = {};
  std::vector<error_sums> errors = {};
};

// Elements that go to a thread at once: whole blocks of any format, and whole rows if columns have importance or the
// error is measured row by row.
std::size_t granule_of(std::span<const encoding> encodings) {
  constexpr std::size_t some_blocks = 4096;
  const model::tensor& t = *encodings.front().s.c.source;
  const bool rows = std::ranges::any_of(encodings, [&](const encoding& e) {
    const importance_file* const importance = e.s.job.importance;
    return (importance != nullptr && !importance->find(t, 0).empty()) || e.s.c.target->importance_required ||
           e.s.c.error != nullptr;
  });
  return rows ? t.row_elements() : some_blocks;
}

// Calls f(first, last, matrix) for pieces of a range of elements, at most `size` long and of one matrix each.
template <class F>
void each_piece(const model::tensor& t, std::size_t first, std::size_t last, std::size_t size, const F& f) {
  const std::size_t matrix = t.dims[0] * t.dims[1];  // a tensor of experts is a stack of matrices
  for (std::size_t end; first < last; first = end) {
    end = std::min({first + size, last, (first / matrix + 1) * matrix});
    f(first, end, first / matrix);
  }
}

// Adds the errors of whole rows to `errors`, one for each.
void measure_rows(const step& s, std::size_t columns, std::size_t matrix, std::span<const float> exact,
                  const std::byte* blocks, std::span<error_sums> errors) {
  std::vector<float> back(columns);
  for (std::size_t r = 0; r < exact.size() / columns; ++r) {
    static_cast<void>(s.c.target->decode(blocks + r * s.c.target->bytes_for(columns), back));
    if (!s.units.empty())
      for (float& x : back) x *= s.units[matrix];
    errors[r] += measure(exact.subspan(r * columns, columns), back);
  }
}

// Elements [first, last) of a tensor, read once, in the format of each encoding. Their chunk begins with element number
// `chunk`.
void convert_elements(std::span<encoding> encodings, std::size_t chunk, std::size_t first, std::size_t last,
                      std::size_t granule, stage_times& times) {
  const model::tensor& t = *encodings.front().s.c.source;
  const std::size_t columns = t.row_elements();
  const bool required =
      std::ranges::any_of(encodings, [](const encoding& e) { return e.s.c.target->importance_required; });
  const std::vector<float> alike(required ? columns : 0, 1.0f);
  std::vector<float> floats;
  each_piece(t, first, last, std::max<std::size_t>(1, batch_elements / granule) * granule,
             [&](std::size_t begin, std::size_t end, std::size_t matrix) {
               stopwatch watch;
               floats.resize(end - begin);
               read_elements(t, begin, floats);
               times.reading += watch.lap();
               for (encoding& e : encodings) {
                 const step& s = e.s;
                 const format_entry& target = *s.c.target;
                 encode_settings settings{.best = s.job.best};
                 if (s.job.importance != nullptr) settings.importance = s.job.importance->find(t, matrix);
                 if (settings.importance.empty() && target.importance_required) settings.importance = alike;
                 std::byte* const out = e.bytes.data() + target.bytes_for(begin - chunk);
                 const auto done = s.units.empty() ? target.encode(floats, out, settings)
                                                   : encode_nvfp4_blocks(floats, s.units[matrix], out, settings);
                 if (!done) refuse(done, t, target, floats, begin);
                 times.encoding += watch.lap();
                 if (!e.errors.empty())
                   measure_rows(s, columns, matrix, floats, out,
                                std::span(e.errors).subspan((begin - chunk) / columns));
               }
             });
}

// The units of a tensor that is to be nvfp4: so that small weights are not lost, the largest of a matrix becomes the
// largest that there is. Empty where a scale would have no place; if all are 1 it is left out.
std::vector<float> find_units(const model& source, const conversion_job& job, const conversion& c) {
  const model::tensor& t = *c.source;
  if (c.target == nullptr || c.target->name != "nvfp4") return {};
  const auto architecture = source.reader().get<std::string_view>("general.architecture");
  if (!may_have_scale(t.name, architecture.value_or(""))) return {};
  if (!c.ready.empty()) return c.units;
  std::vector<float> largest(t.dims[2] * t.dims[3]);
  std::mutex mutex;
  progress bar("measuring", t.elements());
  const std::size_t count = (t.elements() + batch_elements - 1) / batch_elements;
  parallel_ranges(job.threads, count, [&](std::size_t begin, std::size_t end) {
    std::vector<float> floats;
    const std::size_t last = std::min<std::size_t>(end * batch_elements, t.elements());
    each_piece(t, begin * batch_elements, last, batch_elements,
               [&](std::size_t from, std::size_t to, std::size_t matrix) {
                 check_interrupt();
                 floats.resize(to - from);
                 read_elements(t, from, floats);
                 float greatest = 0;
                 for (const float x : floats)
                   if (blocq::is_finite(x)) greatest = std::max(greatest, std::abs(x));
                 const std::lock_guard lock(mutex);
                 largest[matrix] = std::max(largest[matrix], greatest);
                 bar.advance(floats.size());
               });
  });
  std::vector<float> units;
  for (const float x : largest) units.push_back(nvfp4_unit(x));
  return units;
}

bool all_ones(const std::vector<float>& units) {
  return std::all_of(units.begin(), units.end(), [](float u) { return u == 1.0f; });
}

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

std::vector<conversion_result> convert(const model& source, std::span<const conversion_job> jobs,
                                       const std::vector<std::vector<std::string>>& paths) {
  const unsigned threads = jobs.front().threads;
  std::vector<conversion_result> results(jobs.size());
  std::vector<std::deque<shard>> copies(jobs.size());
  std::vector<std::vector<step>> steps(source.tensors().size());  // of each tensor, in each copy that has it
  for (std::size_t n = 0; n < jobs.size(); ++n) {
    const conversion_job& job = jobs[n];
    conversion_result& result = results[n];
    std::deque<shard>& shards = copies[n];
    for (const std::string& path : paths[n]) shards.emplace_back(path);
    add_metadata(source, job, shards.front().out);
    std::size_t tensors = 0;
    for (std::size_t i = 0; i < job.tensors.size(); ++i) {
      const conversion& c = job.tensors[i];
      const model::tensor& t = *c.source;
      if (t.scales != nullptr) {
        const conversion& weight = job.tensors[static_cast<std::size_t>(t.scales - source.set().tensors().data())];
        if (weight.target != nullptr) {  // its new bytes are scaled weights
          ++result.scales_folded;
          continue;
        }
      }
      shard& to = shards[shards.size() == 1 ? 0 : source.file_of(i)];
      const step& s = steps[i].emplace_back(step{job, c, find_units(source, job, c), to, to.tensors++});
      to.out.add_tensor(t.name, c.target != nullptr ? *c.target->gguf_id : t.type, {t.dims, t.n_dims}, t.bytes());
      ++tensors;
      if (all_ones(s.units)) continue;
      const std::uint64_t count = s.units.size();
      to.out.add_tensor(scale_name(t.name), 0, {&count, 1});
      ++to.tensors;
      ++result.scales_written;
    }
    for (std::size_t i = 0; i < shards.size(); ++i) {
      auto& [file, out, own] = shards[i];
      if (shards.size() > 1) {
        out.add("split.no", static_cast<std::uint16_t>(i));
        out.add("split.count", static_cast<std::uint16_t>(shards.size()));
        out.add("split.tensors.count", static_cast<std::int32_t>(tensors + result.scales_written));
      }
      if (const auto planned = out.plan(); !planned) throw failure(printable(paths[n][i]) + ": " + planned.message());
      file.check(out.begin(file));
    }
  }

  std::uint64_t elements = 0;
  for (std::size_t i = 0; i < steps.size(); ++i)
    if (!steps[i].empty()) elements += source.tensors()[i].elements();
  progress bar(jobs.front().verb, elements);
  stage_times times;
  const auto write = [&](shard& to, std::size_t tensor, std::span<const std::byte> bytes) {
    check_interrupt();
    stopwatch watch;
    to.file.check(to.out.write(tensor, bytes));
    times.writing += watch.lap();
  };
  // The bytes of a tensor that are there, or that a published tensor is, into every copy that takes it as it is.
  const auto copy = [&](const model::tensor& t, const std::vector<step>& of_tensor) {
    const auto each = [&](const auto& wants, std::span<const std::byte> bytes) {
      for (const step& s : of_tensor)
        if (wants(s)) write(s.to, s.index, bytes);
    };
    const auto kept = [](const step& s) { return s.c.target == nullptr && s.c.ready.empty(); };
    for (const step& s : of_tensor)
      for (std::size_t at = 0; at < s.c.ready.size(); at += chunk_elements)
        write(s.to, s.index, s.c.ready.subspan(at, std::min(chunk_elements, s.c.ready.size() - at)));
    if (std::ranges::none_of(of_tensor, kept)) return;
    if (t.published == nullptr && t.packed == nullptr) {
      for (std::size_t at = 0; at < t.data.size(); at += chunk_elements)
        each(kept, t.data.subspan(at, std::min(chunk_elements, t.data.size() - at)));
      return;
    }
    std::vector<std::byte> chunk;
    const auto row = static_cast<std::size_t>(t.row_bytes());
    const std::size_t rows = std::max<std::size_t>(1, chunk_elements * threads / row);
    for (std::size_t first = 0; first < t.rows(); first += rows) {
      const std::size_t count = std::min<std::size_t>(rows, t.rows() - first);
      chunk.resize(count * row);
      parallel_ranges(threads, count, [&](std::size_t begin, std::size_t end) {
        read_rows(t, first + begin, first + end, chunk.data() + begin * row);
      });
      each(kept, chunk);
      source.release(t, first * t.row_elements(), (first + count) * t.row_elements());
    }
  };
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const model::tensor& t = source.tensors()[i];
    if (steps[i].empty()) continue;
    copy(t, steps[i]);
    std::vector<encoding> encodings;
    for (const step& s : steps[i])
      if (s.encodes()) encodings.push_back({s});
    if (encodings.empty()) {
      source.release(t, 0, t.elements());
      bar.advance(t.elements());
    } else {
      const std::size_t granule = granule_of(encodings);
      const std::size_t size = std::max<std::size_t>(1, chunk_elements * threads / granule) * granule;
      for (std::size_t first = 0; first < t.elements(); first += size) {
        const std::size_t last = std::min<std::size_t>(first + size, t.elements());
        for (encoding& e : encodings) {
          e.bytes.resize(e.s.c.target->bytes_for(last - first));
          e.errors.assign(e.s.c.error != nullptr ? (last - first) / granule : 0, {});
        }
        parallel_ranges(threads, (last - first + granule - 1) / granule, [&](std::size_t begin, std::size_t end) {
          convert_elements(encodings, first, first + begin * granule, std::min(first + end * granule, last), granule,
                           times);
        });
        for (const encoding& e : encodings) {
          for (const error_sums& sums : e.errors) *e.s.c.error += sums;
          write(e.s.to, e.s.index, e.bytes);
        }
        source.release(t, first, last);
        bar.advance(last - first);
      }
    }
    for (const step& s : steps[i])
      if (!all_ones(s.units)) write(s.to, s.index + 1, image_of(s.units));
  }
  stopwatch watch;
  for (std::size_t n = 0; n < jobs.size(); ++n)
    for (shard& s : copies[n]) {
      s.file.check(s.out.finish());
      results[n].file_size += s.out.file_size();
    }
  for (std::deque<shard>& shards : copies)
    for (shard& s : shards) s.file.commit();
  times.writing += watch.lap();
  const auto seconds = [](std::int64_t sum, unsigned by) { return 1e-9 * static_cast<double>(sum) / by; };
  for (conversion_result& result : results) {
    result.reading = seconds(times.reading, threads);
    result.encoding = seconds(times.encoding, threads);
    result.writing = seconds(times.writing, 1);
  }
  return results;
}

conversion_result convert(const model& source, const conversion_job& job, const std::vector<std::string>& paths) {
  return convert(source, std::span(&job, 1), {paths}).front();
}

std::string scales_text(const conversion_result& r) {
  const auto count = [](std::size_t n, const char* what) {
    return n == 0 ? std::string() : std::to_string(n) + (n == 1 ? " scale " : " scales ") + what + '\n';
  };
  return count(r.scales_folded, "of whole tensors multiplied into their weights and left out") +
         count(r.scales_written, "of whole tensors written");
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
