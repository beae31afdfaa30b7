// blocq explain: what a mix does, as its rules say it; with a model, which matrix gets what and by which rule.
#include "catalog.hpp"
#include "command.hpp"
#include "model.hpp"
#include "suggest.hpp"
#include "terminal.hpp"

#include <blocq/calib/mix.hpp>

#include <iostream>
#include <nlohmann/json.hpp>

namespace {

namespace calib = blocq::calib;
using calib::tensor_role;

constexpr std::pair<tensor_role, const char*> role_names[] = {{tensor_role::token_embedding, "token embedding"},
                                                              {tensor_role::output, "output"},
                                                              {tensor_role::attn_q, "queries"},
                                                              {tensor_role::attn_k, "keys"},
                                                              {tensor_role::attn_v, "values"},
                                                              {tensor_role::attn_output, "attention output"},
                                                              {tensor_role::ffn_gate, "gate"},
                                                              {tensor_role::ffn_up, "up"},
                                                              {tensor_role::ffn_down, "down"},
                                                              {tensor_role::other, "others"}};

constexpr std::pair<calib::detail::condition, const char*> condition_names[] = {
    {calib::detail::gqa4, "four or more query heads share keys and values"},
    {calib::detail::experts4, "four or more experts"},
    {calib::detail::experts8, "eight experts"},
    {calib::detail::stacked, "a matrix per expert"},
    {calib::detail::weighted, "with importance weights"},
    {calib::detail::unweighted, "without importance weights"},
    {calib::detail::first2, "the first two"},
    {calib::detail::first4, "the first four"},
    {calib::detail::first_sixteenth, "the first sixteenth"},
    {calib::detail::first_eighth, "the first eighth"},
    {calib::detail::middle, "neither the first eighth nor the last"},
    {calib::detail::alternating, "the first and last eighth, and every third between"},
    {calib::detail::falcon, "falcon models"}};

std::string roles_text(std::uint64_t roles) {
  std::string text;
  std::size_t count = 0;
  for (const auto& [role, name] : role_names)
    if ((roles & calib::detail::set_of(role)) != 0) text += (text.empty() ? "" : ", ") + std::string(name), ++count;
  return count == std::size(role_names) ? "all" : text;
}
std::string conditions_text(unsigned conditions) {
  std::string text;
  for (const auto& [condition, name] : condition_names)
    if ((conditions & condition) != 0) text += (text.empty() ? "" : "; ") + std::string(name);
  return text.empty() ? "always" : text;
}

struct rule_line {
  std::string roles, conditions, type;
};
rule_line line_of(const calib::detail::mix_rule& rule, const calib::mix_info& info) {
  return {roles_text(rule.roles), conditions_text(rule.conditions),
          std::string(find_format(rule.type >= 0 ? rule.type : info.type)->name)};
}

// The rules that name the mix, in their order: the first that applies decides.
std::vector<rule_line> rules_of(const calib::mix_info& info) {
  std::vector<rule_line> lines;
  std::uint64_t roles = ~std::uint64_t{0};  // that no rule without conditions has taken
  for (std::size_t i = 0; i < calib::detail::rules.size; ++i) {
    calib::detail::mix_rule rule = calib::detail::rules.rule[i];
    if ((rule.mixes & calib::detail::set_of(info.id)) == 0 || (rule.roles & roles) == 0) continue;
    rule.roles &= roles;
    if (rule.conditions == calib::detail::always) roles &= ~rule.roles;
    lines.push_back(line_of(rule, info));
  }
  return lines;
}

struct decision {
  std::string name, role, type, reason;
};

// What calib::type_for finds, and how it came to that.
decision decide(const calib::mix_info& info, const calib::mix_tensor& tensor, const calib::mix_model& shape) {
  const int type = calib::type_for(info.id, tensor, shape);
  const bool output =
      tensor.role == tensor_role::output || (tensor.role == tensor_role::token_embedding && shape.tied_output);
  const tensor_role role = output ? tensor_role::output : tensor.role;
  decision d{
      {}, roles_text(calib::detail::set_of(tensor.role)), std::string(find_format(type)->name), "the type of the mix"};
  if (output && tensor.role != role) d.role += ", which is the output too";
  int wanted = info.type;
  for (std::size_t i = 0; i < calib::detail::rules.size; ++i) {
    const auto& rule = calib::detail::rules.rule[i];
    if ((rule.mixes & calib::detail::set_of(info.id)) == 0 || (rule.roles & calib::detail::set_of(role)) == 0 ||
        (rule.conditions & ~calib::detail::conditions_of(tensor, shape)) != 0)
      continue;
    if (rule.type >= 0) wanted = rule.type;
    if (rule.conditions != calib::detail::always)
      d.reason = conditions_text(rule.conditions);
    else if (rule.type >= 0)
      d.reason = "its role";
    break;
  }
  if (type == wanted) return d;
  calib::mix_tensor whole = tensor;
  whole.columns = 256;  // whole blocks of every format
  if (calib::type_for(info.id, whole, shape) != type)
    d.reason = "rows of " + std::to_string(tensor.columns) + " are not whole blocks of " +
               std::string(find_format(wanted)->name);
  else
    d.reason = "values of a model with eighty layers";
  return d;
}

std::vector<decision> decisions_of(const calib::mix_info& info, const model& source, bool importance) {
  const std::vector<blocq::gguf::tensor_info> tensors(source.tensors().begin(), source.tensors().end());
  const calib::mix_model shape = calib::describe_model(source.reader(), tensors, importance);
  const std::vector<calib::mix_tensor> described = calib::describe_tensors(info.id, shape, tensors);
  std::vector<decision> all;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    if (!is_weight_matrix(source, tensors[i])) continue;
    decision d = decide(info, described[i], shape);
    d.name = printable(tensors[i].name);
    if (calib::wants_importance(find_format(d.type)->gguf_id.value_or(0), described[i].role, info.id) && !importance)
      d.reason += "; needs importance weights";
    all.push_back(std::move(d));
  }
  return all;
}

}  // namespace

int explain(const explain_options& o) {
  const calib::mix_info* const info = calib::find_mix(o.mix);
  if (info == nullptr) throw failure("there is no mix '" + printable(o.mix) + "'" + suggestion(o.mix, mix_names()));
  const std::string usual(find_format(info->type)->name);
  if (o.model.empty()) {
    const std::vector<rule_line> rules = rules_of(*info);
    if (o.json) {
      nlohmann::ordered_json out = {{"mix", info->name}, {"type", usual}, {"rules", nlohmann::ordered_json::array()}};
      for (const rule_line& r : rules)
        out["rules"].push_back({{"matrices", r.roles}, {"when", r.conditions}, {"type", r.type}});
      std::cout << out.dump(2) << '\n';
      return exit_done;
    }
    std::cout << info->name << ": " << usual << (rules.empty() ? "\n" : ", but the first that applies of\n\n");
    table t({"matrices", "type", "when"});
    for (const rule_line& r : rules) t.row({r.roles, r.type, r.conditions});
    if (!rules.empty()) std::cout << t;
    return exit_done;
  }
  const std::vector<decision> decisions = decisions_of(*info, model(o.model), o.importance);
  if (o.json) {
    nlohmann::ordered_json out = {{"mix", info->name}, {"type", usual}, {"tensors", nlohmann::ordered_json::array()}};
    for (const decision& d : decisions)
      out["tensors"].push_back({{"name", d.name}, {"role", d.role}, {"type", d.type}, {"reason", d.reason}});
    std::cout << out.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
    return exit_done;
  }
  table t({"tensor", "role", "type", "because of"});
  for (const decision& d : decisions) t.row({d.name, d.role, d.type, d.reason});
  std::cout << t;
  return exit_done;
}
