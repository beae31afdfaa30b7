#!/usr/bin/env bash
# Installs those of the named Debian packages that this machine lacks: setup.sh PACKAGE...
# Says nothing and needs neither network nor root when all are there. Without apt-get it only names missing tools;
# missing headers are then downloaded by CMake.
set -euo pipefail

header() { [ -e "/usr/include/$1" ] || [ -e "/usr/local/include/$1" ]; }

have() {
  case $1 in
    cmake | g++) command -v "$1" ;;
    clang) command -v clang++ ;;
    ninja-build) command -v ninja ;;
    libclang-rt-dev) echo 'int main() {}' | clang++ -fsanitize=address -x c++ - -o /dev/null ;;
    libxsimd-dev) header xsimd/xsimd.hpp ;;
    doctest-dev) header doctest/doctest.h ;;
    libcli11-dev) header CLI/CLI.hpp ;;
    nlohmann-json3-dev) header nlohmann/json.hpp ;;
    libeigen3-dev) header eigen3/Eigen/Core ;;
    libbenchmark-dev) header benchmark/benchmark.h ;;
    *) dpkg-query -W -f '${Status}' "$1" | grep -q 'ok installed' ;;
  esac >/dev/null 2>&1
}

missing=()
for package in "$@"; do have "$package" || missing+=("$package"); done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
  tools=$(printf '%s\n' "${missing[@]}" | grep -v -e '-dev$' || true)
  [ -z "$tools" ] && exit 0
  echo "setup: please install what Debian calls" $tools >&2
  exit 1
fi

as_root=()
if [ "$(id -u)" != 0 ]; then
  command -v sudo >/dev/null || { echo "setup: not root and no sudo; missing: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
  { : </dev/tty; } 2>/dev/null || as_root=(sudo -n)  # nobody is there to type a password
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@"; }

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing ${missing[*]}"
install() { apt install -y --no-install-recommends "${missing[@]}" </dev/null >"$log" 2>&1; }
# The lists of packages may be absent or old; the network may need a second try.
install || { { apt update || { sleep 5; apt update; }; } </dev/null >"$log" 2>&1 && install; } ||
  { tail -n 20 "$log" >&2; echo "setup: could not install ${missing[*]}" >&2; exit 1; }
