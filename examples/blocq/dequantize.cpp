// blocq dequantize: a model with every block-format tensor as plain floats.
#include "command.hpp"
#include "convert.hpp"
#include "terminal.hpp"

#include <iostream>

int dequantize(const dequantize_options& o) {
  const model source(o.in, {.checkpoint = checkpoints::whole});
  const format_entry& target = *find_format(o.type);
  conversion_job job{"dequantizing", o.threads};
  job.set("general.file_type", file_type_of(target));
  std::size_t changed = 0;
  for (const auto& t : source.tensors()) {
    require_known(t);
    const format_entry* const format = format_of(t);
    const bool blocks = t.packed != nullptr || (format != nullptr && format->block_size > 1);
    job.tensors.push_back({&t, blocks ? &target : nullptr});
    changed += blocks ? 1u : 0u;
  }
  if (changed == 0) throw failure(printable(o.in) + ": no tensor is in a block format, or packed");
  const conversion_result result = convert(source, job, {o.out});
  std::cout << printable(o.out) << ": " << changed << (changed == 1 ? " tensor" : " tensors") << " decoded to "
            << target.name << "; " << bytes_text(result.file_size) << ", was " << bytes_text(source.file_bytes())
            << '\n'
            << scales_text(result) << stages_text(result, o.threads) << '\n';
  return exit_done;
}
