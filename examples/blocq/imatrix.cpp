// blocq imatrix: how strongly a text excites the columns of a model's matrices.
#include "../llama/llama.hpp"
#include "command.hpp"
#include "files.hpp"
#include "importance.hpp"
#include "model.hpp"
#include "terminal.hpp"
#include "windows.hpp"

#include <blocq/calib/imatrix.hpp>

#include <iostream>
#include <mutex>

blocq::calib::importance_table measure_importance(const llama::model& m, std::span<const std::vector<int>> windows,
                                                  bool with_output, unsigned threads) {
  const std::size_t context = windows.front().size();

  // The sums do not depend on the number of threads: the text has as many parts with any.
  constexpr std::size_t parts = 8;
  std::vector<blocq::calib::importance_table> tables(parts);
  {
    progress bar("windows", windows.size());
    std::mutex mutex;
    parallel_ranges(threads, parts, [&](std::size_t begin, std::size_t end) {
      llama::session session(m, context);
      for (std::size_t part = begin; part < end; ++part) {
        session.observe([&](const llama::matrix& layer, std::span<const float> x, std::size_t n) {
          if (!with_output && layer.name() == m.output_name()) return;
          const auto s = tables[part].collect(layer.name(), {x.data(), n, layer.columns(), layer.columns()});
          if (!s) throw not_finite("the inputs of '" + printable(layer.name()) + "' are not numbers: " + s.message());
        });
        for (std::size_t w = windows.size() * part / parts; w < windows.size() * (part + 1) / parts; ++w) {
          check_interrupt();
          session.clear();
          session.append(windows[w], with_output ? 0 : context - 1);
          const std::lock_guard lock(mutex);
          bar.advance(1);
        }
      }
    });
  }
  blocq::calib::importance_table table;
  for (const auto& part : tables)
    if (const auto merged = table.merge(part); !merged) throw failure(merged.message());
  table.chunks = static_cast<std::uint32_t>(windows.size());
  table.chunk_size = static_cast<std::uint32_t>(context);
  return table;
}

blocq::calib::importance_table measure_importance(const model& file, const std::string& text, std::size_t context,
                                                  std::size_t count, bool with_output, unsigned threads) {
  const llama::model m(file.stored());
  auto table = measure_importance(m, windows_of(text, m.shape(), llama::tokenizer(file.set()), context, count),
                                  with_output, threads);
  table.datasets = {text};
  return table;
}

int imatrix(const imatrix_options& o) {
  const bool legacy = o.out.ends_with(".dat");
  if (!legacy && !o.out.ends_with(".gguf"))
    throw failure(printable(o.out) + ": an importance file is a .gguf or, in its older form, a .dat");
  const model file(o.model);
  const auto text = open_input(o.text);  // before the output, which is not to take its place
  output out(o.out);
  // The output of a model is kept finer than the others anyway.
  const auto table = measure_importance(file, o.text, o.context, o.windows, false, o.threads);
  out.check(legacy ? table.write_legacy(out) : table.write_gguf(out));
  out.commit();
  std::cout << printable(o.out) << ": " << table.layers().size() << " matrices, "
            << count_text(std::uint64_t{table.chunks} * o.context) << " tokens\n";
  return exit_done;
}
