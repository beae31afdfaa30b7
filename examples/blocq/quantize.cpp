// blocq quantize: a model with its matrices in one block format, or in a mix of them.
#include "calibrate.hpp"
#include "command.hpp"
#include "convert.hpp"
#include "terminal.hpp"

#include <blocq/calib/mix.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <regex>

namespace {

namespace calib = blocq::calib;
using blocq::gguf::tensor_info;

// What the rules of a mix ask of the model.
calib::mix_model describe(const model& source, bool importance) {
  const std::string architecture(source.reader().get<std::string_view>("general.architecture").value_or("llama"));
  const auto count = [&](const char* key, std::uint32_t otherwise) {
    return source.reader().get<std::uint32_t>(architecture + '.' + key).value_or(otherwise);
  };
  const std::uint32_t heads = count("attention.head_count", 1);
  return {.layers = count("block_count", 1),
          .heads_per_kv = heads / std::max(1u, count("attention.head_count_kv", heads)),
          .experts = std::max(1u, count("expert_count", 1)),
          .importance = importance,
          .tied_output = source.find("output.weight") == nullptr};
}

// Which format each matrix gets: one for all of them, or what a mix says.
class type_choice {
 public:
  type_choice(const quantize_options& o, const model& source) : model_(describe(source, !o.importance.empty())) {
    if (o.mix.empty()) {
      pure_ = &output_type(o.type);
    } else if (mix_ = calib::find_mix(o.mix); mix_ == nullptr) {
      std::string known;
      for (const calib::mix_info& m : calib::all_mixes()) known += std::string(known.empty() ? "" : ", ") + m.name;
      throw failure("there is no mix '" + printable(o.mix) + "'; there are " + known);
    }
  }

  std::string name() const { return mix_ != nullptr ? "the mix " + std::string(mix_->name) : std::string(pure_->name); }
  std::uint32_t file_type() const { return mix_ != nullptr ? mix_->file_type : file_type_of(*pure_); }
  bool of_blocks() const { return mix_ != nullptr || pure_->block_size > 1; }

  // For rows of `columns` elements, whatever they are in the tensor itself.
  const format_entry& format_for(const tensor_info& t, std::size_t columns) const {
    if (mix_ == nullptr) return *find_format(calib::fallback_type(*pure_->gguf_id, columns));
    return *find_format(
        calib::type_for(mix_->id, calib::describe_tensor(t.name, columns, t.dims[2] * t.dims[3]), model_));
  }

 private:
  const format_entry* pure_ = nullptr;
  const calib::mix_info* mix_ = nullptr;
  calib::mix_model model_;
};

std::regex compile(const std::string& pattern) {
  try {
    return std::regex(pattern);
  } catch (const std::regex_error& e) {
    throw failure("the pattern '" + printable(pattern) + "' is not a regular expression: " + e.what());
  }
}

// A row of so many elements is whole blocks of every format.
constexpr std::size_t any_format_fits = 256;

}  // namespace

int quantize(const quantize_options& o) {
  if (o.method != "rtn" && o.calibration.empty())
    throw failure("the method " + o.method + " needs a text: --calibration");
  const std::regex include = compile(o.include), exclude = compile(o.exclude);
  const model source(o.in);
  const type_choice wanted(o, source);
  std::optional<importance_file> importance;
  if (!o.importance.empty()) importance.emplace(o.importance);

  conversion_job job{"quantizing", o.threads, importance ? &*importance : nullptr, o.best};
  job.metadata["general.file_type"] = wanted.file_type();
  if (wanted.of_blocks()) job.metadata["general.quantization_version"] = 2;

  std::size_t quantized = 0, fallen_back = 0, kept = 0, named = 0, weighted = 0;
  table fallbacks({"  tensor", ">shape", "not", "but"});
  std::map<std::string, std::size_t> formats;
  for (const model::tensor& t : source.tensors()) {
    const auto matches = [&](const std::regex& r) { return std::regex_search(t.name.begin(), t.name.end(), r); };
    const bool chosen = matches(include) && (o.exclude.empty() || !matches(exclude));
    if (chosen) require_known(t);
    conversion c{&t};
    if (chosen && is_weight_matrix(t)) {
      c.target = &wanted.format_for(t, t.row_elements());
      const format_entry& ideal = wanted.format_for(t, any_format_fits);
      const bool fits = c.target == &ideal;
      if (!fits)
        fallbacks.row({"  " + printable(t.name), shape_text(t), std::string(ideal.name), std::string(c.target->name)});
      if (c.target == format_of(t)) c.target = nullptr;  // it is that already
      if (c.target != nullptr) ++(fits ? quantized : fallen_back);
    }
    const bool has_weights = c.target != nullptr && importance && importance->prepare(t);
    named += has_weights ? 1u : 0u;
    weighted += has_weights && (c.target->importance || o.best) ? 1u : 0u;
    if (c.target != nullptr && c.target->importance_required && !has_weights)
      throw failure("tensor '" + printable(t.name) + "': " + std::string(c.target->name) +
                    " needs importance weights, and there are none for it");
    if (c.target == nullptr)
      ++kept;
    else
      ++formats[std::string(c.target->name)];
    job.tensors.push_back(c);
  }
  if (quantized + fallen_back == 0) throw failure("no tensor would change");
  if (importance && named == 0)
    throw failure(printable(o.importance) + ": has no weights for any tensor that is to be quantized");

  calibrated_tensors calibrated;
  if (o.method != "rtn") {
#ifdef BLOCQ_PROGRAM_CALIBRATES
    std::map<std::string, int, std::less<>> types;
    for (const conversion& c : job.tensors)
      if (c.target != nullptr) types[std::string(c.source->name)] = *c.target->gguf_id;
    calibrated = calibrate(source, types,
                           {.awq = o.method.starts_with("awq"),
                            .gptq = o.method.ends_with("gptq"),
                            .best = o.best,
                            .text = o.calibration,
                            .context = o.context,
                            .windows = o.windows,
                            .threads = o.threads});
    for (conversion& c : job.tensors) {
      const auto found = calibrated.find(c.source->name);
      if (found == calibrated.end()) continue;
      c.ready = found->second.bytes;
      c.units = {found->second.unit};
      if (c.target == nullptr) c.target = find_format("f32");
    }
#else
    throw failure("this program was built without Eigen 3, which the method " + o.method + " needs");
#endif
  }
  const conversion_result result = convert(source, job, o.out);
  std::cout << printable(o.out) << ": " << quantized << (quantized == 1 ? " tensor" : " tensors") << " quantized to "
            << wanted.name() << ", ";
  if (fallen_back != 0) std::cout << fallen_back << " to a fallback type, ";
  std::cout << kept - result.scales_folded << " kept; " << bytes_text(result.file_size) << ", was "
            << bytes_text(source.file_bytes()) << '\n';
  if (!o.mix.empty()) {
    std::string list;
    for (const auto& [name, count] : formats) list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + name;
    std::cout << list << '\n';
  }
  std::cout << scales_text(result) << stages_text(result, o.threads) << '\n';
  if (importance) std::cout << "importance weights for " << weighted << " of them\n";
  if (!fallbacks.empty()) std::cout << "rows that are not whole blocks:\n" << fallbacks;
  return exit_done;
}
