#include "front/haproxy.hpp"

#include "support/error.hpp"

#include <doctest/doctest.h>

using namespace kubestrap;
using namespace kubestrap::front;

namespace {

/// As HAProxy 2.6.12 answers it.
constexpr std::string_view answer =
    "1\n"
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change "
    "srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn "
    "srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port\n"
    "3 apiservers 1 n1 10.0.0.11 0 0 1 1 2 8 2 0 6 0 0 0 - 6443 - 0 0 - - 0\n"
    "3 apiservers 3 spare1 192.0.2.1 0 5 1 1 2 1 0 0 14 0 0 0 - 6443 - 0 0 - - 0\n"
    "3 apiservers 4 n6 fd00::16 0 0 1 1 2 1 0 0 14 0 0 0 - 6444 - 0 0 - - 0\n"
    "\n";

} // namespace

TEST_CASE("HAProxy's list of servers is read by the names of its columns") {
  CHECK(parseServersState(answer) == std::vector<Server>{{"n1", {"10.0.0.11", 6443}, true},
                                                         {"spare1", {"192.0.2.1", 6443}, false},
                                                         {"n6", {"fd00::16", 6444}, true}});
}

TEST_CASE("what is not such a list is refused") {
  CHECK_THROWS_AS(parseServersState(""), Error);
  CHECK_THROWS_AS(parseServersState("Can't find backend.\n"), Error);
  CHECK_THROWS_AS(parseServersState("2\n# be_id\n"), Error);
  CHECK_THROWS_AS(parseServersState("1\n# be_id be_name\n3 apiservers\n"), Error);
  CHECK_THROWS_AS(parseServersState(std::string(answer).substr(0, answer.size() - 20)), Error);
}

TEST_CASE("a socket at which nobody answers is told") {
  const RuntimeSocket socket("/nonexistent/haproxy.sock");
  CHECK_FALSE(socket.answers());
  CHECK_THROWS_WITH(static_cast<void>(socket.ask("show info")),
                    "HAProxy does not answer at /nonexistent/haproxy.sock: No such file or directory");
}
