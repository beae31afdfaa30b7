#include "importance.hpp"

#include "command.hpp"
#include "files.hpp"
#include "terminal.hpp"

importance_file::importance_file(const std::string& path, double least) : path_(path), least_(least) {
  const auto file = open_input(path);
  auto table = blocq::calib::importance_table::read(file.bytes());
  if (!table) throw failure(printable(path) + ": not an importance file: " + table.message());
  table_ = std::move(*table);
}

bool importance_file::prepare(const blocq::gguf::tensor_info& tensor) {
  const auto* layer = table_.find(tensor.name);
  if (layer == nullptr) return false;
  const std::size_t columns = tensor.row_elements(), matrices = tensor.dims[2] * tensor.dims[3];
  if (layer->sums.size() != columns * matrices)
    throw failure(printable(path_) + ": " + std::to_string(layer->sums.size()) + " weights for tensor '" +
                  printable(tensor.name) + "', which needs " + std::to_string(columns * matrices) + " (" +
                  std::to_string(columns) + " columns, " + std::to_string(matrices) + " matrices)");
  weights_.try_emplace(std::string(tensor.name), layer->weights(columns, least_));
  return true;
}

std::span<const float> importance_file::find(const blocq::gguf::tensor_info& tensor, std::size_t matrix) const {
  const auto found = weights_.find(tensor.name);
  if (found == weights_.end()) return {};
  return std::span(found->second).subspan(matrix * tensor.row_elements(), tensor.row_elements());
}
