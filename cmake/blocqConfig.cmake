include("${CMAKE_CURRENT_LIST_DIR}/blocqTargets.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/BlocqKernels.cmake")
include("${CMAKE_CURRENT_LIST_DIR}/BlocqXsimd.cmake")

# Without xsimd the encoders take one block at a time.
blocq_find_xsimd(blocq_xsimd_include)
if(blocq_xsimd_include)
  target_include_directories(blocq::blocq SYSTEM INTERFACE "${blocq_xsimd_include}")
endif()
unset(blocq_xsimd_include)
