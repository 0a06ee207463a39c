# SPDX-License-Identifier: Apache-2.0
# One ctest each. A spec prints a line for each behaviour, "ok N - name" or "not
# ok N - name" (unittest: "name ... ok"), which cmake/tally.awk counts for ./test.

find_library(CMOCKA_LIBRARY cmocka REQUIRED)
# Debian's, which has Debian's packages; another one may come first in PATH.
find_program(PYTHON_PROGRAM python3 HINTS /usr/bin REQUIRED)

set(LUNEX_SPEC_ENVIRONMENT
  CMOCKA_MESSAGE_OUTPUT=TAP
  LUNEX=$<TARGET_FILE:lunex>
  PYTHONDONTWRITEBYTECODE=1
  PYTHONUNBUFFERED=1
  ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
  UBSAN_OPTIONS=print_stacktrace=1
  TSAN_OPTIONS=second_deadlock_stack=1:history_size=7:suppressions=${PROJECT_SOURCE_DIR}/spec/tsan.supp)

# ./test runs several at a time, which is for those that mostly wait. ALONE: it
# looks at the clock in a way that bears nothing beside it. LOCK: at the same
# time as no other one of that lock. COST: seconds, of the long ones, which begin
# first.
function(lunex_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "ALONE" "TIMEOUT;LOCK;COST"
    "COMMAND;LABELS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 180)
  endif()
  if(NOT arg_COST)
    set(arg_COST 0)
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND})
  set_tests_properties(${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
    RUN_SERIAL ${arg_ALONE} RESOURCE_LOCK "${arg_LOCK}" COST ${arg_COST}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    ENVIRONMENT "${LUNEX_SPEC_ENVIRONMENT}")
endfunction()

# What ./test runs under the thread sanitizer: specs with the label, and lunex.
add_custom_target(threads DEPENDS lunex)

# lunex_c_spec(LAYER NAME [LABELS ...] [TIMEOUT SECONDS] [ALONE]):
# spec/LAYER/NAME_spec.c, linked with that layer and what is below it.
function(lunex_c_spec layer name)
  set(target ${layer}_${name}_spec)
  add_executable(${target} spec/${layer}/${name}_spec.c)
  target_link_libraries(${target} PRIVATE lunex_${layer} ${CMOCKA_LIBRARY})
  target_link_options(${target} PRIVATE -fno-lto)
  set_target_properties(${target} PROPERTIES
    INTERPROCEDURAL_OPTIMIZATION OFF
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/spec)
  lunex_test(${layer}/${name} COMMAND ${target} ${ARGN})
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" LABELS)
  if("threads" IN_LIST arg_LABELS)
    add_dependencies(threads ${target})
  endif()
endfunction()

# lunex_site(TARGET...): these have the server of spec/net/site.h.
function(lunex_site)
  find_package(OpenSSL REQUIRED)
  add_library(spec_site STATIC spec/net/site.c)
  target_link_libraries(spec_site
    PUBLIC lunex_net OpenSSL::SSL ${CMOCKA_LIBRARY})
  foreach(target IN LISTS ARGN)
    target_link_libraries(${target} PRIVATE spec_site)
  endforeach()
endfunction()

# lunex_lua_spec(PATH ...): a Lua spec, run inside the host by lunex-spec.
function(lunex_lua_spec path)
  if(NOT TARGET lunex-spec)
    add_executable(lunex-spec spec/bind/names.c spec/bind/page.c
      spec/bind/runner.c spec/bind/tcp.c)
    target_link_libraries(lunex-spec PRIVATE lunex_run)
  endif()
  string(REGEX REPLACE "^spec/(.*)_spec[.]lua$" "\\1" name ${path})
  lunex_test(${name} COMMAND lunex-spec ${path} ${ARGN})
endfunction()

# lunex_python_spec(PATH ...): a unittest file. Those of spec/e2e run the real
# binary.
function(lunex_python_spec path)
  string(REGEX REPLACE "^spec/(.*)_(spec|test)[.]py$" "\\1" name ${path})
  lunex_test(${name}
    COMMAND ${PYTHON_PROGRAM} -m unittest -v ${path} ${ARGN})
  if(path MATCHES "^spec/e2e/")
    set_tests_properties(${name} PROPERTIES LABELS e2e)
  endif()
endfunction()
