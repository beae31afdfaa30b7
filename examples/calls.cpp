// The calls that docs/reference.md shows, one after the other.
#include <blocq/blocq.hpp>
#include <blocq/gguf/all.hpp>
#include <blocq/kv/all.hpp>
#include <blocq/op/parallel.hpp>

#include <cmath>
#include <cstdio>
#include <string_view>
#include <thread>
#include <vector>

namespace gguf = blocq::gguf;

using weights = blocq::matrix_view<const blocq::q4_k>;

// Y = X W^T: rows of x are tokens, rows of w are outputs.
void layer(weights w, blocq::matrix_view<const float> x, blocq::matrix_view<float> y) {
  std::vector<std::byte> scratch(blocq::gemm_scratch<blocq::q4_k>(x.rows, x.cols));
  blocq::gemm(w, x, y, scratch);
}

void layer_on_threads(weights w, blocq::matrix_view<const float> x, blocq::matrix_view<float> y, std::size_t threads) {
  const auto run = [](std::size_t n, auto&& f) {
    std::vector<std::thread> others;
    for (std::size_t i = 1; i < n; ++i) others.emplace_back([&f, i] { f(i); });
    f(std::size_t{0});
    for (std::thread& t : others) t.join();
  };
  std::vector<std::byte> scratch(blocq::gemm_scratch<blocq::q4_k>(x.rows, x.cols, threads));
  blocq::gemm(w, x, y, scratch, threads, run);
}

bool row_of(const gguf::reader& model, std::string_view name, std::size_t r, std::vector<float>& out) {
  const gguf::tensor_info* const t = model.find_tensor(name);
  if (t == nullptr || r >= t->rows()) return false;
  out.resize(t->row_elements());
  bool done = false;
  blocq::visit_gguf(t->type, [&]<class B> {
    const auto rows = gguf::blocks_of<B>(*t);
    done = rows && blocq::dequantize(rows->row(r), out);
  });
  return done;
}

bool round_up(std::span<const float> row, std::span<blocq::mxfp8_e4m3> blocks) {
  const blocq::status s = blocq::quantize(row, blocks, {.rule = blocq::scale_rule::ceil});
  return s ? true : (std::printf("block %zu: %s\n", s.at, s.message()), false);
}

bool two_levels(std::span<const float> x, std::span<float> back) {
  std::vector<std::uint8_t> codes(x.size() / 2), scales(x.size() / 16);
  const blocq::nvfp4_tensor_scale tensor = blocq::fit_nvfp4(x);
  return blocq::encode_nvfp4(x, tensor, codes, scales) && blocq::decode_nvfp4(codes, scales, tensor, back);
}

bool attend(std::span<const float> keys, std::span<const float> values, std::span<const float> query,
            std::span<float> out) {
  auto cache = blocq::kv::kivi<4>::create(query.size());
  if (!cache) return std::puts(cache.message()), false;
  cache->append(keys, values);  // may throw std::bad_alloc: the cache is as before then
  std::vector<float> p(cache->size());
  cache->scores(query, p);
  float sum = 0;
  for (float& s : p) sum += s = std::exp(s / std::sqrt(static_cast<float>(query.size())));
  for (float& s : p) s /= sum;
  cache->mix(p, out);
  return true;
}

static bool near(std::span<const float> a, std::span<const float> b, float tolerance) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (!(std::abs(a[i] - b[i]) <= tolerance)) return false;
  return a.size() == b.size();
}

int main() {
  constexpr std::size_t rows = 48, columns = 512, tokens = 5, width = 64, length = 200;
  std::vector<float> floats(rows * columns), x(tokens * columns);
  for (std::size_t i = 0; i < floats.size(); ++i) floats[i] = std::sin(static_cast<float>(i));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = std::cos(static_cast<float>(3 * i));
  std::vector<blocq::q4_k> blocks(floats.size() / 256);
  if (!blocq::quantize(floats, blocks)) return 1;

  std::vector<float> one(tokens * rows), several(one.size());
  const weights w{blocks.data(), rows, columns / 256};
  layer(w, {x.data(), tokens, columns}, {one.data(), tokens, rows});
  layer_on_threads(w, {x.data(), tokens, columns}, {several.data(), tokens, rows}, 3);
  if (one != several) return 2;

  std::vector<std::byte> image;
  gguf::writer out;
  const std::uint64_t dims[] = {columns, rows};
  out.add_tensor("a.weight", *gguf::find_type_id("q4_k"), dims);
  const auto sink = [&](const void* data, std::size_t size) {
    const auto* const bytes = static_cast<const std::byte*>(data);
    image.insert(image.end(), bytes, bytes + size);
    return true;
  };
  if (!out.begin(sink) || !out.write(0, std::as_bytes(std::span(blocks))) || !out.finish()) return 3;
  std::vector<float> row, expected(columns);
  const auto model = gguf::reader::parse(image);
  if (!model || !row_of(*model, "a.weight", 7, row) || row_of(*model, "b.weight", 0, row)) return 4;
  if (!blocq::dequantize(w.row(7), expected) || row != expected) return 5;

  std::vector<blocq::mxfp8_e4m3> rounded(columns / 32);
  std::vector<float> back(columns);
  if (!round_up(expected, rounded) || !blocq::dequantize(rounded, back) || !near(back, expected, 0.1f)) return 6;
  if (!two_levels(expected, back) || !near(back, expected, 0.3f)) return 7;

  std::vector<float> keys(length * width, 0.5f), values(length * width, 0.25f), query(width, 1.0f), mixed(width);
  if (!attend(keys, values, query, mixed) || !near(mixed, std::vector<float>(width, 0.25f), 1e-3f)) return 8;
  std::printf("%g\n", static_cast<double>(one[0]));
}
