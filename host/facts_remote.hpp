#pragma once
// What only other machines can answer: an external etcd, registries, the clock of an API server. One attempt each, with a
// time limit; who judges gets the answer or the reason why there was none.

#include "config/facts.hpp"
#include "net/http.hpp"

#include <string>
#include <vector>

namespace kubestrap::host {

/// Versions by /version of each URL.
std::map<std::string, config::Answer> askEtcd(net::Transport& transport, const std::vector<std::string>& urls,
                                              const net::TlsIdentity& tls);

/// Whether anybody answers at each registry, over the proxy that the environment names. A registry without or with a
/// strange certificate answers as well: what the runtime makes of it is not known here.
std::map<std::string, config::Answer> askRegistries(net::Transport& transport, const std::vector<std::string>& hosts);

/// Puts into `clock` what an answer's Date says of the clock of who gave it, when it was asked for at `asked` and came
/// at `came` by our own.
void compareClock(config::ClockFacts& clock, TimePoint theirs, TimePoint asked, TimePoint came, std::string_view whose);

} // namespace kubestrap::host
