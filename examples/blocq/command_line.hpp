// What follows from the definitions of the commands: completion for shells, the manual page, and what somebody may have
// meant.
#ifndef BLOCQ_EXAMPLES_COMMAND_LINE_HPP
#define BLOCQ_EXAMPLES_COMMAND_LINE_HPP

#include <CLI/CLI.hpp>

#include <string>
#include <vector>

// What the values of options are called: FORMAT and MIX have names that are known, others without choices are files.
inline constexpr const char* format_value = "FORMAT";
inline constexpr const char* mix_value = "MIX";

// `shell` is bash, zsh or fish.
std::string completion_script(const CLI::App& app, std::string_view shell);

// blocq(1) in the language of man. `exit_codes` are lines of a code, two spaces or more and a text.
std::string manual_page(const CLI::App& app, std::string_view version, std::string_view exit_codes);

// "did you mean 'quantize'?" for the first word of a command line that is no command, or no option of its command;
// nothing if none is like it.
std::string hint(const CLI::App& app, const std::vector<std::string>& words);

#endif
