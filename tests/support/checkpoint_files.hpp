// Checkpoints for tests: a golden one by its name, or one that a test describes.
#ifndef BLOCQ_TESTS_CHECKPOINT_FILES_HPP
#define BLOCQ_TESTS_CHECKPOINT_FILES_HPP

#include <blocq/checkpoint/recognize.hpp>
#include <blocq/safetensors/writer.hpp>
#include <golden.hpp>

#include <memory>
#include <string>
#include <vector>

namespace checkpoint_files {

namespace safetensors = blocq::safetensors;
using safetensors::dtype;

// A file in memory, with what was read from it. It does not move: views go into it.
struct opened {
  std::string bytes, config;
  std::vector<safetensors::reader> shards;
  std::unique_ptr<safetensors::tensor_set> tensors;

  opened(std::string file, std::string config_text) : bytes(std::move(file)), config(std::move(config_text)) {
    auto r = safetensors::reader::parse(std::as_bytes(std::span(bytes)));
    if (!r) throw std::runtime_error(r.message());
    for (const auto& [key, text] : r->metadata())
      if (key == "config") config = text;
    shards.push_back(std::move(*r));
    auto set = safetensors::tensor_set::open(shards);
    if (!set) throw std::runtime_error(set.message());
    tensors = std::make_unique<safetensors::tensor_set>(std::move(*set));
  }
  opened(const opened&) = delete;

  blocq::result<blocq::checkpoint::weights> weights() const {
    if (config.empty()) return blocq::checkpoint::weights::open(*tensors);
    const auto root = safetensors::json::parse(config);
    if (!root) throw std::runtime_error(root.message());
    return blocq::checkpoint::weights::open(*tensors, *root);
  }
};

inline opened golden_checkpoint(const std::string& name) {
  return {golden::text("checkpoint/" + name + ".safetensors"), ""};
}

struct described {
  std::string name;
  dtype type;
  std::vector<std::uint64_t> shape;
  std::string data = {};  // zeros if it is empty
};

inline opened make(const std::vector<described>& tensors, std::string config = "") {
  std::string out;
  const auto sink = [&](const void* p, std::size_t n) { return out.append(static_cast<const char*>(p), n), true; };
  safetensors::writer w;
  for (const auto& t : tensors) w.add(t.name, t.type, t.shape);
  if (const auto begun = w.begin(sink); !begun) throw std::runtime_error(begun.message());
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    std::string data = tensors[i].data;
    data.resize(static_cast<std::size_t>(w.tensors()[i].bytes), '\0');
    if (const auto done = w.write(i, std::as_bytes(std::span(data))); !done) throw std::runtime_error(done.message());
  }
  if (const auto done = w.finish(); !done) throw std::runtime_error(done.message());
  return {out, std::move(config)};
}

}  // namespace checkpoint_files

#endif
