# Third-party libraries, all from the distribution (see docs/design/dependencies.md for versions and traps).
set(CMAKE_CXX_EXTENSIONS OFF)
find_package(OpenSSL 3 REQUIRED)
find_package(CURL 7.88 REQUIRED)
find_package(fmt 9 REQUIRED)
find_package(nlohmann_json 3.11 REQUIRED)
find_package(Threads REQUIRED)
find_package(CLI11 2 REQUIRED)
find_package(Protobuf 3.21 REQUIRED)
find_package(yaml-cpp 0.7 REQUIRED)

# A libcurl and an OpenSSL that still speak deprecated calls hide slips: deprecated OpenSSL calls do not compile.
add_compile_definitions(OPENSSL_NO_DEPRECATED)

# yaml-cpp and protobuf-lite: the archive where the release form asks for it, the shared object otherwise.
add_library(kubestrap_yaml_cpp INTERFACE)
target_include_directories(kubestrap_yaml_cpp SYSTEM INTERFACE ${YAML_CPP_INCLUDE_DIR})
add_library(kubestrap_protobuf INTERFACE)
target_include_directories(kubestrap_protobuf SYSTEM INTERFACE ${Protobuf_INCLUDE_DIRS})
if(KUBESTRAP_STATIC_LIBRARIES)
  find_library(YAML_CPP_ARCHIVE libyaml-cpp.a REQUIRED)
  find_library(PROTOBUF_LITE_ARCHIVE libprotobuf-lite.a REQUIRED)
  target_link_libraries(kubestrap_yaml_cpp INTERFACE ${YAML_CPP_ARCHIVE})
  target_link_libraries(kubestrap_protobuf INTERFACE ${PROTOBUF_LITE_ARCHIVE} Threads::Threads)
else()
  target_link_libraries(kubestrap_yaml_cpp INTERFACE yaml-cpp)
  target_link_libraries(kubestrap_protobuf INTERFACE protobuf::libprotobuf-lite)
endif()
