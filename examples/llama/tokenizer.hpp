// Text to tokens and back, as SentencePiece does it with the vocabulary in a GGUF file: the pair of neighbouring pieces
// whose union scores best is joined until no union is a token; characters that are no token become bytes.
#ifndef LLAMA_TOKENIZER_HPP
#define LLAMA_TOKENIZER_HPP

#include <blocq/gguf/split.hpp>

#include <algorithm>
#include <charconv>
#include <queue>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llama {

class tokenizer {
 public:
  // Throws std::runtime_error if the file has no vocabulary of this kind, or a model with more tokens than that.
  explicit tokenizer(const blocq::gguf::split_set& model) {
    const blocq::gguf::reader& file = model.first();
    if (file.get<std::string_view>("tokenizer.ggml.model").value_or("") != "llama")
      throw std::runtime_error("'tokenizer.ggml.model' is not 'llama', the only kind that this engine has");
    const auto* tokens = file.find("tokenizer.ggml.tokens");
    const auto* scores = file.find("tokenizer.ggml.scores");
    if (tokens == nullptr || scores == nullptr || tokens->size() != scores->size() || tokens->size() == 0)
      throw std::runtime_error("the file's vocabulary is incomplete");
    // What the model picks can be decoded.
    if (const auto* rows = model.find_tensor("token_embd.weight"); rows != nullptr && rows->rows() > tokens->size())
      throw std::runtime_error("the model has " + std::to_string(rows->rows()) + " tokens and the file's vocabulary " +
                               std::to_string(tokens->size()));
    for (const auto& text : *tokens) text_.emplace_back(text.get<std::string_view>().value_or(""));
    for (const auto& score : *scores) score_.push_back(score.get<float>().value_or(0.0f));
    for (int id = 0; id < size(); ++id) id_.emplace(text_[static_cast<std::size_t>(id)], id);
    bos_ = token_of(file, "tokenizer.ggml.bos_token_id", 1);
    eos_ = token_of(file, "tokenizer.ggml.eos_token_id", 2);
    unknown_ = token_of(file, "tokenizer.ggml.unknown_token_id", 0);
    space_first_ = file.get<bool>("tokenizer.ggml.add_space_prefix").value_or(true);
    bos_first_ = file.get<bool>("tokenizer.ggml.add_bos_token").value_or(true);
    if (const auto* kinds = file.find("tokenizer.ggml.token_type")) {
      if (kinds->size() != tokens->size()) throw std::runtime_error("the file's vocabulary is incomplete");
      int id = 0;
      for (const auto& kind : *kinds) {
        constexpr int user_defined = 4;
        if (kind.get<int>().value_or(0) == user_defined && !text_[at(id)].empty()) given_.push_back(id);
        ++id;
      }
      std::stable_sort(given_.begin(), given_.end(),
                       [&](int a, int b) { return text_[at(a)].size() > text_[at(b)].size(); });
    }
  }

  int size() const { return static_cast<int>(text_.size()); }
  int bos() const { return bos_; }
  int eos() const { return eos_; }
  // Whether a text begins with bos().
  bool bos_first() const { return bos_first_; }

  // The tokens of a text, without a first token of the beginning. Tokens that the vocabulary calls user-defined are
  // found first, the longest before others, wherever they stand; what is between them is pieced together.
  std::vector<int> encode(std::string_view text) const {
    struct fragment {
      std::string_view text;
      int token;  // -1: none, a text
    };
    std::vector<fragment> fragments{{text, -1}};
    for (const int id : given_) {
      std::vector<fragment> finer;
      for (const fragment& f : fragments) {
        std::string_view rest = f.text;
        if (f.token < 0)
          for (std::size_t found; (found = rest.find(text_[at(id)])) != rest.npos;) {
            if (found != 0) finer.push_back({rest.substr(0, found), -1});
            finer.push_back({{}, id});
            rest.remove_prefix(found + text_[at(id)].size());
          }
        if (f.token >= 0 || !rest.empty()) finer.push_back({rest, f.token});
      }
      fragments = std::move(finer);
    }
    std::vector<int> tokens;
    for (const fragment& f : fragments) f.token >= 0 ? tokens.push_back(f.token) : encode_pieces(f.text, tokens);
    return tokens;
  }

  // The text of one token; a byte token is its byte.
  std::string decode(int token) const {
    const std::string& text = text_[at(token)];
    if (unsigned char byte = 0; text.size() == 6 && text.starts_with("<0x"))
      if (const char* const end = text.data() + 5; std::from_chars(end - 2, end, byte, 16).ptr == end)
        return {static_cast<char>(byte)};
    std::string plain;
    for (std::size_t i = 0; i < text.size();) {
      const bool is_space = text.compare(i, space.size(), space) == 0;
      plain += is_space ? ' ' : text[i];
      i += is_space ? space.size() : 1;
    }
    return plain;
  }

 private:
  struct piece {
    std::string_view text;
    int previous, next;
  };
  struct candidate {
    float score;
    int left;
    std::size_t length;
    // The best score first, the leftmost of equals.
    bool operator<(const candidate& other) const {
      return score < other.score || (score == other.score && left > other.left);
    }
  };
  static constexpr std::string_view space = "\xe2\x96\x81";

  static std::size_t at(int i) { return static_cast<std::size_t>(i); }

  void encode_pieces(std::string_view text, std::vector<int>& tokens) const {
    std::string marked;  // spaces are written as U+2581
    if (space_first_ && !text.empty()) marked = space;
    for (const char c : text) c == ' ' ? marked += space : marked += c;

    std::vector<piece> pieces;
    for (std::size_t at = 0; at < marked.size();) {
      const auto lead = static_cast<unsigned char>(marked[at]);
      const std::size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
      const int i = static_cast<int>(pieces.size());
      pieces.push_back({std::string_view(marked).substr(at, length), i - 1, i + 1});
      at += length;
    }
    if (!pieces.empty()) pieces.back().next = -1;

    std::priority_queue<candidate> queue;
    const auto propose = [&](int left) {
      if (left < 0 || pieces[at(left)].next < 0) return;
      const std::string_view a = pieces[at(left)].text, b = pieces[at(pieces[at(left)].next)].text;
      const std::string_view both(a.data(), a.size() + b.size());
      if (const auto found = id_.find(std::string(both)); found != id_.end())
        queue.push({score_[at(found->second)], left, both.size()});
    };
    for (int i = 0; i < static_cast<int>(pieces.size()); ++i) propose(i);
    while (!queue.empty()) {
      const candidate c = queue.top();
      queue.pop();
      piece& left = pieces[at(c.left)];
      if (left.text.empty() || left.next < 0) continue;
      piece& right = pieces[at(left.next)];
      if (left.text.size() + right.text.size() != c.length) continue;  // one of the two has grown since
      left.text = {left.text.data(), c.length};
      right.text = {};
      left.next = right.next;
      if (left.next >= 0) pieces[at(left.next)].previous = c.left;
      propose(left.previous);
      propose(c.left);
    }

    for (int i = pieces.empty() ? -1 : 0; i >= 0; i = pieces[at(i)].next) append(pieces[at(i)].text, tokens);
  }

  int token_of(const blocq::gguf::reader& file, std::string_view key, int otherwise) const {
    const int token = file.get<std::int32_t>(key).value_or(otherwise);
    if (token < 0 || token >= size()) throw std::runtime_error("a special token is not in the vocabulary");
    return token;
  }
  void append(std::string_view text, std::vector<int>& tokens) const {
    if (const auto found = id_.find(std::string(text)); found != id_.end()) {
      tokens.push_back(found->second);
      return;
    }
    for (const char c : text) {
      constexpr char hex[] = "0123456789ABCDEF";
      const auto byte = static_cast<unsigned char>(c);
      const auto found = id_.find(std::string("<0x") + hex[byte >> 4] + hex[byte & 15] + '>');
      tokens.push_back(found != id_.end() ? found->second : unknown_);
    }
  }

  std::vector<std::string> text_;
  std::vector<float> score_;
  std::unordered_map<std::string, int> id_;
  int bos_, eos_, unknown_;
  std::vector<int> given_;  // user-defined tokens, the longest first
  bool space_first_, bos_first_;
};

}  // namespace llama

#endif
