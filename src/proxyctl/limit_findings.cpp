#include "proxyctl/limit_findings.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "proxyctl/finding_words.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr double kFew = 1000;  ///< connections that a proxy should carry at least
constexpr double kNearlyAll = 0.9;

constexpr const char* kRaise =
    "raise it: open files by LimitNOFILE= in the unit or ulimit -n, tasks by TasksMax=, ulimit -u or --engine events";

/// "1 client was", "7 clients were".
std::string clients(const json& number, const char* one, const char* more) {
  return count(number) + (number == 1 ? std::string(" client ") + one : std::string(" clients ") + more);
}

/// Why clients were turned away, and what helps.
struct Reason {
  const char* name;
  const char* rule;
  Severity severity;
  const char* seen;
  const char* advice;
};

constexpr Reason kReasons[] = {
    {"limit", "limit-reached", Severity::warning, "found all connections in use",
     "--max-connections, or what bounds it: "},
    {"source_limit", "source-limit", Severity::warning, "had as many connections as one source may have",
     "raise --max-connections-per-source if many clients share an address (NAT, a proxy in front)"},
    {"queue_full", "queue-full", Severity::warning, "found the queue for a back-end full",
     "more back-ends, a higher --max-connections-per-backend, or a longer --max-queue"},
    {"queue_timeout", "queue-timeout", Severity::warning, "waited in vain for a back-end with room",
     "more back-ends, a higher --max-connections-per-backend, or a longer --queue-timeout"},
    {"connect_failed", "connect-failed", Severity::warning, "met no back-end that accepted the connection",
     "look for back-ends that are down or ejected, and at --retries and --connect-timeout"},
    {"no_thread", "no-thread", Severity::warning, "got no thread",
     "raise TasksMax= or ulimit -u, or use --engine events"},
    {"no_resources", "no-resources", Severity::warning, "met a lack of descriptors, ports or memory",
     "raise LimitNOFILE= or ulimit -n, and look at net.ipv4.ip_local_port_range"},
    {"no_backend", "no-backend-then", Severity::note, "came while no back-end could be chosen",
     "nothing, if that was before the back-ends came"},
};

/// A back-end is never full where none has a limit: who waited in vain waited for one that could be chosen.
bool may_be_full(const json& status) {
  const json rows = list(status, "/backends");
  return std::any_of(rows.begin(), rows.end(), [](const json& row) { return at(row, "/connections/max").is_number(); });
}

void add_rejected(const json& status, Findings& findings) {
  const json uptime = at(status, "/uptime_s");
  const std::string since = ago(uptime.is_number() ? json(uptime.get<double>() * 1000) : json());
  for (const Reason& reason : kReasons) {
    const json times = at(status, (std::string("/connections/rejected/") + reason.name).c_str());
    const json last = at(status, (std::string("/connections/last_rejected_ms/") + reason.name).c_str());
    if (!times.is_number() || times <= 0) continue;
    std::string seen = reason.seen, advice = reason.advice;
    if (reason.name == std::string_view("limit")) advice += words(at(status, "/limits/bound_by"));
    if (reason.name == std::string_view("queue_timeout") && !may_be_full(status)) {
      seen = "waited in vain for a back-end that could be chosen";
      advice = "look for back-ends that are missing, down or out of service: proxyctl status, and the log of that time";
    }
    findings.push_back({by_age(last, reason.severity), reason.rule, "",
                        fmt::format("{} turned away in {} (the last {} ago), who {}", clients(times, "was", "were"), since,
                                    ago(last), seen),
                        advice});
  }
}

void add_limits(const json& status, Findings& findings) {
  const double fit = number(status, "/limits/connections"), most = number(status, "/connections/max");
  const double active = number(status, "/connections/active");
  const std::string bound = words(at(status, "/limits/bound_by"));
  if (fit > 0 && most > fit)
    findings.push_back(
        {Severity::warning, "limits-too-low", "",
         fmt::format("--max-connections {:.0f} is more than the limits of the process carry: {:.0f} ({})", most, fit,
                     bound),
         kRaise});
  else if (fit > 0 && fit < kFew && most >= fit)
    findings.push_back({Severity::warning, "limits-too-low", "",
                        fmt::format("the limits of the process carry no more than {:.0f} connections ({})", fit, bound),
                        kRaise});
  if (most > 0 && active >= kNearlyAll * most)
    findings.push_back({active >= most ? Severity::error : Severity::warning, "nearly-full", "",
                        fmt::format("{:.0f} of {:.0f} connections are in use", active, most),
                        "raise --max-connections, or what bounds it: " + bound});
  const json waiting = at(status, "/connections/waiting"), queue = at(status, "/limits/queue");
  if (waiting.is_number() && queue.is_number() && queue > 0 && waiting >= queue)
    findings.push_back({Severity::error, "queue-full-now", "", clients(waiting, "waits", "wait") + " for a back-end",
                        "more back-ends, or a higher --max-connections-per-backend"});
}

}  // namespace

void add_limit_findings(const json& status, Findings& findings) {
  add_limits(status, findings);
  add_rejected(status, findings);
  if (at(status, "/draining") == true)
    findings.push_back({Severity::warning, "stopping", "", "the proxy is stopping and takes no new connections",
                        "start it again if that is not meant (systemctl start farol-proxy)"});
  if (number(status, "/reloads/failed") > 0)
    findings.push_back({Severity::note, "reload-failed", "",
                        count(at(status, "/reloads/failed")) + " times a new configuration was refused",
                        "the log names file and key; try it: reverseProxy --config FILE --check-config"});
  if (number(status, "/log/lines_dropped") > 0)
    findings.push_back(
        {Severity::note, "log-lines-dropped", "",
         count(at(status, "/log/lines_dropped")) + " lines of the log were dropped: nobody took them in time",
         "look at who reads the proxy's stderr, and for a full disk"});
}

}  // namespace farol::proxyctl
