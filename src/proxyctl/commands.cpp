#include "proxyctl/commands.hpp"

#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>

#include "common/secret_file.hpp"
#include "monitoring/key_ring.hpp"
#include "proxyctl/admin_client.hpp"
#include "proxyctl/decision_table.hpp"
#include "proxyctl/finding.hpp"
#include "proxyctl/status_table.hpp"
#include "proxyctl/text_table.hpp"

namespace farol::proxyctl {
namespace {

using nlohmann::json;

constexpr int kExitWrong = 2;

/// In ASCII: what steers a terminal is escaped, C1 control characters too.
void print(const json& answer) {
  std::cout << answer.dump(2, ' ', true, json::error_handler_t::replace) << "\n";
}

AdminClient client_with_token(const Options& options) {
  return AdminClient(options.admin, options.token_file.empty() ? "" : Token::load(options.token_file).text());
}

}  // namespace

int print_status(const Options& options) {
  const json status = AdminClient(options.admin).status();
  if (options.json)
    print(status);
  else
    std::cout << status_table(status);
  return 0;
}

int check(const Options& options) {
  const json status = AdminClient(options.admin).status();
  const Findings findings = find_trouble(status);
  if (options.json)
    print(findings_json(findings));
  else
    std::cout << findings_text(status, findings);
  const bool wrong = count(findings, Severity::error) > 0 || (options.strict && count(findings, Severity::warning) > 0);
  return wrong ? kExitWrong : 0;
}

int explain(const Options& options) {
  const AdminClient proxy(options.admin);
  const json answer = proxy.decisions();
  const bool known = options.backend.empty() || !last_decisions(answer, 1, options.backend).empty();
  if (!known && !has_backend(proxy.status(), options.backend))  // one that has gone is still in decisions
    throw std::runtime_error("no back-end " + words(options.backend) + " (proxyctl status lists them)");
  if (options.json)
    print({{"decisions", last_decisions(answer, options.decisions, options.backend)}});
  else
    std::cout << decision_table(answer, options.decisions, options.backend);
  return 0;
}

int set_state(const Options& options) {
  const json reply = client_with_token(options).set_state(
      options.backend, options.state, options.closes ? std::optional(options.close_over) : std::nullopt);
  if (options.json)
    print(reply);
  else
    std::cout << options.backend << ": " << words(at(reply, "/state")) << "\n";
  return 0;
}

int upgrade(const Options& options) {
  const json done = client_with_token(options).upgrade();
  if (options.json)
    print(done);
  else
    std::cout << "process " << count(at(done, "/process"))
              << " serves; the old one ends with its last connection, or after --drain-timeout\n";
  return 0;
}

int print_key(const Options& options) {
  const std::string line = monitoring::KeyRing::generate_line(static_cast<std::uint8_t>(options.key_id));
  if (options.json)
    print({{"id", options.key_id}, {"key", line.substr(line.rfind(' ') + 1)}, {"line", line}});
  else
    std::cout << line << "\n";
  return 0;
}

}  // namespace farol::proxyctl
