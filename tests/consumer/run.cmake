# Builds and runs the project of this folder, or for METHOD engine that of the folder engine, in DIR:
#   cmake -DMETHOD=install|build|add_subdirectory|FetchContent|engine -DXSIMD=ON|OFF|SYSTEM|directory -DDIR=...
#         -DSOURCE=... -DBUILD=... -DVERSION=... -DCOMPILER=... -DGENERATOR=... -P run.cmake
# XSIMD: a stand-in for the package, none, the system's as it is, or that in another prefix.
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

if(XSIMD STREQUAL "SYSTEM")
  set(xsimd -DXSIMD_REAL=ON)
elseif(IS_DIRECTORY "${XSIMD}")
  set(xsimd -DXSIMD_REAL=ON -Dxsimd_ROOT=${XSIMD})
elseif(XSIMD)
  # A package of a later major version than the system's and in an unusual place. Like Debian 12's it names a library that
  # is no part of it.
  file(WRITE "${DIR}/xsimd/include/blocq_xsimd_probe.hpp" "")
  file(WRITE "${DIR}/xsimd/xsimdConfig.cmake" "add_library(xsimd INTERFACE IMPORTED)\n"
       "target_include_directories(xsimd INTERFACE \${CMAKE_CURRENT_LIST_DIR}/include)\n"
       "target_link_libraries(xsimd INTERFACE no_such_library)\n")
  file(WRITE "${DIR}/xsimd/xsimdConfigVersion.cmake" "set(PACKAGE_VERSION 99.0.0)\n"
       "if(PACKAGE_FIND_VERSION AND NOT PACKAGE_FIND_VERSION_MAJOR EQUAL 99)\n"
       "  set(PACKAGE_VERSION_COMPATIBLE FALSE)\nelse()\n  set(PACKAGE_VERSION_COMPATIBLE TRUE)\nendif()\n")
  set(xsimd -Dxsimd_DIR=${DIR}/xsimd -DXSIMD_PROBE=ON)
else()
  set(xsimd -DCMAKE_DISABLE_FIND_PACKAGE_xsimd=ON)
endif()

if(METHOD STREQUAL "engine")
  # The engine installs itself; whoever finds it there needs no more than what it installed.
  foreach(step engine user)
    run(${CMAKE_COMMAND} -S ${CMAKE_CURRENT_LIST_DIR}/${step} -B ${DIR}/${step} -G ${GENERATOR} ${xsimd}
        -DCMAKE_CXX_COMPILER=${COMPILER} -DBLOCQ=${SOURCE} -DBLOCQ_INSTALL=${INSTALL}
        -DCMAKE_INSTALL_PREFIX=${DIR}/prefix -DCMAKE_PREFIX_PATH=${DIR}/prefix)
    run(${CMAKE_COMMAND} --build ${DIR}/${step})
    if(step STREQUAL "engine")
      run(${CMAKE_COMMAND} --install ${DIR}/engine)
      if(NOT INSTALL AND EXISTS "${DIR}/prefix/include/blocq")
        message(FATAL_ERROR "blocq installs itself although nobody asked for it")
      endif()
    endif()
  endforeach()
  run(${DIR}/user/user)
  return()
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
