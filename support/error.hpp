#pragma once
// support/ holds what has nothing to do with Kubernetes: errors, documents, text, time, versions, addresses,
// encodings, logging. It knows no other folder, has no effects, and every other folder may use it.

#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kubestrap {

/// What the program ends with (decision D15).
enum class ExitCode : int { done = 0, failed = 1, usage = 2, refused = 3, differs = 4, interrupted = 130 };

/// The one exception. `message` says what failed, on what, and why, in lower case and without a full stop; `contexts`
/// are the steps during which it happened, innermost first; `hint` is what the operator can do about it, if anything is
/// known.
class Error : public std::exception {
public:
  explicit Error(std::string message, std::string hint = {}, ExitCode exitCode = ExitCode::failed);

  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  const std::vector<std::string>& contexts() const { return contexts_; }
  ExitCode exitCode() const { return exitCode_; }
  void addContext(std::string context) { contexts_.push_back(std::move(context)); }
  const char* what() const noexcept override { return message_.c_str(); }

private:
  std::string message_, hint_;
  std::vector<std::string> contexts_;
  ExitCode exitCode_;
};

/// The operator (or a signal) asked to stop. Not a failure: nothing is printed but one line.
class Interrupted : public Error {
public:
  Interrupted() : Error("interrupted", {}, ExitCode::interrupted) {}
};

/// The world is not any more what `diff` saw; nothing was overwritten. Looking again is the remedy.
class Conflict : public Error {
public:
  using Error::Error;
};

/// One thing wrong with a document, a flag or a machine. `where` is "file:line:column" or a flag's name, and may be
/// empty.
struct Problem {
  std::string where;    ///< "cluster.yaml:14:3", "--node-name"
  std::string field;    ///< "networking.podSubnet"; may be empty
  std::string message;  ///< "\"10.0.0.0/33\" is not a CIDR"
  std::string expected; ///< "an address range like 10.244.0.0/16"; may be empty
  std::string remedy;   ///< "systemctl enable --now containerd"; may be empty
  bool operator==(const Problem&) const = default;
};

/// "cluster.yaml:14:3: networking.podSubnet: \"10.0.0.0/33\" is not a CIDR (expected ...)"
std::string describe(const Problem& problem);

/// All that is wrong, at once, never the first thing only.
class Problems : public Error {
public:
  explicit Problems(std::vector<Problem> problems, ExitCode exitCode = ExitCode::usage);
  const std::vector<Problem>& list() const { return problems_; }

private:
  std::vector<Problem> problems_;
};

/// Runs `body`; an Error that leaves it gets `context` ("signing apiserver").
template <typename Body> decltype(auto) while_(std::string_view context, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& error) {
    error.addContext(std::string(context));
    throw;
  }
}

} // namespace kubestrap
