// blocq diff: how far the weights of one model are from those of another, tensor by tensor.
#include "command.hpp"
#include "measure.hpp"
#include "model.hpp"
#include "terminal.hpp"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

namespace {

struct comparison {
  std::string name, type_a, type_b;
  error_sums sums;
};

}  // namespace

error_sums compare_tensors(const model::tensor& a, const model::tensor& b, unsigned threads, progress& bar) {
  constexpr std::size_t some_blocks = 4096;  // of any format
  const std::size_t row = a.row_elements(), elements = a.elements();
  // Whole rows, unless they are long.
  const std::size_t piece = row > 16 * some_blocks ? some_blocks : std::max<std::size_t>(1, some_blocks / row) * row;
  const std::size_t pieces = (elements + piece - 1) / piece, step = 256;
  error_sums total;
  for (std::size_t first = 0; first < pieces; first += step) {
    check_interrupt();
    const std::size_t count = std::min(step, pieces - first);
    std::vector<error_sums> sums(count);  // one per piece, so that their order of summation is always the same
    parallel_ranges(threads, count, [&](std::size_t begin, std::size_t end) {
      std::vector<float> x(piece), y(piece);
      for (std::size_t i = begin; i < end; ++i) {
        const std::size_t at = (first + i) * piece, size = std::min(piece, elements - at);
        read_elements(a, at, std::span(x).first(size));
        read_elements(b, at, std::span(y).first(size));
        sums[i] = measure(std::span(x).first(size), std::span(y).first(size));
      }
    });
    for (const error_sums& s : sums) total += s;
    bar.advance(std::min(count * piece, elements - first * piece));
  }
  return total;
}

int diff(const diff_options& o) {
  const model a(o.a, {.checkpoint = checkpoints::numbers}), b(o.b, {.checkpoint = checkpoints::numbers});
  std::vector<comparison> equal_shapes;
  std::vector<std::string> differences, notes = a.notes();
  notes.insert(notes.end(), b.notes().begin(), b.notes().end());
  std::uint64_t elements = 0;
  for (const model::tensor& t : a.tensors()) elements += t.elements();
  {
    progress bar("comparing", elements);
    for (const model::tensor& t : a.tensors()) {
      if (t.scales != nullptr) continue;  // a part of that weight
      const std::string name = printable(t.name);
      const model::tensor* const other = b.find(t.name);
      if (other == nullptr) {
        differences.push_back("tensor '" + name + "' is only in " + printable(o.a));
      } else if (!std::equal(std::begin(t.dims), std::end(t.dims), std::begin(other->dims))) {
        differences.push_back("tensor '" + name + "' is " + shape_text(t) + " in one file and " + shape_text(*other) +
                              " in the other");
      } else if (format_of(t) != nullptr && format_of(*other) != nullptr) {
        equal_shapes.push_back({name, type_text(t), type_text(*other), compare_tensors(t, *other, o.threads, bar)});
      } else if (t.type != other->type || !std::ranges::equal(t.data, other->data)) {
        const bool readable = t.is_known() && other->is_known();
        differences.push_back("tensor '" + name + "' (" + type_text(t) + ", " + type_text(*other) + ") is different" +
                              (readable ? "" : "; by how much is not known"));
      }
    }
  }
  for (const model::tensor& t : b.tensors())
    if (t.scales == nullptr && a.find(t.name) == nullptr)
      differences.push_back("tensor '" + printable(t.name) + "' is only in " + printable(o.b));

  error_sums total;
  for (const comparison& c : equal_shapes) total += c.sums;
  if (o.json) {
    auto tensors = nlohmann::ordered_json::array();
    const auto numbers = [](const error_sums& s) {  // a ratio that is not finite is null
      return nlohmann::ordered_json{
          {"relative_rmse", s.relative_rmse()}, {"snr_db", s.snr_db()}, {"max_error", s.largest}};
    };
    for (const comparison& c : equal_shapes) {
      nlohmann::ordered_json entry = {{"name", c.name}, {"type_a", c.type_a}, {"type_b", c.type_b}};
      entry.update(numbers(c.sums));
      tensors.push_back(std::move(entry));
    }
    nlohmann::ordered_json out = {{"tensors", tensors}, {"total", numbers(total)}, {"differences", differences}};
    if (!notes.empty()) out["notes"] = notes;
    std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    table t({"tensor", "type A", "type B", ">relative RMSE", ">SNR dB", ">max error"});
    const auto row = [&](std::vector<std::string> names, const error_sums& s) {
      const bool exact = s.noise == 0;
      names.insert(names.end(), {exact ? "0" : number_text(100 * s.relative_rmse(), 4) + " %",
                                 exact ? "exact" : number_text(s.snr_db(), 2), significant_text(s.largest, 4)});
      t.row(std::move(names));
    };
    for (const comparison& c : equal_shapes) row({c.name, c.type_a, c.type_b}, c.sums);
    row({"all of them", "", ""}, total);
    if (!equal_shapes.empty()) std::cout << t;
    for (const auto* lines : {&differences, &notes})
      for (const std::string& line : *lines) std::cout << line << '\n';
  }
  for (const comparison& c : equal_shapes)
    if (!c.sums.is_finite())
      throw not_finite("tensor '" + c.name + "': the relative error is not a number, because " +
                       (c.sums.signal == 0 ? "all weights of A are zero" : "a weight is not finite"));
  return differences.empty() ? exit_done : exit_different;
}
