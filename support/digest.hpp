#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace kubestrap {

/// SHA-256 of what comes piece by piece (support/encoding.hpp has it of what is there as a whole).
class Sha256 {
public:
  Sha256();
  ~Sha256();
  void add(std::string_view bytes);
  std::string digest(); ///< 32 raw octets; nothing may be added any more

private:
  struct Context;
  std::unique_ptr<Context> context_;
};

} // namespace kubestrap
