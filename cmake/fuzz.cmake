# SPDX-License-Identifier: Apache-2.0
# libFuzzer entries, spec/fuzz/NAME_fuzz.c. The layers are instrumented too, so
# this wants a build folder of its own: preset "fuzz".

if(NOT CMAKE_C_COMPILER_ID STREQUAL "Clang")
  message(FATAL_ERROR "LUNEX_FUZZ needs clang: cmake --preset fuzz")
endif()
add_compile_options(-fsanitize=fuzzer-no-link)
foreach(layer core net web)
  target_compile_options(lunex_${layer} PRIVATE -fsanitize=fuzzer-no-link)
endforeach()

add_custom_target(fuzz)

# lunex_fuzz(NAME [LAYER]): linked with that layer, core when there is none.
function(lunex_fuzz name)
  set(layer ${ARGN} core)
  list(GET layer 0 layer)
  add_executable(${name}_fuzz spec/fuzz/${name}_fuzz.c)
  target_link_libraries(${name}_fuzz PRIVATE lunex_${layer})
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  add_dependencies(fuzz ${name}_fuzz)
endfunction()
