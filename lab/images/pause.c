/* pause: holds the namespaces of a pod, and reaps orphans where it is PID 1 of a shared PID namespace.
 * `pause -v` prints a version and ends with 0: kubeadm's upgrade runs it as a Job and waits for that Job to complete. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void finish(int number) {
  (void)number;
  _exit(0);
}

static void reap(int number) {
  (void)number;
  while (waitpid(-1, NULL, WNOHANG) > 0) {
  }
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "-v") == 0) {
    puts("pause of the kubestrap lab");
    return 0;
  }
  struct sigaction ending = {.sa_handler = finish};
  struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
  sigaction(SIGINT, &ending, NULL);
  sigaction(SIGTERM, &ending, NULL);
  sigaction(SIGCHLD, &reaping, NULL);
  for (;;) pause();
}
