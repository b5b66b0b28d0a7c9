#pragma once

#include "cmd/machine.hpp"

#include "certs/key.hpp"
#include "certs/sign.hpp"

#include <optional>
#include <string>

namespace kubestrap::cmd {

/// The content of a file, or of standard input for "-". Throws Error (usage) when there is none.
std::string readInput(Machine& machine, const std::string& name);

/// What a command of cfssl's made; what it did not make is empty.
struct Issued {
  std::string certificate, request; ///< PEM
  Secret key;
};

/// cfssl's JSON on standard output; or, with a name, NAME-key.pem, NAME.csr and NAME.pem as cfssljson writes them. The key goes first: a
/// certificate without its key is worth nothing. An authority that was there under that name is kept as NAME-key.pem.old and NAME.pem.old.
void hand(const Issued& issued, const std::optional<std::string>& bare, Machine& machine);
void write(const Issued& issued, const std::string& bare, host::Host& host);

/// What in a leaf's request only makes sense for an authority's own certificate.
void addLeafProblems(const certs::Request& request, const std::string& where, std::string inPlaceOfAuthority, std::vector<Problem>& problems);

/// An authority with its key.
struct Authority {
  certs::X509Certificate certificate;
  certs::PrivateKey key;
};
Authority readAuthority(Machine& machine, const std::optional<std::string>& certificate, const std::optional<std::string>& key);

/// `gencert --list`: a request a line, each with a name of its own; every certificate is made in this process, on all cores.
ExitCode signList(Machine& machine, const std::string& list, const Authority& authority, const certs::SigningOrder& order,
                  const std::optional<std::string>& bare);

} // namespace kubestrap::cmd
