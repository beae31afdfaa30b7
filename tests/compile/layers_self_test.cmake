# Shows that layers.cmake finds what it looks for: a tree with one offence per file, each of which must be named with
# its line, and the same tree without the offences, which must pass.
cmake_minimum_required(VERSION 3.23)
set(offences  # file | include line | sentence
    "elem/a.hpp|#include <blocq/format/a.hpp>|elem may not include format"
    "core/a.hpp|# include <blocq/elem/a.hpp>|core may not include elem"
    "format/a.hpp|  #include <blocq/simd/a.hpp>|format may not include simd"
    "gguf/a.hpp|#include <blocq/encode/a.hpp>|gguf may not include encode"
    "encode/a.hpp|#include <blocq/op/a.hpp>|encode may not include op"
    "simd/a.hpp|#include <blocq/format/a.hpp>|simd may not include format"
    "codec/a.hpp|#include <xsimd/xsimd.hpp>|only simd includes xsimd and intrinsics"
    "op/a.hpp|#include <immintrin.h>|only simd includes xsimd and intrinsics"
    "op/b.hpp|#include <blocq/gguf/a.hpp>|op may not include gguf"
    "format/b.hpp|#include <arm_neon.h>|only simd includes xsimd and intrinsics"
    "core/b.hpp|#include <cmath>|too costly for core"
    "gguf/b.hpp|#include <string>|too costly for gguf"
    "file/a.hpp|#include <blocq/format/a.hpp>|file may not include format"
    "safetensors/a.hpp|#include <blocq/format/a.hpp>|safetensors may not include format"
    "checkpoint/a.hpp|#include <blocq/gguf/a.hpp>|checkpoint may not include gguf"
    "elem/b.hpp|#include <sstream>|too costly for elem"
    "op/c.hpp|#include \"a.hpp\"|headers are included as"
    "blocq.hpp|#include <blocq/calib/a.hpp>|blocq.hpp may not include calib"
    "calib/a.hpp|#include <blocq/op/absent.hpp>|no such header"
    "attic/a.hpp|attic|no such layer")

function(check tree)
  execute_process(COMMAND ${CMAKE_COMMAND} -DTREE=${tree} -P ${CMAKE_CURRENT_LIST_DIR}/layers.cmake
                  RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(code "${code}" PARENT_SCOPE)
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${DIR}")
foreach(offence IN LISTS offences)
  string(REPLACE "|" ";" offence "${offence}")
  list(GET offence 0 file)
  list(GET offence 1 line)
  file(WRITE "${DIR}/bad/${file}" "// [a] comment; with brackets\n\n${line}\n")
  if(NOT file MATCHES "^attic")
    file(WRITE "${DIR}/good/${file}" "#include <cstdint>\n")
  endif()
endforeach()
file(WRITE "${DIR}/good/op/a.hpp" "#include <algorithm>\n#include <blocq/simd/a.hpp>\n#include <blocq/encode/a.hpp>\n")
file(WRITE "${DIR}/good/calib/a.hpp" "#include <string>\n#include <blocq/gguf/a.hpp>\n#include <blocq/op/a.hpp>\n")
file(WRITE "${DIR}/good/simd/a.hpp" "#include <xsimd/xsimd.hpp>\n#include <blocq/core/a.hpp>\n")

check("${DIR}/bad")
if(code EQUAL 0)
  message(FATAL_ERROR "the bad tree passed")
endif()
foreach(offence IN LISTS offences)
  string(REPLACE "|" ";" offence "${offence}")
  list(GET offence 0 file)
  list(GET offence 1 line)
  list(GET offence 2 sentence)
  string(STRIP "${line}" line)
  set(number 3)
  if(line STREQUAL "attic")
    set(number 0)
  endif()
  string(FIND "${output}" "${file}:${number}: ${line}: ${sentence}" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "not named: ${file}:${number}: ${line}: ${sentence}\n${output}")
  endif()
endforeach()

check("${DIR}/good")
if(NOT code EQUAL 0)
  message(FATAL_ERROR "the good tree failed: ${output}")
endif()
