// blocq quantize: a model with its matrices in one block format.
#include "command.hpp"
#include "convert.hpp"
#include "terminal.hpp"

#include <iostream>
#include <optional>
#include <regex>

namespace {

using blocq::gguf::tensor_info;

// What a tensor gets whose rows are not whole blocks of `wanted`.
const format_entry& fallback_for(const format_entry& wanted, std::size_t columns) {
  std::string_view name = "f16";
  if (columns % 32 == 0) {
    if (wanted.name.starts_with("iq")) name = "iq4_nl";
    if (wanted.name.starts_with("tq") || wanted.name == "q2_k" || wanted.name == "q3_k") name = "q4_0";
    if (wanted.name == "q4_k") name = "q5_0";
    if (wanted.name == "q5_k") name = "q5_1";
    if (wanted.name == "q6_k") name = "q8_0";
  }
  return *find_format(name);
}

std::regex compile(const std::string& pattern) {
  try {
    return std::regex(pattern);
  } catch (const std::regex_error& e) {
    throw failure("the pattern '" + printable(pattern) + "' is not a regular expression: " + e.what());
  }
}

}  // namespace

int quantize(const quantize_options& o) {
  const format_entry& wanted = output_type(o.type);
  const std::regex include = compile(o.include), exclude = compile(o.exclude);
  const model source(o.in);
  std::optional<importance_file> importance;
  if (!o.importance.empty()) importance.emplace(o.importance);

  conversion_job job{"quantizing", o.threads, importance ? &*importance : nullptr, o.best};
  job.metadata["general.file_type"] = file_type_of(wanted);
  if (wanted.block_size > 1) job.metadata["general.quantization_version"] = 2;

  std::size_t quantized = 0, fallen_back = 0, kept = 0, named = 0, weighted = 0;
  table fallbacks({"  tensor", ">shape", "instead"});
  for (const tensor_info& t : source.tensors()) {
    const auto matches = [&](const std::regex& r) { return std::regex_search(t.name.begin(), t.name.end(), r); };
    conversion c{&t};
    if (is_weight_matrix(t) && matches(include) && (o.exclude.empty() || !matches(exclude))) {
      c.target = &wanted;
      if (t.row_elements() % wanted.block_size != 0) {
        c.target = &fallback_for(wanted, t.row_elements());
        fallbacks.row({"  " + printable(t.name), shape_text(t), std::string(c.target->name)});
      }
      if (c.target == format_of(t)) c.target = nullptr;  // it is that already
    }
    const bool has_weights = c.target != nullptr && importance && importance->prepare(t);
    named += has_weights ? 1u : 0u;
    weighted += has_weights && (c.target->importance || o.best) ? 1u : 0u;
    if (c.target != nullptr && c.target->importance_required && !has_weights)
      throw failure("tensor '" + printable(t.name) + "': " + std::string(c.target->name) +
                    " needs importance weights, and there are none for it");
    ++(c.target == nullptr ? kept : c.target == &wanted ? quantized : fallen_back);
    job.tensors.push_back(c);
  }
  if (quantized + fallen_back == 0) throw failure("no tensor would change");
  if (importance && named == 0)
    throw failure(printable(o.importance) + ": has no weights for any tensor that is to be quantized");

  const conversion_result result = convert(source, job, o.out);
  std::cout << printable(o.out) << ": " << quantized << (quantized == 1 ? " tensor" : " tensors") << " quantized to "
            << wanted.name << ", ";
  if (fallen_back != 0) std::cout << fallen_back << " to a fallback type, ";
  std::cout << kept << " kept; " << bytes_text(result.file_size) << ", was " << bytes_text(source.file_bytes()) << '\n';
  std::cout << stages_text(result, o.threads) << '\n';
  if (importance) std::cout << "importance weights for " << weighted << " of them\n";
  if (!fallbacks.empty()) std::cout << "rows that are not whole blocks of " << wanted.name << ":\n" << fallbacks;
  return exit_done;
}
