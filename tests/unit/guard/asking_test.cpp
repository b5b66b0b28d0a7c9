#include "guard/asking.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kubestrap;
using namespace kubestrap::guard;
using namespace kubestrap::phases::guard;
using Kind = net::TransportError::Kind;

namespace {

/// A process that listens on loopback and never says a word.
class Mute {
public:
  Mute() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
    socklen_t size = sizeof address;
    REQUIRE(bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(listen(socket_, 8) == 0);
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
  }
  ~Mute() { close(socket_); }
  Mute(const Mute&) = delete;
  Mute& operator=(const Mute&) = delete;
  int port = 0;

private:
  int socket_;
};

} // namespace

TEST_CASE("what a process answers says how it does") {
  CHECK(stateOf(200, "ok") == SlotState::ready);
  CHECK(stateOf(401, "") == SlotState::ready);
  CHECK(stateOf(500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed") == SlotState::unready);
  CHECK(stateOf(500, "[+]ping ok\n[-]shutdown failed: reason withheld\nreadyz check failed") == SlotState::draining);
  CHECK(stateOf(403, "") == SlotState::unready);
  CHECK(stateOf(Kind::refused) == SlotState::refuses);
  for (const auto kind : {Kind::timeout, Kind::closed, Kind::tls, Kind::other}) CHECK(stateOf(kind) == SlotState::hangs);
}

TEST_CASE("a process that hangs is told from none, and keeps nobody from answering") {
  const Mute mute;
  const auto etcd = "http://127.0.0.1:" + std::to_string(mute.port) + "/readyz";
  Asking asking({.apiServerPort = 1, .etcd = {etcd}, .front = "https://127.0.0.1:1"}, {}, {});
  const auto asked = asking.all();
  CHECK(!asked.etcdReady);
  CHECK(!asked.apiAnswers);
  for (const auto state : asked.slots[apiServer]) CHECK(state == SlotState::refuses); // nobody has port 1
  CHECK(!asking.anyReady({{"n2", {"127.0.0.1", mute.port}}, {"n3", {"127.0.0.1", 1}}}));
  CHECK(!asking.anyReady({}));
}
