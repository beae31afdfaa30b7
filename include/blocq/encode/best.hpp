// Better blocks in the same wire formats: scales and codes with a smaller squared error than the reference encoder's.
//
// improve(x, w, block) takes a block that the reference encoder has written and returns one that is at least as good:
// sum of w[i] * (x[i] - decoded[i])^2 never grows, by construction, because the new block replaces the old one only if
// the decoder says so. What is searched, by the structure of the format:
//   one scale                 every representable scale in a range around the peak: the optimum over that range
//   a scale and a minimum     64 starting intervals, each followed by least squares until it settles
//   scales of groups          all group scales (or a window around the reference's) for a set of super-block scales,
//                             then least squares for the super-block scale
//   scales, minima of groups  the same in two dimensions
//   groups with 8-bit scales  every scale (both forms of NVFP4); every power of two that can be the best (MX)
//   a table and a scale       least squares from 64 scales (NF4, FP4)
//   a table of points         best_points.hpp
// Candidates run on the lanes of L; each lane rounds as one problem alone would, so the result does not depend on L.
#ifndef BLOCQ_ENCODE_BEST_HPP
#define BLOCQ_ENCODE_BEST_HPP

#include <blocq/core/lane.hpp>
#include <blocq/format/all.hpp>

#include <cstddef>

namespace blocq::inline v0::inline BLOCQ_ISA {

namespace detail {

// How many codes an element has; 0 if they do not stand for one number each.
template <class B>
inline constexpr int code_count = [] {
  if constexpr (requires { requires element_t<B>::dimensions == 1; })
    return int{element_t<B>::entries};
  else if constexpr (requires { element_t<B>::bits; })
    return 1 << element_t<B>::bits;
  else
    return 0;
}();

// The numbers that the codes of an element stand for, ascending, each with the first code that stands for it.
template <class B>
struct level_table {
  static constexpr std::size_t codes = code_count<B>;
  int count = 0;
  int value[codes] = {};
  std::uint8_t code[codes] = {};

  constexpr level_table() noexcept {
    for (int c = 0; c < code_count<B>; ++c) {
      const int v = code_value<B>(c);
      int at = 0;
      while (at < count && value[at] < v) ++at;
      if (at < count && value[at] == v) continue;
      for (int i = count++; i > at; --i) value[i] = value[i - 1], code[i] = code[i - 1];
      value[at] = v;
      code[at] = static_cast<std::uint8_t>(c);
    }
  }
  constexpr int lowest() const noexcept { return value[0]; }
  constexpr int highest() const noexcept { return value[count - 1]; }
  constexpr bool consecutive() const noexcept { return highest() - lowest() + 1 == count; }
};
template <class B>
inline constexpr level_table<B> levels{};

// The level nearest to v, in units of the scale.
template <class B, class L>
BLOCQ_INLINE L nearest_level(L v) noexcept {
  constexpr const level_table<B>& table = levels<B>;
  if constexpr (table.consecutive()) {
    return clamp_to(nearest_int(v), static_cast<float>(table.lowest()), static_cast<float>(table.highest()));
  } else {
    L level = static_cast<float>(table.value[0]);
    for (int i = 1; i < table.count; ++i) {
      const float middle = 0.5f * static_cast<float>(table.value[i - 1] + table.value[i]);
      level = select(v > L(middle), L(static_cast<float>(table.value[i])), level);
    }
    return level;
  }
}

template <class B>
std::uint8_t nearest_code(lane v) noexcept {
  constexpr const level_table<B>& table = levels<B>;
  const int level = static_cast<int>(nearest_level<B>(v).v);
  int at = 0;
  if constexpr (table.consecutive())
    at = level - table.lowest();
  else
    while (table.value[at] != level) ++at;
  return table.code[at];
}

// sum of w * (scale * level + offset - x)^2 over n elements, for a scale and an offset in each lane. A scale of zero
// leaves the offset alone.
template <class B, class L>
L squared_error(const float* x, const float* w, std::size_t n, L scale, L offset) noexcept {
  const L inverse = select(scale == L(0.0f), L(0.0f), L(1.0f) / scale);
  L sum = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    const L v = L(x[i]) - offset;
    const L difference = scale * nearest_level<B>(v * inverse) - v;
    sum += L(w[i]) * difference * difference;
  }
  return sum;
}

template <class B>
void write_codes(const float* x, std::size_t n, lane scale, lane offset, std::uint8_t* codes) noexcept {
  const lane inverse = scale == lane(0.0f) ? lane(0.0f) : lane(1.0f) / scale;
  for (std::size_t i = 0; i < n; ++i) codes[i] = nearest_code<B>((lane(x[i]) - offset) * inverse);
}

// The candidate with the smallest error, the first of equals. A NaN never wins.
struct champion {
  float error = from_bits(0x7f800000u);
  int index = -1;

  BLOCQ_INLINE void consider(lane e, int i) noexcept {
    if (e < lane(error)) error = e.v, index = i;
  }
};

// Calls done(error, i) for the integers first .. last, in order; error(lanes) takes value(i) of as many as L has lanes.
template <class L, class Value, class Error, class Done>
void for_candidates(int first, int last, Value value, Error error, Done done) noexcept {
  constexpr int width = static_cast<int>(lane_traits<L>::size);
  for (int i = first; i <= last; i += width) {
    const int count = last - i + 1 < width ? last - i + 1 : width;
    float candidates[lane_traits<L>::size] = {}, errors[lane_traits<L>::size] = {};
    for (int k = 0; k < count; ++k) candidates[k] = value(i + k);
    L scale;
    gather(scale, candidates, 1, static_cast<std::size_t>(count));
    scatter(error(scale), errors, 1, static_cast<std::size_t>(count));
    for (int k = 0; k < count; ++k) done(errors[k], i + k);
  }
}

// The best of them.
template <class L, class Value, class Error>
champion best_of(int first, int last, Value value, Error error) noexcept {
  champion best;
  for_candidates<L>(first, last, value, error, [&](float e, int i) { best.consider(e, i); });
  return best;
}

// sum of w * (x - y)^2 over n elements
inline double squared_distance(const float* x, const float* w, const float* y, std::size_t n) noexcept {
  double sum = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const double difference = impl::opaque(static_cast<double>(x[i]) - static_cast<double>(y[i]));
    sum = impl::opaque(sum + impl::opaque(impl::opaque(static_cast<double>(w[i]) * difference) * difference));
  }
  return sum;
}

// The squared error of a block as its decoder sees it.
template <class B>
double decoded_error(const float* x, const float* w, const B& b) noexcept {
  float y[block_size<B>];
  decode(b, y);
  return squared_distance(x, w, y, block_size<B>);
}

// Puts the candidate in the block's place if its decoder gets nearer to x by more than rounding.
template <class B>
void keep_better(const float* x, const float* w, const B& candidate, B& block) noexcept {
  if (is_valid(candidate) && decoded_error(x, w, candidate) < decoded_error(x, w, block) * (1 - 1e-9))
    block = candidate;
}

inline float peak_magnitude(const float* x, std::size_t n) noexcept {
  std::uint32_t peak = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const std::uint32_t magnitude = to_bits(x[i]) & 0x7fffffffu;
    peak = magnitude > peak ? magnitude : peak;
  }
  return from_bits(peak);
}

inline int clamp_int(int v, int lowest, int highest) noexcept {
  return v < lowest ? lowest : v > highest ? highest : v;
}

// The binary16 nearest to v, as an integer that ascends with its magnitude; finite.
inline int f16_code(float v) noexcept { return clamp_int(f32_to_f16(v) & 0x7fff, 0, 0x7bff); }
inline float f16_value(int code) noexcept { return f16_to_f32(static_cast<std::uint16_t>(code)); }

template <class B>
void write_block_codes(B& b, const std::uint8_t* codes) noexcept {
  if constexpr (std::is_same_v<B, q8_0>)
    for (std::size_t i = 0; i < block_size<B>; ++i) b.qs[i] = static_cast<std::int8_t>(codes[i]);
  else
    set_codes(b, codes);
}

// The best binary16 from `first` to `last`, of either sign if both_signs is set. error(scale) is the squared distance
// of x from the numbers q * scale that are nearest to it; norm is the length of x.
//
// Going from a scale s to s' no distance shrinks by more than |s - s'| times the length of the q that are nearest under
// s', and that length is at most (norm + distance) / s'. So one scale in eight says for most of its neighbours that
// they are not worth a look.
template <class L, class Error>
champion best_binary16(int first, int last, bool both_signs, lane norm, Error error) noexcept {
  constexpr int stride = 8, capacity = 4 * 1024 / stride + 8;
  const int middles = (last - first) / stride + 1;
  BLOCQ_ASSERT(middles <= capacity);
  const auto middle = [&](int i) { return clamp_int(first + stride * i + stride / 2, first, last); };
  float coarse[2][capacity];
  champion best;
  for (int sign = 0; sign <= int{both_signs}; ++sign)
    for_candidates<L>(
        0, middles - 1, [&](int i) { return f16_value(sign << 15 | middle(i)); }, error,
        [&](float e, int i) {
          coarse[sign][i] = e;
          best.consider(e, sign << 15 | middle(i));
        });
  for (int sign = 0; sign <= int{both_signs}; ++sign)
    for (int i = 0; i < middles; ++i) {
      const int low = first + stride * i, high = clamp_int(low + stride - 1, low, last);
      const lane s = f16_value(middle(i)), least = f16_value(low), most = f16_value(high);
      const lane reach = max_of(s - least, most - s), distance = sqrt(lane(best.error));
      const lane bound = distance + reach * (norm + distance) / least;
      if (sqrt(lane(coarse[sign][i])) > bound * lane(1.0001f)) continue;
      for_candidates<L>(
          low, high, [&](int c) { return f16_value(sign << 15 | c); }, error,
          [&](float e, int c) { best.consider(e, sign << 15 | c); });
    }
  return best;
}

// One scale: the best of all binary16 that could serve, of either sign if the levels are not symmetric. Where the codes
// are signs alone that is the mean magnitude, however far it lies below the peak.
template <class L, class B>
B best_scaled(const float* x, const float* w, const B& block) noexcept {
  constexpr std::size_t n = block_size<B>;
  constexpr const level_table<B>& table = levels<B>;
  constexpr int reach = table.highest() > -table.lowest() ? table.highest() : -table.lowest();
  constexpr bool signs = table.count == 2;
  // With few levels the best scale clips far below the peak; with many it hardly clips at all.
  constexpr float least = signs ? 0.99f : table.count <= 4 ? 0.15f : table.count <= 32 ? 0.5f : 0.97f;
  constexpr float most = signs ? 1.01f : table.count <= 4 ? 2.3f : table.count <= 32 ? 1.2f : 1.02f;
  lane unit = lane(peak_magnitude(x, n)) / lane(static_cast<float>(reach)), square = 0.0f, sum = 0.0f, sum_w = 0.0f;
  for (std::size_t i = 0; i < n; ++i) {
    square += lane(w[i]) * lane(x[i]) * lane(x[i]);
    sum += lane(w[i]) * abs(lane(x[i]));
    sum_w += lane(w[i]);
  }
  if constexpr (signs) unit = sum / sum_w;
  const int first = f16_code((unit * lane(least)).v), last = f16_code((unit * lane(most)).v) + 1;

  const champion best = best_binary16<L>(first, last, table.lowest() != -table.highest(), sqrt(square),
                                         [&](L scale) { return squared_error<B>(x, w, n, scale, L(0.0f)); });
  if (best.index < 0) return block;
  B candidate = block;
  std::uint8_t codes[n];
  store(candidate.d, static_cast<std::uint16_t>(best.index));
  write_codes<B>(x, n, f16_value(best.index), 0.0f, codes);
  write_block_codes(candidate, codes);
  return candidate;
}

// A scale and an offset for all of x by weighted least squares for given levels q: x ~ scale * q + offset.
template <class L>
struct line_fit {
  L w = 0.0f, q = 0.0f, qq = 0.0f, x = 0.0f, xq = 0.0f;

  BLOCQ_INLINE void add(L weight, L level, L value) noexcept {
    const L wq = weight * level;
    w += weight;
    q += wq;
    qq += wq * level;
    x += weight * value;
    xq += wq * value;
  }
  // Leaves the arguments alone where the levels are all alike.
  BLOCQ_INLINE void solve(L& scale, L& offset) const noexcept {
    const L determinant = w * qq - q * q;
    const auto regular = determinant > L(0.0f);
    scale = select(regular, (w * xq - q * x) / determinant, scale);
    offset = select(regular, (qq * x - q * xq) / determinant, offset);
  }
};

// A scale and a minimum: least squares from 64 intervals inside the range of x, each rounded to binary16 at the end.
template <class L, class B>
B best_affine(const float* x, const float* w, const B& block) noexcept {
  constexpr std::size_t n = block_size<B>;
  constexpr int width = static_cast<int>(lane_traits<L>::size);
  lane low = x[0], high = x[0];
  for (std::size_t i = 1; i < n; ++i) low = min_of(lane(x[i]), low), high = max_of(lane(x[i]), high);
  const lane range = high - low;

  champion best;
  int best_scale = 0, best_offset = 0;
  for (int start = 0; start < 64; start += width) {
    float scales[lane_traits<L>::size] = {}, offsets[lane_traits<L>::size] = {};
    for (int k = 0; k < width; ++k) {  // the interval loses up to 7/20 of the range at either end
      const lane cut_low = range * lane(static_cast<float>((start + k) % 8) * 0.05f);
      const lane cut_high = range * lane(static_cast<float>((start + k) / 8) * 0.05f);
      scales[k] = ((range - cut_low - cut_high) / lane(static_cast<float>(levels<B>.highest()))).v;
      offsets[k] = (low + cut_low).v;
    }
    L scale, offset;
    gather(scale, scales, 1, width);
    gather(offset, offsets, 1, width);
    for (int pass = 0; pass < 8; ++pass) {
      const L inverse = select(scale == L(0.0f), L(0.0f), L(1.0f) / scale);
      line_fit<L> fit;
      for (std::size_t i = 0; i < n; ++i) fit.add(w[i], nearest_level<B>((L(x[i]) - offset) * inverse), x[i]);
      fit.solve(scale, offset);
    }
    scatter(scale, scales, 1, width);
    // The stored scale is rounded; the offset follows from it, and so do its own neighbours.
    float errors[3][lane_traits<L>::size];
    int scale_codes[3][lane_traits<L>::size], offset_codes[3][lane_traits<L>::size];
    for (int step = 0; step < 3; ++step) {
      float numbers[lane_traits<L>::size];
      L stored, mean, sum_w = 0.0f, sum = 0.0f;
      for (int k = 0; k < width; ++k) {
        scale_codes[step][k] = clamp_int(f16_code(scales[k]) + step - 1, 1, 0x7bff);
        numbers[k] = f16_value(scale_codes[step][k]);
      }
      gather(stored, numbers, 1, width);
      const L inverse = L(1.0f) / stored;
      for (std::size_t i = 0; i < n; ++i) {
        sum_w += L(w[i]);
        sum += L(w[i]) * (L(x[i]) - stored * nearest_level<B>((L(x[i]) - offset) * inverse));
      }
      scatter(sum / sum_w, numbers, 1, width);
      for (int k = 0; k < width; ++k) {
        offset_codes[step][k] = f32_to_f16(numbers[k]);
        numbers[k] = f16_value(offset_codes[step][k]);
      }
      gather(mean, numbers, 1, width);
      scatter(squared_error<B>(x, w, n, stored, mean), errors[step], 1, width);
    }
    for (int k = 0; k < width; ++k)
      for (int step = 0; step < 3; ++step) {
        const float before = best.error;
        best.consider(errors[step][k], 0);
        if (best.error < before) best_scale = scale_codes[step][k], best_offset = offset_codes[step][k];
      }
  }
  if (best.index < 0) return block;
  B candidate = block;
  std::uint8_t codes[n];
  store(candidate.d, static_cast<std::uint16_t>(best_scale));
  store(candidate.m, static_cast<std::uint16_t>(best_offset));
  write_codes<B>(x, n, f16_value(best_scale), f16_value(best_offset), codes);
  write_block_codes(candidate, codes);
  return candidate;
}

// The integers that a group's scale and minimum may be, and how far from the reference's they are looked for.
struct group_range {
  int lowest, highest, window;
  int highest_min = 0, window_min = 0;
};
template <class B>
inline constexpr group_range range_of{};
template <>
inline constexpr group_range range_of<q2_k>{0, 15, 16, 15, 15};
template <>
inline constexpr group_range range_of<q4_k>{0, 63, 8, 63, 3};
template <>
inline constexpr group_range range_of<q5_k>{0, 63, 8, 63, 3};
template <>
inline constexpr group_range range_of<q3_k>{-32, 31, 64};
template <>
inline constexpr group_range range_of<iq4_xs>{-32, 31, 64};
template <>
inline constexpr group_range range_of<q6_k>{-128, 127, 8};

// Super-blocks: x ~ d * scale * level - dmin * min with an integer scale (and minimum) for each group.
template <class L, class B>
class group_search {
 public:
  static constexpr std::size_t size = format_traits<B>::group_size;
  static constexpr std::size_t groups = block_size<B> / size;
  static constexpr bool affine = requires(B b) { b.dmin; };
  static constexpr group_range range = range_of<B>;

  group_search(const float* x, const float* w, const B& block) noexcept : x_(x), w_(w) {
    best_.d = f16_to_f32(block.d);
    if constexpr (affine) best_.dmin = f16_to_f32(block.dmin);
    for (std::size_t g = 0; g < groups; ++g) {
      if constexpr (affine) {
        best_.scale[g] = get_scale(block, static_cast<int>(g)).scale;
        best_.min[g] = get_scale(block, static_cast<int>(g)).min;
      } else {
        best_.scale[g] = get_scale(block, static_cast<int>(g));
      }
      centre_[g] = (lane(best_.d) * lane(static_cast<float>(best_.scale[g]))).v;
      centre_min_[g] = (lane(best_.dmin) * lane(static_cast<float>(best_.min[g]))).v;
    }
  }

  B run(const B& block) noexcept {
    if (best_.d == 0.0f) return block;
    try_scales(best_.d, best_.dmin);
    settle();
    constexpr float factors[] = {0.9f, 0.94f, 0.97f, 1.03f, 1.06f, 1.1f};
    for (const float f : factors)
      if (try_scales((lane(best_.d) * lane(f)).v, best_.dmin)) settle();
    if constexpr (affine)
      for (const float f : factors)
        if (try_scales(best_.d, (lane(best_.dmin) * lane(f)).v)) settle();

    B candidate = block;
    std::uint8_t codes[block_size<B>];
    store(candidate.d, f32_to_f16(best_.d));
    if constexpr (affine) store(candidate.dmin, f32_to_f16(best_.dmin));
    for (std::size_t g = 0; g < groups; ++g) {
      if constexpr (affine)
        set_scale(candidate, static_cast<int>(g), {best_.scale[g], best_.min[g]});
      else
        set_scale(candidate, static_cast<int>(g), best_.scale[g]);
      write_codes<B>(x_ + g * size, size, scale_of(best_, g), offset_of(best_, g), codes + g * size);
    }
    write_block_codes(candidate, codes);
    return candidate;
  }

 private:
  struct solution {
    float d = 0, dmin = 0, error = from_bits(0x7f800000u);
    int scale[groups] = {}, min[groups] = {};
  };

  static lane scale_of(const solution& s, std::size_t g) noexcept {
    return lane(s.d) * lane(static_cast<float>(s.scale[g]));
  }
  static lane offset_of(const solution& s, std::size_t g) noexcept {
    return -(lane(s.dmin) * lane(static_cast<float>(s.min[g])));
  }
  static int around(lane centre, lane unit) noexcept {
    return unit == lane(0.0f) ? 0 : static_cast<int>(clamp_to(nearest_int(centre / unit), -1000.0f, 1000.0f).v);
  }

  // The best integers for these super-block scales; true if that is the best solution so far.
  bool try_scales(float d, float dmin) noexcept {
    solution s;
    s.d = f16_to_f32(f32_to_f16(d));
    s.dmin = f16_to_f32(f32_to_f16(dmin));
    if (s.d == 0.0f || !is_finite(s.d) || !is_finite(s.dmin)) return false;
    lane total = 0.0f;
    for (std::size_t g = 0; g < groups; ++g) {
      const int c = around(centre_[g], s.d), cm = around(centre_min_[g], s.dmin);
      const int first = clamp_int(c - range.window, range.lowest, range.highest);
      const int last = clamp_int(c + range.window - 1, range.lowest, range.highest);
      champion best;
      for (int m = clamp_int(cm - range.window_min, 0, range.highest_min);
           m <= clamp_int(cm + range.window_min, 0, range.highest_min); ++m) {
        const L offset = (-(lane(s.dmin) * lane(static_cast<float>(m)))).v;
        const champion here = best_of<L>(
            first, last, [&](int i) { return (lane(s.d) * lane(static_cast<float>(i))).v; },
            [&](L scale) { return squared_error<B>(x_ + g * size, w_ + g * size, size, scale, offset); });
        if (here.error < best.error) {
          best = here;
          s.scale[g] = here.index;
          s.min[g] = m;
        }
      }
      total += lane(best.error);
      if (total >= lane(best_.error)) return false;
    }
    s.error = total.v;
    best_ = s;
    return true;
  }

  // Least squares for the super-block scales, then the integers again, while that helps.
  void settle() noexcept {
    for (int pass = 0; pass < 4; ++pass) {
      // The normal equations of x ~ d * a - dmin * b.
      lane aa = 0.0f, ab = 0.0f, bb = 0.0f, ax = 0.0f, bx = 0.0f;
      for (std::size_t g = 0; g < groups; ++g) {
        const lane scale = scale_of(best_, g), offset = offset_of(best_, g);
        const lane inverse = scale == lane(0.0f) ? lane(0.0f) : lane(1.0f) / scale;
        const lane b = static_cast<float>(best_.min[g]);
        for (std::size_t i = g * size; i < (g + 1) * size; ++i) {
          const lane a = lane(static_cast<float>(best_.scale[g])) * nearest_level<B>((lane(x_[i]) - offset) * inverse);
          aa += lane(w_[i]) * a * a;
          ab += lane(w_[i]) * a * b;
          bb += lane(w_[i]) * b * b;
          ax += lane(w_[i]) * a * lane(x_[i]);
          bx += lane(w_[i]) * b * lane(x_[i]);
        }
      }
      const lane determinant = aa * bb - ab * ab;
      lane d = ax / aa, dmin = best_.dmin;
      if (affine && determinant > lane(0.0f)) {
        d = (bb * ax - ab * bx) / determinant;
        dmin = (ab * ax - aa * bx) / determinant;
      }
      if (!try_scales(d.v, dmin.v)) return;
    }
  }

  const float* x_;
  const float* w_;
  float centre_[groups] = {}, centre_min_[groups] = {};
  solution best_;
};

// Groups of 16 with a scale of 8 bits each: every scale.
template <class L>
nvfp4 best_nvfp4(const float* x, const float* w, const nvfp4& block) noexcept {
  nvfp4 candidate = block;
  std::uint8_t codes[64];
  const auto value = [](int code) { return impl::half_ue4m3(static_cast<std::uint8_t>(code)); };
  for (std::size_t g = 0; g < 4; ++g, x += 16, w += 16) {
    const champion best =
        best_of<L>(0, 126, value, [&](L scale) { return squared_error<nvfp4>(x, w, 16, scale, L(0.0f)); });
    candidate.d[g] = static_cast<std::uint8_t>(best.index);
    write_codes<nvfp4>(x, 16, value(best.index), 0.0f, codes + 16 * g);
  }
  set_codes(candidate, codes);
  return candidate;
}

// Scales that are powers of two, counted from the floor rule's, with which the peak lies in the highest binade of the
// element. One more may serve, because it clips nothing. Beyond that one, the levels up to the peak are some of those
// before it and no other ones. Downward every step clips twice as much: two steps cost more than rounding ever does if
// the weights are alike, and more of them are for weights that ignore the peak.
inline constexpr int lower_powers = 6, higher_powers = 1;

template <class L>
mxfp4 best_mxfp4(const float* x, const float* w, const mxfp4& block) noexcept {
  const auto value = [](int e) { return impl::half_e8m0(static_cast<std::uint8_t>(e)); };
  const champion best =
      best_of<L>(clamp_int(block.e - lower_powers, 0, 254), clamp_int(block.e + higher_powers, 0, 254), value,
                 [&](L scale) { return squared_error<mxfp4>(x, w, 32, scale, L(0.0f)); });
  if (best.index < 0) return block;
  mxfp4 candidate = block;
  std::uint8_t codes[32];
  candidate.e = static_cast<std::uint8_t>(best.index);
  write_codes<mxfp4>(x, 32, value(best.index), 0.0f, codes);
  set_codes(candidate, codes);
  return candidate;
}

// The code whose number is nearest to v, the first of equals.
template <class Code, class L>
L nearest_entry(L v, L& number) noexcept {
  number = Code::values[0];
  L least = abs(v - number), code = 0.0f;
  for (int c = 1; c < 16; ++c) {
    const L entry = Code::values[c], distance = abs(v - entry);
    const auto nearer = distance < least;
    least = select(nearer, distance, least);
    number = select(nearer, entry, number);
    code = select(nearer, L(static_cast<float>(c)), code);
  }
  return code;
}

// A binary32 scale for a table of numbers: least squares from 64 scales below and a little above the peak.
template <class L, class Code, std::size_t N>
codebook_block<Code, N> best_entries(const float* x, const float* w, const codebook_block<Code, N>& block) noexcept {
  const lane unit = lane(peak_magnitude(x, N)) * lane(0.01f);
  const auto fit = [&]<class T>(T scale, T& aa, T& ab) {
    const T inverse = T(1.0f) / scale;
    aa = ab = 0.0f;
    for (std::size_t i = 0; i < N; ++i) {
      T number;
      nearest_entry<Code>(T(x[i]) * inverse, number);
      aa += T(w[i]) * number * number;
      ab += T(w[i]) * number * T(x[i]);
    }
  };
  const auto value = [&](int i) { return (unit * lane(static_cast<float>(i))).v; };
  const champion best = best_of<L>(46, 109, value, [&](L scale) {  // in hundredths of the peak
    L aa, ab;
    fit(scale, aa, ab);
    return -(ab * ab / aa);
  });
  if (best.index < 0) return block;
  lane scale = value(best.index);
  for (int pass = 0; pass < 4; ++pass) {
    lane aa, ab;
    fit(scale, aa, ab);
    scale = ab / aa;
  }
  codebook_block<Code, N> candidate;
  std::uint8_t codes[N];
  for (std::size_t i = 0; i < N; ++i) {
    lane number;
    codes[i] = static_cast<std::uint8_t>(nearest_entry<Code>(lane(x[i]) / scale, number).v);
  }
  store(candidate.absmax, to_bits(scale.v));
  set_codes(candidate, codes);
  return candidate;
}

}  // namespace detail

// Replaces the block by a better one if one is found. x and w are block_size<B> values and weights, finite; the
// weights are not negative.
template <class L, class B>
requires(detail::range_of<B>.window > 0) void improve(const float* x, const float* w, B& block) noexcept {
  detail::keep_better(x, w, detail::group_search<L, B>(x, w, block).run(block), block);
}
template <class L, class B>
requires(detail::range_of<B>.window == 0 && requires(B b) { b.m; }) void improve(const float* x, const float* w,
                                                                                 B& block) noexcept {
  detail::keep_better(x, w, detail::best_affine<L>(x, w, block), block);
}
template <class L, class B>
requires(
    detail::range_of<B>.window == 0 && !requires(B b) { b.m; } && !requires(B b) { b.s; } &&
    detail::code_count<B> > 0 &&
    requires(B b) {
      { b.d } -> std::same_as<le16&>;
    }) void improve(const float* x, const float* w, B& block) noexcept {
  detail::keep_better(x, w, detail::best_scaled<L>(x, w, block), block);
}

template <class L>
void improve(const float* x, const float* w, nvfp4& block) noexcept {
  detail::keep_better(x, w, detail::best_nvfp4<L>(x, w, block), block);
}
template <class L>
void improve(const float* x, const float* w, mxfp4& block) noexcept {
  detail::keep_better(x, w, detail::best_mxfp4<L>(x, w, block), block);
}
template <class L, class Element, std::size_t N>
void improve(const float* x, const float* w, mx_block<Element, N>& block) noexcept {
  const int rule = block.scale;
  for (int scale = rule - detail::lower_powers; scale <= rule + detail::higher_powers; ++scale) {
    if (scale < 0 || scale > 254) continue;
    mx_block<Element, N> candidate;
    candidate.scale = static_cast<std::uint8_t>(scale);
    std::uint8_t codes[N];
    const lane inverse = float8_e8m0fnu{static_cast<std::uint8_t>(254 - scale)}.to_float();
    for (std::size_t i = 0; i < N; ++i) codes[i] = Element::from_float((lane(x[i]) * inverse).v).code;
    set_codes(candidate, codes);
    detail::keep_better(x, w, candidate, block);
  }
}
template <class L, class Code, std::size_t N>
void improve(const float* x, const float* w, codebook_block<Code, N>& block) noexcept {
  detail::keep_better(x, w, detail::best_entries<L>(x, w, block), block);
}

// Betters what encode_nvfp4 has written, under the same tensor scale: every scale of every group. `importance` is empty
// or has a weight per column, finite and not negative; rows are whole groups of 16. Groups that are not finite are left
// alone. Sizes as for encode_nvfp4; refused with everything left as it was: errc::ragged, errc::size_mismatch.
template <class L = lane>
status improve_nvfp4(std::span<const float> x, nvfp4_tensor_scale tensor, std::span<const float> importance,
                     std::span<std::uint8_t> codes, std::span<std::uint8_t> scales) noexcept {
  if (x.size() % 16 != 0) return {errc::ragged, 0};
  if (!importance.empty() && (importance.size() % 16 != 0 || x.size() % importance.size() != 0))
    return {errc::ragged, 0};
  if (codes.size() != x.size() / 2 || scales.size() != x.size() / 16) return {errc::size_mismatch, 0};
  const fp_environment modes;
  const bool multiply = tensor.meaning == nvfp4_tensor_scale::convention::multiplier;
  const auto half_scale = [&](int code) {  // the unit of doubled codes
    const lane group = float8_e4m3fn{static_cast<std::uint8_t>(code)}.to_float();
    return ((multiply ? group * lane(tensor.value) : group / lane(tensor.value)) * lane(0.5f)).v;
  };
  float equal[16];
  for (float& v : equal) v = 1.0f;
  for (std::size_t g = 0; g < scales.size(); ++g) {
    const float *p = &x[16 * g], *w = importance.empty() ? equal : &importance[16 * g % importance.size()];
    std::uint8_t q[16], candidate[8];
    const detail::champion best = detail::best_of<L>(
        1, 126, half_scale, [&](L scale) { return detail::squared_error<nvfp4>(p, w, 16, scale, L(0.0f)); });
    if (best.index < 0) continue;
    detail::write_codes<nvfp4>(p, 16, half_scale(best.index), 0.0f, q);
    impl::pack_dense<4>(q, 16, candidate);
    const auto error = [&](const std::uint8_t* group_codes, std::uint8_t scale) {
      float y[16];
      static_cast<void>(decode_nvfp4({group_codes, 8}, {&scale, 1}, tensor, y));
      return detail::squared_distance(p, w, y, 16);
    };
    const auto scale = static_cast<std::uint8_t>(best.index);
    if (error(candidate, scale) < error(&codes[8 * g], scales[g]) * (1 - 1e-9)) {
      scales[g] = scale;
      for (std::size_t i = 0; i < 8; ++i) codes[8 * g + i] = candidate[i];
    }
  }
  return {};
}

}  // namespace blocq::inline v0::inline BLOCQ_ISA

#endif
