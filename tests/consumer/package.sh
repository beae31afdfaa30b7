#!/usr/bin/env bash
# Another package manager takes blocq from this tree, builds a consumer against it and runs it:
#   package.sh conan|vcpkg|meson|bazel WORK-DIRECTORY
# Exits with 77 where the tool is missing. xsimd is the system's, and nothing else is downloaded than what bazel and
# vcpkg need themselves.
set -euo pipefail
tool=$1
mkdir -p "$2"
work=$(cd "$2" && pwd)
cd "$(dirname "$0")/../.."
command -v "$tool" >/dev/null || { echo "$tool is not installed"; exit 77; }

version=$(scripts/version.sh)
case $tool in
  conan)
    grep -q '^Conan version 2' <(conan --version) || { echo "not version 2 of conan"; exit 77; }
    export CONAN_HOME=$work/home
    rm -rf "$CONAN_HOME"
    conan profile detect >"$work/log" 2>&1
    create() {
      # Nothing is built in the source tree.
      conan create packaging/conan -s compiler.cppstd=20 -c tools.cmake.cmake_layout:test_folder="$work/test" \
        "$@" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    }
    create -o 'blocq/*:with_xsimd=False'
    if conan create packaging/conan -o 'blocq/*:with_xsimd=False' -s compiler=gcc -s compiler.version=11 \
      -s compiler.libcxx=libstdc++11 -s compiler.cppstd=20 >"$work/old" 2>&1; then
      echo "a compiler that is too old is accepted" && exit 1
    fi
    grep -q 'blocq needs gcc 12 or later, not 11' "$work/old" || { cat "$work/old"; exit 1; }
    if [ -e /usr/include/xsimd/xsimd.hpp ]; then
      mkdir -p "$work/xsimd"
      cat >"$work/xsimd/conanfile.py" <<'PY'
from conan import ConanFile
from conan.tools.files import copy


class XsimdConan(ConanFile):
    name = "xsimd"
    version = "8.1.0"
    package_type = "header-library"

    def package(self):
        copy(self, "xsimd/*", "/usr/include", self.package_folder + "/include")
PY
      conan create "$work/xsimd" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
      create
    fi
    conan list "blocq/$version" | grep -q "blocq/$version" || { echo "the package has another version"; exit 1; }
    ;;
  vcpkg)
    # vcpkg's own ports are needed for the scripts that a port calls. VCPKG_FORCE_SYSTEM_BINARIES=1 keeps it from
    # downloading cmake, ninja and patchelf where the system has them.
    [ -d "${VCPKG_ROOT:-/nowhere}/ports" ] || { echo "VCPKG_ROOT is not set"; exit 77; }
    rm -rf "$work"/{installed,packages,build}
    overlays=(--overlay-ports=packaging/vcpkg)
    if [ -e /usr/include/xsimd/xsimd.hpp ]; then
      mkdir -p "$work/ports/xsimd"
      echo '{"name": "xsimd", "version": "8.1.0"}' >"$work/ports/xsimd/vcpkg.json"
      cat >"$work/ports/xsimd/portfile.cmake" <<'CMAKE'
file(INSTALL /usr/include/xsimd DESTINATION "${CURRENT_PACKAGES_DIR}/include")
file(WRITE "${CURRENT_PACKAGES_DIR}/share/xsimd/xsimdConfig.cmake" [[
add_library(xsimd INTERFACE IMPORTED)
set_target_properties(xsimd PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_LIST_DIR}/../../include")
]])
file(WRITE "${CURRENT_PACKAGES_DIR}/share/xsimd/copyright" "the system's")
CMAKE
      overlays+=(--overlay-ports="$work/ports")
    fi
    # The binary cache would give the package of an earlier tree back: it only looks at the port.
    vcpkg install blocq "${overlays[@]}" --binarysource=clear --disable-metrics --x-install-root="$work/installed" \
      --x-buildtrees-root="$work/b" --x-packages-root="$work/packages" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    cmake -S packaging/conan/test_package -B "$work/build" -DVCPKG_INSTALLED_DIR="$work/installed" \
      -DVCPKG_MANIFEST_MODE=OFF -DCMAKE_TOOLCHAIN_FILE="$VCPKG_ROOT/scripts/buildsystems/vcpkg.cmake"
    cmake --build "$work/build"
    "$work/build/test_package"
    ;;
  meson)
    rm -rf "$work/build"
    meson setup "$work/build" . >"$work/log" && meson test -C "$work/build" >>"$work/log" || { cat "$work/log"; exit 1; }
    meson introspect "$work/build" --projectinfo | grep -q "\"version\": \"$version\"" ||
      { echo "meson.build gives another version"; exit 1; }
    ;;
  bazel)
    # A module of its own that depends on this one. rules_cc comes from bazel's registry, or from where bazelrc says.
    [[ $(bazel --version) =~ ^bazel\ ([0-9]+)\. && ${BASH_REMATCH[1]} -ge 7 ]] ||
      { echo "modules need version 7 of bazel"; exit 77; }
    mkdir -p "$work/consumer"
    cp packaging/conan/test_package/test_package.cpp "$work/consumer"
    cat >"$work/consumer/MODULE.bazel" <<BAZEL
bazel_dep(name = "blocq")
bazel_dep(name = "rules_cc")
local_path_override(module_name = "blocq", path = "$PWD")
BAZEL
    cat >"$work/consumer/BUILD.bazel" <<'BAZEL'
load("@rules_cc//cc:defs.bzl", "cc_test")
cc_test(name = "test_package", size = "small", srcs = ["test_package.cpp"], copts = ["-std=c++20"], deps = ["@blocq"])
BAZEL
    cd "$work/consumer"
    trap 'bazel --output_user_root="$work/root" shutdown' EXIT
    bazel --output_user_root="$work/root" test //:test_package @blocq//:ten_lines
    ;;
esac
