#include "cmd/commands.hpp"

#include <malloc.h>
#include <sys/prctl.h>

int main(int argc, char** argv) {
#ifndef __SANITIZE_ADDRESS__ // whose search for leaks takes its own process apart
  prctl(PR_SET_DUMPABLE, 0); // keys pass through here: a core file of it would be one more copy
#endif
  // The few threads there are allocate little: one heap for all of them saves several megabytes.
  mallopt(M_ARENA_MAX, 1);
  auto root = kubestrap::cmd::rootCommand();
  return static_cast<int>(kubestrap::cmd::dispatch(root, argc, argv));
}
