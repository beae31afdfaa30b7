// Rotary position encoding: pairs of elements of a head are turned by an angle that grows with the position.
#ifndef LLAMA_ROPE_HPP
#define LLAMA_ROPE_HPP

#include "parameters.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <span>
#include <vector>

namespace llama {

class rope {
 public:
  rope() = default;
  // `divisors` of the frequencies, one for each pair, or none. YaRN (Peng et al. 2023): pairs that turn more than 32
  // times in the original context keep their frequency, those that turn less than once are stretched, and a ramp lies
  // between; its ends are whole pairs, as in llama.cpp.
  rope(const rope_parameters& p, bool halves, std::span<const float> divisors)
      : halves_(halves), magnitude_(p.magnitude) {
    const double width = static_cast<double>(p.width);
    const auto pair_that_turns = [&](double times) {
      const double context = static_cast<double>(p.original_context);
      return width * std::log(context / (times * 2 * std::numbers::pi)) / (2 * std::log(p.base));
    };
    const double kept = std::max(0.0, std::floor(pair_that_turns(32)));
    const double stretched = std::min(width - 1, std::ceil(pair_that_turns(1)));
    for (std::size_t i = 0; i < p.width / 2; ++i) {
      double frequency = std::pow(p.base, -2 * static_cast<double>(i) / width);
      if (!divisors.empty()) frequency /= static_cast<double>(divisors[i]);
      const double position = (static_cast<double>(i) - kept) / std::max(0.001, stretched - kept);
      const double share = p.yarn ? std::clamp(position, 0.0, 1.0) : 1.0;
      frequency_.push_back(frequency * (share / p.factor + 1 - share));
    }
  }

  struct turn {
    float cos, sin;
  };
  // Of each pair at this position.
  void turns(std::size_t position, std::vector<turn>& out) const {
    out.clear();
    for (const double f : frequency_) {
      const double angle = static_cast<double>(position) * f;
      out.push_back(
          {static_cast<float>(magnitude_ * std::cos(angle)), static_cast<float>(magnitude_ * std::sin(angle))});
    }
  }
  // Heads that may be wider than what is rotated.
  void apply(std::span<const turn> turns, std::span<float> heads, std::size_t head_width) const {
    const std::size_t pairs = turns.size(), step = halves_ ? 1 : 2, apart = halves_ ? pairs : 1;
    for (std::size_t head = 0; head < heads.size(); head += head_width)
      for (std::size_t i = 0; i < pairs; ++i) {
        float &x = heads[head + i * step], &y = heads[head + i * step + apart];
        const float a = x, b = y;
        x = a * turns[i].cos - b * turns[i].sin;
        y = a * turns[i].sin + b * turns[i].cos;
      }
  }

 private:
  std::vector<double> frequency_;  // in radians for each position
  bool halves_ = false;
  double magnitude_ = 1;
};

}  // namespace llama

#endif
