// Many certificates in one process.
#include "cmd/cfssl.hpp"

#include "certs/fields.hpp"
#include "support/text.hpp"

#include <fmt/format.h>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <set>
#include <thread>

namespace kubestrap::cmd {

namespace {

struct Wanted {
  std::string name;
  certs::Request request;
};

/// The line's own member `name`, else the common name.
std::string takeName(Value& document) {
  auto name = stringAt(document, "name", stringAt(document, "CN"));
  if (document.is_object()) document.erase("name");
  return name;
}

/// All lines, or all that is wrong with them.
std::vector<Wanted> readList(const std::string& text, const std::string& source, bool bare) {
  std::vector<Wanted> list;
  std::vector<Problem> problems;
  std::set<std::string> names;
  int number = 0;
  for (const auto& line : split(text, '\n')) {
    ++number;
    if (trim(line).empty()) continue;
    const auto where = fmt::format("{}:{}", source, number);
    try {
      auto document = certs::parseStrictJson(line, where);
      auto name = takeName(document);
      auto request = certs::readRequest(document, where);
      if (name.empty()) problems.push_back({.where = where, .field = "name", .message = "is missing, and so is CN"});
      else if (std::ranges::any_of(name, [](unsigned char each) { return each == '/' || each < ' '; })) problems.push_back({.where = where, .field = "name", .message = "cannot be the name of a file"});
      else if (!names.insert(name).second) problems.push_back({.where = where, .field = "name", .message = fmt::format("\"{}\" is there twice", name)});
      if (bare && names.contains(name + "-key")) problems.push_back({.where = where, .field = "name", .message = fmt::format("\"{0}\" and \"{0}-key\" would be one file", name)});
      if (constexpr std::string_view ending = "-key"; bare && name.ends_with(ending) && names.contains(name.substr(0, name.size() - ending.size())))
        problems.push_back({.where = where, .field = "name", .message = fmt::format("\"{}\" is the file of another one's key", name)});
      addLeafProblems(request, where, {}, problems);
      list.push_back({std::move(name), std::move(request)});
    } catch (const Problems& found) {
      problems.insert(problems.end(), found.list().begin(), found.list().end());
    }
  }
  if (list.empty() && problems.empty()) problems.push_back({.where = source, .message = "has no request"});
  if (!problems.empty()) throw Problems(std::move(problems));
  return list;
}

} // namespace

ExitCode signList(Machine& machine, const std::string& list, const Authority& authority, const certs::SigningOrder& order,
                  const std::optional<std::string>& bare) {
  const auto wanted = readList(readInput(machine, list), list == "-" ? "standard input" : list, bare.has_value());
  const auto now = machine.clock().now();
  const auto serials = machine.entropy().bytes(20 * wanted.size());
  std::vector<Issued> issued(wanted.size());
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t i = next++; i < wanted.size(); i = next++)
      while_(fmt::format("signing {}", wanted[i].name), [&] {
        const auto key = certs::PrivateKey::generate(wanted[i].request.key);
        const auto request = certs::SigningRequest::make(wanted[i].request, key);
        const auto serial = std::string_view(serials).substr(20 * i, 20);
        issued[i] = {certs::signedPem(request, order, certs::Issuer{&authority.certificate, authority.key}, now, serial), request.pem(), key.pem()};
      });
  };
  mallopt(M_ARENA_MAX, static_cast<int>(std::thread::hardware_concurrency())); // one heap for all would be waited for more than worked with
  std::vector<std::future<void>> others;
  for (unsigned i = 1; i < std::min<std::size_t>(std::thread::hardware_concurrency(), wanted.size()); ++i)
    others.push_back(std::async(std::launch::async, work));
  work();
  for (auto& other : others) other.get();
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (bare) {
      write(issued[i], *bare + wanted[i].name, machine.host());
      continue;
    }
    fmt::print("{}\n", Value{{"name", wanted[i].name}, {"cert", issued[i].certificate}, {"csr", issued[i].request}, {"key", issued[i].key.reveal()}}.dump());
  }
  return ExitCode::done;
}

} // namespace kubestrap::cmd
