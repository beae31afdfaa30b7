// blocq quantize: a model with its matrices in one block format, or in a mix of them.
#include "budget.hpp"
#include "calibrate.hpp"
#include "command.hpp"
#include "convert.hpp"
#include "plan.hpp"
#include "quantize_packed.hpp"
#include "suggest.hpp"
#include "terminal.hpp"

#include <blocq/calib/mix.hpp>
#include <blocq/gguf/split.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <iostream>
#include <map>
#include <optional>
#include <regex>

namespace {

namespace calib = blocq::calib;
using blocq::gguf::tensor_info;

// The format of this name to write tensors in; says what may be meant where there is none.
const format_entry& type_named(const std::string& name) {
  if (find_format(name) == nullptr) throw failure(unknown_format(name));
  return output_type(name);
}

bool matches(const std::regex& pattern, const tensor_info& t) {
  return std::regex_search(t.name.begin(), t.name.end(), pattern);
}

// The tensors that are meant by --include and --exclude.
class selection {
 public:
  explicit selection(const quantize_options& o)
      : include_(compile_pattern(o.include)), exclude_(compile_pattern(o.exclude)), excludes_(!o.exclude.empty()) {}
  bool operator()(const tensor_info& t) const { return matches(include_, t) && (!excludes_ || !matches(exclude_, t)); }

 private:
  std::regex include_, exclude_;
  bool excludes_;
};

// The formats of tensors that options name.
class type_overrides {
 public:
  explicit type_overrides(const quantize_options& o)
      : output_{"--output-tensor-type", o.output_type}, embedding_{"--token-embedding-type", o.token_embedding_type} {
    for (option* end : {&output_, &embedding_})
      if (!end->value.empty()) end->format = &type_named(end->value);
    for (const std::string& text : o.tensor_types) {
      const std::size_t at = text.rfind('=');
      if (at == std::string::npos || at == 0 || at + 1 == text.size())
        throw failure("--tensor-type is a REGEX=TYPE, not '" + printable(text) + "'");
      patterns_.push_back(
          {"--tensor-type", text, &type_named(text.substr(at + 1)), compile_pattern(text.substr(0, at))});
    }
  }

  // Null if none names it. `is_output`: a token embedding that is the output too.
  const format_entry* find(const tensor_info& t, calib::tensor_role role, bool is_output) {
    const format_entry* named = nullptr;
    const auto take = [&](option& o) {
      o.used = true;
      if (named == nullptr) named = o.format;
    };
    if (role == calib::tensor_role::output) take(output_);
    if (role == calib::tensor_role::token_embedding) take(embedding_);
    for (option& p : patterns_)
      if (matches(p.pattern, t)) take(p);
    if (is_output) take(output_);
    return named;
  }

  // Throws failure if one named nothing.
  void check_used() const {
    const auto check = [](const option& o) {
      if (o.format != nullptr && !o.used)
        throw failure(o.name + " '" + printable(o.value) + "': no matrix of the model is meant by that");
    };
    check(output_);
    check(embedding_);
    for (const option& p : patterns_) check(p);
  }

 private:
  struct option {
    std::string name, value;
    const format_entry* format = nullptr;
    std::regex pattern = {};
    bool used = false;
  };
  option output_, embedding_;
  std::vector<option> patterns_;
};

// Which format each tensor gets: one for all weights, what a mix says, or what a budget is spent best on, but for those
// that an option names.
class type_choice {
 public:
  struct choice {
    const format_entry* wanted = nullptr;  // by whole rows
    const format_entry* format = nullptr;  // by its own
    bool wants_importance = false;         // llama.cpp does not go without
  };

  type_choice(const quantize_options& o, const model& source, const selection& meant, importance_file* importance)
      : pure_(o.mix.empty() || o.pure), bits_(o.target_bits) {
    if (bits_ > 0) {
      // Every tensor that no option names has a list of types to choose from.
    } else if (o.mix.empty()) {
      base_ = &type_named(o.type);
    } else if (mix_ = calib::find_mix(o.mix); mix_ != nullptr) {
      base_ = find_format(mix_->type);
    } else {
      std::string known;
      for (const calib::mix_info& m : calib::all_mixes()) known += std::string(known.empty() ? "" : ", ") + m.name;
      throw failure("there is no mix '" + printable(o.mix) + "'" + suggestion(o.mix, mix_names()) + "; there are " +
                    known);
    }
    type_overrides overrides(o);
    const std::vector<tensor_info> tensors(source.tensors().begin(), source.tensors().end());
    const calib::mix_model shape = calib::describe_model(source.reader(), tensors, importance != nullptr);
    const calib::mix m = mix_ != nullptr ? mix_->id : calib::mix::f32;
    std::vector<calib::mix_tensor> described = calib::describe_tensors(m, shape, tensors);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      choice& c = choices_.emplace_back();
      if (!is_weight_matrix(source, tensors[i])) continue;
      calib::mix_tensor& t = described[i];
      const bool is_output = shape.tied_output && t.role == calib::tensor_role::token_embedding;
      const format_entry* const named = overrides.find(tensors[i], t.role, is_output);
      if (bits_ > 0 && named == nullptr) continue;
      if (named != nullptr || pure_) {
        c.wanted = named != nullptr ? named : base_;
        c.format = find_format(calib::fallback_type(*c.wanted->gguf_id, t.columns));
      } else {
        c.format = find_format(calib::type_for(m, t, shape));
        t.columns = any_format_fits;
        c.wanted = find_format(calib::type_for(m, t, shape));
      }
      c.wants_importance = calib::wants_importance(*c.format->gguf_id, t.role, m);
    }
    overrides.check_used();
    if (bits_ > 0) spend(o, source, meant, importance, described);
  }

  std::string name() const {
    if (bits_ > 0) return number_text(bits_, 4) + " bits per weight";
    return mix_ != nullptr ? "the mix " + std::string(mix_->name) + (pure_ ? ", pure" : "") : std::string(base_->name);
  }
  std::uint32_t file_type() const { return mix_ != nullptr ? mix_->file_type : file_type_of(*base_); }
  bool of_blocks() const { return mix_ != nullptr || base_->block_size > 1; }
  // What a budget is measured to cost, a line; nothing if it was not measured.
  std::optional<std::string> loss() const {
    if (answer_.sensitivities.empty()) return {};
    return "KL divergence to expect on the calibration text: about " + significant_text(answer_.loss);
  }
  const budget_answer& answer() const { return answer_; }
  // For tensor number i of the model; null formats where it stays as it is.
  const choice& operator[](std::size_t i) const { return choices_[i]; }

 private:
  // A row of so many elements is whole blocks of every format.
  static constexpr std::size_t any_format_fits = 256;

  // Whether a type needs importance weights that this tensor has not. What is calibrated measures for itself.
  static bool lacks_importance(const quantize_options& o, const format_entry& type, calib::tensor_role role, bool has) {
    const bool wants = type.importance_required ||
                       (o.method == "rtn" && calib::wants_importance(*type.gguf_id, role, calib::mix::f32));
    return wants && !has && !o.force;
  }

  // Gives a type to all weights that are meant and have none yet, so that the whole file has the bits of the budget.
  void spend(const quantize_options& o, const model& source, const selection& meant, importance_file* importance,
             const std::vector<calib::mix_tensor>& described) {
    const std::vector<const format_entry*> types = budget_types(o);
    budget_request request{.text = o.calibration,
                           .context = o.context,
                           .windows = o.windows,
                           .measurements = o.measurements,
                           .best = o.best,
                           .threads = o.threads};
    std::vector<std::size_t> places;
    std::uint64_t elements = 0, others = 0, least = 0;
    for (std::size_t i = 0; i < choices_.size(); ++i) {
      const model::tensor& t = source.tensors()[i];
      elements += t.elements();
      if (!meant(t) || choices_[i].format != nullptr || !is_weight_matrix(source, t)) {
        const bool changes = meant(t) && choices_[i].format != nullptr;
        others += changes ? choices_[i].format->bytes_for(t.elements()) : t.bytes();
        continue;
      }
      const bool has_weights = importance != nullptr && importance->prepare(t);
      budget_tensor& b = request.tensors.emplace_back(budget_tensor{&t});
      std::uint64_t smallest = UINT64_MAX;
      for (const format_entry* type : types) {
        const format_entry* const fits = find_format(calib::fallback_type(*type->gguf_id, t.row_elements()));
        if (std::find(b.types.begin(), b.types.end(), fits) != b.types.end() ||
            lacks_importance(o, *fits, described[i].role, has_weights))
          continue;
        b.types.push_back(fits);
        smallest = std::min<std::uint64_t>(smallest, fits->bytes_for(t.elements()));
      }
      if (b.types.empty())
        throw failure("tensor '" + printable(t.name) +
                      "': all the types need importance weights, and there are none for it; --imatrix or --calibration "
                      "give them, --force does without");
      least += smallest;
      places.push_back(i);
    }
    if (places.empty()) throw failure("no tensor would change");
    const double room = bits_ * static_cast<double>(elements) / 8;
    if (room < static_cast<double>(others + least))
      throw budget_too_small("--target-bpw " + number_text(bits_, 4) + ": with these types the model takes " +
                             number_text(8 * static_cast<double>(others + least) / static_cast<double>(elements), 4) +
                             " bits per weight at least, " + bytes_text(others + least));
    request.bytes = static_cast<std::uint64_t>(room) - others;
    answer_ = choose_types(source, importance, request);
    std::map<const format_entry*, std::uint64_t> shares;
    for (std::size_t i = 0; i < places.size(); ++i) {
      choices_[places[i]].wanted = choices_[places[i]].format = answer_.types[i];
      shares[answer_.types[i]] += request.tensors[i].source->elements();
    }
    base_ = std::max_element(shares.begin(), shares.end(), [](const auto& a, const auto& b) {
              return a.second != b.second ? a.second < b.second : a.first > b.first;
            })->first;
  }

  static std::vector<const format_entry*> budget_types(const quantize_options& o) {
    std::vector<const format_entry*> types;
    for (const std::string& name : o.types) types.push_back(&output_type(name));
    if (types.empty()) types = usual_budget_types();
    for (const format_entry* type : types)
      if (type->name == "nvfp4") throw failure("--types: a budget does not know the scales of nvfp4; leave it out");
#ifdef BLOCQ_PROGRAM_CALIBRATES
    if (o.method != "rtn" && o.types.empty())
      std::erase_if(types,
                    [](const format_entry* type) { return type->block_size > 1 && !calibrates(*type->gguf_id); });
#endif
    return types;
  }

  const format_entry* base_ = nullptr;
  const calib::mix_info* mix_ = nullptr;
  bool pure_;
  double bits_ = 0;  // of a budget; 0: there is none
  budget_answer answer_;
  std::vector<choice> choices_;
};

// Refuses a tensor that needs importance weights and has none, and says what helps.
[[noreturn]] void refuse_without_importance(const quantize_options& o, const tensor_info& t, const format_entry& f) {
  std::string pattern = "^";
  for (const char c : printable(t.name))
    pattern += (std::string_view("^$\\.*+?()[]{}|").find(c) != std::string_view::npos ? "\\" : "") + std::string(1, c);
  pattern += '$';
  std::string help = o.importance.empty() ? "--imatrix gives them, " : "";
  if (o.mix.empty() && calib::find_mix(f.name) != nullptr)
    help += "--mix " + std::string(f.name) + " keeps what matters finer, ";
  throw failure("tensor '" + printable(t.name) + "': " + std::string(f.name) +
                " needs importance weights, and there are none for it; " + help + "--exclude '" + pattern +
                "' leaves it as it is, --force does without");
}

// What llama-quantize notes about where the weights came from.
void note_importance(const importance_file& file, conversion_job& job) {
  const calib::importance_table& table = file.table();
  if (!file.path().empty()) job.set("quantize.imatrix.file", file.path());
  if (!table.datasets.empty()) job.set("quantize.imatrix.dataset", table.datasets.front());
  job.set("quantize.imatrix.entries_count", static_cast<std::uint32_t>(table.layers().size()));
  if (table.chunks != 0) job.set("quantize.imatrix.chunks_count", table.chunks);
}

// Where the end of a name begins that says what is in the file: ".gguf", if it has it.
std::size_t stem_size(const std::string& path) { return path.ends_with(".gguf") ? path.size() - 5 : path.size(); }

// OUT with the name of a type or mix before its ".gguf": that of one of several files.
std::string path_for(const std::string& out, const std::string& name) {
  const std::size_t stem = stem_size(out);
  return out.substr(0, stem) + '-' + name + out.substr(stem);
}

// The files that a model in several of them is written to; OUT is their name without numbers, or one of theirs.
std::vector<std::string> paths_of(const quantize_options& o, const model& source) {
  const std::size_t count = source.files().size();
  if (!o.keep_split || count == 1) return {o.out};
  blocq::gguf::split_name name{o.out, 1, static_cast<std::uint32_t>(count)};
  if (const auto given = blocq::gguf::parse_split_name(o.out); given && given->count == count)
    name.prefix = given->prefix;
  else
    name.prefix.remove_suffix(o.out.size() - stem_size(o.out));
  std::vector<std::string> paths;
  for (; name.number <= count; ++name.number) paths.push_back(shard_path(name));
  return paths;
}

// What would come of a job.
void show_plan(const conversion_job& job, std::ostream& out) {
  table list({"tensor", ">shape", "type", "becomes", ">bytes"});
  std::uint64_t before = 0, after = 0, elements = 0;
  for (const conversion& c : job.tensors) {
    const tensor_info& t = *c.source;
    const std::uint64_t bytes = c.target != nullptr ? c.target->bytes_for(t.elements()) : t.bytes();
    list.row({printable(t.name), shape_text(t), t.type_name(), c.target != nullptr ? std::string(c.target->name) : "",
              count_text(bytes)});
    before += t.bytes();
    after += bytes;
    elements += t.elements();
  }
  const auto bits = [&](std::uint64_t bytes) {
    return number_text(8 * static_cast<double>(bytes) / static_cast<double>(elements), 4);
  };
  out << list << "all of them would be " << bytes_text(after) << " (" << bits(after) << " bits per weight), were "
      << bytes_text(before) << " (" << bits(before) << ")\n";
}

// One file, or one set of them: what becomes of each tensor, and what is to be said about it.
class quantization {
 public:
  quantization(const quantize_options& o, const model& source, const selection& meant, importance_file* importance)
      : o_(o), source_(source), chosen_(o, source, meant, importance) {
    job_ = {.verb = "quantizing", .threads = o.threads, .importance = importance, .best = o.best};
    if (chosen_.of_blocks()) job_.set("general.quantization_version", std::uint32_t{2});
    job_.set("general.file_type", chosen_.file_type());
    if (importance != nullptr) note_importance(*importance, job_);
    std::size_t named = 0;
    for (std::size_t i = 0; i < source.tensors().size(); ++i) {
      const model::tensor& t = source.tensors()[i];
      const type_choice::choice& choice = chosen_[i];
      if (meant(t)) require_known(t);
      conversion c{&t};
      if (choice.format != nullptr && meant(t)) {
        c.target = choice.format;
        const bool fits = choice.format == choice.wanted;
        if (!fits)
          fallbacks_.row(
              {"  " + printable(t.name), shape_text(t), std::string(choice.wanted->name), std::string(c.target->name)});
        // It is that already, unless its numbers will be others.
        if (c.target == format_of(t) && !o.method.starts_with("klt")) c.target = nullptr;
        if (c.target != nullptr) ++(fits ? quantized_ : fallen_back_);
      }
      const bool has_weights = c.target != nullptr && importance != nullptr && importance->prepare(t);
      named += has_weights ? 1u : 0u;
      weighted_ += has_weights && (c.target->importance || o.best) ? 1u : 0u;
      // What is calibrated measures for itself what matters.
      if (c.target != nullptr && !has_weights &&
          (c.target->importance_required || (choice.wants_importance && o.method == "rtn"))) {
        if (!o.force && !o.dry_run) refuse_without_importance(o, t, *c.target);
        ++without_;
      }
      if (c.target == nullptr)
        ++kept_;
      else
        ++formats_[std::string(c.target->name)];
      job_.tensors.push_back(c);
    }
    if (quantized_ + fallen_back_ == 0)
      throw failure("no tensor would change" + (o.out.empty() ? std::string() : " in " + printable(o.out)));
    if (importance != nullptr && named == 0)
      throw failure(printable(o.importance) + ": has no weights for any tensor that is to be quantized");
  }

  const conversion_job& job() const { return job_; }
  std::vector<std::string> paths() const { return paths_of(o_, source_); }

  void calibrate() {
#ifdef BLOCQ_PROGRAM_CALIBRATES
    std::map<std::string, int, std::less<>> types;
    for (const conversion& c : job_.tensors)
      if (c.target != nullptr) types[std::string(c.source->name)] = *c.target->gguf_id;
    calibrated_ = ::calibrate(source_, types,
                              {.awq = o_.method.starts_with("awq"),
                               .gptq = o_.method.ends_with("gptq"),
                               .klt = o_.method.starts_with("klt"),
                               .best = o_.best,
                               .text = o_.calibration,
                               .context = o_.context,
                               .windows = o_.windows,
                               .threads = o_.threads});
    for (conversion& c : job_.tensors) {
      const auto found = calibrated_.find(c.source->name);
      if (found == calibrated_.end()) continue;
      c.ready = found->second.bytes;
      c.units = {found->second.unit};
      if (c.target == nullptr) c.target = find_format("f32");
    }
#else
    throw failure("this program was built without Eigen 3, which the method " + o_.method + " needs");
#endif
  }

  void show_plan(std::ostream& out) const {
    ::show_plan(job_, out);
    if (chosen_.loss()) out << *chosen_.loss() << '\n';
    if (without_ != 0) out << without_ << " of them need importance weights, or --force\n";
    if (!fallbacks_.empty()) out << "rows that are not whole blocks:\n" << fallbacks_;
  }

  // What is planned, or what was written.
  nlohmann::ordered_json json(const conversion_result* result) const {
    nlohmann::ordered_json out, tensors = nlohmann::ordered_json::array();
    std::uint64_t bytes = 0;
    for (const conversion& c : job_.tensors) {
      const tensor_info& t = *c.source;
      nlohmann::ordered_json entry = {
          {"name", t.name}, {"shape", std::span(t.dims, t.n_dims)}, {"type", t.type_name()}};
      if (c.target != nullptr) entry["becomes"] = c.target->name;
      entry["bytes"] = c.target != nullptr ? c.target->bytes_for(t.elements()) : t.bytes();
      bytes += entry["bytes"].get<std::uint64_t>();
      tensors.push_back(std::move(entry));
    }
    if (result != nullptr) {
      out["files"] = paths();
      out["bytes"] = result->file_size;
    }
    out["type"] = chosen_.name();
    out["quantized"] = quantized_ + fallen_back_;
    out["tensor_bytes"] = bytes;
    if (chosen_.loss()) out["loss"] = *chosen_.loss();
    if (job_.importance != nullptr) out["with_importance"] = weighted_;
    out["tensors"] = std::move(tensors);
    return out;
  }

  void show(const conversion_result& result, std::ostream& out) const {
    const std::vector<std::string> files = paths();
    out << printable(files.front())
        << (files.size() > 1 ? " and " + std::to_string(files.size() - 1) + " more: " : ": ") << quantized_
        << (quantized_ == 1 ? " tensor" : " tensors") << " quantized to " << chosen_.name() << ", ";
    if (fallen_back_ != 0) out << fallen_back_ << " to a fallback type, ";
    out << kept_ - result.scales_folded << " kept; " << bytes_text(result.file_size) << ", was "
        << bytes_text(source_.file_bytes()) << '\n';
    if (!o_.mix.empty() || formats_.size() > 1) {
      std::string list;
      for (const auto& [name, count] : formats_)
        list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + name;
      out << list << '\n';
    }
    out << scales_text(result);
    if (chosen_.loss()) out << *chosen_.loss() << '\n';
    if (job_.importance != nullptr) out << "importance weights for " << weighted_ << " of them\n";
    if (without_ != 0) out << "without importance weights that they need: " << without_ << '\n';
    if (!fallbacks_.empty()) out << "rows that are not whole blocks:\n" << fallbacks_;
  }

 private:
  quantize_options o_;
  const model& source_;
  type_choice chosen_;
  conversion_job job_;
  calibrated_tensors calibrated_;
  std::size_t quantized_ = 0, fallen_back_ = 0, kept_ = 0, weighted_ = 0, without_ = 0;
  table fallbacks_ = table({"  tensor", ">shape", "not", "but"});
  std::map<std::string, std::size_t> formats_;
};

// What is asked for, file by file.
std::vector<quantize_options> files_of(const quantize_options& o) {
  std::vector<quantize_options> files;
  const bool several = o.all_types.size() + o.all_mixes.size() > 1;
  const auto add = [&](const std::string& name, std::string quantize_options::*which) {
    quantize_options file = o;
    file.*which = name;
    if (several && !o.out.empty()) file.out = path_for(o.out, name);
    files.push_back(std::move(file));
  };
  for (const std::string& name : o.all_types) {
    const format_entry* const format = find_format(name);
    add(format != nullptr ? std::string(format->name) : name, &quantize_options::type);
  }
  for (const std::string& name : o.all_mixes) {
    const calib::mix_info* const mix = calib::find_mix(name);
    add(mix != nullptr ? mix->name : name, &quantize_options::mix);
  }
  if (files.empty()) return {o};
  if (several && (o.out == "-" || o.out == "/dev/stdout"))
    throw failure("several files cannot be written to standard output");
  if (several && o.method != "rtn") throw failure("the method " + o.method + " writes one file at a time");
  return files;
}

}  // namespace

budget_plan plan_of(const quantize_options& o, const model& source, importance_file* importance) {
  const selection meant(o);
  const type_choice chosen(o, source, meant, importance);
  budget_plan plan{{}, chosen.answer()};
  for (std::size_t i = 0; i < source.tensors().size(); ++i) {
    const model::tensor& t = source.tensors()[i];
    const format_entry* const format = meant(t) ? chosen[i].format : nullptr;
    plan.formats.push_back(format == format_of(t) ? nullptr : format);
    if (plan.formats.back() != nullptr && importance != nullptr) static_cast<void>(importance->prepare(t));
  }
  return plan;
}

std::regex compile_pattern(const std::string& pattern) {
  try {
    return std::regex(pattern);
  } catch (const std::regex_error& e) {
    throw failure("the pattern '" + printable(pattern) + "' is not a regular expression: " + e.what());
  }
}

int quantize(const quantize_options& o) {
  const std::vector<quantize_options> each = files_of(o);
  if (const packing_method* const packing = find_packing_method(o.method); packing != nullptr)
    return quantize_packed(each.front(), *packing);
  if (!o.with.empty()) throw failure("the method " + o.method + " has no parameters: --with has no meaning for it");
  if (o.all_types.empty() && o.all_mixes.empty() && o.target_bits == 0)
    throw failure("one of --type, --mix and --target-bpw is required");
  if (o.out.empty() && !o.dry_run) throw failure("OUT is required");
  if (o.method != "rtn" && o.calibration.empty())
    throw failure("the method " + o.method + " needs a text: --calibration");
  if (o.target_bits == 0 && (!o.types.empty() || !o.measurements.empty()))
    throw failure(std::string(o.types.empty() ? "--measurements" : "--types") + " is for --target-bpw");
  if (!(o.target_bits >= 0 && o.target_bits <= 32))
    throw failure("--target-bpw is a number of bits, more than 0 and at most 32");
  if (o.target_bits > 0 && o.pure) throw failure("--pure is for mixes, and --target-bpw is none");
  const char* const converts = " needs a GGUF file; 'blocq convert' makes one of a checkpoint";
  if (o.method != "rtn" && is_checkpoint(o.in)) throw failure("the method " + o.method + converts);
  if (o.target_bits > 0 && is_checkpoint(o.in)) throw failure(std::string("--target-bpw") + converts);
  const selection meant(o);
  const model source(o.in, {.checkpoint = checkpoints::whole});
  std::optional<importance_file> importance;
  // A longer search goes by the weights alone.
  const double least =
      o.best ? std::max(o.least_importance, calib::layer_importance::guarded_least) : o.least_importance;
  if (!o.importance.empty())
    importance.emplace(o.importance, least);
  else if (o.target_bits > 0 && !o.calibration.empty())
    importance.emplace(measure_importance(source, o.calibration, o.context, o.windows, true, o.threads), least);
  std::vector<quantization> files;
  for (const quantize_options& file : each)
    files.emplace_back(file, source, meant, importance ? &*importance : nullptr);
  const auto print_json = [&](std::span<const conversion_result> results) {
    nlohmann::ordered_json out = {{"file", printable(o.in)}, {"outputs", nlohmann::ordered_json::array()}};
    for (std::size_t i = 0; i < files.size(); ++i)
      out["outputs"].push_back(files[i].json(results.empty() ? nullptr : &results[i]));
    std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
  };
  if (o.dry_run) {
    if (o.json) return print_json({}), exit_done;
    for (const quantization& file : files) file.show_plan(std::cout);
    return exit_done;
  }
  if (o.method != "rtn") files.front().calibrate();
  std::vector<conversion_job> jobs;
  std::vector<std::vector<std::string>> paths;
  for (const quantization& file : files) jobs.push_back(file.job()), paths.push_back(file.paths());
  const std::vector<conversion_result> results = convert(source, jobs, paths);
  if (o.json) return print_json(results), exit_done;
  for (std::size_t i = 0; i < files.size(); ++i) files[i].show(results[i], std::cout);
  std::cout << stages_text(results.front(), o.threads) << '\n';
  for (const std::string& note : source.notes()) std::cout << "note: " << note << '\n';
  return exit_done;
}
