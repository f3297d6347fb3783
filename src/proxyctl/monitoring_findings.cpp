#include "proxyctl/monitoring_findings.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "proxyctl/finding_words.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

/// An agent that hears no probe registers each second.
constexpr double kStillRegisters = 30'000, kHadTime = 2'000;

std::string ranges(const json& status) {
  std::string all;
  for (const json& range : list(status, "/monitoring/allow")) all += (all.empty() ? "" : ", ") + words(range);
  return all;
}

/// One reason for which datagrams are dropped.
struct Drop {
  const char* reason;
  const char* rule;
  Severity severity;
  const char* seen;  ///< of "{} datagrams"
  std::string advice;
};

std::vector<Drop> drops(const json& status, const std::string& peer) {
  const bool keys = number(status, "/monitoring/keys") > 0;
  const std::string same_key =
      keys ? "give the agent there the proxy's key file (compare them: sha256sum /etc/farol/key) and restart it; of the "
             "proxy, HUP makes it read its own anew"
           : "the agent there has a --key-file and this proxy has none: give the proxy the same, or take the agent's away";
  const std::string foreign =
      "an agent of another version, or another program that sends to UDP " + udp_port(status) + ": look at that machine";
  return {
      {"mac", "key-mismatch", Severity::error, "signed with another key or with none", same_key},
      {"not_allowed", "not-allowed", Severity::error, "from outside the networks that may register",
       "if that is a back-end, let it: --allow " + peer + "/" + (peer.find(':') == std::string::npos ? "32" : "128") +
           " (allowed now: " + ranges(status) + ")"},
      {"loop", "loop", Severity::error, "for a service that is one of the proxy's own listeners",
       "tell the agent on this machine which port its service has: --service-port N"},
      {"table_full", "table-full", Severity::error, "for which the table has no room", "use another proxy for some of them"},
      {"conflict", "two-agents", Severity::warning, "of a second agent for a back-end that has one, or is a --backend",
       "let one agent run for each address and port, and name no back-end with --backend that has an agent"},
      {"version", "foreign-datagrams", Severity::warning, "of another version of the protocol", foreign},
      {"size", "foreign-datagrams", Severity::warning, "that are no packets of the protocol (their size)", foreign},
      {"type", "foreign-datagrams", Severity::warning, "that are no packets of the protocol (their type)", foreign},
      {"malformed", "foreign-datagrams", Severity::warning, "that are no packets of the protocol", foreign},
      {"alias", "alias", Severity::note, "of an agent that is known by another address",
       "nothing, where a proxy is reached by two of an agent's addresses"},
  };
}

void add_drops(const json& status, Findings& findings) {
  for (const char* reason : {"mac", "not_allowed", "loop", "table_full", "conflict", "version", "size", "type",
                             "malformed", "alias"}) {
    const std::string dropped = std::string("/monitoring/dropped/") + reason;
    const json last = at(status, (std::string("/monitoring/last_dropped/") + reason).c_str());
    if (number(status, dropped.c_str()) <= 0 || !last.is_object()) continue;
    const std::string peer = words(at(last, "/peer"));
    for (const Drop& drop : drops(status, host_of(peer)))
      if (drop.reason == std::string_view(reason))
        findings.push_back({by_age(at(last, "/age_ms"), drop.severity), drop.rule, "",
                            fmt::format("{} datagrams were dropped that were {}; the last came from {}, {} ago",
                                        count(at(status, dropped.c_str())), drop.seen, peer, ago(at(last, "/age_ms"))),
                            drop.advice});
  }
}

/// Who registers and has not answered one probe.
void add_unanswered(const json& status, Findings& findings) {
  const bool keys = number(status, "/monitoring/keys") > 0;
  for (const json& each : list(status, "/monitoring/unanswered")) {
    const json age = at(each, "/age_ms");
    if (!age.is_number() || age > kStillRegisters || number(each, "/registers") < 2 ||
        number(each, "/first_age_ms") < kHadTime)
      continue;
    const std::string agent = words(at(each, "/agent"));
    findings.push_back(
        {Severity::error, "probes-unanswered", "",
         fmt::format("the agent {} registers TCP port {} ({} times in {}, the last {} ago) and answers no probe", agent,
                     count(at(each, "/service_port")), count(at(each, "/registers")), ago(at(each, "/first_age_ms")),
                     ago(age)),
         fmt::format("its packets arrive here, so it runs{}; ours do not arrive there: let UDP from this machine's port {} "
                     "to {} through, on that machine (sudo nft insert rule inet filter input udp sport {} accept) and on "
                     "the way{}",
                     keys ? " and has a key of ours" : "", udp_port(status), agent, udp_port(status),
                     keys ? "; or its key file lacks the key that stands first in the proxy's" : "")});
  }
}

void add_nobody(const json& status, Findings& findings) {
  const json backends = at(status, "/backends");
  if (!backends.is_array() || !backends.empty()) return;
  double dropped = 0;
  if (const json counters = at(status, "/monitoring/dropped"); counters.is_object())
    for (const json& counter : counters) dropped += counter.is_number() ? counter.get<double>() : 0;
  const bool heard = dropped > 0 || !list(status, "/monitoring/unanswered").empty();
  const std::string port = udp_port(status);
  findings.push_back(
      {Severity::error, "no-backend", "",
       heard ? "there is no back-end; datagrams have come to UDP " + port + ", and none of them led to one"
             : "there is no back-end, and no datagram has come to UDP " + port,
       heard ? "the other findings say what becomes of them"
             : "start an agent on each back-end (monitorUDP 20 THIS-HOST); where one runs, let UDP " + port +
                   " into this machine (sudo nft insert rule inet filter input udp dport " + port +
                   " accept) and see that the agent names an address of this machine"});
}

}  // namespace

void add_monitoring_findings(const json& status, Findings& findings) {
  add_nobody(status, findings);
  add_unanswered(status, findings);
  add_drops(status, findings);
  const std::string allowed = ranges(status);
  if (at(status, "/monitoring/keys") == 0 && !allowed.empty())
    findings.push_back({Severity::note, "no-key", "", "there is no --key-file: any agent in " + allowed + " may register",
                        "where others can reach UDP " + udp_port(status) + ", give the proxy and all agents one key file "
                        "(proxyctl keygen)"});
}

}  // namespace farol::proxyctl
