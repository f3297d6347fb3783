#include "fileserver/config.hpp"

#include <unistd.h>

#include <array>

#include "common/error.hpp"
#include "common/options.hpp"
#include "common/random.hpp"
#include "transfer/codec.hpp"

namespace farol::fileserver {
namespace {

void add_options(CLI::App& app, Config& config) {
  app.add_option("gateway-address", config.gateway.host,
                 "name or address of the gateway; all addresses of a name are tried")
      ->required();
  app.add_option("gateway-port", config.gateway.port, "its port, the one that serves HTTP")
      ->required()
      ->check(CLI::Range(1, 65535));
  app.add_option("--root", config.root, "directory whose files are served")->capture_default_str();
  app.add_option("--name", config.name,
                 "what the gateway calls this server; one that comes with the name of another takes "
                 "its place (default: host name and a random suffix)");
  add_common_options(app, config.common);
}

}  // namespace

std::string default_name() {
  constexpr std::size_t kSuffix = 5;
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  std::string name(host.data());
  name.resize(std::min(name.size(), transfer::kMaxName - kSuffix));
  for (char& c : name)
    if (!transfer::valid_name({&c, 1})) c = '-';
  if (name.empty()) name = "server";
  return name + fmt::format("-{:04x}", random_bits() & 0xffff);
}

std::optional<Config> parse_config(int argc, const char* const* argv) {
  CLI::App app("Serves the files of a directory to an HTTP gateway.", "FastFileSrv");
  Config config;
  add_options(app, config);
  if (parse_command_line(app, argc, argv)) return std::nullopt;
  const HostPort& gateway = config.gateway;
  if (gateway.host.empty() || gateway.host.find_first_of(" /") != std::string::npos)
    throw UsageError("gateway-address '" + gateway.host + "': want a host name or an address");
  if (app.count("--name") == 0) config.name = default_name();
  if (!transfer::valid_name(config.name))
    throw UsageError("--name '" + config.name + "': want 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-'");
  return config;
}

}  // namespace farol::fileserver
