#include "importance.hpp"

#include "command.hpp"
#include "model.hpp"
#include "terminal.hpp"

#include <blocq/core/bits.hpp>

#include <fstream>
#include <iterator>

namespace {

// Reads little-endian fields off the front of a buffer.
class fields {
 public:
  explicit fields(std::string_view bytes) : rest_(bytes) {}

  std::string_view take(std::size_t size, const char* what) {
    if (size > rest_.size()) throw failure(std::string("the file ends inside ") + what);
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint32_t word(const char* what) {
    blocq::le32 field;
    std::copy_n(take(4, what).begin(), 4, field.bytes);
    return load(field);
  }
  // A count or length, which cannot be more than the bytes that are left.
  std::size_t count(const char* what) {
    const std::uint32_t n = word(what);
    if (n > rest_.size())
      throw failure(std::string(what) + " of " + std::to_string(n) + " is more than the file holds");
    return n;
  }

 private:
  std::string_view rest_;
};

}  // namespace

importance_table::importance_table(const std::string& path) : path_(path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw failure(printable(path) + ": cannot be opened");
  char magic[4] = {};
  file.read(magic, 4);
  try {
    std::string_view(magic, 4) == "GGUF" ? read_gguf(path) : read_legacy(path);
  } catch (const failure& e) {
    const std::string what = e.what();
    throw failure(what.starts_with(printable(path)) ? what : printable(path) + ": not an importance file: " + what);
  }
}

void importance_table::read_gguf(const std::string& path) {
  const model file(path);
  const auto values = [&](const blocq::gguf::tensor_info& t) {
    std::vector<float> floats(t.elements());
    read_rows(t, 0, t.rows(), floats);
    return floats;
  };
  constexpr std::string_view suffix = ".in_sum2";
  for (const auto& sums : file.tensors()) {
    if (!sums.name.ends_with(suffix)) continue;
    const std::string name(sums.name.substr(0, sums.name.size() - suffix.size()));
    const auto* counts = file.find(name + ".counts");
    if (counts == nullptr || counts->elements() != sums.rows() || format_of(*counts) == nullptr ||
        format_of(sums) == nullptr)
      throw failure("no counts that fit '" + printable(sums.name) + "'");
    const std::vector<float> n = values(*counts);
    std::vector<float> weights = values(sums);
    for (std::size_t i = 0; i < weights.size(); ++i) {
      const float count = n[i / sums.row_elements()];
      weights[i] = count > 0 ? weights[i] / count : 1.0f;  // an expert that was never called knows no better
    }
    entries_[name] = std::move(weights);
  }
  if (entries_.empty()) throw failure("no tensor is named *.in_sum2");
}

void importance_table::read_legacy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  fields in(bytes);
  const std::size_t entries = in.count("the number of entries");
  for (std::size_t e = 0; e < entries; ++e) {
    const std::string name(in.take(in.count("the length of a name"), "a name"));
    const auto calls = static_cast<std::int32_t>(in.word("a number of calls"));
    std::vector<float> weights(in.count("a number of weights"));
    for (float& w : weights) {
      w = blocq::from_bits(in.word("the weights"));
      if (calls > 0) w /= static_cast<float>(calls);
    }
    if (!entries_.emplace(name, std::move(weights)).second) throw failure("'" + printable(name) + "' has two entries");
  }
  if (entries_.empty()) throw failure("it has no entries");
}

std::span<const float> importance_table::find(const blocq::gguf::tensor_info& tensor, std::size_t matrix) const {
  const auto found = entries_.find(tensor.name);
  if (found == entries_.end()) return {};
  return std::span(found->second).subspan(matrix * tensor.row_elements(), tensor.row_elements());
}

void importance_table::check(const blocq::gguf::tensor_info& tensor) const {
  const auto found = entries_.find(tensor.name);
  if (found == entries_.end()) return;
  const std::uint64_t wanted = tensor.row_elements() * tensor.dims[2] * tensor.dims[3];
  if (found->second.size() == wanted) return;
  throw failure(printable(path_) + ": " + std::to_string(found->second.size()) + " weights for tensor '" +
                printable(tensor.name) + "', which needs " + std::to_string(wanted) + " (" +
                std::to_string(tensor.row_elements()) + " columns, " + std::to_string(tensor.dims[2] * tensor.dims[3]) +
                " matrices)");
}
