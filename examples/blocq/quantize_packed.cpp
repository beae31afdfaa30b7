// blocq quantize --method of those whose result is packed matrices: sets of tensors, and an entry of the metadata for
// each (blocq/packed/gguf.hpp).
#include "quantize_packed.hpp"
#include "calibrate.hpp"
#include "command.hpp"
#include "files.hpp"
#include "pack_matrix.hpp"
#include "terminal.hpp"

#include <blocq/gguf/writer.hpp>
#include <blocq/packed/gguf.hpp>

#include <iostream>
#include <mutex>
#include <regex>

namespace {

// A matrix as it goes into the file.
struct packed_matrix {
  const model::tensor* source;
  std::optional<packed_weight> weight = {};
  std::vector<std::byte> blocks = {};  // beside it
};

std::vector<float> numbers_of(const model::tensor& t) {
  std::vector<float> w(t.elements());
  read_elements(t, 0, w);
  return w;
}

class packer {
 public:
  packer(const quantize_options& o, const packing_method& method)
      : o_(o), method_(method), with_(parse_parameters(method, o.with)) {
    if (std::string_view(method.name) == "lowrank") {
      if (o.type.empty()) throw failure("the method lowrank stands beside blocks: --type says of which format");
      blocks_ = &output_type(o.type);
      if (blocks_->importance_required && o.calibration.empty())
        throw failure(std::string(blocks_->name) + " needs importance weights: --calibration");
      if (!blocks_->gguf_id || blocks_->tensor_bytes != nullptr)
        throw failure("the method lowrank has no place for the scales of " + std::string(blocks_->name));
    } else if (!o.type.empty()) {
      throw failure("the method " + std::string(method.name) + " makes no blocks: --type has no meaning for it");
    }
  }

  const format_entry* blocks() const { return blocks_; }
  double parameter(const char* name) const { return with_.find(name)->second; }

  // Makes the result of w, and says what its weights are then.
  std::vector<float> pack(packed_matrix& to, blocq::matrix_view<const float> w,
                          const blocq::calib::gram* inputs) const {
    std::vector<float> values(w.rows * w.cols);
    try {
      if (blocks_ != nullptr) {
        const std::vector<float> importance = inputs != nullptr ? inputs->mean_squares() : std::vector<float>();
        to.blocks.resize(blocks_->bytes_for(values.size()));
        const std::span<const float> all(w.data, values.size());
        if (const auto s = blocks_->encode(all, to.blocks.data(), {.importance = importance, .best = o_.best}); !s)
          throw failure(s.message());
        if (const auto s = blocks_->decode(to.blocks.data(), values); !s) throw failure(s.message());
        const blocq::matrix_view<const float> present(values.data(), w.rows, w.cols);
        to.weight.emplace(pack_matrix(method_, with_, w, inputs, &present));
      } else {
        to.weight.emplace(pack_matrix(method_, with_, w, inputs, nullptr));
      }
    } catch (const failure& e) {
      throw failure("tensor '" + printable(to.source->name) + "': " + e.what());
    }
    for (std::size_t r = 0; r < w.rows; ++r) to.weight->add_row(r, std::span(values).subspan(r * w.cols, w.cols));
    return values;
  }

 private:
  const quantize_options& o_;
  const packing_method& method_;
  packing_parameters with_;
  const format_entry* blocks_ = nullptr;
};

// Takes levels off stacks until they have no more bits per weight than that: of all levels of all matrices those stay
// that gain most for their bytes, each after the ones below it.
void fit_stacks(std::vector<packed_matrix>& all, double bits, std::uint64_t elements) {
  struct stack {
    stack_levels has;
    std::size_t kept = 1;
  };
  std::vector<stack> stacks;
  double room = bits / 8 * static_cast<double>(elements), least = 0;
  for (const packed_matrix& p : all) {
    try {
      const stack& s = stacks.emplace_back(stack{levels_of(*p.weight)});
      least += static_cast<double>(p.weight->bytes() - (s.has.gains.size() - 1) * (s.has.bytes + sizeof(float)));
    } catch (const failure& e) {
      throw failure("tensor '" + printable(p.source->name) + "': " + e.what());
    }
  }
  if (least > room)
    throw failure("--with 'bpw=" + number_text(bits, 4) + "': one level of each matrix takes " +
                  number_text(8 * least / static_cast<double>(elements), 4) + " bits per weight");
  room -= least;
  for (;;) {
    stack* best = nullptr;
    const auto worth = [](const stack& s) {
      return static_cast<double>(s.has.gains[s.kept]) / static_cast<double>(s.has.bytes);
    };
    for (stack& s : stacks)
      if (s.kept < s.has.gains.size() && static_cast<double>(s.has.bytes + sizeof(float)) <= room &&
          (best == nullptr || worth(s) > worth(*best)))
        best = &s;
    if (best == nullptr) break;
    room -= static_cast<double>(best->has.bytes + sizeof(float));
    ++best->kept;
  }
  for (std::size_t i = 0; i < all.size(); ++i) all[i].weight = first_levels(*all[i].weight, stacks[i].kept);
}

std::uint64_t write_file(const quantize_options& o, const model& source, const std::vector<packed_matrix>& all,
                         const format_entry* blocks) {
  output file(o.out);
  blocq::gguf::writer out;
  std::map<const model::tensor*, const packed_matrix*> packed;
  for (const packed_matrix& p : all) packed[p.source] = &p;
  for (const auto& [key, value] : source.metadata())
    if (key != "general.file_type") out.add(key, value);  // no number says what this is
  for (const packed_matrix& p : all) {
    const std::string key = std::string(blocq::packed::key_prefix) + std::string(p.source->name);
    const std::string text = blocq::packed::describe(p.weight->parts());
    out.add(key, std::string_view(text));
  }
  struct piece {
    const model::tensor* rows;         // of which these are the bytes
    std::span<const std::byte> bytes;  // or these
  };
  std::vector<piece> pieces;
  for (const model::tensor& t : source.tensors()) {
    const auto found = packed.find(&t);
    if (found == packed.end()) {
      if (t.scales != nullptr && packed.contains(source.find(t.scales->name))) continue;  // multiplied in
      out.add_tensor(t.name, t.type, {t.dims, t.n_dims}, t.bytes());
      pieces.push_back({&t, {}});
      continue;
    }
    const packed_matrix& p = *found->second;
    if (blocks != nullptr) {
      out.add_tensor(t.name, *blocks->gguf_id, {t.dims, t.n_dims});
      pieces.push_back({nullptr, p.blocks});
    }
    const blocq::packed::part_set parts = p.weight->parts();
    for (const blocq::packed::part& part : parts.parts()) {
      const std::uint64_t dims[] = {part.cols, part.rows};
      out.add_tensor(std::string(t.name) + '.' + std::string(part.name), gguf_type(part.type),
                     std::span(dims).first(part.rows == 1 ? 1 : 2));
      pieces.push_back({nullptr, part.bytes});
    }
  }
  if (const auto planned = out.plan(); !planned) throw failure(printable(o.out) + ": " + planned.message());
  file.check(out.begin(file));
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    check_interrupt();
    if (pieces[i].rows == nullptr) {
      file.check(out.write(i, pieces[i].bytes));
      continue;
    }
    const model::tensor& t = *pieces[i].rows;
    if (t.published == nullptr) {
      file.check(out.write(i, t.data));
      continue;
    }
    std::vector<std::byte> row(static_cast<std::size_t>(t.row_bytes()));
    for (std::uint64_t r = 0; r < t.rows(); ++r) {
      read_rows(t, r, r + 1, row.data());
      file.check(out.write(i, row));
    }
  }
  file.check(out.finish());
  file.commit();
  return out.file_size();
}

}  // namespace

int quantize_packed(const quantize_options& o, const packing_method& method) {
  const char* const none = " has no meaning for the method ";
  if (!o.mix.empty() || o.target_bits > 0)
    throw failure((o.mix.empty() ? "--target-bpw" : "--mix") + std::string(none) + method.name);
  if (!o.importance.empty()) throw failure(std::string("--imatrix") + none + method.name + "; --calibration has one");
  if (!o.tensor_types.empty() || !o.output_type.empty() || !o.token_embedding_type.empty() || o.pure || o.keep_split ||
      o.dry_run || o.json)
    throw failure(
        "--tensor-type, --output-tensor-type, --token-embedding-type, --pure, --keep-split, --json and --dry-run" +
        std::string(none) + method.name);
  if (o.out.empty()) throw failure("OUT is required");
  if (method.needs_inputs && o.calibration.empty())
    throw failure("the method " + std::string(method.name) + " needs a text: --calibration");
  const packer pack(o, method);
  const model source(o.in, {.checkpoint = checkpoints::whole});
  // Of a file of stacks a smaller one can be made.
  const bool is_stack = std::string_view(method.name) == "bitstack";
  const double bits = is_stack ? pack.parameter("bpw") : 0;
  if (source.is_packed() && bits == 0)
    throw failure(printable(o.in) + ": is packed already; 'blocq dequantize' makes floats of it" +
                  (is_stack ? ", --with bpw=BITS takes levels off" : ""));
  if (!o.calibration.empty() && is_checkpoint(o.in))
    throw failure("--calibration needs a GGUF file; 'blocq convert' makes one of a checkpoint");

  if (source.is_packed() && !(o.include.empty() && o.exclude.empty()))
    throw failure("--include and --exclude have no meaning for a file of stacks");

  std::vector<packed_matrix> all;
  std::size_t stacks = 0;
  std::uint64_t elements = 0;
  const std::regex include = compile_pattern(o.include), exclude = compile_pattern(o.exclude);
  for (const model::tensor& t : source.tensors()) {
    const auto matches = [&](const std::regex& r) { return std::regex_search(t.name.begin(), t.name.end(), r); };
    if (!is_weight_matrix(source, t) || !matches(include) || (!o.exclude.empty() && matches(exclude))) continue;
    require_known(t);
    if (source.is_packed() && t.packed == nullptr) continue;
    if (t.dims[2] != 1 || t.dims[3] != 1) {
      ++stacks;  // of experts
      continue;
    }
    if (pack.blocks() != nullptr && t.row_elements() % pack.blocks()->block_size != 0)
      throw failure("tensor '" + printable(t.name) + "': rows of " + std::to_string(t.row_elements()) +
                    " are not whole blocks of " + std::string(pack.blocks()->name));
    all.push_back({&t});
    if (t.packed != nullptr && t.beside == nullptr) all.back().weight = *t.packed;
    elements += t.elements();
  }
  if (all.empty()) throw failure("no tensor would change");

  const auto view = [](const model::tensor& t, const std::vector<float>& w) {
    return blocq::matrix_view<const float>(w.data(), t.rows(), t.row_elements());
  };
  if (!o.calibration.empty() && !source.is_packed()) {
#ifdef BLOCQ_PROGRAM_CALIBRATES
    std::map<std::string, packed_matrix*, std::less<>> places;
    std::map<std::string, int, std::less<>> names;
    for (packed_matrix& p : all) {
      places[std::string(p.source->name)] = &p;
      names[std::string(p.source->name)] = blocq::format_traits<blocq::q8_0>::gguf_id;
    }
    calibration how{.text = o.calibration, .context = o.context, .windows = o.windows, .threads = o.threads};
    how.make = [&](const std::string& name, blocq::matrix_view<const float> w, const blocq::calib::gram& inputs) {
      return pack.pack(*places.find(name)->second, w, &inputs);
    };
    static_cast<void>(calibrate(source, names, how));
#else
    throw failure("this program was built without Eigen 3, which --calibration needs");
#endif
  }
  {
    progress bar("packing", elements);
    std::mutex mutex;
    parallel_ranges(o.threads, all.size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        check_interrupt();
        const model::tensor& t = *all[i].source;
        if (!all[i].weight) {
          // A token looks up a row: all inputs of an embedding are alike.
          const std::vector<float> w = numbers_of(t);
          const auto alike = blocq::calib::gram::of_units(method.needs_inputs ? t.row_elements() : 0);
          static_cast<void>(pack.pack(all[i], view(t, w), method.needs_inputs ? &alike : nullptr));
          source.release(t, 0, t.elements());
        }
        const std::lock_guard lock(mutex);
        bar.advance(t.elements());
      }
    });
  }
  if (bits > 0) fit_stacks(all, bits, elements);
  const std::uint64_t size = write_file(o, source, all, pack.blocks());
  std::uint64_t bytes = 0;
  for (const packed_matrix& p : all) bytes += p.weight->bytes() + p.blocks.size();
  std::cout << printable(o.out) << ": " << all.size() << (all.size() == 1 ? " matrix" : " matrices") << " packed by "
            << method.name << ", " << number_text(8.0 * static_cast<double>(bytes) / static_cast<double>(elements), 4)
            << " bits per weight; " << bytes_text(size) << ", was " << bytes_text(source.file_bytes()) << '\n';
  if (stacks != 0) std::cout << stacks << " stacks of experts kept\n";
  for (const std::string& note : source.notes()) std::cout << "note: " << note << '\n';
  return exit_done;
}
