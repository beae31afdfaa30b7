// blocq convert: a published checkpoint as a GGUF file, without a loss wherever a type of GGUF holds its codes.
#include "command.hpp"
#include "convert.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <iostream>
#include <map>

namespace {

// The type that most elements of the matrices get.
const format_entry& main_format(const model& source, const conversion_job& job) {
  std::map<const format_entry*, std::uint64_t> sizes;
  for (std::size_t i = 0; i < job.tensors.size(); ++i) {
    const model::tensor& t = source.tensors()[i];
    if (t.n_dims > 1) sizes[job.tensors[i].target != nullptr ? job.tensors[i].target : format_of(t)] += t.elements();
  }
  const auto largest =
      std::max_element(sizes.begin(), sizes.end(), [](auto& a, auto& b) { return a.second < b.second; });
  return largest == sizes.end() ? *find_format("f32") : *largest->first;
}

}  // namespace

int convert_checkpoint(const convert_options& o) {
  if (!is_checkpoint(o.in))
    throw failure(printable(o.in) + ": is not a folder with safetensors files, nor one of them");
  const format_entry& rest = output_type(o.type);
  const model source(o.in, {.checkpoint = checkpoints::whole, .pre = o.pre});
  std::vector<error_sums> errors(source.tensors().size());
  conversion_job job{"converting", o.threads};
  job.best = o.best;
  for (const model::tensor& t : source.tensors()) {
    conversion c{&t};
    if (t.published != nullptr && t.published->is_matrix() && !t.published->is_exact()) {
      c.target = t.row_elements() % rest.block_size == 0 ? &rest : find_format("f16");
      c.error = &errors[job.tensors.size()];
    }
    job.tensors.push_back(c);
  }
  job.set("general.file_type", file_type_of(main_format(source, job)));
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
