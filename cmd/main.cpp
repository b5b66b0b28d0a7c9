#include "cmd/commands.hpp"

#include <malloc.h>

int main(int argc, char** argv) {
  // The few threads there are allocate little: one heap for all of them saves several megabytes.
  mallopt(M_ARENA_MAX, 1);
  auto root = kubestrap::cmd::rootCommand();
  return static_cast<int>(kubestrap::cmd::dispatch(root, argc, argv));
}
