#include "round_matrix.hpp"

#include "command.hpp"

#include <blocq/calib/awq.hpp>
#include <blocq/calib/rtn.hpp>

#include <cstring>

namespace calib = blocq::calib;

bool can_calibrate(int type) {
  bool can = false;
  blocq::visit_gguf(type, [&]<class B> { can = calib::scalar_format<B>; });
  return can;
}

std::vector<float> find_scale(int type, std::span<const blocq::matrix_view<const float>> consumers,
                              const calib::gram& moments) {
  std::vector<float> scale;
  blocq::visit_gguf(type, [&]<class B> {
    if constexpr (calib::scalar_format<B>) {
      auto found = calib::awq_scale(consumers, moments, calib::onto<B>{}, {.search_rows = 128});
      if (!found) throw failure(found.message());
      if (found->exponent > 0) scale = std::move(found->scale);
    }
  });
  return scale;
}

void clip_matrix(int type, blocq::matrix_view<float> w, const calib::gram& moments) {
  blocq::visit_gguf(type, [&]<class B> {
    if constexpr (calib::scalar_format<B>)
      if (const auto limits = calib::awq_clip(w, moments, calib::onto<B>{}); !limits) throw failure(limits.message());
  });
}

rounded_matrix round_matrix(int type, blocq::matrix_view<const float> w, const std::vector<float>& importance,
                            const calib::gptq_factor* factor, bool best, unsigned threads) {
  rounded_matrix out;
  const auto keep = [&](auto&& result) {
    if (!result) throw failure(result.message());
    const auto bytes = std::as_bytes(std::span(result->stored.blocks));
    out.blocks.assign(bytes.begin(), bytes.end());
    out.values = std::move(result->values);
  };
  blocq::visit_gguf(type, [&]<class B> {
    if constexpr (calib::scalar_format<B>) {
      const calib::onto<B> format{best ? blocq::quality_level::best : blocq::quality_level::reference};
      if (factor == nullptr) return keep(calib::rtn(w, format, importance));
      keep(calib::gptq(w, *factor, format, gptq_choice, [&](std::size_t n, auto&& f) {
        parallel_ranges(threads, n, [&](std::size_t first, std::size_t last) {
          for (std::size_t i = first; i < last; ++i) f(i);
        });
      }));
    }
  });
  return out;
}
