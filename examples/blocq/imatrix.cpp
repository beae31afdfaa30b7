// blocq imatrix: how strongly a text excites the columns of a model's matrices.
#include "../llama/llama.hpp"
#include "command.hpp"
#include "files.hpp"
#include "model.hpp"
#include "terminal.hpp"
#include "windows.hpp"

#include <blocq/calib/imatrix.hpp>

#include <iostream>
#include <mutex>

int imatrix(const imatrix_options& o) {
  const bool legacy = o.out.ends_with(".dat");
  if (!legacy && !o.out.ends_with(".gguf"))
    throw failure(printable(o.out) + ": an importance file is a .gguf or, in its older form, a .dat");
  const model file(o.model);
  const llama::model m(file.set());
  const auto windows = windows_of(o.text, m.shape(), llama::tokenizer(file.set()), o.context, o.windows);
  output out(o.out);

  // The sums do not depend on the number of threads: the text has as many parts with any.
  constexpr std::size_t parts = 8;
  std::vector<blocq::calib::importance_table> tables(parts);
  {
    progress bar("windows", windows.size());
    std::mutex mutex;
    parallel_ranges(o.threads, parts, [&](std::size_t begin, std::size_t end) {
      llama::session session(m, o.context);
      for (std::size_t part = begin; part < end; ++part) {
        session.observe([&](const llama::matrix& layer, std::span<const float> x, std::size_t n) {
          if (layer.name() == m.output_name()) return;  // it is kept finer than the others anyway
          const auto s = tables[part].collect(layer.name(), {x.data(), n, layer.columns(), layer.columns()});
          if (!s) throw not_finite("the inputs of '" + printable(layer.name()) + "' are not numbers: " + s.message());
        });
        for (std::size_t w = windows.size() * part / parts; w < windows.size() * (part + 1) / parts; ++w) {
          check_interrupt();
          session.clear();
          session.append(windows[w], o.context - 1);
          const std::lock_guard lock(mutex);
          bar.advance(1);
        }
      }
    });
  }
  blocq::calib::importance_table table;
  for (const auto& part : tables)
    if (const auto merged = table.merge(part); !merged) throw failure(merged.message());
  table.datasets = {o.text};
  table.chunks = static_cast<std::uint32_t>(windows.size());
  table.chunk_size = static_cast<std::uint32_t>(o.context);

  out.check(legacy ? table.write_legacy(out) : table.write_gguf(out));
  out.commit();
  std::cout << printable(o.out) << ": " << table.layers().size() << " matrices, "
            << count_text(windows.size() * o.context) << " tokens\n";
  return exit_done;
}
