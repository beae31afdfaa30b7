# Builds and runs the project of this folder in DIR:
#   cmake -DMETHOD=install|build|add_subdirectory|FetchContent -DXSIMD=ON|OFF -DDIR=... -DSOURCE=... -DBUILD=...
#         -DVERSION=... -DCOMPILER=... -DGENERATOR=... -P run.cmake
cmake_minimum_required(VERSION 3.23)

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT code EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}\n${output}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${DIR}")
set(blocq "${SOURCE}")
if(METHOD STREQUAL "build")
  set(blocq "${BUILD}")
elseif(METHOD STREQUAL "install")
  set(blocq "${DIR}/prefix")
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${blocq})
endif()

if(XSIMD)
  # A package of a later major version than the system's and in an unusual place.
  file(WRITE "${DIR}/xsimd/include/blocq_xsimd_probe.hpp" "")
  file(WRITE "${DIR}/xsimd/xsimdConfig.cmake" "add_library(xsimd INTERFACE IMPORTED)\n"
       "target_include_directories(xsimd INTERFACE \${CMAKE_CURRENT_LIST_DIR}/include)\n")
  file(WRITE "${DIR}/xsimd/xsimdConfigVersion.cmake" "set(PACKAGE_VERSION 99.0.0)\n"
       "if(PACKAGE_FIND_VERSION AND NOT PACKAGE_FIND_VERSION_MAJOR EQUAL 99)\n"
       "  set(PACKAGE_VERSION_COMPATIBLE FALSE)\nelse()\n  set(PACKAGE_VERSION_COMPATIBLE TRUE)\nendif()\n")
  set(xsimd -Dxsimd_DIR=${DIR}/xsimd -DXSIMD_PROBE=ON)
else()
  set(xsimd -DCMAKE_DISABLE_FIND_PACKAGE_xsimd=ON)
endif()

run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR} -B ${DIR}/build -G ${GENERATOR} -DCMAKE_CXX_COMPILER=${COMPILER}
    -DMETHOD=${METHOD} -DBLOCQ=${blocq} -DBLOCQ_VERSION=${VERSION} -DEXAMPLE=${SOURCE}/examples/ten_lines.cpp ${xsimd})
run(${CMAKE_COMMAND} --build ${DIR}/build)
run(${DIR}/build/consumer)
message("${output}")

if(METHOD STREQUAL "install")
  find_program(PKG_CONFIG pkg-config)
  if(PKG_CONFIG)
    set(ENV{PKG_CONFIG_PATH} ${blocq}/share/pkgconfig)
    run(${PKG_CONFIG} --cflags blocq)
    separate_arguments(flags UNIX_COMMAND "${output}")
    run(${COMPILER} -std=c++20 -fsyntax-only ${flags} ${SOURCE}/examples/ten_lines.cpp)
  endif()
endif()
