#include "cmd/commands.hpp"

int main(int argc, char** argv) {
  auto root = kubestrap::cmd::rootCommand();
  return static_cast<int>(kubestrap::cmd::dispatch(root, argc, argv));
}
