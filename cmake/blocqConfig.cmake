include("${CMAKE_CURRENT_LIST_DIR}/blocqTargets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/BlocqKernels.cmake")

# Optional: without it every operation runs its scalar model. No version is asked for (see BlocqDependencies.cmake).
find_package(xsimd QUIET)
if(TARGET xsimd)
  target_link_libraries(blocq::blocq INTERFACE xsimd)
endif()
