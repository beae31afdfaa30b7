// Importance matrices: how strongly real inputs excite each column of a weight matrix. A table is collected from the
// activations in front of linear layers, merged with others, and read from and written to both of llama.cpp's files:
//
//   GGUF      tensors NAME.in_sum2 [columns, matrices] and NAME.counts [1, matrices] or [1], both F32: sums of squares,
//             and the number of tokens that they sum; metadata say what text it was and how it was cut. Programs may
//             add tensors of their own (NAME.in_sum, NAME.stats), which are not looked at
//   legacy    int32 entries; each: int32 length, name, int32 calls, int32 n, float[n] (mean square times calls);
//             then, unless an older program wrote it: int32 chunks, int32 length, name of the text
//
// A table is not weights yet: those are means, and something else where nothing was seen (layer_importance::weights).
#ifndef BLOCQ_CALIB_IMATRIX_HPP
#define BLOCQ_CALIB_IMATRIX_HPP

#include <blocq/core/error.hpp>
#include <blocq/core/view.hpp>
#include <blocq/gguf/writer.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace blocq::inline v0::inline BLOCQ_ISA::calib {

// What the inputs of one linear layer add up to; of a stack of experts, for each of its matrices.
struct layer_importance {
  std::vector<double> sums;    // squares, one per column, matrix after matrix
  std::vector<double> counts;  // tokens, one per matrix; some files know only one for all

  // The weights of a tensor whose rows have `columns` elements, as many as there are sums: the mean squares, which are
  // llama-quantize's. Where a matrix saw no token they are 1: nothing is known. No column weighs less than `least`
  // times its matrix's mean: with 0 they are as they are, and the reference's encoders, which add something of the
  // weights' own size, do well with that; a search that goes by these weights alone may make anything of a column that
  // weighs nothing, and is given guarded_least. Sums that are negative or not finite count as zero. Precondition:
  // columns divides the number of sums.
  static constexpr double guarded_least = 1e-6;
  std::vector<float> weights(std::size_t columns, double least = 0) const;
};

class importance_table {
 public:
  // What the files say beside the sums.
  std::vector<std::string> datasets = {};
  std::uint32_t chunks = 0;        // pieces that the text was cut into
  std::uint32_t chunk_size = 512;  // tokens in a piece, which is what a legacy file counts in

  // In the order of their names, which are those of the weights: "blk.0.attn_q.weight".
  const std::map<std::string, layer_importance, std::less<>>& layers() const noexcept { return layers_; }
  // Null if there is none.
  const layer_importance* find(std::string_view name) const {
    const auto found = layers_.find(name);
    return found == layers_.end() ? nullptr : &found->second;
  }

  // Adds the activations in front of a layer, a row for each token; of a stack of experts, those that reached number
  // `matrix` of `matrices`. errc::not_finite with the first row concerned, errc::size_mismatch if the layer has been
  // seen with another shape, errc::bad_value if there is no such matrix or no column; the table is then as before.
  status collect(std::string_view name, matrix_view<const float> x, std::size_t matrix = 0, std::size_t matrices = 1);

  // Adds what another table has seen. errc::size_mismatch, naming the layer, if a layer has another shape there; this
  // table is then as before.
  result<void> merge(const importance_table& other);

  // Either form, told by the first bytes. Nothing is allocated for a size that the bytes do not bear out.
  //   errc::bad_value  counts that do not fit their sums, a sum or count that is negative or not finite, or no layers
  //                    at all
  //   and the errors of gguf::reader::parse; of a legacy file truncated, too_large, duplicate
  static result<importance_table> read(std::span<const std::byte> file);

  // Layers in the order of their names. errc::io if the sink does not take all; errc::bad_value, before anything is
  // written, with the layer that has a sum beyond the floats of the file; the errors of gguf::writer::plan.
  result<void> write_gguf(gguf::sink_ref sink) const;
  result<void> write_legacy(gguf::sink_ref sink) const;

 private:
  result<void> read_gguf(const gguf::reader& file);
  result<void> read_legacy(std::span<const std::byte> file);

  std::map<std::string, layer_importance, std::less<>> layers_ = {};
};

inline std::vector<float> layer_importance::weights(std::size_t columns, double least) const {
  BLOCQ_ASSERT(columns > 0 && sums.size() % columns == 0 && !counts.empty() && sums.size() % counts.size() == 0);
  std::vector<float> out;
  out.reserve(sums.size());
  const std::size_t per_count = sums.size() / counts.size();
  const auto usable = [](double x) { return is_finite(static_cast<float>(x)) && x > 0 ? x : 0.0; };
  for (std::size_t first = 0; first < sums.size(); first += columns) {
    double total = 0;
    for (std::size_t i = first; i < first + columns; ++i) total += usable(sums[i]);
    const double floor = least * total / static_cast<double>(columns);
    for (std::size_t i = first; i < first + columns; ++i) {
      const double n = counts[i / per_count];
      out.push_back(n > 0 ? static_cast<float>((std::max)(usable(sums[i]), floor) / n) : 1.0f);
    }
  }
  return out;
}

inline status importance_table::collect(std::string_view name, matrix_view<const float> x, std::size_t matrix,
                                        std::size_t matrices) {
  if (matrix >= matrices || x.cols == 0) return {errc::bad_value, 0};
  for (std::size_t r = 0; r < x.rows; ++r)
    for (const float v : x.row(r))
      if (!is_finite(v)) return {errc::not_finite, r};
  auto found = layers_.find(name);
  if (found == layers_.end())
    found =
        layers_.emplace(name, layer_importance{std::vector<double>(matrices * x.cols), std::vector<double>(matrices)})
            .first;
  layer_importance& layer = found->second;
  if (layer.counts.size() != matrices || layer.sums.size() != matrices * x.cols) return {errc::size_mismatch, 0};
  double* const sums = layer.sums.data() + matrix * x.cols;
  for (std::size_t r = 0; r < x.rows; ++r) {
    const float* const row = x.row(r).data();
    for (std::size_t i = 0; i < x.cols; ++i) sums[i] += static_cast<double>(row[i]) * static_cast<double>(row[i]);
  }
  layer.counts[matrix] += static_cast<double>(x.rows);
  return {};
}

inline result<void> importance_table::merge(const importance_table& other) {
  const auto fits = [](const layer_importance& a, const layer_importance& b) {
    return a.sums.size() == b.sums.size() &&
           (a.counts.size() == b.counts.size() || a.counts.size() == 1 || b.counts.size() == 1);
  };
  for (const auto& [name, theirs] : other.layers_) {
    const layer_importance* const ours = find(name);
    if (ours == nullptr || fits(*ours, theirs)) continue;
    error e(errc::size_mismatch);
    return (e << "the tables have different numbers of weights for ").quote(name.data(), name.size());
  }
  for (const auto& [name, theirs] : other.layers_) {
    // Not operator[], which clang++ 17 does not take of the library of g++ 14 in C++23.
    layer_importance& ours = layers_.emplace(name, layer_importance{}).first->second;
    ours.sums.resize(theirs.sums.size());
    if (ours.counts.size() < theirs.counts.size())  // a layer that is new, or of a legacy file
      ours.counts.resize(theirs.counts.size(), ours.counts.empty() ? 0.0 : ours.counts.front());
    for (std::size_t i = 0; i < ours.sums.size(); ++i) ours.sums[i] += theirs.sums[i];
    for (std::size_t i = 0; i < ours.counts.size(); ++i)
      ours.counts[i] += theirs.counts[theirs.counts.size() == 1 ? 0 : i];
  }
  datasets.insert(datasets.end(), other.datasets.begin(), other.datasets.end());
  chunks += other.chunks;
  return {};
}

namespace detail {

inline constexpr std::string_view sums_suffix = ".in_sum2", counts_suffix = ".counts";
inline constexpr int f32_id = 0;

inline error beyond_floats(std::string_view layer) {
  error e(errc::bad_value);
  return e.quote(layer.data(), layer.size()) << " has a sum beyond the largest float, which the file cannot hold";
}

// The number i of an F32 tensor, or of floats in a file.
inline float float_at(std::span<const std::byte> bytes, std::size_t i) {
  return from_bits(static_cast<std::uint32_t>(gguf::impl::load_uint(bytes.data() + 4 * i, 4, false)));
}

// Fields off the front of foreign bytes. The first that is not there is remembered, and all after it are zero.
struct field_reader {
  std::span<const std::byte> rest;
  error problem{errc::ok};

  std::span<const std::byte> take(std::size_t size, const char* what) {
    if (size > rest.size()) {
      if (problem.code == errc::ok) problem = error(errc::truncated) << "the file ends inside " << what;
      rest = {};
      return {};
    }
    const auto taken = rest.first(size);
    rest = rest.subspan(size);
    return taken;
  }
  std::uint32_t word(const char* what) {
    const auto bytes = take(4, what);
    return bytes.empty() ? 0 : static_cast<std::uint32_t>(gguf::impl::load_uint(bytes.data(), 4, false));
  }
  // A number of things that take up `size` bytes each at least.
  std::size_t count(std::size_t size, const char* what) {
    const std::uint32_t n = word(what);
    if (n <= rest.size() / size) return n;
    if (problem.code == errc::ok)
      problem = error(errc::too_large) << what << " of " << n << " is more than the file holds";
    return 0;
  }
  std::string text(const char* length, const char* what) {
    const auto bytes = take(count(1, length), what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
};

}  // namespace detail

inline result<importance_table> importance_table::read(std::span<const std::byte> file) {
  importance_table table;
  constexpr char magic[] = {'G', 'G', 'U', 'F'};
  result<void> outcome;
  if (file.size() >= 4 && std::memcmp(file.data(), magic, 4) == 0) {
    const auto parsed = gguf::reader::parse(file);
    if (!parsed) return parsed.error();
    if (const auto r = table.read_gguf(*parsed); !r) return r.error();
  } else if (const auto r = table.read_legacy(file); !r) {
    return r.error();
  }
  return table;
}

inline result<void> importance_table::read_gguf(const gguf::reader& file) {
  for (const gguf::tensor_info& sums : file.tensors()) {
    if (!sums.name.ends_with(detail::sums_suffix)) continue;
    const std::string name(sums.name.substr(0, sums.name.size() - detail::sums_suffix.size()));
    const gguf::tensor_info* const counts = file.find_tensor(name + std::string(detail::counts_suffix));
    if (counts == nullptr || (counts->elements() != sums.rows() && counts->elements() != 1) ||
        counts->type != detail::f32_id || sums.type != detail::f32_id) {
      error e(errc::bad_value);
      return (e << "no counts that fit ").quote(sums.name.data(), sums.name.size());
    }
    layer_importance& layer = layers_.emplace(name, layer_importance{}).first->second;
    const auto copy = [](const gguf::tensor_info& from, std::vector<double>& to) -> result<void> {
      to.resize(static_cast<std::size_t>(from.elements()));
      for (std::size_t i = 0; i < to.size(); ++i) {
        const float x = detail::float_at(from.data, i);
        if (!is_finite(x) || x < 0) {
          error e(errc::bad_value);
          return e.quote(from.name.data(), from.name.size()) << " has a number that is negative or not finite";
        }
        to[i] = static_cast<double>(x);
      }
      return {};
    };
    if (const auto r = copy(sums, layer.sums); !r) return r;
    if (const auto r = copy(*counts, layer.counts); !r) return r;
    for (double& n : layer.counts) n = std::round(n);  // llama.cpp counts whole tokens
  }
  if (layers_.empty()) return error(errc::bad_value) << "no tensor is named *" << detail::sums_suffix.data();
  if (const gguf::value* names = file.find("imatrix.datasets"); names != nullptr)
    for (const gguf::value name : *names)
      if (const auto text = name.get<std::string_view>()) datasets.emplace_back(*text);
  chunks = file.get<std::uint32_t>("imatrix.chunk_count").value_or(0);
  if (const auto size = file.get<std::uint32_t>("imatrix.chunk_size"); size.value_or(0) != 0) chunk_size = *size;
  return {};
}

inline result<void> importance_table::read_legacy(std::span<const std::byte> file) {
  detail::field_reader in{file};
  const std::size_t entries = in.count(12, "the number of entries");
  for (std::size_t e = 0; e < entries && in.problem.code == errc::ok; ++e) {
    const std::string name = in.text("the length of a name", "a name");
    // Who reads such a file divides by the calls, unless there are none.
    const auto calls = static_cast<std::int32_t>(in.word("a number of calls"));
    const double tokens = static_cast<double>(chunk_size) * (std::max)(calls, 1);
    const std::size_t n = in.count(4, "a number of weights");
    const auto floats = in.take(4 * n, "the weights");
    if (in.problem.code != errc::ok) break;
    layer_importance layer{std::vector<double>(n), {tokens}};
    for (std::size_t i = 0; i < n; ++i) {
      const float x = detail::float_at(floats, i);
      if (!is_finite(x) || x < 0) {
        error problem(errc::bad_value);
        return problem.quote(name.data(), name.size()) << " has a number that is negative or not finite";
      }
      layer.sums[i] = static_cast<double>(x) * static_cast<double>(chunk_size);
    }
    const bool useful = n > 0;
    if (!useful || !layers_.emplace(name, std::move(layer)).second) {
      error problem(useful ? errc::duplicate : errc::bad_value);
      return problem.quote(name.data(), name.size()) << (useful ? " has two entries" : " has no weights");
    }
  }
  if (in.problem.code != errc::ok) return in.problem;
  if (layers_.empty()) return error(errc::bad_value) << "it has no entries";
  if (in.rest.empty()) return {};
  chunks = in.word("the number of chunks");
  if (!in.rest.empty()) datasets.push_back(in.text("the length of the text's name", "the text's name"));
  return in.problem;
}

inline result<void> importance_table::write_gguf(gguf::sink_ref sink) const {
  for (const auto& [name, layer] : layers_)
    for (const auto* numbers : {&layer.sums, &layer.counts})
      for (const double x : *numbers)
        if (!is_finite(static_cast<float>(x))) return detail::beyond_floats(name);
  gguf::writer out;
  const std::vector<std::string_view> names(datasets.begin(), datasets.end());
  out.add("general.type", "imatrix").add_array("imatrix.datasets", std::span(names));
  out.add("imatrix.chunk_count", chunks).add("imatrix.chunk_size", chunk_size);
  for (const auto& [name, layer] : layers_) {
    const std::uint64_t matrices = layer.counts.size();
    const std::uint64_t sums[] = {layer.sums.size() / matrices, matrices}, counts[] = {1, matrices};
    out.add_tensor(name + std::string(detail::sums_suffix), detail::f32_id, sums);
    out.add_tensor(name + std::string(detail::counts_suffix), detail::f32_id, counts);
  }
  if (auto begun = out.begin(sink); !begun) return begun;
  std::vector<le32> words;
  std::size_t tensor = 0;
  for (const auto& [name, layer] : layers_)
    for (const auto* numbers : {&layer.sums, &layer.counts}) {
      words.resize(numbers->size());
      for (std::size_t i = 0; i < words.size(); ++i) store(words[i], to_bits(static_cast<float>((*numbers)[i])));
      if (auto written = out.write(tensor++, std::as_bytes(std::span(words))); !written) return written;
    }
  return out.finish();
}

inline result<void> importance_table::write_legacy(gguf::sink_ref sink) const {
  std::vector<std::byte> bytes;
  const auto put = [&](const void* data, std::size_t size) {
    const auto* from = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), from, from + size);
  };
  const auto word = [&](std::uint32_t x) {
    le32 field;
    store(field, x);
    put(&field, 4);
  };
  const auto text = [&](std::string_view s) {
    word(static_cast<std::uint32_t>(s.size()));
    put(s.data(), s.size());
  };
  word(static_cast<std::uint32_t>(layers_.size()));
  for (const auto& [name, layer] : layers_) {
    const double most = *std::max_element(layer.counts.begin(), layer.counts.end()) / (std::max)(chunk_size, 1u);
    const auto calls = static_cast<std::uint32_t>(std::clamp(std::ceil(most), 1.0, 0x1p30));
    text(name);
    word(calls);
    word(static_cast<std::uint32_t>(layer.sums.size()));
    const std::size_t columns = layer.sums.size() / layer.counts.size();
    for (std::size_t i = 0; i < layer.sums.size(); ++i) {
      const double n = layer.counts[i / columns];
      const auto x = static_cast<float>(calls * (n > 0 ? layer.sums[i] / n : 1.0));
      if (!is_finite(x)) return detail::beyond_floats(name);
      word(to_bits(x));
    }
  }
  word(chunks);
  text(datasets.empty() ? std::string_view() : std::string_view(datasets.front()));
  return sink(bytes.data(), bytes.size()) ? result<void>() : error(errc::io);
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA::calib

#endif
