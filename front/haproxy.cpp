#include "front/haproxy.hpp"

#include "support/error.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <span>

namespace kubestrap::front {

namespace {

class Connection {
public:
  explicit Connection(const std::filesystem::path& path) : descriptor_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto name = path.string();
    if (name.size() >= sizeof address.sun_path) throw Error(fmt::format("the path of the socket {} is too long", name));
    std::copy(name.begin(), name.end(), address.sun_path);
    const timeval patience{.tv_sec = 5, .tv_usec = 0};
    setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    if (descriptor_ < 0 || connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      const int reason = errno;
      if (descriptor_ >= 0) close(descriptor_);
      throw Error(fmt::format("HAProxy does not answer at {}: {}", name, std::strerror(reason)));
    }
  }
  ~Connection() { close(descriptor_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void write(std::string_view text) const {
    while (!text.empty()) {
      const auto count = send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL);
      if (count <= 0) throw Error(fmt::format("HAProxy does not listen: {}", std::strerror(errno)));
      text.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  std::string readAll() const {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
      const auto count = recv(descriptor_, buffer.data(), buffer.size(), 0);
      if (count < 0) throw Error(fmt::format("HAProxy does not answer: {}", std::strerror(errno)));
      if (count == 0) return text;
      text.append(buffer.data(), static_cast<std::size_t>(count));
    }
  }

private:
  int descriptor_;
};

} // namespace

std::vector<Server> parseServersState(std::string_view text) {
  auto lines = split(text, '\n');
  if (lines.size() < 2 || trim(lines[0]) != "1" || !lines[1].starts_with("# "))
    throw Error(fmt::format("HAProxy's list of servers is not in the format that is known: {}", text.substr(0, 80)));
  const auto columns = words(std::string_view(lines[1]).substr(2));
  const auto column = [&](std::string_view name) {
    const auto found = std::ranges::find(columns, name);
    if (found == columns.end()) throw Error(fmt::format("HAProxy's list of servers has no column {}", name));
    return static_cast<std::size_t>(found - columns.begin());
  };
  const auto name = column("srv_name"), address = column("srv_addr"), port = column("srv_port"), state = column("srv_admin_state");
  std::vector<Server> servers;
  for (const auto& line : std::span(lines).subspan(2)) {
    const auto row = words(line);
    if (row.empty()) continue;
    if (row.size() < columns.size()) throw Error(fmt::format("HAProxy's list of servers has a line that is too short: {}", line));
    int number = 0;
    std::from_chars(row[port].data(), row[port].data() + row[port].size(), number);
    servers.push_back({row[name], {row[address], number}, row[state] == "0"});
  }
  return servers;
}

std::string RuntimeSocket::ask(const std::string& command) const {
  const Connection connection(path_);
  connection.write(command + "\n");
  return connection.readAll();
}

bool RuntimeSocket::answers() const {
  try {
    return !ask("show info").empty();
  } catch (const Error&) {
    return false;
  }
}

} // namespace kubestrap::front
