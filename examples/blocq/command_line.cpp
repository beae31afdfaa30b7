#include "command_line.hpp"

#include "suggest.hpp"

#include <algorithm>

namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* c) { return !c->get_name().empty(); });
}

// With those of groups, which are commands without a name.
std::vector<const CLI::Option*> options_of(const CLI::App& command) {
  std::vector<const CLI::Option*> all = command.get_options();
  for (const CLI::App* group : command.get_subcommands([](const CLI::App* c) { return c->get_name().empty(); }))
    for (const CLI::Option* option : group->get_options()) all.push_back(option);
  return all;
}

bool is_flag(const CLI::Option& o) { return o.get_items_expected_max() == 0 || o.get_type_size_max() == 0; }

// "--type" and "-t".
std::vector<std::string> names_of(const CLI::Option& o) {
  std::vector<std::string> names;
  for (const std::string& name : o.get_snames()) names.push_back("-" + name);
  for (const std::string& name : o.get_lnames()) names.push_back("--" + name);
  return names;
}

// What the value of an option can be, where that is known.
std::vector<std::string> choices_of(const CLI::Option& o) {
  const std::string type = o.get_type_name();
  std::vector<std::string_view> known;
  if (type == format_value) known = format_names();
  if (type == mix_value) known = mix_names();
  std::vector<std::string> choices(known.begin(), known.end());
  // A set of values is in braces.
  const std::size_t open = type.find('{'), close = type.find('}');
  if (open == type.npos || close == type.npos) return choices;
  for (std::size_t at = open + 1; at < close;) {
    const std::size_t end = std::min(type.find(',', at), close);
    choices.push_back(type.substr(at, end - at));
    at = end + 1;
  }
  return choices;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : std::string(between)) + word;
  return out;
}

// `text` with a backslash before each of `special`.
std::string escaped(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) out += (special.find(c) != special.npos ? "\\" : "") + std::string(1, c);
  return out;
}

std::string first_choices(const CLI::App& command) {
  for (const CLI::Option* o : options_of(command))
    if (o->get_positional() && !choices_of(*o).empty()) return joined(choices_of(*o), " ");
  return "";
}

// Whether its first argument may be given again and again.
bool takes_many(const CLI::App& command) {
  for (const CLI::Option* o : options_of(command))
    if (o->get_positional()) return o->get_items_expected_max() > 1;
  return false;
}

std::string bash_script(const CLI::App& app) {
  std::vector<std::string> names;
  std::string values, options, words;
  for (const CLI::App* command : commands_of(app)) {
    const std::string& name = command->get_name();
    names.push_back(name);
    std::vector<std::string> all;
    for (const CLI::Option* o : options_of(*command)) {
      std::vector<std::string> patterns;
      for (const std::string& n : names_of(*o)) all.push_back(n), patterns.push_back(name + ":" + n);
      if (!patterns.empty() && !choices_of(*o).empty())
        values += "    " + joined(patterns, "|") + ") words=\"" + joined(choices_of(*o), " ") + "\" ;;\n";
    }
    options += "      " + name + ") words=\"" + joined(all, " ") + "\" ;;\n";
    if (const std::string choices = first_choices(*command); !choices.empty())
      words += "      " + name + ") words=\"" + choices + "\" ;;\n";
  }
  return "# bash completion for blocq\n_blocq() {\n  local word=${COMP_WORDS[COMP_CWORD]} words=\n  COMPREPLY=()\n"
         "  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W \"" +
         joined(names, " ") +
         " --help --version\" -- \"$word\"))\n    return\n  fi\n"
         "  case ${COMP_WORDS[1]}:${COMP_WORDS[COMP_CWORD-1]} in\n" +
         values + "  esac\n  if [ -z \"$words\" ] && [ \"${word:0:1}\" = - ]; then\n    case ${COMP_WORDS[1]} in\n" +
         options + "    esac\n  elif [ -z \"$words\" ]; then\n    case ${COMP_WORDS[1]} in\n" + words +
         "    esac\n  fi\n  [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n}\n"
         "complete -o default -o bashdefault -F _blocq blocq\n";
}

std::string zsh_script(const CLI::App& app) {
  std::string list, cases;
  const auto text = [](std::string_view words) {
    std::string out;
    for (const char c : escaped(words, "[]:\\")) out += c == '\'' ? "'\\''" : std::string(1, c);
    return out;
  };
  for (const CLI::App* command : commands_of(app)) {
    list += "    '" + command->get_name() + ":" + text(command->get_description()) + "'\n";
    cases += "    " + command->get_name() + ")\n      _arguments";
    for (const CLI::Option* o : options_of(*command)) {
      const std::vector<std::string> choices = choices_of(*o);
      const std::string value = choices.empty() ? "_files" : "(" + joined(choices, " ") + ")";
      for (const std::string& name : names_of(*o))
        cases += " \\\n        '" + name + "[" + text(o->get_description()) + "]" +
                 (is_flag(*o) ? "" : ":value:" + value) + "'";
    }
    const std::string choices = first_choices(*command);
    if (!choices.empty())
      cases += " \\\n        '" + std::string(takes_many(*command) ? "*" : "1") + ":name:(" + choices + ")'";
    if (choices.empty() || !takes_many(*command)) cases += " \\\n        '*:file:_files'";
    cases += " ;;\n";
  }
  return "#compdef blocq\n_blocq() {\n  local -a commands=(\n" + list +
         "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
         "  local command=$words[2]\n  shift words\n  (( CURRENT-- ))\n  case $command in\n" +
         cases + "  esac\n}\n_blocq \"$@\"\n";
}

std::string fish_script(const CLI::App& app) {
  const auto text = [](std::string_view words) { return "'" + escaped(words, "'\\") + "'"; };
  std::string out = "# fish completion for blocq\n";
  for (const CLI::App* command : commands_of(app)) {
    const std::string& name = command->get_name();
    out +=
        "complete -c blocq -n __fish_use_subcommand -f -a " + name + " -d " + text(command->get_description()) + "\n";
    const std::string within = "complete -c blocq -n '__fish_seen_subcommand_from " + name + "'";
    for (const CLI::Option* o : options_of(*command)) {
      if (names_of(*o).empty()) continue;
      out += within;
      for (const std::string& s : o->get_snames()) out += " -s " + s;
      for (const std::string& l : o->get_lnames()) out += " -l " + l;
      if (!is_flag(*o)) out += choices_of(*o).empty() ? " -r" : " -x -a " + text(joined(choices_of(*o), " "));
      out += " -d " + text(o->get_description()) + "\n";
    }
    if (const std::string choices = first_choices(*command); !choices.empty())
      out += within + " -f -a " + text(choices) + "\n";
  }
  return out;
}

// Plain text for man.
std::string roff(std::string_view text) {
  std::string out;
  bool start = true;
  for (const char c : text) {
    if (start && (c == '.' || c == '\'')) out += "\\&";
    out += c == '\\' ? "\\e" : c == '-' ? "\\-" : std::string(1, c);
    start = c == '\n';
  }
  return out;
}

// "[OPTIONS] IN OUT"
std::string arguments_of(const CLI::App& command) {
  std::string out = "[OPTIONS]";
  for (const CLI::Option* o : options_of(command))
    if (o->get_positional()) out += " " + (o->get_required() ? o->get_name() : "[" + o->get_name() + "]");
  return out;
}

std::string manual_entry(const CLI::Option& o) {
  std::string out = ".TP\n";
  const std::vector<std::string> names = o.get_positional() ? std::vector{o.get_name()} : names_of(o);
  for (const std::string& name : names) out += (&name == &names[0] ? "\\fB" : ", \\fB") + roff(name) + "\\fR";
  if (!is_flag(o) && !o.get_positional() && !o.get_type_name().empty()) {
    out += ' ';
    for (const char c : roff(o.get_type_name())) out += c == ',' ? ",\\:" : std::string(1, c);  // a line may end there
  }
  out += "\n" + roff(o.get_description());
  if (!o.get_default_str().empty() && !is_flag(o)) out += " [" + roff(o.get_default_str()) + "]";
  return out + "\n";
}

}  // namespace

std::string completion_script(const CLI::App& app, std::string_view shell) {
  return shell == "bash" ? bash_script(app) : shell == "zsh" ? zsh_script(app) : fish_script(app);
}

std::string manual_page(const CLI::App& app, std::string_view version, std::string_view exit_codes) {
  std::string out =
      ".TH BLOCQ 1 \"\" \"" + roff(version) + "\"\n.SH NAME\nblocq \\- " + roff("quantize models to block formats") +
      "\n.SH SYNOPSIS\n.B blocq\n\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]\n.SH DESCRIPTION\n" +
      roff(app.get_description()) + "\n.SH COMMANDS\n";
  for (const CLI::App* command : commands_of(app)) {
    out += ".SS \"blocq " + roff(command->get_name() + " " + arguments_of(*command)) + "\"\n" +
           roff(command->get_description()) + ".\n";
    for (const CLI::Option* o : options_of(*command))
      if (!names_of(*o).empty() ? o->get_lnames().empty() || o->get_lnames()[0] != "help" : o->get_positional())
        out += manual_entry(*o);
    if (!command->get_footer().empty()) out += ".PP\n.nf\n" + roff(command->get_footer()) + "\n.fi\n";
  }
  out += ".SH EXIT STATUS\n";
  while (!exit_codes.empty()) {
    const std::size_t end = std::min(exit_codes.find('\n'), exit_codes.size()), gap = exit_codes.find("  ");
    const std::string_view line = exit_codes.substr(0, end);
    out += ".TP\n.B " + roff(line.substr(0, gap)) + "\n" + roff(line.substr(line.find_first_not_of(' ', gap))) + "\n";
    exit_codes.remove_prefix(std::min(end + 1, exit_codes.size()));
  }
  return out;
}

std::string hint(const CLI::App& app, const std::vector<std::string>& words) {
  if (words.empty()) return "";
  const auto shortened = [](const std::string& found) { return found.empty() ? "" : found.substr(2); };
  std::vector<std::string_view> names;
  const CLI::App* chosen = nullptr;
  for (const CLI::App* command : commands_of(app)) {
    names.push_back(command->get_name());
    if (command->check_name(words[0])) chosen = command;
  }
  if (chosen == nullptr) return words[0].starts_with('-') ? "" : shortened(suggestion(words[0], names));
  std::vector<std::string> options;
  for (const CLI::Option* o : options_of(*chosen))
    for (const std::string& name : names_of(*o)) options.push_back(name);
  for (const std::string& word : words) {
    const std::string name = word.substr(0, word.find('='));
    if (!name.starts_with("--") || std::ranges::find(options, name) != options.end()) continue;
    return shortened(suggestion(name, {options.begin(), options.end()}));
  }
  return "";
}
