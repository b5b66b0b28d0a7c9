// The entry that libFuzzer calls; KUBESTRAP_FUZZ_TARGET names the target.
#include "targets.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto& target = kubestrap::fuzz::target(KUBESTRAP_FUZZ_TARGET);
  target.run({reinterpret_cast<const char*>(data), size});
  return 0;
}
