#!/usr/bin/env bash
# Unpacks the llama.cpp of Debian sid, with the ggml, the tests and the C library that it needs, into a directory of its
# own, and prints the directory of its programs: any Debian runs them, nothing is installed.
#   fetch-llama.sh [DIRECTORY]     build/llama unless named
# Its ggml takes the best of its CPU backends for the processor, or of those in the directory BLOCQ_LLAMA_BACKENDS.
#   BLOCQ_LLAMA_DIR=$(scripts/fetch-llama.sh) ctest --test-dir build/ggml-backend -R hosts --verbose
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:-build/llama}"
cd "${1:-build/llama}"

if [ ! -e bin/test-backend-ops ]; then
  command -v apt-get >/dev/null || { echo "fetch-llama: cannot run: this is no Debian" >&2; exit 1; }
  site=$(apt-get indextargets --format '$(SITE) $(LABEL)' 'Created-By: Packages' | awk '$2 == "Debian" { print $1; exit }')
  [ -n "$site" ] || { echo "fetch-llama: cannot run: apt knows no mirror of Debian" >&2; exit 1; }
  # A system beside this one, in which nothing is installed yet.
  mkdir -p apt/lists/partial apt/cache/archives/partial root bin
  : >apt/status
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $site sid main" >apt/sources.list
  apt() {
    apt-get -qq -o Dir::State="$PWD/apt" -o Dir::State::status="$PWD/apt/status" -o Dir::Cache="$PWD/apt/cache" \
      -o Dir::Etc::sourcelist="$PWD/apt/sources.list" -o Dir::Etc::sourceparts=- -o APT::Sandbox::User=root \
      -o Dir::Etc::preferencesparts=- -o Dir::Etc::preferences=- -o Debug::NoLocking=1 "$@"
  }
  { apt update && apt install -y --no-install-recommends --download-only llama.cpp-tools llama.cpp-tools-extra llama.cpp-tests; } \
    >apt/log 2>&1 || { tail -n 5 apt/log >&2; echo "fetch-llama: cannot run: the packages could not be downloaded" >&2; exit 1; }
  for package in apt/cache/archives/*.deb; do dpkg-deb -x "$package" root; done
  rm -r apt

  loader=$PWD/root/usr/lib64/ld-linux-x86-64.so.2
  [ -e "$loader" ] || loader=$PWD/root/lib64/ld-linux-x86-64.so.2
  libraries=$PWD/root/usr/lib/x86_64-linux-gnu
  backends=$(dirname "$libraries"/ggml/backends*/libggml-cpu-x64.so)
  wrap() {  # PROGRAM: ggml looks for its backends in the directory that it is called in, too
    printf '#!/bin/sh\ncd "${BLOCQ_LLAMA_BACKENDS:-%s}" && exec %q --library-path %q %q "$@"\n' "$backends" "$loader" \
      "$libraries:$libraries/llama" "$1" >"bin/$(basename "$1")"
    chmod +x "bin/$(basename "$1")"
  }
  for program in root/usr/bin/llama-* root/usr/libexec/*/llama.cpp-tests/test-backend-ops; do wrap "$PWD/$program"; done
fi
echo "$PWD/bin"
