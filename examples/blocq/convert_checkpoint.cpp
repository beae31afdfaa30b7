// blocq convert: a published checkpoint as a GGUF file, without a loss wherever a type of GGUF holds its codes.
#include "command.hpp"
#include "convert.hpp"
#include "suggest.hpp"
#include "terminal.hpp"

#include <blocq/calib/mix.hpp>

#include <algorithm>
#include <iostream>
#include <map>

namespace {

namespace calib = blocq::calib;

// The types of the tensors that no type holds exactly: one for all, or what a mix says of them.
class rest_types {
 public:
  explicit rest_types(const convert_options& o)
      : type_(o.mix.empty() ? &output_type(o.type) : nullptr), mix_(calib::find_mix(o.mix)) {
    if (type_ == nullptr && mix_ == nullptr)
      throw failure("there is no mix '" + printable(o.mix) + "'" + suggestion(o.mix, mix_names()) +
                    "; 'blocq explain MIX' shows one");
  }

  void describe(const model& source) {
    if (type_ != nullptr) return;
    const std::vector<blocq::gguf::tensor_info> tensors(source.tensors().begin(), source.tensors().end());
    const calib::mix_model shape = calib::describe_model(source.reader(), tensors, false);
    described_ = calib::describe_tensors(mix_->id, shape, tensors);
    for (const calib::mix_tensor& t : described_) mixed_.push_back(find_format(calib::type_for(mix_->id, t, shape)));
  }

  // Throws failure for one that needs importance weights, which a checkpoint has none of.
  const format_entry& of(const model& source, std::size_t i) const {
    const model::tensor& t = source.tensors()[i];
    if (type_ != nullptr || !is_weight_matrix(source, t)) {
      const format_entry& wanted = type_ != nullptr ? *type_ : *find_format("bf16");
      return t.row_elements() % wanted.block_size == 0 ? wanted : *find_format("f16");
    }
    if (calib::wants_importance(*mixed_[i]->gguf_id, described_[i].role, mix_->id))
      throw failure("tensor '" + printable(t.name) + "': " + std::string(mixed_[i]->name) +
                    " needs importance weights; convert it to another type, and 'blocq quantize --imatrix' has them");
    return *mixed_[i];
  }

  // general.file_type: what most elements of the matrices get.
  std::uint32_t file_type(const model& source, const conversion_job& job) const {
    std::map<const format_entry*, std::uint64_t> sizes;
    std::uint64_t mixed = 0, all = 0;
    for (std::size_t i = 0; i < job.tensors.size(); ++i) {
      const model::tensor& t = source.tensors()[i];
      if (t.n_dims < 2) continue;
      const format_entry* const target = job.tensors[i].target;
      sizes[target != nullptr ? target : format_of(t)] += t.elements();
      all += t.elements();
      if (target != nullptr && type_ == nullptr) mixed += t.elements();
    }
    if (2 * mixed > all) return mix_->file_type;
    const auto largest =
        std::max_element(sizes.begin(), sizes.end(), [](auto& a, auto& b) { return a.second < b.second; });
    return file_type_of(largest == sizes.end() ? *find_format("f32") : *largest->first);
  }

 private:
  const format_entry* type_;  // null: a mix
  const calib::mix_info* mix_;
  std::vector<calib::mix_tensor> described_;
  std::vector<const format_entry*> mixed_;
};

}  // namespace

int convert_checkpoint(const convert_options& o) {
  if (!is_checkpoint(o.in))
    throw failure(printable(o.in) + ": is not a folder with safetensors files, nor one of them");
  rest_types rest(o);
  const model source(o.in, {.checkpoint = checkpoints::whole, .pre = o.pre, .architecture_map = o.architecture_map});
  rest.describe(source);
  std::vector<error_sums> errors(source.tensors().size());
  conversion_job job{"converting", o.threads};
  job.best = o.best;
  for (const model::tensor& t : source.tensors()) {
    conversion c{&t};
    if (t.published != nullptr && t.published->is_matrix() && !t.published->is_exact()) {
      c.target = &rest.of(source, job.tensors.size());
      c.error = &errors[job.tensors.size()];
    }
    job.tensors.push_back(c);
  }
  job.set("general.file_type", rest.file_type(source, job));
  const conversion_result result = convert(source, job, {o.out});

  table list({"tensor", "layout", "type", ">relative RMSE"});
  std::size_t vectors = 0, exact = 0, rounded = 0;
  for (std::size_t i = 0; i < job.tensors.size(); ++i) {
    const model::tensor& t = source.tensors()[i];
    if (t.n_dims < 2) {
      ++vectors;
      continue;
    }
    const bool same = errors[i].noise == 0;
    ++(same ? exact : rounded);
    list.row({printable(t.name), type_text(t),
              std::string((job.tensors[i].target != nullptr ? job.tensors[i].target : format_of(t))->name),
              same ? "exact" : number_text(100 * errors[i].relative_rmse(), 4) + " %"});
  }
  std::cout << list << printable(o.out) << ": " << exact << (exact == 1 ? " matrix exact, " : " matrices exact, ")
            << rounded << " rounded, " << vectors << " vectors; " << bytes_text(result.file_size) << ", was "
            << bytes_text(source.file_bytes()) << '\n';
  for (const std::string& note : source.notes()) std::cout << "note: " << note << '\n';
  return exit_done;
}
