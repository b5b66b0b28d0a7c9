// The machine's memory: what is going to be made stands in it before it is made, and never a secret.
#include "tests/flow/machine.hpp"
#include "tests/lines.hpp"

#include "plan/journal.hpp"
#include "support/encoding.hpp"
#include "support/text.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

using namespace kubestrap;
using namespace kubestrap::flow;

namespace {

const std::string kJournal = "/var/lib/kubestrap/journal";

struct Uploading : Machine {
  Uploading() {
    adjust = [](config::Setup& setup) { setup.request.uploadCerts = true; };
  }
};

/// What a record's target is called among the effects: a path, a unit, an image, an object's name.
std::string nameOf(const Value& record) {
  for (const auto* member : {"path", "unit", "image", "name"})
    if (const auto name = stringAt(record["target"], member); !name.empty()) return name;
  return {};
}

std::vector<Value> intentsIn(Machine& machine) {
  auto records = plan::Journal::read(machine.host);
  std::erase_if(records, [](const auto& each) { return stringAt(each, "event") != "intent"; });
  return records;
}

} // namespace

TEST_CASE("every effect is in the journal before it happens") {
  Uploading machine;
  std::size_t announced = 0;
  // Each effect looks into the journal as it is at its moment.
  machine.host.onEffect = [&](const std::string& effect) {
    if (effect.find("/var/lib/kubestrap") != std::string::npos) return;
    auto name = effect.substr(effect.rfind(' ') + 1);
    if (name.starts_with("/api"))
      name = name.substr(0, name.find('?')), name = replaceAll(name.substr(name.rfind('/') + 1), "%3A", ":");
    // An object that is created is sent to its collection, whose name is its kind's.
    const auto records = intentsIn(machine);
    const bool known = std::ranges::any_of(records, [&](const auto& each) {
      return nameOf(each) == name ||
             (effect.starts_with("POST") && lower(stringAt(each["target"], "kind")) + "s" == name);
    });
    CAPTURE(effect);
    CHECK(known);
    ++announced;
  };
  machine.init();
  CHECK(announced > 80);
}

TEST_CASE("what reaches further than files begins when the files before it outlive a power loss") {
  Uploading machine;
  std::size_t wereAtRisk = 0;
  machine.host.onEffect = [&](const std::string& effect) {
    const auto verb = effect.substr(0, effect.find(' '));
    const bool ofFiles = verb == "write" || verb == "append" || verb == "make" || verb == "mode" || verb == "owner" || verb == "remove" || verb == "rename";
    wereAtRisk += machine.host.namesAtRisk ? 1 : 0;
    CAPTURE(effect);
    CHECK((ofFiles || !machine.host.namesAtRisk));
  };
  machine.init();
  CHECK(wereAtRisk > 20); // it is worth it
  CHECK(!machine.host.namesAtRisk);
}

TEST_CASE("each folder that was made on the way to something is in the journal once, before what lies in it") {
  Machine machine;
  machine.init();
  std::vector<std::string> made, recorded;
  for (const auto& effect : machine.effects())
    if (effect.starts_with("make folder ") && effect.find("/var/lib/kubestrap") == std::string::npos)
      made.push_back(effect.substr(effect.rfind(' ') + 1));
  for (const auto& record : intentsIn(machine))
    if (stringAt(record, "kind") == "Folder") {
      recorded.push_back(nameOf(record));
      CHECK(record["before"].is_null());
    }
  std::ranges::sort(made);
  CHECK(std::ranges::find(made, "/etc/kubernetes/pki/etcd") != made.end());
  std::ranges::sort(recorded);
  CHECK(recorded == made);
}

TEST_CASE("no secret is in the journal, in what is reported, or in what a plan shows") {
  Uploading machine;
  machine.plan();
  machine.init();
  machine.adjust = [](config::Setup& setup) {
    setup.request.uploadCerts = true;
    setup.cluster.apiServerCertSANs = {"api.example.org"};
  };
  machine.host.files.erase("/etc/kubernetes/admin.conf");
  machine.api.remove("/api/v1/namespaces/kube-system/secrets/bootstrap-token-abcdef");
  machine.plan();
  machine.init();
  std::string told = machine.host.text(kJournal) + machine.listener.previews;
  for (const auto& line : machine.listener.lines) told += line + "\n";
  for (const auto& line : machine.listener.waits) told += line + "\n";
  for (const std::string& secret :
       {std::string("PRIVATE KEY"), std::string(kTokenSecret), base64(kTokenSecret), std::string(kCertificateKey),
        base64("-----BEGIN EC"), machine.host.text("/etc/kubernetes/pki/ca.key").substr(40, 40)}) {
    CAPTURE(secret);
    CHECK(told.find(secret) == std::string::npos);
  }
}

TEST_CASE("errors of the cluster tell no secret") {
  Machine machine;
  const auto intercept = machine.api.intercept;
  machine.api.intercept = [&](const net::Request& request) -> std::optional<net::Response> {
    if (request.method == "POST" && request.url.find("/secrets") != std::string::npos)
      return net::Response{.status = 422,
                           .headers = {},
                           .body = R"({"kind":"Status","reason":"Invalid","message":"no room","code":422})"};
    return intercept(request);
  };
  const auto error = machine.initFails();
  CHECK(error.find("no room") != std::string::npos);
  CHECK(error.find(kTokenSecret) == std::string::npos);
  CHECK(error.find(base64(kTokenSecret)) == std::string::npos);
  CHECK(machine.host.text(kJournal).find(kTokenSecret) == std::string::npos);
}

TEST_CASE("what is replaced is kept beside the journal, readable by root alone") {
  Machine machine;
  machine.init();
  const auto apiServer = machine.host.text("/etc/kubernetes/pki/apiserver.crt");
  const auto key = machine.host.text("/etc/kubernetes/pki/apiserver.key");
  machine.adjust = [](config::Setup& setup) { setup.cluster.apiServerCertSANs = {"api.example.org"}; };
  machine.selection.only = "certs";
  machine.init();
  std::map<std::string, std::string> kept;
  for (const auto& record : intentsIn(machine))
    if (const auto saved = stringAt(record, "before.saved"); !saved.empty()) {
      kept[nameOf(record)] = machine.host.text(saved);
      CHECK(machine.host.files.at(saved).mode == 0600);
      CHECK(stringAt(record, "before.sha256") == sha256Hex(machine.host.text(saved)));
    }
  CHECK(kept["/etc/kubernetes/pki/apiserver.crt"] == apiServer);
  CHECK(kept["/etc/kubernetes/pki/apiserver.key"] == key);
  CHECK(machine.host.files.at(kJournal).mode == 0600);
  CHECK(machine.host.files.at("/var/lib/kubestrap").mode == 0700);
  CHECK(machine.host.files.at("/var/lib/kubestrap/before").mode == 0700);
}

TEST_CASE("a run that has nothing to do leaves no trace in the journal") {
  Machine machine;
  machine.init();
  const auto before = machine.host.text(kJournal);
  machine.init();
  CHECK(machine.host.text(kJournal) == before);
}

TEST_CASE("a last line that a power loss tore does no harm") {
  Machine machine;
  machine.initStoppedAt(40);
  auto& journal = machine.host.files.at(kJournal).content;
  journal.resize(journal.size() - 25);
  const auto whole = plan::Journal::read(machine.host).size();
  machine.init();
  const auto records = plan::Journal::read(machine.host);
  CHECK(records.size() > whole);
  CHECK(stringAt(records[whole], "event") == "begin");
  CHECK(stringAt(records.back(), "result") == "done");
  std::set<std::uint64_t> numbers;
  for (const auto& record : intentsIn(machine)) CHECK(numbers.insert(record["number"].get<std::uint64_t>()).second);
}

TEST_CASE("the journal tells how a run ended") {
  Machine machine;
  const auto end = [&] {
    const auto records = plan::Journal::read(machine.host);
    REQUIRE_FALSE(records.empty());
    return stringAt(records.back(), "result");
  };
  machine.timetable.apiServer = kNever;
  machine.initFails();
  CHECK(end().starts_with("failed: gave up after"));
  machine.clock.interruptAtSleep = 30;
  machine.initFails();
  CHECK(end().starts_with("failed: gave up after")); // nothing was made by this run: it has no record at all
  machine.timetable.apiServer = std::chrono::seconds(3);
  machine.init();
  CHECK(end() == "done");
}

TEST_CASE("done follows what was done") {
  Machine machine;
  machine.init();
  std::set<std::uint64_t> open;
  for (const auto& record : plan::Journal::read(machine.host)) {
    if (stringAt(record, "event") == "intent") open.insert(record["number"].get<std::uint64_t>());
    if (stringAt(record, "event") == "done")
      for (const auto& number : record["numbers"]) CHECK(open.erase(number.get<std::uint64_t>()) == 1);
  }
  CHECK(open.empty());
}
