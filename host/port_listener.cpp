#include "host/port_listener.hpp"

#include <array>
#include <memory>
#include <netdb.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>

namespace kubestrap::host {

namespace {

constexpr int backlog = 16, pause = 50; // milliseconds until it looks whether it is to end

/// Nothing where it cannot be had.
Descriptor listening(const IpAddress& address, int port) {
  const addrinfo wanted{.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0,
                        .ai_addrlen = 0, .ai_addr = nullptr, .ai_canonname = nullptr, .ai_next = nullptr};
  addrinfo* found = nullptr;
  if (getaddrinfo(address.string().c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) return {};
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
  Descriptor made(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int on = 1;
  if (!made || setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 || bind(made.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      listen(made.get(), backlog) != 0)
    return {};
  return made;
}

std::optional<IpAddress> whoCame(int socket) {
  sockaddr_storage from{};
  socklen_t length = sizeof from;
  const Descriptor connection(accept4(socket, reinterpret_cast<sockaddr*>(&from), &length, SOCK_CLOEXEC));
  std::array<char, NI_MAXHOST> text{};
  if (!connection || getnameinfo(reinterpret_cast<const sockaddr*>(&from), length, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return IpAddress::parse(text.data());
}

} // namespace

PortListener::PortListener(const IpAddress& address, const std::vector<int>& ports) {
  for (const auto port : ports)
    if (auto descriptor = listening(address, port)) sockets_.push_back({port, std::move(descriptor)});
  thread_ = std::jthread([this](std::stop_token stop) { serve(std::move(stop)); });
}

std::vector<int> PortListener::ports() const {
  std::vector<int> ports;
  for (const auto& each : sockets_) ports.push_back(each.port);
  return ports;
}

std::map<int, std::set<IpAddress>> PortListener::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void PortListener::serve(std::stop_token stop) {
  std::vector<pollfd> waiting;
  for (const auto& each : sockets_) waiting.push_back({each.descriptor.get(), POLLIN, 0});
  while (!stop.stop_requested()) {
    if (poll(waiting.data(), waiting.size(), pause) <= 0) continue;
    for (std::size_t at = 0; at < waiting.size(); ++at) {
      if ((waiting[at].revents & POLLIN) == 0) continue;
      const auto from = whoCame(waiting[at].fd);
      const std::lock_guard lock(mutex_);
      if (from) seen_[sockets_[at].port].insert(*from);
    }
  }
}

} // namespace kubestrap::host
