#include "farol.hpp"

#include <cmath>
#include <utility>

#include "proxy/backend_table_access.hpp"

namespace farol::study {
namespace {

using Rows = proxy::BackendTable::Access;

constexpr double kLook = 0.05;       ///< the alarm thread's rhythm; the table's tick is every second look
constexpr unsigned kLooksPerTick = 2;
constexpr double kProbeTick = 0.02;  ///< the timer thread's
constexpr double kRegister = 5;      ///< between two Registers of an agent
constexpr std::uint16_t kAgentPort = 5555, kServicePort = 80;

Address host(std::size_t machine, std::uint16_t port) {
  return Address::ipv4(0x0a000000U + static_cast<std::uint32_t>(machine), port);
}

std::size_t machine_of(const Address& address) {
  return static_cast<std::size_t>(address.bytes()[2]) << 8 | address.bytes()[3];
}

std::uint16_t hundredths(double share) { return static_cast<std::uint16_t>(std::lround(share * 10000)); }

proxy::MonitoringConfig timers(double probe_interval) {
  proxy::MonitoringConfig config;
  config.probe_interval = from_seconds(probe_interval);
  config.alive_interval = std::max(config.alive_interval, config.probe_interval * 2);
  return config;
}

proxy::BackendTable::Options options(const Farol::Settings& settings) {
  proxy::BackendTable::Options options;
  options.weighted = settings.weighted;
  options.policy = settings.policy;
  options.max_backends = 256;
  return options;
}

monitoring::Service service(std::size_t machine) {
  return {kServicePort, monitoring::pool_id(monitoring::kDefaultPool), machine + 1};
}

}  // namespace

/// A lease of the table with its meter.
class Farol::Lease final : public Connection {
 public:
  Lease(const Farol& farol, proxy::Lease lease)
      : farol_(farol), lease_(std::move(lease)), backend_(machine_of(lease_.address())) {}
  [[nodiscard]] std::size_t backend() const override { return backend_; }
  void refused() override { lease_.connect_failed(farol_.now()); }
  void connected() override { lease_.meter().connected(farol_.now()); }
  void asked() override { lease_.meter().client_spoke(farol_.now()); }
  void answered() override { lease_.meter().server_spoke(farol_.now()); }
  void broken() override { lease_.closed_early(farol_.now()); }

 private:
  const Farol& farol_;
  proxy::Lease lease_;
  std::size_t backend_;
};

Farol::Farol(World& world, const Settings& settings, std::uint64_t seed)
    : world_(world),
      timers_(timers(settings.probe_interval)),
      random_(seed),
      table_(options(settings)),
      membership_(table_, {timers_, {}, {}}, counters_, log_),
      alarms_(table_, timers_, log_),
      pool_(table_.name_pool(std::string(monitoring::kDefaultPool))),
      meters_(world.machines.size()),
      ids_(world.machines.size()) {
  for (std::size_t i = 0; i < world.machines.size(); ++i)
    if (world.machines[i]->present) register_agent(i);
  world_.events.in(0, [this] { look_after(); });
  world_.events.in(0, [this] { send_due_probes(); });
}

TimePoint Farol::now() const {
  constexpr double kBefore = 1000;  // the clock's origin means "never" here and there
  return TimePoint(from_seconds(kBefore + world_.events.now()));
}

std::unique_ptr<Connection> Farol::open(std::span<const std::size_t> tried) {
  std::vector<std::uint64_t> ids;
  for (const std::size_t machine : tried) ids.push_back(ids_[machine]);
  auto lease = table_.acquire(pool_, {ids, now(), 0});
  if (!lease) return nullptr;
  ids_[machine_of(lease->address())] = lease->id();
  return std::make_unique<Lease>(*this, std::move(*lease));
}

/// A Register, the challenge that follows, and its answer; again and again, as agents do.
void Farol::register_agent(std::size_t machine) {
  const Address agent = host(machine, kAgentPort);
  Machine& there = *world_.machines[machine];
  if (there.agent_up && !world_.datagram_lost()) {
    const monitoring::Register hello{service(machine), static_cast<std::uint32_t>(kRegister * 1000)};
    const auto challenge = membership_.handle({hello, agent, {}, 0, now()}, now());
    if (challenge && !world_.datagram_lost() && !world_.datagram_lost())
      answer(machine, std::get<monitoring::ProbeRequest>(challenge->packet));
  }
  world_.events.in(kRegister, [this, machine] { register_agent(machine); });
}

void Farol::send_due_probes() {
  for (;;) {
    const std::uint64_t nonce = random_();
    std::size_t machine = 0;
    monitoring::ProbeRequest request;
    {
      const Rows rows(table_);
      proxy::Backend* due = rows.take_due_probe(now());
      if (due == nullptr) break;
      const bool spread = !due->estimates().rtt().sample().has_value();
      const double share = std::uniform_real_distribution<double>(spread ? 0.4 : 0.9, spread ? 1.0 : 1.1)(random_);
      rows.schedule_probe(*due, now() + from_seconds(to_seconds(timers_.probe_interval) * share));
      request = rows.make_probe(*due, nonce, now(), timers_.probe_timeout);
      machine = machine_of(due->key.address);
    }
    if (world_.datagram_lost()) continue;
    world_.events.in(world_.machines[machine]->round_trip / 2, [this, machine, request] {
      if (!world_.machines[machine]->agent_up || world_.datagram_lost()) return;
      const double back = world_.agent_delay(machine) + world_.machines[machine]->round_trip / 2;
      world_.events.in(back, [this, machine, request] { answer(machine, request); });
    });
  }
  world_.events.in(kProbeTick, [this] { send_due_probes(); });
}

void Farol::answer(std::size_t machine, const monitoring::ProbeRequest& request) {
  Machine& there = *world_.machines[machine];
  const model::Figures figures = there.look(meters_[machine]);
  monitoring::ProbeResponse response;
  response.service = service(machine);
  response.sequence = request.sequence;
  response.nonce = request.nonce;
  response.load = {hundredths(figures.cpu), hundredths(figures.memory), figures.connections, figures.connections};
  response.listening = there.serves;
  membership_.handle({response, host(machine, kAgentPort), {}, 0, now()}, now());
}

/// The alarm thread.
void Farol::look_after() {
  if (looks_++ % kLooksPerTick == 0) table_.tick(now());
  for (const proxy::Alarms::CheckToStart& check : alarms_.tick(now(), false)) {
    const std::size_t machine = machine_of(check.service);
    world_.events.in(world_.machines[machine]->round_trip, [this, machine, id = check.backend] {
      using Outcome = proxy::TcpChecks::Outcome;
      alarms_.check_done({id, world_.machines[machine]->serves ? Outcome::accepted : Outcome::refused}, now());
    });
  }
  world_.events.in(kLook, [this] { look_after(); });
}

}  // namespace farol::study
