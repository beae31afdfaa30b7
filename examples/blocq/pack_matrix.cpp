#include "pack_matrix.hpp"

#include "command.hpp"
#include "suggest.hpp"
#include "terminal.hpp"

#include <blocq/calib/abq.hpp>
#include <blocq/calib/bitstack.hpp>
#include <blocq/calib/dgq.hpp>
#include <blocq/calib/finequant.hpp>
#include <blocq/calib/fmpq.hpp>
#include <blocq/calib/llm_int8.hpp>
#include <blocq/calib/low_rank.hpp>
#include <blocq/calib/palette.hpp>
#include <blocq/calib/power.hpp>
#include <blocq/calib/split_ranges.hpp>
#include <blocq/packed/fp6_llm.hpp>
#ifdef BLOCQ_PROGRAM_CALIBRATES
#include <blocq/calib/adadim.hpp>
#include <blocq/calib/spqr.hpp>
#include <blocq/calib/vptq.hpp>
#endif

#include <algorithm>
#include <charconv>
#include <cmath>

namespace calib = blocq::calib;
namespace packed = blocq::packed;

const std::vector<packing_method>& packing_methods() {
  static const std::vector<packing_method> all = {
      {"palette",
       "a table of numbers for the matrix, or for groups of rows",
       false,
       {{"bits", 4, 1, 8}, {"group", 0, 0, 1e9}}},
      {"power", "levels at powers of whole numbers, the exponent searched", false, {{"bits", 4, 2, 8}}},
      {"splitquant", "three ranges in one matrix", false, {{"bits", 4, 2, 6}}},
      {"finequant",
       "integers in groups of a size for each row",
       false,
       {{"bits", 4, 2, 7}, {"least", 64, 32, 1e9}, {"narrowing", 0.8, 0, 2, false}}},
      {"abq",
       "bit planes, with a level more than the bits have",
       false,
       {{"bits", 2, 1, 8}, {"balanced", 1, 0, 1}, {"group", 128, 0, 1e9}, {"inputs", 8, 2, 8}}},
      {"lowrank", "two thin matrices beside blocks of --type", false, {{"rank", 8, 1, 1e6}}},
      {"bitstack",
       "signs times magnitudes of low rank, level upon level",
       false,
       {{"levels", 4, 1, 64}, {"rank", 4, 1, 4096}, {"bpw", 0, 0, 64, false}}},
      {"fp6", "floats of 6 bits under a scale for each row", false, {}},
      {"fp5", "floats of 5 bits under a scale for each row", false, {}},
      {"int8", "8 bits, and extreme columns in half precision", true, {{"threshold", 6, 0, 1e9, false}}},
      {"fmpq",
       "4 bits for inputs of 4, or of 8 in the few blocks with extreme columns",
       true,
       {{"block", 128, 32, 1e9}, {"threshold", 8, 0, 1e9, false}}},
      {"dgq",
       "4 bits in groups inside a grid of 8",
       true,
       {{"group", 128, 32, 1e9}, {"smoothed", 0.005, 0, 0.99, false}}},
#ifdef BLOCQ_PROGRAM_CALIBRATES
      {"vptq",
       "vectors of a codebook",
       true,
       {{"length", 4, 1, 16},
        {"bits", 8, 1, 12},
        {"residual", 0, 0, 12},
        {"outliers", 0, 0, 0.5, false},
        {"damp", 0.01, 0, 1e6, false}}},
      {"adadim",
       "integers in groups along rows or columns, whichever is better",
       true,
       {{"bits", 4, 2, 4}, {"group", 128, 32, 1e9}, {"gptq", 1, 0, 1}, {"damp", 0.01, 0, 1e6, false}}},
      {"spqr",
       "3 bits in tiles of 16 by 16, and outliers",
       true,
       {{"threshold", 0.2, 0, 1e9, false}, {"damp", 0.01, 0, 1e6, false}}},
#endif
  };
  return all;
}

const packing_method* find_packing_method(std::string_view name) {
  for (const packing_method& m : packing_methods())
    if (name == m.name) return &m;
  return nullptr;
}

packing_parameters parse_parameters(const packing_method& method, const std::vector<std::string>& given) {
  packing_parameters all;
  std::string known;
  std::vector<std::string_view> names;
  for (const packing_option& o : method.options) {
    all[o.name] = o.usual;
    known += (known.empty() ? "" : ", ") + std::string(o.name);
    names.push_back(o.name);
  }
  for (const std::string& text : given) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    const auto option = std::find_if(method.options.begin(), method.options.end(),
                                     [&](const packing_option& o) { return name == o.name; });
    if (option == method.options.end())
      throw failure("--with '" + printable(text) + "': the method " + method.name +
                    (known.empty() ? " has no parameters"
                                   : " has no such parameter" + suggestion(name, names) + "; it has " + known));
    double value = 0;
    const char* const end = text.data() + text.size();
    const auto parsed = equals == std::string::npos ? std::from_chars_result{nullptr, std::errc::invalid_argument}
                                                    : std::from_chars(text.data() + equals + 1, end, value);
    if (parsed.ec != std::errc() || parsed.ptr != end || !(value >= option->least && value <= option->most) ||
        (option->whole && value != std::floor(value)))
      throw failure("--with '" + printable(text) + "': " + name + " is a " + (option->whole ? "whole " : "") +
                    "number from " + significant_text(option->least, 9) + " to " + significant_text(option->most, 9));
    all[name] = value;
  }
  return all;
}

packed_weight pack_matrix(const packing_method& method, const packing_parameters& with,
                          blocq::matrix_view<const float> w, const calib::gram* inputs,
                          const blocq::matrix_view<const float>* blocks) {
  const auto number = [&](const char* name) { return with.find(name)->second; };
  const auto whole = [&](const char* name) { return static_cast<std::size_t>(number(name)); };
  const auto bits = [&] { return static_cast<int>(number("bits")); };
  const auto check = [](auto&& made) {
    if (!made) throw failure(made.message());
    return packed_weight(std::move(*made));
  };
  const std::string_view name = method.name;
  const std::vector<float> importance = inputs != nullptr ? inputs->mean_squares() : std::vector<float>();
  if (name == "palette") return check(calib::make_palette(w, {.bits = bits(), .group = whole("group")}, importance));
  if (name == "power") {
    auto made = calib::make_power(w, {.bits = bits()});
    if (!made) throw failure(made.message());
    return packed_weight(std::move(made->matrix));
  }
  if (name == "splitquant") return check(calib::split_ranges(w, {.bits = bits()}));
  if (name == "finequant")
    return check(calib::finequant(w, {.bits = bits(), .least = whole("least"), .narrowing = number("narrowing")}));
  if (name == "abq")
    return check(calib::abq(w,
                            {.bits = bits(),
                             .balanced = number("balanced") != 0,
                             .group = whole("group"),
                             .input_bits = static_cast<int>(number("inputs"))},
                            importance));
  if (name == "lowrank")
    return check(calib::low_rank_error(w, *blocks, std::min({whole("rank"), w.rows, w.cols}), importance));
  if (name == "bitstack")
    return check(calib::make_bit_stack(
        w, {.levels = whole("levels"), .rank = std::min({whole("rank"), w.rows, w.cols})}, importance));
  if (name == "fp6") return check(packed::fp6_llm::quantize(w));
  if (name == "fp5") return check(packed::fp5_llm::quantize(w));
  if (name == "int8")
    return check(packed::int8_matrix::quantize(
        w, calib::outlier_columns(inputs->peaks(), static_cast<float>(number("threshold")))));
  if (name == "fmpq")
    return check(calib::fmpq(w, *inputs, {.block = whole("block"), .threshold = number("threshold")}));
  if (name == "dgq") return check(calib::dgq(w, *inputs, {.group = whole("group"), .smoothed = number("smoothed")}));
#ifdef BLOCQ_PROGRAM_CALIBRATES
  if (name == "adadim") {
    auto made = calib::adadim(
        w, *inputs, {.bits = bits(), .group = whole("group"), .gptq = number("gptq") != 0, .damp = number("damp")});
    if (!made) throw failure(made.message());
    return std::visit([](auto& m) { return packed_weight(std::move(m)); }, made->matrix);
  }
  if (name == "vptq")
    return check(calib::vptq(w, *inputs,
                             {.length = whole("length"),
                              .bits = bits(),
                              .residual_bits = static_cast<int>(number("residual")),
                              .outliers = number("outliers"),
                              .damp = number("damp")}));
  if (name == "spqr") return check(calib::spqr(w, *inputs, {.threshold = number("threshold"), .damp = number("damp")}));
#endif
  throw failure("the method " + std::string(name) + " is not in this program");
}

static packed::bit_stack stack_of(const packed_weight& weight) {
  auto stack = packed::bit_stack::from_parts(weight.parts());
  if (!stack) throw failure(stack.message());
  return std::move(*stack);
}

stack_levels levels_of(const packed_weight& weight) {
  const packed::bit_stack stack = stack_of(weight);
  if (stack.gains().empty()) throw failure("the stack does not say what its levels gain");
  return {{stack.gains().begin(), stack.gains().end()}, stack.level_bytes()};
}

packed_weight first_levels(const packed_weight& weight, std::size_t count) {
  auto less = packed_weight::from_parts(stack_of(weight).first_levels(count));
  if (!less) throw failure(less.message());
  return std::move(*less);
}
