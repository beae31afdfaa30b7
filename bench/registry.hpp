// What there is to measure. An entry is one operation on one format in one shape; preparing it makes its operands and
// gives the functions to be timed. Both modes of the program run over the same entries.
//
// An operation is added by one source file that defines a function returning its entries, and one line in `all`.
#ifndef BLOCQ_BENCH_REGISTRY_HPP
#define BLOCQ_BENCH_REGISTRY_HPP

#include "backend.hpp"

#include <blocq/format/all.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace bench {

// Something to time: each call of `run` does `work` units of work.
struct contender {
  std::function<void()> run;
  double work = 0;
  const char* name = "";
};

struct measurement {
  contender blocq;
  std::vector<contender> peers;  // ggml's ways to the same result, the fastest of which counts; empty if it has none
  contender limit;               // the loop that bounds the operation on this machine; empty if none is known
  std::function<bool()> agrees;  // whether the last runs of blocq and of the peers gave the same result
};

struct unit {
  const char* name;
  double size;
};
inline constexpr unit million_elements{"Melem/s", 1e6}, billion_operations{"GFLOP/s", 1e9};

struct entry {
  std::string operation, format, shape;
  unit rate;
  std::function<measurement(const backend*)> prepare;  // null: without peers

  std::string name() const { return operation + '/' + format + '/' + shape; }
};

// Entries of one operation for all formats that have it: make.operator()<B>() is a measurement(const backend*),
// and it can be called exactly for those formats.
template <class Make>
std::vector<entry> for_all_formats(const entry& model, Make make) {
  std::vector<entry> entries;
  blocq::for_each(blocq::all_formats{}, [&]<class B> {
    if constexpr (requires(const backend* peer) { make.template operator()<B>(peer); }) {
      entry& e = entries.emplace_back(model);
      e.format = blocq::format_traits<B>::name;
      e.prepare = [make](const backend* peer) { return make.template operator()<B>(peer); };
    }
  });
  return entries;
}

// ggml's id for format B; -1 if ggml does not convert it.
template <class B>
int peer_type(const backend* peer) {
  if constexpr (blocq::gguf_format<B>) {
    if (peer != nullptr && peer->converts(blocq::format_traits<B>::gguf_id)) return blocq::format_traits<B>::gguf_id;
  }
  return -1;
}

std::vector<entry> activation_entries();
std::vector<entry> dequantize_entries();
std::vector<entry> dot_entries();
std::vector<entry> gemm_entries();
std::vector<entry> gemv_entries();
std::vector<entry> interleaved_entries();
std::vector<entry> quantize_entries();

inline std::vector<entry> all() {
  std::vector<entry> entries;
  for (auto* make : {quantize_entries, activation_entries, dequantize_entries, dot_entries, gemv_entries, gemm_entries,
                     interleaved_entries})
    for (entry& e : make()) entries.push_back(std::move(e));
  return entries;
}

}  // namespace bench

#endif
