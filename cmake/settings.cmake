# SPDX-License-Identifier: Apache-2.0
# How everything is compiled and linked.

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
# The layers are separate libraries, and the calls of a hot `set` cross four of
# them: inlining across files makes it a tenth faster.
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT LUNEX_SANITIZE)
  set(CMAKE_INTERPROCEDURAL_OPTIMIZATION ON)
  # Specs are linked without: twenty times faster, for fifty of them.
  foreach(language C CXX)
    set(CMAKE_${language}_COMPILE_OPTIONS_IPO -flto=auto -ffat-lto-objects)
  endforeach()
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -g -DNDEBUG")
set(CMAKE_C_FLAGS_DEBUG "-Og -g3")
set(CMAKE_CXX_FLAGS_DEBUG "-Og -g3")

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wshadow -Wundef -Wvla)
foreach(warning conversion strict-prototypes missing-prototypes)
  add_compile_options($<$<COMPILE_LANGUAGE:C>:-W${warning}>)
endforeach()
if(LUNEX_WERROR)
  add_compile_options(-Werror)
endif()

# The C++ in lunex is one shim over std::to_chars.
add_compile_options(
  $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions>
  $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)

add_compile_options(-ffunction-sections -fdata-sections)
add_link_options(LINKER:--gc-sections,--as-needed)

if(LUNEX_SANITIZE)
  add_compile_options(-fsanitize=${LUNEX_SANITIZE}
    -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${LUNEX_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release")
  add_compile_options(-fstack-protector-strong -U_FORTIFY_SOURCE
    -D_FORTIFY_SOURCE=2)
endif()

# Start-up counts: functions of shared libraries are bound when they are first
# called, that is mostly never; the C++ runtime, of which a few kilobytes are
# used, is not a shared object of its own.
add_link_options(LINKER:-z,lazy -static-libgcc)
add_link_options($<$<LINK_LANGUAGE:CXX>:-static-libstdc++>)

# lunex finds its scripts relative to itself, in the build folder as under an
# installed prefix: bin/lunex and share/lunex/.
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
