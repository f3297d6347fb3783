#include "proxy/estimates.hpp"

#include <algorithm>
#include <cmath>

namespace farol::proxy {
namespace {

/// Shares travel as 1/100 %.
double share(std::uint16_t hundredths) { return hundredths / 10000.0; }

}  // namespace

void Estimates::new_agent() {
  rtt_.reset();
  loss_window_.reset();
  rtt_ms_ = cpu_ = foreign_ = Smoothed{};
  loss_ = loss_before_ = 0;
}

void Estimates::probe_answered(Duration rtt, bool again, TimePoint now) {
  rtt_.add(rtt);
  rtt_ms_.add(to_ms(rtt), now, config_.rtt_tau);
  loss_window_.add(false);
  if (!again) loss_ *= 1 - config_.loss_step;
}

void Estimates::probe_lost(bool silent, bool again, bool first) {
  loss_window_.add(true);
  if (first) loss_before_ = loss_;
  if (!silent && !again) loss_ += config_.loss_step * (1 - loss_);
}

void Estimates::take_report(const monitoring::Load& load, std::uint32_t own_open, TimePoint now) {
  load_ = load;
  report_at_ = now;
  cpu_.add(share(load.cpu), now, config_.cpu_tau);
  foreign_.add(load.tcp_service > own_open ? load.tcp_service - own_open : 0, now, config_.foreign_tau);
}

bool Estimates::take_signals(BackendSignals& signals, double ticks, TimePoint now) {
  flowing_ = static_cast<std::uint32_t>(std::llround(signals.take_flowing() / std::max(1.0, ticks)));
  const BackendSignals::FirstBytes bytes = signals.take_first_bytes();
  if (bytes.count == 0) return false;
  first_byte_.add(bytes.mean, bytes.count, now, config_);
  failure_.succeeded(bytes.count, now, config_);
  return true;
}

Score Estimates::report_score() const {
  ScoreInput input;
  input.rtt_ms = to_ms(rtt_.sample().value_or(Duration::zero()));
  input.tcp = load_.tcp_machine;
  input.loss = loss_window_.share();
  input.cpu = share(load_.cpu);
  input.memory = share(load_.memory);
  return proxy::report_score(input, config_.formula);
}

LoadView Estimates::view(bool reporting, const BackendSignals& signals, TimePoint now) const {
  LoadView view;
  view.reporting = reporting && has_report();
  view.rtt_ms = rtt_ms_.value();
  view.cpu = cpu_.value();
  view.memory = share(load_.memory);
  view.foreign = foreign_.value();
  view.loss = loss_;
  view.failure = failure_.at(now, config_);
  view.first_byte = first_byte_.value();
  view.first_byte_trust = first_byte_.trust(now, config_);
  const BackendSignals::Connections own = signals.connections();
  view.open = own.open;
  view.busy = std::min(own.open, own.owed + flowing_);
  return view;
}

void Estimates::fill(BackendStatus& status, TimePoint now) const {
  status.loss = loss_window_.share();
  if (report_at_) {
    status.tcp = load_.tcp_machine;
    status.tcp_service = load_.tcp_service;
    status.cpu = share(load_.cpu);
    status.memory = share(load_.memory);
    status.report_age = std::max(now - *report_at_, Duration::zero());
  }
  if (rtt_.sample()) {
    status.rtt_sample_ms = to_ms(*rtt_.sample());
    status.rtt_estimated_ms = to_ms(rtt_.estimated());
  }
}

}  // namespace farol::proxy
