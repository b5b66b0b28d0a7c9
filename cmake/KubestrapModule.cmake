# kubestrap_module(NAME FILES a.cpp ... USES other ... [LIBRARIES lib ...])
#   One folder, one static library called kubestrap_NAME.
function(kubestrap_module name)
  cmake_parse_arguments(ARG "" "" "FILES;USES;LIBRARIES" ${ARGN})
  add_library(kubestrap_${name} STATIC ${ARG_FILES})
  target_include_directories(kubestrap_${name} PUBLIC ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
  target_compile_features(kubestrap_${name} PUBLIC cxx_std_20)
  target_link_libraries(kubestrap_${name} PRIVATE kubestrap_warnings)
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(kubestrap_${name} PUBLIC kubestrap_${used})
  endforeach()
  target_link_libraries(kubestrap_${name} PUBLIC ${ARG_LIBRARIES})
endfunction()

# kubestrap_tests(NAME FILES a_test.cpp ... USES module ...)
#   One doctest program; each of its cases is a CTest case of its own.
function(kubestrap_tests name)
  cmake_parse_arguments(ARG "" "" "FILES;USES" ${ARGN})
  add_executable(test_${name} ${ARG_FILES})
  target_link_libraries(test_${name} PRIVATE kubestrap_test_main kubestrap_warnings)
  foreach(used IN LISTS ARG_USES)
    target_link_libraries(test_${name} PRIVATE kubestrap_${used})
  endforeach()
  target_compile_definitions(test_${name} PRIVATE KUBESTRAP_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  doctest_discover_tests(test_${name} TEST_PREFIX "${name}: ")
endfunction()

# kubestrap_proto(MODULE NAME...)
#   The messages of each proto/NAME.proto as library kubestrap_MODULE_proto, headers NAME.pb.h. Generated code is not ours to warn about: a
#   library without our warnings, its header a system header.
function(kubestrap_proto module)
  set(generated ${CMAKE_CURRENT_BINARY_DIR}/generated)
  foreach(name IN LISTS ARGN)
    add_custom_command(
      OUTPUT ${generated}/${name}.pb.cc ${generated}/${name}.pb.h
      COMMAND ${CMAKE_COMMAND} -E make_directory ${generated}
      COMMAND protobuf::protoc --cpp_out=${generated} -I ${CMAKE_CURRENT_SOURCE_DIR}/proto
              ${CMAKE_CURRENT_SOURCE_DIR}/proto/${name}.proto
      DEPENDS proto/${name}.proto
      VERBATIM)
    list(APPEND sources ${generated}/${name}.pb.cc)
  endforeach()
  add_library(kubestrap_${module}_proto STATIC ${sources})
  target_include_directories(kubestrap_${module}_proto SYSTEM PUBLIC ${generated})
  target_link_libraries(kubestrap_${module}_proto PUBLIC kubestrap_protobuf)
  target_compile_features(kubestrap_${module}_proto PUBLIC cxx_std_20)
endfunction()
