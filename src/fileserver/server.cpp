#include "fileserver/server.hpp"

#include <poll.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "common/random.hpp"

namespace farol::fileserver {
namespace {

constexpr int kBatches = 8;  // of datagrams taken before answers go out
constexpr int kBursts = 64;  // of answers sent before datagrams are taken again

}  // namespace

Server::Server(const Config& config, transfer::TransferSocket& socket, FileStore& files, const Logger& log)
    : gateway_(config.gateway),
      socket_(socket),
      log_(log),
      link_({config.name, random_bits()}, random_bits),
      responder_(files) {}

void Server::run(const StopEvent& stop) {
  while (!stop.fired()) {
    const TimePoint now = Clock::now();
    find_gateway(now);
    link_.tick({responder_.requests(), responder_.chunks(), socket_.drops()}, now);
    send_link();
    send_answers(now);
    for (const auto& notice : link_.take_notices()) report(notice);
    report_refusals(now);
    wait(stop, now);
    receive();
  }
  link_.leave();
  send_link();
  finished_.fire();
}

/// Names are looked up while there is no gateway, and only then: it blocks. At the start, and when the addresses that
/// we have let nobody in for a while.
void Server::find_gateway(TimePoint now) {
  if (now < resolve_due()) return;
  resolved_at_ = now;
  try {
    auto found = resolve(gateway_);
    if (socket_.local_address().family() == AF_INET)
      std::erase_if(found, [](const Address& one) { return one.family() != AF_INET; });
    resolve_trouble_.clear();
    link_.set_gateways(std::move(found), now);
  } catch (const std::runtime_error& error) {
    if (error.what() == resolve_trouble_) return;
    resolve_trouble_ = error.what();
    log_.warn("gateway not resolved, trying again every 5 s", {{"name", gateway_.host}, {"error", resolve_trouble_}});
  }
}

TimePoint Server::resolve_due() const {
  if (!resolved_at_) return TimePoint::min();
  if (link_.joining_since() == kNever) return kNever;
  return std::max(*resolved_at_, link_.joining_since()) + kResolveAgain;
}

void Server::wait(const StopEvent& stop, TimePoint now) const {
  TimePoint due = std::min(link_.next_due(), resolve_due());
  const bool blocked = !rest_.bytes.empty();
  if (link_.joined() && !blocked) due = std::min(due, responder_.next_due());
  pollfd waiting[] = {{socket_.fd(), static_cast<short>(POLLIN | (blocked ? POLLOUT : 0)), 0}, {stop.fd(), POLLIN, 0}};
  timespec left{};  // pacing wants more than poll's milliseconds
  if (due != kNever && due > now) {
    const auto ns = std::chrono::nanoseconds(due - now).count();
    left = {ns / 1'000'000'000, ns % 1'000'000'000};
  }
  (void)::ppoll(waiting, 2, due == kNever ? nullptr : &left, nullptr);
}

void Server::receive() {
  for (int batch = 0; batch < kBatches; ++batch) {
    const auto got = socket_.receive([this](transfer::Arrival& arrival) {
      take(link_.receive(arrival.datagram, arrival.path.peer, arrival.at), arrival);
    });
    if (got == 0) return;
  }
}

void Server::take(GatewayLink::Taken taken, const transfer::Arrival& arrival) {
  if (const auto* reason = std::get_if<transfer::DropReason>(&taken))
    return count_drop(*reason, arrival.path.peer, arrival.at);
  auto* question = std::get_if<GatewayLink::Question>(&taken);
  if (question == nullptr) return;
  if (auto* request = std::get_if<transfer::RequestFile>(&question->message)) {
    if (log_.enabled(LogLevel::debug))
      log_.debug("request received", {{"request", question->request},
                                      {"path", request->path},
                                      {"first_chunk", request->first_chunk},
                                      {"mask", fmt::format("{:016x}", request->mask)}});
    responder_.ask(question->request, std::move(*request));
  } else if (const auto* cancel = std::get_if<transfer::Cancel>(&question->message)) {
    responder_.cancel(question->request, cancel->mask);
  }
}

void Server::send_link() {
  for (const auto& out : link_.take_outgoing()) (void)socket_.send({out.to, {}, 0}, out.datagram);
}

bool Server::send_rest() {
  if (rest_.bytes.empty()) return true;
  const UdpPath to{link_.gateway(), {}, 0};
  const std::size_t sent = socket_.send(to, rest_.bytes, rest_.segment) * rest_.segment;
  rest_.bytes = rest_.bytes.subspan(std::min(sent, rest_.bytes.size()));
  return rest_.bytes.empty();
}

void Server::send_answers(TimePoint now) {
  if (!link_.joined()) {
    responder_.clear();
    rest_ = {};
    return;
  }
  for (int i = 0; i < kBursts && send_rest(); ++i) {
    const auto burst = responder_.next(link_.sealer(), link_.session_id(), now);
    if (!burst) return;
    rest_ = *burst;
  }
}

void Server::report(const GatewayLink::Notice& notice) {
  const std::string gateway = notice.gateway.text();
  switch (notice.change) {
    case GatewayLink::Change::connected:
      return log_.info("Connected to gateway",
                       {{"gateway", gateway}, {"session", link_.joined() ? link_.session_id() : 0}});
    case GatewayLink::Change::lost:
      return log_.warn("gateway is silent, joining again", {{"gateway", gateway}});
    case GatewayLink::Change::refused:
      return log_.warn("gateway accepted but never confirmed, joining again", {{"gateway", gateway}});
    case GatewayLink::Change::left:
      return log_.info("gateway said goodbye, joining again", {{"gateway", gateway}});
  }
}

void Server::report_refusals(TimePoint now) {
  for (const auto& refusal : responder_.take_refusals()) {
    const auto reason = transfer::to_string(refusal.reason);
    log_.debug("request refused", {{"path", refusal.path}, {"reason", reason}});
    std::uint64_t suppressed = 0;
    if (refusal_lines_.allow(now, suppressed))
      log_.info("file not served", {{"path", refusal.path}, {"reason", reason}, {"suppressed", suppressed}});
  }
}

void Server::count_drop(transfer::DropReason reason, const Address& source, TimePoint now) {
  const std::uint64_t total = ++drops_.at(static_cast<std::size_t>(reason));
  std::uint64_t suppressed = 0;
  if (drop_lines_.allow(now, suppressed))
    log_.warn("datagram dropped", {{"reason", transfer::to_string(reason)},
                                   {"source", source.text()},
                                   {"total", total},
                                   {"suppressed", suppressed}});
}

}  // namespace farol::fileserver
