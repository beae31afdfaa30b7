#include "calibrate.hpp"

#include "../llama/llama.hpp"
#include "command.hpp"
#include "float_copy.hpp"
#include "rotate_model.hpp"
#include "round_matrix.hpp"
#include "terminal.hpp"
#include "whole_tensor.hpp"
#include "windows.hpp"

#include <mutex>
#include <optional>

namespace {

namespace calib = blocq::calib;
using blocq::gguf::tensor_info;

// Matrices that have the same input.
struct group {
  std::vector<std::string> consumers;
  std::string producer;  // whose output that is, and which can take up a scale for each of its elements; or empty
};

std::vector<group> groups_of(const float_copy& model, const llama::shape& s, std::size_t layer) {
  const std::string b = "blk." + std::to_string(layer) + '.';
  const auto has = [&](const char* name) { return model.find(b + name) != nullptr; };
  // What has a bias or shares a matrix produces more than its weights can take up a scale for.
  const bool joined = has("attn_qkv.weight"), joined_feed = !has("ffn_gate.weight");
  const auto q = joined ? std::vector{b + "attn_qkv.weight"}
                        : std::vector{b + "attn_q.weight", b + "attn_k.weight", b + "attn_v.weight"};
  const auto feed =
      joined_feed ? std::vector{b + "ffn_up.weight"} : std::vector{b + "ffn_gate.weight", b + "ffn_up.weight"};
  const bool v_produces = s.heads == s.kv_heads && !joined && !has("attn_v.bias");
  const bool up_produces = !joined_feed && !has("ffn_up.bias");
  return {{q, b + "attn_norm.weight"},
          {{b + "attn_output.weight"}, v_produces ? b + "attn_v.weight" : ""},
          {feed, b + "ffn_norm.weight"},
          {{b + "ffn_down.weight"}, up_produces ? b + "ffn_up.weight" : ""}};
}

// What is rotated in a layer, of the groups above.
rotated_layer rotated(const std::vector<group>& groups, const llama::shape& s, std::size_t layer) {
  const std::string b = "blk." + std::to_string(layer) + '.';
  const bool joined = groups[0].consumers.size() == 1;
  return {.attention_norm = b + "attn_norm.weight",
          .feed_norm = b + "ffn_norm.weight",
          .qkv = groups[0].consumers,
          .feed = groups[2].consumers,
          .values = groups[0].consumers.back(),
          .first_value = joined ? (s.heads + s.kv_heads) * s.head_width : 0,
          .output = groups[1].consumers.front(),
          .down = groups[3].consumers.front()};
}

class calibrator {
 public:
  calibrator(const model& source, const std::map<std::string, int, std::less<>>& types, const calibration& how)
      : types_(types), how_(how), copy_(source), model_(copy_.set()) {
    windows_ = windows_of(how.text, model_.shape(), llama::tokenizer(source.set()), how.context, how.windows);
    states_.resize(windows_.size());
    for (const auto& [name, type] : types_)
      if (!is_float(type) && !can_calibrate(type))
        throw failure("tensor '" + printable(name) +
                      "': calibration needs a format whose codes stand for one element " + "each, and those of " +
                      std::string(find_format(type)->name) + " do not");
  }

  calibrated_tensors run() {
    const std::size_t layers = model_.shape().layers;
    const std::size_t runs = (how_.awq ? 6 : 5) * layers + 2, more = how_.klt ? 2 * layers + 2 : 0;
    progress bar("calibrating", (runs + more) * windows_.size());
    bar_ = &bar;
    if (how_.klt) rotate();
    embed();
    for (std::size_t l = 0; l < layers; ++l) {
      const auto groups = groups_of(copy_, model_.shape(), l);
      const auto step = [&](llama::session& session) { session.layer(l); };
      if (how_.awq) {
        std::vector<std::string> inputs;
        for (const group& g : groups) inputs.push_back(g.consumers.front());
        const auto each = moments(inputs, step);
        // From the last on, since one's producer is another's consumer.
        for (std::size_t i = groups.size(); i-- > 0;) scale(groups[i], each[i]);
        model_ = llama::model(copy_.set());
      }
      for (const group& g : groups) round(g, moments({g.consumers.front()}, step).front());
      advance(l);
    }
    if (const std::string output = "output.weight"; types_.contains(output))
      round({{output}, ""}, moments({output}, [&](llama::session& session) { session.finish(0); }).front());
    if (how_.klt) finish_rotated();
    return std::move(done_);
  }

 private:
  // The windows are cut into as many parts with any number of threads, so that sums do not depend on it.
  static constexpr std::size_t parts = 8;

  static bool is_float(int type) { return type == 0 || find_format(type)->block_size == 1; }

  // Calls f(session, part, window) for all.
  template <class F>
  void each_window(const F& f) {
    std::mutex mutex;
    parallel_ranges(how_.threads, parts, [&](std::size_t begin, std::size_t end) {
      llama::session session(model_, how_.context);
      for (std::size_t part = begin; part < end; ++part)
        for (std::size_t w = windows_.size() * part / parts; w < windows_.size() * (part + 1) / parts; ++w) {
          check_interrupt();
          session.clear();
          f(session, part, w);
          const std::lock_guard lock(mutex);
          bar_->advance(1);
        }
    });
  }

  void embed() {
    each_window([&](llama::session& session, std::size_t, std::size_t w) {
      session.embed(windows_[w]);
      states_[w] = session.state();
    });
  }
  void advance(std::size_t l) {
    each_window([&](llama::session& session, std::size_t, std::size_t w) {
      session.state() = states_[w];
      session.layer(l);
      states_[w] = session.state();
    });
  }

  // Another model that computes the same, before anything is rounded.
  void rotate() {
    const llama::shape& s = model_.shape();
    std::vector<rotated_layer> layers;
    for (std::size_t l = 0; l < s.layers; ++l) layers.push_back(rotated(groups_of(copy_, s, l), s, l));
    fold_gains(copy_, layers);
    model_ = llama::model(copy_.set());
    embed();
    calib::gram stream(s.width);
    std::vector<calib::gram> heads;
    for (std::size_t l = 0; l < s.layers; ++l) {
      auto each = moments({layers[l].qkv.front(), layers[l].feed.front(), layers[l].output},
                          [&](llama::session& session) { session.layer(l); });
      for (std::size_t i = 0; i < 2; ++i) static_cast<void>(stream.merge(each[i]));
      heads.push_back(std::move(each[2]));
      advance(l);
    }
    static_cast<void>(
        stream.merge(moments({"output.weight"}, [&](llama::session& session) { session.finish(0); }).front()));
    rotate_stream(copy_, layers, stream);
    for (std::size_t l = 0; l < s.layers; ++l)
      rotate_values(copy_, layers[l], heads[l], s.head_width, s.heads / s.kv_heads);
    model_ = llama::model(copy_.set());
  }
  // What has not been rounded is another tensor than in the file all the same.
  void finish_rotated() {
    for (const tensor_info& t : copy_.set().tensors()) {
      const std::string name(t.name);
      if (done_.contains(name) || (t.type != 0 && !types_.contains(name))) continue;
      const std::vector<float> values = copy_.get(t);
      const auto type = types_.find(name);
      if (type == types_.end() || type->second == 0) {
        done_[name] = {image_of(values)};
        continue;
      }
      const format_entry& format = *find_format(type->second);
      calibrated_tensor& to = done_[name];
      to.bytes.resize(format.bytes_for(values.size()));
      if (const auto s = format.encode(values, to.bytes.data(), {.importance = {}, .best = how_.best}); !s)
        throw failure("tensor '" + printable(name) + "': " + s.message());
    }
  }

  // Of what goes into each of these matrices when `step` is done from the present states on.
  template <class F>
  std::vector<calib::gram> moments(const std::vector<std::string>& names, const F& step) {
    std::vector<std::vector<calib::gram>> each(parts);
    for (auto& part : each)
      for (const std::string& name : names) part.emplace_back(copy_.find(name)->row_elements());
    each_window([&](llama::session& session, std::size_t part, std::size_t w) {
      session.observe([&](const llama::matrix& layer, std::span<const float> x, std::size_t n) {
        for (std::size_t i = 0; i < names.size(); ++i) {
          if (layer.name() != names[i]) continue;
          if (const auto s = each[part][i].add({x.data(), n, layer.columns(), layer.columns()}); !s)
            throw not_finite("the inputs of '" + printable(names[i]) + "' are not numbers: " + s.message());
        }
      });
      session.state() = states_[w];
      step(session);
      session.observe({});
    });
    for (std::size_t p = 1; p < parts; ++p)
      for (std::size_t i = 0; i < names.size(); ++i) static_cast<void>(each[0][i].merge(each[p][i]));
    return std::move(each[0]);
  }

  // The type that a matrix is rounded onto; -1 if it is not.
  int type_of(const std::string& name) const {
    const auto found = types_.find(name);
    return found == types_.end() || is_float(found->second) ? -1 : found->second;
  }

  // The unit that a matrix is rounded in: another than 1 where it becomes nvfp4 with a scale beside it.
  float unit_of(const std::string& name, std::span<const float> weights) const {
    if (type_of(name) != blocq::format_traits<blocq::nvfp4>::gguf_id || !may_have_scale(name, "llama")) return 1;
    float largest = 0;
    for (const float x : weights) largest = std::max(largest, std::abs(x));
    return nvfp4_unit(largest);
  }

  // Moves AWQ's scale from what produces the inputs of a group into its matrices. Left alone is what would have to be
  // changed without being rounded; the search is for the type of the first.
  void scale(const group& g, const calib::gram& moments) {
    if (g.producer.empty()) return;
    const tensor_info& producer = *copy_.find(g.producer);
    if (producer.rows() > 1 && type_of(g.producer) < 0) return;
    std::vector<std::vector<float>> weights;
    float unit = 1;
    for (const std::string& name : g.consumers) {
      if (type_of(name) < 0) return;
      weights.push_back(copy_.get(*copy_.find(name)));
      const float own = unit_of(name, weights.back());
      unit = weights.size() == 1 ? own : std::max(unit, own);
    }
    auto searched = weights;
    std::vector<blocq::matrix_view<const float>> views;
    for (auto& w : searched) {
      for (float& x : w) x /= unit;
      views.push_back({w.data(), w.size() / moments.columns(), moments.columns(), moments.columns()});
    }
    const std::vector<float> scale = find_scale(type_of(g.consumers.front()), views, moments);
    if (scale.empty()) return;
    const std::size_t n = scale.size();
    for (std::size_t i = 0; i < weights.size(); ++i) {
      for (std::size_t at = 0; at < weights[i].size(); ++at) weights[i][at] *= scale[at % n];
      copy_.set(*copy_.find(g.consumers[i]), weights[i]);
    }
    std::vector<float> produced = copy_.get(producer);
    const std::size_t length = produced.size() / n;  // of a row of a matrix; 1 in a norm
    for (std::size_t at = 0; at < produced.size(); ++at) produced[at] /= scale[at / length];
    copy_.set(producer, produced);
    if (producer.rows() == 1) done_[g.producer] = {image_of(produced)};
  }

  void round(const group& g, const calib::gram& moments) {
    const auto importance = moments.mean_squares();
    std::optional<calib::gptq_factor> factor;
    for (const std::string& name : g.consumers) {
      const int type = type_of(name);
      if (type < 0) continue;
      if (how_.make) {
        const tensor_info& t = *copy_.find(name);
        const std::vector<float> w = copy_.get(t);
        copy_.set(t, how_.make(name, {w.data(), t.rows(), t.row_elements()}, moments));
        continue;
      }
      if (how_.gptq && !factor) {
        auto made = calib::gptq_factorize(moments, gptq_choice);
        if (!made) throw failure("the inputs of '" + printable(name) + "': " + made.message());
        factor = std::move(*made);
      }
      const tensor_info& t = *copy_.find(name);
      std::vector<float> w = copy_.get(t);
      const float unit = unit_of(name, w);
      for (float& x : w) x /= unit;
      try {
        // Queries and keys are multiplied with each other: their largest are not to be clipped. GPTQ makes good for
        // large weights by itself, and does so worse for weights that were clipped.
        if (how_.awq && !how_.gptq && !name.ends_with("attn_q.weight") && !name.ends_with("attn_k.weight"))
          clip_matrix(type, {w.data(), t.rows(), t.row_elements(), t.row_elements()}, moments);
        auto rounded = round_matrix(type, {w.data(), t.rows(), t.row_elements(), t.row_elements()}, importance,
                                    factor ? &*factor : nullptr, how_.best, how_.threads);
        for (float& x : rounded.values) x *= unit;
        copy_.set(t, rounded.values);
        done_[name] = {std::move(rounded.blocks), unit};
      } catch (const failure& e) {
        throw failure("tensor '" + printable(name) + "': " + e.what());
      }
    }
  }

  const std::map<std::string, int, std::less<>>& types_;
  const calibration& how_;
  float_copy copy_;
  llama::model model_;
  std::vector<std::vector<int>> windows_;
  std::vector<std::vector<float>> states_;  // of each window: what the next layer gets
  calibrated_tensors done_;
  progress* bar_ = nullptr;
};

}  // namespace

bool calibrates(int type) { return can_calibrate(type); }

calibrated_tensors calibrate(const model& source, const std::map<std::string, int, std::less<>>& types,
                             const calibration& how) {
  return calibrator(source, types, how).run();
}
