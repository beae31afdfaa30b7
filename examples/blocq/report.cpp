// blocq report: one page about a model, what formats and mixes would make of it and what they would cost.
#include "../llama/tokenizer.hpp"
#include "command.hpp"
#include "convert.hpp"
#include "files.hpp"
#include "plan.hpp"
#include "plot.hpp"
#include "predictions.hpp"
#include "report_assets.hpp"
#include "survey.hpp"
#include "svg.hpp"
#include "terminal.hpp"
#include "windows.hpp"

#include <nlohmann/json.hpp>

#include <unistd.h>
#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>

namespace {

// What may be taken, and what it does to the predictions of a text.
struct offer {
  surveyed_mix mix;
  std::string name, options;  // for a file and a person; what makes `quantize` write it
  std::optional<figures> text = {};
};

// Bits per weight that somebody may be ready to spend.
struct budget {
  double bits;
  std::vector<offer> offers = {};  // a mix, if there is one so small; with a text a plan for these bits
};

std::string percent(double error) { return std::isnan(error) ? "" : error == 0 ? "0" : significant_text(100 * error); }
std::string fixed(double value, int digits) {
  char text[48];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}
// A number for a program, whatever the locale of its text.
std::string cell(const std::string& text, double value) {
  return "<td class=\"n\" data-v=\"" + (std::isfinite(value) ? significant_text(value, 8) : "") + "\">" +
         escape_xml(text) + "</td>";
}
std::string cell(std::string_view text) { return "<td>" + escape_xml(text) + "</td>"; }

// The head of a table that can be sorted; titles with '>' are of columns of numbers.
std::string head(std::string_view label, const std::vector<std::string>& titles) {
  std::string out = "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"" + escape_xml(label) +
                    "\">\n<table class=\"sort\"><thead><tr>";
  for (std::string_view title : titles) {
    const bool number = title.starts_with('>');
    if (number) title.remove_prefix(1);
    out += std::string("<th scope=\"col\"") + (number ? " class=\"n\"" : "") + "><button type=\"button\">" +
           escape_xml(title) + "</button></th>";
  }
  return out + "</tr></thead><tbody>\n";
}
constexpr const char* foot = "</tbody></table></div>\n";

// For a command line: as it is if no shell would mind.
std::string shell_word(std::string_view word) {
  const bool harmless = !word.empty() && std::ranges::all_of(word, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./+=:,@").find(c) != std::string_view::npos;
  });
  if (harmless) return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

class page {
 public:
  page(const report_options& o, const model& source, const survey& s, const std::vector<budget>& budgets,
       const std::vector<tensor_sensitivity>& sensitivities, const std::optional<figures>& text)
      : o_(o), source_(source), s_(s), budgets_(budgets), sensitivities_(sensitivities), text_(text) {}

  std::string write() {
    const std::string name = printable(std::filesystem::path(o_.model).filename().string());
    out_ =
        "<!doctype html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>"
        "<meta name=\"color-scheme\" content=\"light dark\"/>\n<title>" +
        escape_xml(name) + ": formats</title>\n<link rel=\"icon\" href=\"data:,\"/>\n<style>" + report_style +
        "</style></head>\n<body><main>\n<h1>" + escape_xml(name) + "</h1>\n";
    add_file();
    out_ +=
        "<nav aria-label=\"Sections\"><a href=\"#which\">Which mix</a><a href=\"#formats\">Formats</a>"
        "<a href=\"#mixes\">Mixes</a><a href=\"#where\">Layers and roles</a>" +
        std::string(sensitivities_.empty() ? "" : "<a href=\"#sensitivity\">Sensitivity</a>") +
        "<a href=\"#sizes\">Sizes</a><a href=\"#distribution\">Distribution</a><a "
        "href=\"#matrices\">Matrices</a></nav>\n";
    add_budgets();
    add_formats();
    add_mixes();
    add_heat();
    add_sensitivities();
    add_sizes();
    add_distribution();
    add_matrices();
    out_ += "</main>\n<script type=\"application/json\" id=\"data\">" + data() + "</script>\n<script>//<![CDATA[" +
            report_script + "//]]></script>\n</body></html>\n";
    return std::move(out_);
  }

 private:
  void heading(const char* id, const char* title, std::string_view text) {
    out_ += std::string("<section aria-labelledby=\"") + id + "\"><h2 id=\"" + id + "\">" + title + "</h2>\n<p>" +
            std::string(text) + "</p>\n";
  }

  void add_file() {
    const auto architecture =
        source_.reader().get<std::string_view>("general.architecture").value_or("no architecture");
    std::uint64_t bytes = 0;
    std::map<std::string, std::size_t> types;
    for (const surveyed_matrix& m : s_.matrices) bytes += m.tensor->bytes(), ++types[type_text(*m.tensor)];
    std::string list;
    for (const auto& [type, count] : types) list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + type;
    out_ += "<p>" + escape_xml(printable(architecture)) + ", " + std::to_string(s_.matrices.size()) + " matrices of " +
            count_text(s_.elements) + " weights (" + escape_xml(list) + "), " +
            fixed(8 * static_cast<double>(bytes) / static_cast<double>(s_.elements), 4) + " bits each; the file has " +
            bytes_text(source_.file_bytes()) + ". Errors are measured on " + count_text(s_.sampled) +
            " of the weights: the root of the summed squared differences over that of the summed squared weights.";
    if (text_)
      out_ +=
          " Perplexity of the model on the text: " + fixed(text_->perplexity, 4) + " ± " + fixed(text_->error, 4) + ".";
    out_ += "</p>\n";
  }

  void add_budgets() {
    heading(
        "which", "Which mix to take",
        o_.calibrates()
            ? "For each budget the mix with the smallest error, of all that need no importance weights, and the plan "
              "that spends so many bits where this model loses least by them, measured on the calibration text."
            : "The mix with the smallest error that fits a budget, of all that need no importance weights. A text "
              "(<code>--calibration</code>) makes better ones.");
    out_ +=
        "<div class=\"wide all\" tabindex=\"0\" role=\"region\" aria-label=\"Recommended mixes\"><table><thead><tr>"
        "<th scope=\"col\">at most</th><th scope=\"col\">mix</th>"
        "<th scope=\"col\" class=\"n\">bits per weight</th><th scope=\"col\" class=\"n\">size</th>"
        "<th scope=\"col\" class=\"n\">error %</th>";
    if (text_)
      out_ +=
          "<th scope=\"col\" class=\"n\">perplexity</th><th scope=\"col\" class=\"n\">KL divergence</th>"
          "<th scope=\"col\" class=\"n\">same top %</th>";
    out_ += "</tr></thead><tbody>\n";
    for (const budget& b : budgets_) {
      if (b.offers.empty())
        out_ += "<tr><td>" + fixed(b.bits, 1) + " bits</td><td colspan=\"" + std::to_string(text_ ? 7 : 4) +
                "\">nothing is so small</td></tr>\n";
      for (const offer& choice : b.offers) {
        const surveyed_mix& m = choice.mix;
        out_ += "<tr><td>" + fixed(b.bits, 1) + " bits</td><td>" + label_of(choice.name, m) + "</td>" +
                cell(fixed(m.bits, 4), m.bits) + cell(bytes_text(m.bytes), static_cast<double>(m.bytes)) +
                cell(percent(m.error), m.error);
        if (choice.text)
          out_ += cell(fixed(choice.text->perplexity, 4), choice.text->perplexity) +
                  cell(significant_text(choice.text->divergence), choice.text->divergence) +
                  cell(fixed(choice.text->same_top, 1), choice.text->same_top);
        out_ += "</tr>\n";
      }
    }
    out_ += "</tbody></table></div>\n";
    if (text_ && o_.calibration.empty())
      out_ +=
          "<p class=\"soft\">The plans were made with the text that predictions are measured on: give another with "
          "<code>--calibration</code> for figures that hold for others.</p>\n";
    for (const budget& b : budgets_)
      for (const offer& choice : b.offers)
        out_ += "<p><code>" +
                escape_xml("blocq quantize " + shell_word(o_.model) + " " + choice.name + ".gguf " + choice.options) +
                "</code></p>\n";
    out_ += "</section>\n";
  }

  // The name of a choice; of a plan what it has most of.
  std::string label_of(const std::string& name, const surveyed_mix& m) const {
    if (m.info != nullptr) return escape_xml(m.info->name);
    std::map<std::string_view, std::size_t> counts;
    for (const surveyed_matrix& matrix : s_.matrices)
      ++counts[m.formats[index_of(matrix)] != nullptr ? m.formats[index_of(matrix)]->name : "as it is"];
    std::string list;
    for (const auto& [type, count] : counts)
      list += (list.empty() ? "" : ", ") + std::to_string(count) + " " + std::string(type);
    return escape_xml(name) + " <span class=\"soft types\">" + escape_xml(list) + "</span>";
  }

  void add_formats() {
    heading("formats", "Every format on these weights",
            "One format for all matrices. Formats with rows of other lengths than the model has are left out. Point at "
            "a sign "
            "or move the focus to it for its numbers.");
    std::vector<plot_point> points;
    std::string rows;
    for (std::size_t f = 0; f < s_.formats.size(); ++f) {
      const format_entry& format = *s_.formats[f];
      const double error = s_.error(f), bits = format.bits_per_weight();
      if (std::isnan(error)) continue;
      if (error > 0 && format.block_size > 1)
        points.push_back({plot_label(format.name), family_of(format.name), bits, error});
      const double bytes = bits / 8 * static_cast<double>(s_.elements);
      rows += "<tr>" + cell(format.name) + cell(fixed(bits, 4), bits) + cell(percent(error), error) +
              cell(error > 0 ? fixed(-20 * std::log10(error), 2) : "exact",
                   error > 0 ? -20 * std::log10(error) : HUGE_VAL) +
              cell(bytes_text(static_cast<std::uint64_t>(bytes)), bytes) + cell(format.gguf_id ? "yes" : "") +
              cell(format.importance_required ? "needed"
                   : format.importance        ? "used"
                                              : "") +
              "</tr>\n";
    }
    if (!points.empty())
      out_ += plot_svg(format_plot_words("Error against size", "lower and further left is better"), points);
    out_ +=
        head("Formats", {"format", ">bits per weight", ">error %", ">SNR dB", ">all matrices", "GGUF", "importance"}) +
        rows + foot + "</section>\n";
  }

  void add_mixes() {
    heading("mixes", "Every mix",
            "What <code>blocq quantize --mix</code> would write, by size; <code>blocq explain</code> says "
            "which matrix gets what, and why.");
    out_ += head("Mixes", {"mix", ">bits per weight", ">error %", ">size"});
    for (const surveyed_mix& m : s_.mixes)
      out_ += "<tr>" + cell(m.info->name) + cell(fixed(m.bits, 4), m.bits) + cell(percent(m.error), m.error) +
              cell(bytes_text(m.bytes), static_cast<double>(m.bytes)) + "</tr>\n";
    out_ += std::string(foot) + "</section>\n";
  }

  std::size_t index_of(const surveyed_matrix& m) const {
    return static_cast<std::size_t>(m.tensor - source_.tensors().data());
  }

  // Plans, and all mixes.
  std::vector<std::pair<std::string, const surveyed_mix*>> choices() const {
    std::vector<std::pair<std::string, const surveyed_mix*>> all;
    for (const budget& b : budgets_)
      for (const offer& choice : b.offers)
        if (choice.mix.info == nullptr) all.emplace_back("plan " + choice.name, &choice.mix);
    for (const surveyed_mix& m : s_.mixes) all.emplace_back(std::string("mix ") + m.info->name, &m);
    return all;
  }

  // What is shown first: the best of the middle budget, or of any.
  const offer* shown() const {
    for (const std::size_t i : {std::size_t{1}, std::size_t{2}, std::size_t{0}})
      if (!budgets_[i].offers.empty()) return &budgets_[i].offers.back();
    return nullptr;
  }
  double error_under(const offer* choice, const surveyed_matrix& m) const {
    return m.error_in(s_, choice == nullptr ? s_.formats[0] : choice->mix.formats[index_of(m)]);
  }

  // Where black on the colours of report_style has more contrast than white; the script knows it too.
  static constexpr double light_above = 0.399;

  void add_heat() {
    heading("where", "Layers and roles",
            "The error of each matrix, in percent, under a mix or with one format for all.");
    const offer* const first = shown();
    out_ += "<p><label>Under <select id=\"heat-choice\">";
    const auto all = choices();
    for (std::size_t i = 0; i < all.size(); ++i) {
      const bool chosen =
          first != nullptr &&
          (all[i].second == &first->mix || (all[i].second->info != nullptr && all[i].second->info == first->mix.info));
      out_ += "<option value=\"m" + std::to_string(i) + "\"" + (chosen ? " selected=\"selected\"" : "") + ">" +
              escape_xml(all[i].first) + "</option>";
    }
    for (std::size_t f = 0; f < s_.formats.size(); ++f)
      out_ += "<option value=\"f" + std::to_string(f) + "\">" + escape_xml(s_.formats[f]->name) + "</option>";
    out_ += "</select></label></p>\n";
    std::vector<std::string> roles, outside;
    std::map<std::pair<std::size_t, std::string>, std::size_t> inside;
    double low = HUGE_VAL, high = 0;
    for (std::size_t i = 0; i < s_.matrices.size(); ++i) {
      const surveyed_matrix& m = s_.matrices[i];
      const double e = error_under(first, m);
      if (e > 0) low = std::min(low, e), high = std::max(high, e);
      if (m.layer) {
        inside[{*m.layer, m.role}] = i;
        if (std::ranges::find(roles, m.role) == roles.end()) roles.push_back(m.role);
      }
    }
    const double span = std::max(std::log(high / low), std::log(1.25));
    const auto heat_cell = [&](std::size_t i, std::size_t wide) {
      const surveyed_matrix& m = s_.matrices[i];
      const double e = error_under(first, m), v = e > 0 ? std::log(e / low) / span : 0;
      return "<td data-i=\"" + std::to_string(i) + "\"" +
             (wide > 1 ? " colspan=\"" + std::to_string(wide) + "\"" : "") + " style=\"--v:" + fixed(v, 3) + "\"" +
             (v > light_above ? " class=\"light\"" : "") + " title=\"" + escape_xml(printable(m.tensor->name)) + "\">" +
             percent(e) + "</td>";
    };
    out_ +=
        "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Errors by layer and role\"><table "
        "class=\"heat\">";
    if (!inside.empty()) {
      out_ += "<thead><tr><th scope=\"col\">layer</th>";
      for (const std::string& role : roles) out_ += "<th scope=\"col\">" + escape_xml(role) + "</th>";
      out_ += "</tr></thead>";
    }
    out_ += "<tbody>\n";
    for (std::size_t i = 0; i < s_.matrices.size(); ++i)
      if (!s_.matrices[i].layer)
        out_ += "<tr><th scope=\"row\">" + escape_xml(s_.matrices[i].role) + "</th>" + heat_cell(i, roles.size()) +
                "</tr>\n";
    for (auto at = inside.begin(); at != inside.end();) {
      const std::size_t layer = at->first.first;
      out_ += "<tr><th scope=\"row\">" + std::to_string(layer) + "</th>";
      for (const std::string& role : roles) {
        const auto found = inside.find({layer, role});
        out_ += found == inside.end() ? "<td class=\"none\"></td>" : heat_cell(found->second, 1);
      }
      out_ += "</tr>\n";
      while (at != inside.end() && at->first.first == layer) ++at;
    }
    out_ += "</tbody></table></div></section>\n";
  }

  void add_sensitivities() {
    if (sensitivities_.empty()) return;
    heading("sensitivity", "Sensitivity",
            "What the predictions lose, as mean Kullback-Leibler divergence, when one matrix alone is rounded to some "
            "four bits: bits are spent best where little error costs much.");
    double most = 0;
    for (const tensor_sensitivity& t : sensitivities_) most = std::max(most, t.divergence);
    out_ += head("Divergence by matrix", {"matrix", "rounded to", ">error %", ">KL divergence", "KL divergence"});
    for (const tensor_sensitivity& t : sensitivities_)
      out_ += "<tr>" + cell(printable(t.source->name)) + cell(t.type->name) +
              cell(percent(std::sqrt(t.error)), t.error) + cell(significant_text(t.divergence), t.divergence) +
              bar(t.divergence, most) + "</tr>\n";
    out_ += std::string(foot) + "</section>\n";
  }

  static std::string bar(double value, double most) {
    return "<td data-v=\"" + significant_text(value, 8) +
           "\"><span class=\"bar\" style=\"width:" + fixed(most > 0 ? 360 * value / most : 0, 1) + "px\"></span></td>";
  }

  void add_sizes() {
    heading("sizes", "Where the bytes are", "Of the file as it is, and under what is recommended in the middle.");
    struct sum {
      std::uint64_t count = 0, now = 0, then = 0;
    };
    std::map<std::string, sum> roles;
    const offer* const choice = shown();
    for (std::size_t i = 0; i < source_.tensors().size(); ++i) {
      const model::tensor& t = source_.tensors()[i];
      const auto matrix = std::ranges::find(s_.matrices, &t, &surveyed_matrix::tensor);
      sum& s = roles[matrix == s_.matrices.end() ? "everything else" : matrix->role];
      const format_entry* const format = choice != nullptr ? choice->mix.formats[i] : nullptr;
      ++s.count, s.now += t.bytes(), s.then += format != nullptr ? format->bytes_for(t.elements()) : t.bytes();
    }
    std::uint64_t most = 1;
    for (const auto& [role, s] : roles) most = std::max(most, s.now);
    out_ += head("Sizes by role", {"role", ">tensors", ">now", ">then", "now"});
    for (const auto& [role, s] : roles)
      out_ += "<tr>" + cell(role) + cell(count_text(s.count), static_cast<double>(s.count)) +
              cell(bytes_text(s.now), static_cast<double>(s.now)) +
              cell(bytes_text(s.then), static_cast<double>(s.then)) +
              bar(static_cast<double>(s.now), static_cast<double>(most)) + "</tr>\n";
    out_ += std::string(foot) + "</section>\n";
  }

  // Heights are roots of counts, so that tails can be seen.
  static std::string bars(const histogram& counts, bool lines) {
    const double most = std::max(1.0, static_cast<double>(*std::ranges::max_element(counts))),
                 wide = 960.0 / static_cast<double>(counts.size());
    svg path;
    for (std::size_t i = 0; i < counts.size(); ++i) {
      if (counts[i] == 0) continue;
      const double x = 20 + static_cast<double>(i) * wide, h = 200 * std::sqrt(static_cast<double>(counts[i]) / most);
      if (lines)
        path.add("M%.1f 220v%.1f", x + wide / 2, -h);
      else
        path.add("M%.1f 220v%.1fh%.1fV220z", x, -h, wide - 1);
    }
    return path.take();
  }

  void add_distribution() {
    heading("distribution", "Distribution",
            "Weights of a matrix (<span class=\"key\" style=\"background:var(--bar)\"></span>), each 32 in units of "
            "the largest of "
            "them, and what all sampled weights become in a format (<span class=\"key\" "
            "style=\"background:var(--mark)\"></span>). "
            "Heights are roots of counts.");
    out_ += "<p><label>Matrix <select id=\"dist-matrix\">";
    for (std::size_t i = 0; i < s_.matrices.size(); ++i)
      out_ += "<option value=\"" + std::to_string(i) + "\">" + escape_xml(printable(s_.matrices[i].tensor->name, 80)) +
              "</option>";
    out_ += "</select></label> <label>Format <select id=\"dist-format\">";
    const auto shown_format = static_cast<std::size_t>(
        std::ranges::find(s_.formats, std::string_view("q4_0"), &format_entry::name) - s_.formats.begin());
    for (std::size_t f = 0; f < s_.formats.size(); ++f)
      out_ += "<option value=\"" + std::to_string(f) + "\"" + (f == shown_format ? " selected=\"selected\"" : "") +
              ">" + escape_xml(s_.formats[f]->name) + "</option>";
    out_ +=
        "</select></label></p>\n<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"dist\" viewBox=\"0 0 1000 244\" "
        "role=\"img\" "
        "aria-label=\"Histogram of the weights, and the levels of the format\"><path class=\"w\" d=\"" +
        bars(s_.matrices[0].weights, false) + "\"/><path class=\"l\" d=\"" + bars(s_.levels[shown_format], true) +
        "\"/>";
    for (const int tick : {-1, 0, 1}) {
      svg text;
      text.words(500 + tick / 1.1 * 480, 238, "text-anchor=\"middle\"", std::to_string(tick));
      out_ += text.take();
    }
    out_ += "</svg></section>\n";
  }

  void add_matrices() {
    heading("matrices", "Every matrix",
            "The largest weight in units of the root mean square tells of outliers: of normally "
            "distributed weights it is between 4 and 6.");
    const offer* const choice = shown();
    out_ += head("Matrices", {"matrix", "shape", "type", ">bytes", ">RMS", ">largest / RMS", ">error %"});
    for (const surveyed_matrix& m : s_.matrices) {
      const double error = error_under(choice, m), ratio = m.rms > 0 ? m.largest / m.rms : 0;
      out_ += "<tr>" + cell(printable(m.tensor->name)) + cell(shape_text(*m.tensor)) + cell(type_text(*m.tensor)) +
              cell(count_text(m.tensor->bytes()), static_cast<double>(m.tensor->bytes())) +
              cell(significant_text(m.rms), m.rms) + cell(significant_text(ratio), ratio) +
              cell(percent(error), error) + "</tr>\n";
    }
    out_ += std::string(foot) + "<p class=\"soft\">The error is that under " +
            escape_xml(choice != nullptr ? choice->name : std::string(s_.formats[0]->name)) + ".</p></section>\n";
  }

  // For the script. As JSON in ASCII without what markup would mind.
  std::string data() const {
    const auto number = [](double x) { return std::stod(significant_text(x, 4)); };
    nlohmann::ordered_json all;
    for (std::size_t f = 0; f < s_.formats.size(); ++f)
      all["formats"].push_back({{"name", s_.formats[f]->name}, {"levels", s_.levels[f]}});
    for (const surveyed_matrix& m : s_.matrices) {
      auto errors = nlohmann::ordered_json::array();
      for (const auto& e : m.errors)
        errors.push_back(e && std::isfinite(*e) ? nlohmann::ordered_json(number(*e)) : nullptr);
      all["matrices"].push_back({{"name", printable(m.tensor->name)}, {"errors", errors}, {"weights", m.weights}});
    }
    all["mixes"] = nlohmann::ordered_json::array();
    for (const auto& [name, mix] : choices()) {
      auto formats = nlohmann::ordered_json::array();
      for (const surveyed_matrix& matrix : s_.matrices) {
        const auto* const format = mix->formats[index_of(matrix)];
        formats.push_back(format == nullptr ? -1 : std::ranges::find(s_.formats, format) - s_.formats.begin());
      }
      all["mixes"].push_back({{"formats", formats}});
    }
    std::string text;
    for (const char c : all.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)) {
      if (c == '<' || c == '>' || c == '&') {
        char escaped[8];
        std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
        text += escaped;
      } else {
        text += c;
      }
    }
    return text;
  }

  const report_options& o_;
  const model& source_;
  const survey& s_;
  const std::vector<budget>& budgets_;
  const std::vector<tensor_sensitivity>& sensitivities_;
  const std::optional<figures>& text_;
  std::string out_;
};

// A directory that is gone with everything in it when this is.
struct temporary_directory {
  temporary_directory() {
    const auto base = std::filesystem::temp_directory_path();
    for (unsigned i = 0; i < 1000; ++i) {
      path = base / ("blocq-report-" + std::to_string(::getpid()) + "-" + std::to_string(i));
      std::error_code error;
      if (std::filesystem::create_directory(path, error)) return;
    }
    throw failure("no directory can be made in " + printable(base.string()));
  }
  temporary_directory(const temporary_directory&) = delete;
  temporary_directory& operator=(const temporary_directory&) = delete;
  ~temporary_directory() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  std::filesystem::path path;
};

// What quantize is told for so many bits.
quantize_options plan_options(const report_options& o, double bits, const std::string& measurements) {
  quantize_options q;
  q.in = o.model, q.calibration = o.calibration.empty() ? o.text : o.calibration;
  q.target_bits = bits, q.measurements = measurements;
  q.context = o.context, q.windows = o.windows, q.threads = o.threads;
  return q;
}

// The same on a command line.
std::string plan_command(const quantize_options& q) {
  const quantize_options usual;
  std::string words = "--target-bpw " + fixed(q.target_bits, 1) + " --calibration " + shell_word(q.calibration);
  if (q.context != usual.context) words += " --context " + std::to_string(q.context);
  if (q.windows != usual.windows) words += " --windows " + std::to_string(q.windows);
  return words;
}

// The perplexity of the model, and of copies as they are offered, which are written to a temporary place.
std::optional<figures> read_text(const report_options& o, const model& source, const importance_file* importance,
                                 const temporary_directory& place, std::vector<budget>& budgets) {
  if (o.text.empty()) return {};
  perplexity_options p;
  p.context = o.context, p.windows = o.windows, p.threads = o.threads;
  const llama::model m(source.set());
  const llama::tokenizer tokenizer(source.set());
  if (static_cast<std::size_t>(tokenizer.size()) != m.shape().vocabulary)
    throw failure("the model and the tokenizer do not have the same vocabulary");
  const auto windows = windows_of(o.text, m.shape(), tokenizer, o.context, o.windows);
  const figures own = predictions(p, o.model, m, nullptr, windows);
  const offer* last = nullptr;
  for (budget& b : budgets)
    for (offer& choice : b.offers) {
      const bool planned = choice.mix.info == nullptr;
      if (!planned && last != nullptr && last->mix.info == choice.mix.info) {
        choice.text = last->text;
        continue;
      }
      conversion_job job{"quantizing", o.threads, planned ? importance : nullptr};
      for (std::size_t t = 0; t < source.tensors().size(); ++t)
        job.tensors.push_back({&source.tensors()[t], choice.mix.formats[t]});
      const std::string path = (place.path / (choice.name + ".gguf")).string();
      static_cast<void>(convert(source, job, {path}));
      const model copy(path);
      const llama::model weights(copy.set());
      choice.text = predictions(p, choice.name, weights, &m, windows);
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
      if (!planned) last = &choice;
    }
  return own;
}

}  // namespace

int report(const report_options& o) {
  const model source(o.model);
  output file(o.out);
  const survey s = survey_of(source, o.threads);
  const temporary_directory place;
  std::vector<budget> budgets = {{3.5}, {5.0}, {7.0}};
  std::vector<tensor_sensitivity> sensitivities;
  std::optional<importance_file> importance;
  for (budget& b : budgets) {
    if (const surveyed_mix* const mix = s.best(b.bits))
      b.offers.push_back({*mix, mix->info->name, std::string("--mix ") + mix->info->name});
    if (!o.calibrates()) continue;
    const quantize_options q = plan_options(o, b.bits, (place.path / "measurements").string());
    if (!importance)
      importance.emplace(measure_importance(source, q.calibration, q.context, q.windows, true, q.threads));
    try {
      budget_plan plan = plan_of(q, source, &*importance);
      b.offers.push_back(
          {s.look_at(source, nullptr, std::move(plan.formats)), fixed(b.bits, 1) + "-bits", plan_command(q)});
      sensitivities = std::move(plan.answer.sensitivities);
    } catch (const budget_too_small&) {
      // Then there is nothing to offer.
    }
  }
  std::ranges::stable_sort(sensitivities, std::greater(), &tensor_sensitivity::divergence);
  const std::optional<figures> text = read_text(o, source, importance ? &*importance : nullptr, place, budgets);
  const std::string html = page(o, source, s, budgets, sensitivities, text).write();
  static_cast<void>(file(html.data(), html.size()));  // commit says if it went wrong
  file.commit();
  for (const budget& b : budgets)
    for (const offer& choice : b.offers)
      std::cout << "at most " << number_text(b.bits, 1) << " bits per weight: " << choice.options << ", "
                << bytes_text(choice.mix.bytes) << ", error " << percent(choice.mix.error) << " %\n";
  std::cout << printable(o.out) << ": " << bytes_text(html.size()) << '\n';
  return exit_done;
}
