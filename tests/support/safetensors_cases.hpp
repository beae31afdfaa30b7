// The cases of golden/safetensors/cases.txt as files; tests/safetensors/verdicts.py makes the same ones.
#ifndef BLOCQ_TESTS_SAFETENSORS_CASES_HPP
#define BLOCQ_TESTS_SAFETENSORS_CASES_HPP

#include <golden.hpp>

#include <string>
#include <vector>

namespace safetensors_cases {

struct file_case {
  std::string name, reference, verdict, bytes;
};

// A length and a header, as they lie in a file.
inline std::string container(std::string_view header, std::uint64_t length) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>(length >> (8 * i));
  return file.append(header);
}
inline std::string container(std::string_view header) { return container(header, header.size()); }

inline std::string header_of(std::string_view field) {
  std::string repeated, text;
  for (std::size_t i = 0; i < field.size();) {
    if (field[i] != '~') {
      repeated += field[i++];
      continue;
    }
    const std::size_t middle = field.find('~', i + 1), end = field.find('~', middle + 1);
    for (int n = std::stoi(std::string(field.substr(i + 1, middle))); n > 0; --n)
      repeated += field.substr(middle + 1, end - middle - 1);
    i = end + 1;
  }
  for (std::size_t i = 0; i < repeated.size(); ++i) {
    if (repeated[i] != '\\') {
      text += repeated[i];
      continue;
    }
    switch (repeated[++i]) {
      case 'n': text += '\n'; break;
      case 'r': text += '\r'; break;
      case 't': text += '\t'; break;
      case 'x':
        text += static_cast<char>(std::stoi(repeated.substr(i + 1, 2), nullptr, 16));
        i += 2;
        break;
      default: text += repeated[i];
    }
  }
  return text;
}

inline std::vector<file_case> all() {
  std::vector<file_case> cases;
  std::istringstream lines(golden::text("safetensors/cases.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line[0] == '#') continue;
    std::vector<std::string> fields;
    std::istringstream columns(line);
    for (std::string field; std::getline(columns, field, '\t');) fields.push_back(field);
    fields.resize(6);
    const std::string header = header_of(fields[5]), &length = fields[3];
    std::string bytes;
    if (length.substr(0, 3) == "cut")
      bytes = container("", 2).substr(0, std::stoul(length.substr(3)));
    else if (length == "=")
      bytes = container(header);
    else if (length[0] == '+' || length[0] == '-')
      bytes = container(header, header.size() + static_cast<std::uint64_t>(std::stoll(length)));
    else if (length != "none")
      bytes = container(header, std::stoull(length));
    cases.push_back({fields[0], fields[1], fields[2], bytes.append(std::stoul(fields[4]), '\0')});
  }
  return cases;
}

}  // namespace safetensors_cases

#endif
