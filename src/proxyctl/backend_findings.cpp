#include "proxyctl/backend_findings.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "proxyctl/finding_words.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr double kMuchLoss = 0.2, kMuchDoubt = 0.5;
/// Milliseconds. An agent that hears no probe registers each second, once it has missed three.
constexpr double kStillRegisters = 5'000, kWouldRegister = 30'000;

/// One back-end, with what the rules ask of it.
struct Subject {
  const json& status;
  const json& row;
  std::string name;     ///< as it is called on the command line
  std::string address;
  bool report;          ///< its pool's policy leaves out who is silent

  [[nodiscard]] bool is(const char* path, const char* value) const { return at(row, path) == value; }
  [[nodiscard]] Finding finding(Severity severity, const char* rule, std::string seen, std::string advice) const {
    return {severity, rule, name, std::move(seen), std::move(advice)};
  }
};

Finding service_fails(const Subject& of) {
  const std::string port = port_of(of.address);
  const bool agent = at(of.row, "/agent").is_object();
  if (of.is("/service", "unreachable"))
    return of.finding(Severity::error, "service-unreachable",
                      "its service does not answer: no reply to a connection to TCP port " + port,
                      "is the machine up, and may this one connect to it (firewall, route)? try: nc -zv " +
                          host_of(of.address) + " " + port);
  if (agent && at(of.row, "/agent/listening") == false)
    return of.finding(Severity::error, "service-closed",
                      "its agent says that nothing listens on TCP port " + port + ", and connections are refused",
                      "start the service there, or tell the agent which port it has: monitorUDP ... --service-port N");
  if (agent)
    return of.finding(Severity::error, "service-refuses",
                      "something listens on TCP port " + port + " there, but connections from here are refused",
                      "let it listen on " + host_of(of.address) + " (on 127.0.0.1 only?), let the firewall pass it, or tell "
                      "the agent the right port: --service-port N");
  return of.finding(Severity::error, "service-refuses", "connections to it are refused",
                    "start the service, or correct the port in --backend");
}

/// Silent: is it the agent, or the way to it? Registers that still arrive tell.
Finding agent_silent(const Subject& of) {
  const json answered = at(of.row, "/report_age_ms"), registered = at(of.row, "/agent/register_age_ms");
  const bool registers = registered.is_number() && registered < kStillRegisters &&
                         (!answered.is_number() || registered.get<double>() < answered.get<double>());
  const std::string agent = words(at(of.row, "/agent/address")), port = udp_port(of.status);
  const char* const without = of.report                ? "; under policy report it gets no connections"
                              : of.is("/state", "down") ? "; with --require-agent it gets no connections"
                                                        : "; it keeps connections at a neutral score";
  const Severity severity = of.report || of.is("/state", "down") ? Severity::error : Severity::warning;
  if (registers)
    return of.finding(severity, "probes-unanswered",
                      fmt::format("its agent {} registers (the last time {} ago) but has answered no probe for {}{}", agent,
                                  ago(registered), ago(answered), without),
                      fmt::format("it runs, so it is our probes that do not arrive, or its answers: let UDP between this "
                                  "machine's port {} and {} through, both ways",
                                  port, agent));
  const bool early = answered.is_number() && answered < kWouldRegister;
  return of.finding(severity, "agent-silent",
                    fmt::format("its agent {} has said nothing for {}, neither answers nor Registers{}", agent, ago(answered),
                                without),
                    fmt::format("on {}: does monitorUDP run (systemctl status farol-monitor)? If it does, UDP from there to "
                                "this machine's port {} is blocked{}",
                                host_of(agent), port, early ? "; its Registers would tell in half a minute, so ask again" : ""));
}

/// It takes nobody any more, and no order brings it back.
Finding leaves(const Subject& of) {
  std::string advice = "nothing, if that was meant";
  if (of.is("/leaving", "goodbye")) advice += "; else start its agent again";
  if (of.is("/source", "static")) advice += "; else put it back into the configuration and reload it (HUP)";
  return of.finding(Severity::note, "leaving",
                    fmt::format("gets no new connections and goes with its last one ({} open): {}",
                                count(at(of.row, "/connections/active")), words(at(of.row, "/cause"))),
                    std::move(advice));
}

/// The state, if it is not what it should be.
void add_state(const Subject& of, Findings& findings) {
  const bool silent = at(of.row, "/agent/silent") == true;
  if (at(of.row, "/leaving").is_string()) return findings.push_back(leaves(of));
  if (of.is("/state", "maint") || of.is("/state", "drain")) {
    const bool ordered = of.is("/ordered", "drain") || of.is("/ordered", "maint");
    findings.push_back(of.finding(Severity::note, "out-of-service",
                                  "gets no new connections: " + words(at(of.row, "/cause")),
                                  ordered ? "to take it back: proxyctl ready " + of.name
                                          : "to take it back: USR1 to its agent, or restart the agent"));
    return;
  }
  if (of.is("/service", "refused") || of.is("/service", "unreachable")) findings.push_back(service_fails(of));
  if (silent) findings.push_back(agent_silent(of));
  if (of.is("/state", "ejected"))
    findings.push_back(of.finding(
        Severity::warning, "ejected",
        fmt::format("is left out for {} more: a connection to it failed ({} since the start)",
                    ago(at(of.row, "/ejected_until_ms")), count(at(of.row, "/connections/failed"))),
        "it comes back by itself; if it goes on, look at the service's log and its limit of connections (listen backlog)"));
  if (of.is("/state", "new"))
    findings.push_back(of.finding(Severity::note, "not-checked", "is not checked yet", "ask again in a second"));
}

/// What is odd about one that serves.
void add_oddities(const Subject& of, Findings& findings) {
  const double loss = number(of.row, "/loss");
  if (loss >= kMuchLoss && at(of.row, "/agent/silent") == false)
    findings.push_back(of.finding(Severity::warning, "probes-lost",
                                  fmt::format("{:.0f} % of the last probes were lost or answered too late", loss * 100),
                                  "is the way there overloaded, or the machine? --probe-timeout must be longer than a "
                                  "round trip, now " + decimal(at(of.row, "/rtt_ms/sample"), 1) + " ms"));
  if (number(of.row, "/conflicts") > 0)
    findings.push_back(of.finding(Severity::warning, "two-agents",
                                  count(at(of.row, "/conflicts")) + " times another agent claimed to be this one",
                                  "let one agent run for each address and port"));
  const double doubt = number(of.row, "/components/doubt");
  if (doubt > kMuchDoubt * number(of.row, "/score") && doubt > 0)
    findings.push_back(of.finding(Severity::note, "doubtful-report",
                                  "its agent reports less load than its connections are known to be",
                                  "nothing, if the agent is meant to (--fixed-report); the score makes up for it"));
  const json most = at(of.row, "/connections/max");
  if (most.is_number() && most > 0 && at(of.row, "/connections/active") >= most)
    findings.push_back(of.finding(Severity::warning, "backend-full",
                                  "has as many connections as it may: " + count(most),
                                  "clients wait for it, or go elsewhere: --max-connections-per-backend, or more back-ends"));
}

}  // namespace

void add_backend_findings(const json& status, Findings& findings) {
  for (const json& row : list(status, "/backends")) {
    if (!row.is_object()) continue;
    const std::string address = words(at(row, "/address"));
    const Subject of{status, row, name_of(status, row), address, policy_of(status, at(row, "/pool")) == "report"};
    add_state(of, findings);
    add_oddities(of, findings);
  }
}

}  // namespace farol::proxyctl
