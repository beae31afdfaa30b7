#include "rotate_model.hpp"

#include "command.hpp"

#include <blocq/calib/klt.hpp>

#include <algorithm>

namespace calib = blocq::calib;

namespace {

// Lets f change the tensor of this name, a matrix_view<float> with a vector as one column; nothing if there is none.
template <class F>
void change(float_copy& model, const std::string& name, const F& f) {
  const auto* const t = model.find(name);
  if (t == nullptr) return;
  std::vector<float> values = model.get(*t);
  const std::size_t cols = t->rows() == 1 ? 1 : t->row_elements();
  f(blocq::matrix_view<float>(values.data(), values.size() / cols, cols));
  model.set(*t, values);
}

std::string bias_of(const std::string& weight) { return weight.substr(0, weight.rfind('.')) + ".bias"; }

const char* const last_norm = "output_norm.weight";
const char* const last_matrix = "output.weight";
const char* const embedding = "token_embd.weight";

}  // namespace

void fold_gains(float_copy& model, const std::vector<rotated_layer>& layers) {
  if (model.find(last_matrix) == nullptr)
    throw failure("the output shares the matrix of the embedding, and a rotation would make two of them");
  const auto fold = [&](const std::string& norm, const std::vector<std::string>& consumers) {
    const std::vector<float> gain = model.get(*model.find(norm));
    for (const std::string& name : consumers)
      change(model, name, [&](blocq::matrix_view<float> w) { calib::multiply_columns(w, gain); });
    change(model, norm, [](blocq::matrix_view<float> v) { std::fill_n(v.data, v.rows, 1.0f); });
  };
  for (const rotated_layer& l : layers) {
    fold(l.attention_norm, l.qkv);
    fold(l.feed_norm, l.feed);
  }
  fold(last_norm, {last_matrix});
}

void rotate_stream(float_copy& model, const std::vector<rotated_layer>& layers, const calib::gram& moments) {
  const auto r = calib::klt_rotation::make(moments);
  if (!r) throw failure(r.message());
  const auto input = [&](const std::string& name) {
    change(model, name, [&](blocq::matrix_view<float> w) { r->apply(w); });
  };
  const auto output = [&](const std::string& name) {
    change(model, name, [&](blocq::matrix_view<float> w) { calib::rotate_outputs(w, *r); });
  };
  input(embedding);
  input(last_matrix);
  for (const rotated_layer& l : layers) {
    for (const std::string& name : l.qkv) input(name);
    for (const std::string& name : l.feed) input(name);
    for (const std::string& name : {l.output, l.down}) {
      output(name);
      output(bias_of(name));
    }
  }
}

void rotate_values(float_copy& model, const rotated_layer& layer, const calib::gram& moments, std::size_t head_width,
                   std::size_t shared) {
  const auto r = calib::rotation::make(head_width);
  if (!r) throw failure(r.message());
  const std::vector<float> peaks = moments.peaks();
  const std::size_t heads = peaks.size() / head_width;
  std::vector<std::vector<float>> scales;
  change(model, layer.values, [&](blocq::matrix_view<float> v) {
    change(model, layer.output, [&](blocq::matrix_view<float> o) {
      for (std::size_t first = 0; first < heads; first += shared) {
        std::vector<blocq::matrix_view<float>> consumers;
        std::vector<float> largest(head_width);
        for (std::size_t head = first; head < first + shared; ++head) {
          consumers.push_back({o.data + head * head_width, o.rows, head_width, o.stride});
          for (std::size_t i = 0; i < head_width; ++i) largest[i] = std::max(largest[i], peaks[head * head_width + i]);
        }
        const std::size_t row = layer.first_value + first / shared * head_width;
        auto scale = calib::fold_smooth_rotation({v.data + row * v.stride, head_width, v.cols, v.stride}, consumers,
                                                 largest, *r);
        if (!scale) throw failure(scale.message());
        scales.push_back(std::move(*scale));
      }
    });
  });
  change(model, bias_of(layer.values), [&](blocq::matrix_view<float> b) {
    for (std::size_t h = 0; h < scales.size(); ++h) {
      const blocq::matrix_view<float> part(b.data + layer.first_value + h * head_width, head_width, 1);
      for (std::size_t i = 0; i < head_width; ++i) part.data[i] /= scales[h][i];
      calib::rotate_outputs(part, *r);
    }
  });
}
