// Foreign parts of packed matrices: the first byte chooses the scheme, the others change numbers, shapes and bytes of a
// small matrix of it.
#include <packed_examples.hpp>

#include <cstdint>
#include <cstring>

static void check(bool holds) {
  if (!holds) __builtin_trap();
}

namespace {

struct stream {
  const std::uint8_t* data;
  std::size_t size;

  unsigned byte() {
    if (size == 0) return 0;
    --size;
    return *data++;
  }
};

template <class M>
void one(stream in) {
  const M example = test::make_packed<M>();
  const blocq::packed::part_set good = example.parts();
  blocq::packed::part_set bad;
  bad.scheme = good.scheme;
  for (const auto& p : good.parameters()) {
    const unsigned how = in.byte();
    bad.add(p.name, how < 128 ? p.value : how < 254 ? in.byte() : std::uint64_t{in.byte()} << in.byte() % 64);
  }
  std::vector<std::vector<std::byte>> bytes;
  bytes.reserve(good.parts().size());
  for (blocq::packed::part p : good.parts()) {
    const unsigned how = in.byte();
    if (how == 255) continue;
    if (how >= 128) {
      p.rows = in.byte() % 64 + 1, p.cols = in.byte() + 1;
      if (how == 254) p.type = static_cast<blocq::packed::part_type>(in.byte() % 5);
    }
    std::vector<std::byte>& own = bytes.emplace_back(p.bytes.begin(), p.bytes.end());
    own.resize(p.rows * p.cols * size_of(p.type));
    if (how % 2 != 0)
      for (unsigned n = in.byte() % 16; n > 0; --n) {
        const std::size_t at = (in.byte() << 8 | in.byte()) % own.size();
        own[at] = static_cast<std::byte>(in.byte());
      }
    p.bytes = own;
    bad.add(p);
  }
  const auto m = M::from_parts(bad);
  if (!m || m->rows() > 4096 || m->cols() > 65536) return;
  std::vector<float> x(m->cols(), 0.5f), y(m->rows()), part(1), space(m->scratch()), row(m->cols());
  m->gemv(x, y, space);
  m->gemv(x, part, space, m->rows() - 1);
  check(std::memcmp(&part.back(), &y.back(), sizeof(float)) == 0);
  for (std::size_t r = 0; r < m->rows(); ++r) m->dequantize_row(r, row);
  check(static_cast<bool>(M::from_parts(m->parts())));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::size_t choice = data[0] % blocq::packed::all_packed::size;
  blocq::for_each(blocq::packed::all_packed{}, [&]<class M> {
    if (choice-- == 0) one<M>({data + 1, size - 1});
  });
  return 0;
}
