#include "host/port_listener.hpp"

#include "host/descriptor.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <chrono>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

using namespace kubestrap;
using host::Descriptor;
using host::PortListener;

namespace {

const auto loopback = IpAddress::v4(127, 0, 0, 1);

sockaddr_in at(int port, const char* address = "127.0.0.1") {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, address, &where.sin_addr);
  return where;
}

/// One that nobody has at the moment.
int freePort() {
  const Descriptor probe(socket(AF_INET, SOCK_STREAM, 0));
  auto where = at(0);
  socklen_t length = sizeof where;
  REQUIRE(bind(probe.get(), reinterpret_cast<sockaddr*>(&where), length) == 0);
  REQUIRE(getsockname(probe.get(), reinterpret_cast<sockaddr*>(&where), &length) == 0);
  return ntohs(where.sin_port);
}

bool connects(int port, const char* from) {
  const Descriptor client(socket(AF_INET, SOCK_STREAM, 0));
  const auto own = at(0, from), where = at(port);
  return bind(client.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 && connect(client.get(), reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
}

template <typename Holds> bool within(std::chrono::seconds patience, Holds holds) {
  for (const auto until = std::chrono::steady_clock::now() + patience; std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(std::chrono::milliseconds(5)))
    if (holds()) return true;
  return holds();
}

} // namespace

TEST_CASE("who has come to a port is remembered, by the address that he came from") {
  const auto one = freePort(), other = freePort();
  const PortListener listener(loopback, {one, other});
  REQUIRE(listener.ports() == std::vector{one, other});
  CHECK(listener.seen().empty());
  REQUIRE(connects(one, "127.0.0.1"));
  REQUIRE(connects(one, "127.0.0.9"));
  REQUIRE(within(std::chrono::seconds(10), [&] { return listener.seen().contains(one) && listener.seen().at(one).size() == 2; }));
  CHECK(listener.seen().at(one) == std::set{loopback, IpAddress::v4(127, 0, 0, 9)});
  CHECK_FALSE(listener.seen().contains(other));
}

TEST_CASE("a port that somebody has is left to him, and an address that is not here is nobody's") {
  const auto port = freePort();
  const PortListener first(loopback, {port});
  CHECK(PortListener(loopback, {port}).ports().empty());
  CHECK(first.ports() == std::vector{port});
  CHECK(PortListener(IpAddress::v4(192, 0, 2, 1), {port}).ports().empty());
}

TEST_CASE("when it goes nobody listens any more") {
  const auto port = freePort();
  { const PortListener listener(loopback, {port}); }
  CHECK_FALSE(connects(port, "127.0.0.1"));
}
