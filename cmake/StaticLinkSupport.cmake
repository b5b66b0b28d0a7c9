# Release form (decision D12): libstdc++, libgcc, yaml-cpp, protobuf-lite, libarchive, zstd and liblzma inside the binary; curl and OpenSSL from the
# distribution, so that their security fixes reach us without a release of ours.
option(KUBESTRAP_STATIC_LIBRARIES "Link libstdc++, libgcc, yaml-cpp, protobuf-lite, libarchive, zstd and liblzma statically" OFF)
add_library(kubestrap_link INTERFACE)
if(KUBESTRAP_STATIC_LIBRARIES)
  target_link_options(kubestrap_link INTERFACE -static-libstdc++ -static-libgcc -Wl,--gc-sections -Wl,-z,relro,-z,now -pie)
endif()
