// blocq: look into GGUF files and turn their weights into block formats. The command line is here; each command is in a
// file of its own.
#include "command.hpp"
#include "command_line.hpp"
#include "files.hpp"
#include "pack_matrix.hpp"
#include "terminal.hpp"

#include <blocq/version.hpp>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <new>

namespace {

std::string version() {
  return "blocq " + std::to_string(BLOCQ_VERSION_MAJOR) + "." + std::to_string(BLOCQ_VERSION_MINOR) + "." +
         std::to_string(BLOCQ_VERSION_PATCH);
}

constexpr const char* model_help = "GGUF file; of a split set, any of its files";
constexpr const char* weights_help = "GGUF file, of a split set any of its files; or a folder with safetensors files";
constexpr const char* llama_help = "GGUF file of a model of the llama family: llama, mistral3, qwen2, qwen3, phi3";
constexpr const char* output_help = "File to write; it appears when it is complete";
constexpr const char* best_help = "Search longer than the reference encoder for a smaller error, where that is known";

// Documented in docs/cli.md too.
constexpr const char* exit_codes =
    "0        done\n"
    "1        the files that were compared differ, or a figure that was measured is no finite number\n"
    "2        not done: one sentence on standard error says why; no output was made or changed\n"
    "128 + n  ended by signal n";

// Shown below the help of a command, each with what it does.
constexpr std::pair<const char*, const char*> examples[] = {
    {"formats",
     "  blocq formats                     all of them\n"
     "  blocq formats iq3_s               every bit of one\n"
     "  blocq formats q4_k --svg q4_k.svg the same as a picture"},
    {"inspect",
     "  blocq inspect model.gguf\n"
     "  blocq inspect model/ --json       a folder of safetensors"},
    {"quantize",
     "  blocq quantize model.gguf small.gguf --mix q4_k_m\n"
     "  blocq quantize model.gguf small.gguf --mix q4_k_m,q5_k_m,q6_k   a file each, small-q4_k_m.gguf and so on\n"
     "  blocq quantize model.gguf small.gguf --type q4_k --imatrix importance.gguf --best\n"
     "  blocq quantize model.gguf small.gguf --target-bpw 4.5 --calibration text.txt\n"
     "  blocq quantize model.gguf --mix iq3_m --dry-run"},
    {"imatrix", "  blocq imatrix model.gguf text.txt importance.gguf"},
    {"convert", "  blocq convert model/ model.gguf"},
    {"export", "  blocq export model.gguf model/ --layout mxfp4"},
    {"dequantize", "  blocq dequantize small.gguf floats.gguf --type f16"},
    {"diff", "  blocq diff model.gguf small.gguf"},
    {"compare", "  blocq compare model.gguf --svg plot.svg --csv table.csv"},
    {"report",
     "  blocq report model.gguf -o report.html\n"
     "  blocq report model.gguf --calibration train.txt --text test.txt -o report.html"},
    {"perplexity",
     "  blocq perplexity small.gguf text.txt --base model.gguf\n"
     "  blocq perplexity model.gguf text.txt --copies q4.gguf q5.gguf"},
    {"probe",
     "  blocq probe model.gguf            the weights alone\n"
     "  blocq probe model.gguf text.txt --type q3_k"},
    {"explain",
     "  blocq explain q4_k_m              the rules\n"
     "  blocq explain q4_k_m model.gguf   what each matrix gets, and why"},
    {"bench",
     "  blocq bench                       all formats that GGUF has, half a minute\n"
     "  blocq bench q4_k q8_0 --threads 1\n"
     "  blocq bench q4_k --instructions avx2"},
    {"completion",
     "  blocq completion bash >~/.local/share/bash-completion/completions/blocq\n"
     "  blocq completion fish >~/.config/fish/completions/blocq.fish"},
    {"man", "  blocq man | man -l -"}};

// How a text is cut up for a model.
void add_windows(CLI::App* command, std::size_t& context, std::size_t& windows) {
  command->add_option("--context", context, "Tokens in a window")->check(CLI::Range(4, 65536))->capture_default_str();
  command->add_option("--windows", windows, "At most so many windows")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
}

void add_threads(CLI::App* command, unsigned& threads) {
  command->add_option("--threads", threads, "Threads; results do not depend on their number")
      ->check(CLI::Range(1u, 1024u))
      ->capture_default_str();
}

std::string indented(std::string_view lines) {
  std::string out = "  ";
  for (const char c : lines) out += c == '\n' ? "\n  " : std::string(1, c);
  return out;
}

int run(int argc, char** argv) {
  CLI::App app{"Block-quantized number formats: look into GGUF files, convert their weights, measure what it costs.",
               "blocq"};
  app.set_version_flag("--version", version());
  app.require_subcommand(1);
  app.failure_message(CLI::FailureMessage::simple);
  app.footer("'blocq COMMAND --help' explains a command and has examples.\n\nExit codes:\n" + indented(exit_codes));
  std::function<int()> chosen;
  const auto add = [&](const char* name, const char* help, std::function<int()> work) {
    return app.add_subcommand(name, help)->callback([&chosen, work] { chosen = work; });
  };

  formats_options f;
  auto* command = add("formats", "List the block formats, or show every bit of one", [&] { return formats(f); });
  command->add_option("NAME", f.name, "A format, for example q4_k: where each bit of a block lies and what it means")
      ->type_name(format_value);
  command->add_option("--svg", f.svg, "Write the diagram of NAME to this file as a picture");
  command->add_flag("--json", f.json, "Print JSON instead of text");

  inspect_options i;
  command = add("inspect", "Show metadata and tensors", [&] { return inspect(i); });
  command
      ->add_option("FILE", i.file,
                   "GGUF file, of a split set any of its files; or a safetensors file, or a folder of them")
      ->required();
  command->add_flag("--json", i.json, "Print JSON instead of tables");
  command->add_flag("--full", i.full, "Show long strings and arrays whole");

  quantize_options q;
  command = add("quantize", "Write a copy with its matrices in block formats", [&] { return quantize(q); });
  command->alias("quantise");
  command->add_option("IN", q.in, weights_help)->required();
  command->add_option("OUT", q.out, "File to write; it appears when it is complete. Not needed with --dry-run");
  auto* format = command->add_option_group("Format")->require_option(0, 1);
  format
      ->add_option("-t,--type", q.all_types,
                   "One format for all, for example q4_k; 'blocq formats' lists them. Of several, q4_k,q8_0, each\n"
                   "gets a file of its own, OUT with -q4_k before its .gguf")
      ->type_name(format_value)
      ->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  format
      ->add_option("-m,--mix", q.all_mixes,
                   "A mix of formats by the role of each matrix, for example q4_k_m; or several, as with --type")
      ->type_name(mix_value)
      ->delimiter(',')
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  format->add_option("--target-bpw", q.target_bits, "So many bits per weight, spent where they help most")
      ->check(CLI::PositiveNumber);
  command->add_option("--types", q.types, "Formats that --target-bpw may use, for example q3_k,q4_k,q6_k")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--measurements", q.measurements,
                      "File that keeps what --target-bpw measures, for the next time");
  command->add_flag("--best", q.best, best_help);
  command->add_option("--imatrix,--importance", q.importance, "Importance weights: an imatrix file, GGUF or .dat");
  command
      ->add_option("--least-importance", q.least_importance,
                   "No column weighs less than so many times the mean of its matrix; with --best 1e-6 by itself")
      ->check(CLI::Range(0.0, 1.0));
  std::vector<std::string> methods = {"rtn", "gptq", "awq", "awq+gptq", "klt", "klt+gptq"};
  for (const packing_method& m : packing_methods()) methods.emplace_back(m.name);
  command
      ->add_option("--method", q.method,
                   "How weights are rounded: rtn (each for itself), gptq, awq, awq+gptq, klt or klt+gptq; or a method "
                   "whose result is "
                   "no blocks")
      ->check(CLI::IsMember(methods))
      ->capture_default_str();
  command->add_option("--with", q.with, "NAME=VALUE: a parameter of such a method, for example bits=3")
      ->expected(1)
      ->take_all();
  command->add_option("--calibration", q.calibration,
                      "Text file for the methods other than rtn and for --target-bpw, of a llama model");
  add_windows(command, q.context, q.windows);
  command
      ->add_option("--tensor-type", q.tensor_types, "REGEX=TYPE: another type for tensors whose name contains a match")
      ->expected(1)
      ->allow_extra_args(false)
      ->take_all();
  command->add_option("--output-tensor-type", q.output_type, "Another type for the output")->type_name(format_value);
  command->add_option("--token-embedding-type", q.token_embedding_type, "Another type for the token embeddings")
      ->type_name(format_value);
  command->add_flag("--pure", q.pure, "Give all matrices the type that most of a mix have");
  command->add_flag("--force", q.force, "Do without importance weights where they are needed");
  command->add_flag("--keep-split", q.keep_split, "Write a split set as one, OUT-00001-of-0000N.gguf and so on");
  command->add_flag("--dry-run", q.dry_run, "Only show which type each tensor would get");
  command->add_flag("--json", q.json, "Print JSON instead of text");
  command->add_option("--include", q.include, "Only tensors whose name contains a match of this regular expression");
  command->add_option("--exclude", q.exclude, "Not those whose name contains a match of this one");
  add_threads(command, q.threads);
  command->footer(
      "Vectors, norms, expert routers and other small matrices stay as they are, and all whose names do not end\n"
      "in 'weight'. A tensor whose rows are not whole blocks gets a fallback type and is listed.");

  imatrix_options w;
  command = add("imatrix", "Measure which columns of its matrices a llama model uses", [&] { return imatrix(w); });
  command->add_option("MODEL", w.model, llama_help)->required();
  command->add_option("TEXT", w.text, "Text file, UTF-8: of the kind that the model is for")->required();
  command->add_option("OUT", w.out, "File to write: .gguf, or .dat for the older form")->required();
  add_windows(command, w.context, w.windows);
  add_threads(command, w.threads);

  convert_options v;
  command = add("convert", "Write a published checkpoint as a GGUF file", [&] { return convert_checkpoint(v); });
  command->add_option("IN", v.in, "Folder with safetensors files, config.json and tokenizer.json")->required();
  command->add_option("OUT", v.out, output_help)->required();
  auto* rest = command->add_option("-t,--type", v.type, "Type of the matrices that no type of GGUF holds exactly")
                   ->type_name(format_value)
                   ->capture_default_str();
  command->add_option("-m,--mix", v.mix, "A mix of formats for them instead, by their roles")
      ->type_name(mix_value)
      ->excludes(rest);
  command->add_option("--arch-map", v.architecture_map,
                      "JSON file with the names and settings of an architecture that is not known");
  command->add_option("--pre", v.pre, "How llama.cpp cuts a text, if that does not follow from tokenizer.json");
  command->add_flag("--best", v.best, best_help);
  add_threads(command, v.threads);
  command->footer("Codes and scales are moved, not rounded, wherever a type of GGUF holds them.");

  export_options e;
  command = add("export", "Write a GGUF file as a checkpoint that compressed-tensors reads",
                [&] { return export_checkpoint(e); });
  command->add_option("IN", e.in, model_help)->required();
  command->add_option("DIR", e.folder, "Folder to write model.safetensors and config.json to")->required();
  command->add_option("-l,--layout", e.layout, "mxfp4, nvfp4, pack-quantized or fp8")
      ->required()
      ->check(CLI::IsMember({"mxfp4", "nvfp4", "pack-quantized", "fp8"}));
  command->add_option("--bits", e.bits, "Bits of a code of pack-quantized")
      ->check(CLI::IsMember({4u, 5u, 8u}))
      ->capture_default_str();
  command->add_option("--config", e.config,
                      "The published model's config.json: names and order of rows as it has them");
  command->add_flag("--best", e.best, best_help);
  add_threads(command, e.threads);
  command->footer("Blocks of the layout's own format are moved, not rounded; everything else is.");

  dequantize_options d;
  command =
      add("dequantize", "Write a copy with its block-format tensors as plain floats", [&] { return dequantize(d); });
  command->add_option("IN", d.in, weights_help)->required();
  command->add_option("OUT", d.out, output_help)->required();
  command->add_option("-t,--type", d.type, "f32, f16 or bf16")
      ->transform(CLI::IsMember({"f32", "f16", "bf16"}, CLI::ignore_case))
      ->capture_default_str();
  add_threads(command, d.threads);

  diff_options x;
  command = add("diff", "Measure how far the weights of B are from those of A", [&] { return diff(x); });
  command->add_option("A", x.a, "GGUF file or published checkpoint whose weights count as exact")->required();
  command->add_option("B", x.b, "GGUF file or published checkpoint")->required();
  command->add_flag("--json", x.json, "Print JSON instead of a table");
  add_threads(command, x.threads);
  command->footer("Exit code 1 if the files do not have the same tensors in the same shapes.");

  compare_options c;
  command = add("compare", "Measure every format on the file's weights", [&] { return compare(c); });
  command->add_option("IN", c.in, weights_help)->required();
  command->add_flag("--json", c.json, "Print JSON instead of a table");
  command->add_option("--csv", c.csv, "Write the figures to this file too");
  command->add_option("--svg", c.svg, "Write a plot of error against bits per weight to this file");
  command->add_flag("--best", c.best, best_help);
  command->add_option("--rows", c.rows, "Rows of each tensor to measure, 0 for all; else about two million weights");
  add_threads(command, c.threads);

  report_options r;
  command =
      add("report", "Write a page about a model: what each format and mix costs and loses", [&] { return report(r); });
  command->add_option("MODEL", r.model, model_help)->required();
  command->add_option("-o,--output", r.out, output_help)->capture_default_str();
  command->add_option("--text", r.text,
                      "Text file, UTF-8: measure what the mixes do to the predictions of a llama model");
  command->add_option("--calibration", r.calibration,
                      "Text file to plan with, of a llama model: importance, sensitivity of each matrix and the best\n"
                      "types for three budgets; else --text is taken for that too");
  add_windows(command, r.context, r.windows);
  add_threads(command, r.threads);

  perplexity_options p;
  command = add("perplexity", "Measure how well a llama model predicts a text", [&] { return perplexity(p); });
  command->add_option("MODEL", p.model, llama_help)->required();
  command->add_option("TEXT", p.text, "Text file, UTF-8")->required();
  command->add_option("--base", p.base, "Compare its predictions with those of this model, the float one for example");
  command
      ->add_option("--copies", p.copies, "Measure these files against MODEL, its quantized copies, and print a table")
      ->excludes("--base");
  command->add_option("--svg", p.svg, "Write a plot of the copies' KL divergence against bits per weight to this file")
      ->needs("--copies");
  command->add_flag("--json", p.json, "Print JSON instead of text");
  std::vector<std::string> caches = {"f32", "f16", "q8_0", "q4_0", "kivi4", "kivi2"};
  for (std::size_t plain = caches.size(), n = 0; n < plain; ++n) caches.push_back(caches[n] + "+rotate");
  caches.insert(caches.end(), {"kvquant", "kvquant4", "kvquant2", "think", "minicache"});
  command
      ->add_option("--cache", p.cache,
                   "How keys and values are remembered; +rotate: after a Hadamard transform of each head's")
      ->check(CLI::IsMember(caches))
      ->capture_default_str();
  command->add_option("--cache-k", p.cache_keys, "How keys are, if not as --cache says")->check(CLI::IsMember(caches));
  command->add_option("--cache-v", p.cache_values, "How values are")->check(CLI::IsMember(caches));
  add_windows(command, p.context, p.windows);
  add_threads(command, p.threads);
  command->footer(
      "Every window starts with the token of the beginning, and its second half is scored, as llama.cpp does it.");

  probe_options doubt;
  command = add("probe", "Show what makes a model hard to round", [&] { return probe(doubt); });
  command->add_option("MODEL", doubt.model, "GGUF file, of a split set any of its files; with TEXT of the llama family")
      ->required();
  command->add_option("TEXT", doubt.text, "Text file, UTF-8: look at what goes through a llama model too");
  command->add_option("--noise", doubt.noise, "Energy of what disturbs a matrix, as a part of that of its weights")
      ->check(CLI::Range(1e-6, 0.99))
      ->capture_default_str();
  command
      ->add_option("-t,--type", doubt.type,
                   "Format to round to with the importance that each part of the text says there is")
      ->type_name(format_value)
      ->capture_default_str();
  command
      ->add_option("--parts", doubt.parts, "Parts of the text that calibrate; one more is what errors are measured on")
      ->check(CLI::Range(2, 1000))
      ->capture_default_str();
  command->add_flag("--json", doubt.json, "Print JSON instead of tables");
  add_windows(command, doubt.context, doubt.windows);
  add_threads(command, doubt.threads);

  explain_options why;
  command = add("explain", "Show what a mix gives which matrix, and why", [&] { return explain(why); });
  command->add_option("MIX", why.mix, "A mix, for example q4_k_m")->required()->type_name(mix_value);
  command->add_option("MODEL", why.model, "GGUF file whose matrices to decide about; without it the rules are shown");
  command->add_flag("--with-importance", why.importance, "As if there were importance weights");
  command->add_flag("--json", why.json, "Print JSON instead of a table");

  bench_options speed;
  command = add("bench", "Measure how fast this machine multiplies with each format", [&] { return bench(speed); });
  command->add_option("FORMATS", speed.formats, "Formats, for example q4_k; without them all that GGUF has")
      ->type_name(format_value);
  command->add_option("--instructions", speed.instruction_set,
                      "The instruction set to use, for example avx2; else the newest that runs here");
  command->add_option("--memory", speed.memory, "Megabytes to read from memory; else more than the caches hold")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--seconds", speed.seconds, "Time for each format")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--json", speed.json, "Print JSON instead of a table");
  command->add_option("--threads", speed.threads, "Threads")->check(CLI::Range(1u, 1024u))->capture_default_str();

  std::string shell;
  command = add("completion", "Print what lets a shell complete commands, options and names", [&] {
    std::cout << completion_script(app, shell);
    return exit_done;
  });
  command->add_option("SHELL", shell, "bash, zsh or fish")->required()->check(CLI::IsMember({"bash", "zsh", "fish"}));

  command = add("man", "Print the manual page", [&] {
    std::cout << manual_page(app, version(), exit_codes);
    return exit_done;
  });

  for (const auto& [name, lines] : examples) {
    CLI::App* const described = app.get_subcommand(name);
    const std::string notes = described->get_footer();
    described->footer((notes.empty() ? "" : notes + "\n\n") + "Examples:\n" + lines);
  }

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (app.exit(error) == 0) return exit_done;
    const std::string meant = hint(app, {argv + 1, argv + argc});
    if (!meant.empty()) std::cerr << meant << '\n';
    return exit_failed;
  }
  const int code = chosen();
  if (!std::cout.flush()) {
    std::string made;
    for (const std::string& file : written_files()) made += (made.empty() ? "; complete is " : ", ") + printable(file);
    throw failure("standard output cannot be written" + made);
  }
  return code;
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
  stop_on_interrupt();
  try {
    command_arguments arguments(argc, argv);
    return run(arguments.count(), arguments.values());
  } catch (const interrupted& e) {
    std::cerr << "blocq: interrupted\n";
    return 128 + e.signal;
  } catch (const not_finite& e) {
    std::cerr << "blocq: " << e.what() << '\n';
    return exit_not_finite;
  } catch (const std::bad_alloc&) {
    std::cerr << "blocq: not enough memory\n";
  } catch (const std::exception& e) {
    std::cerr << "blocq: " << e.what() << '\n';
  }
  return exit_failed;
}
