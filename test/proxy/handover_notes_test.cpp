#include "proxy/handover_notes.hpp"

#include <catch2/catch.hpp>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

TEST_CASE("handover notes: what one process writes the next one reads", "[handover]") {
  HandoverNotes notes;
  notes.engine = "events";
  notes.memory_is_private = true;
  notes.kept = {*Address::parse("[::]:80"), *Address::parse("10.0.0.9:81")};
  notes.agents = {{{at("10.0.0.1:5555"), at("10.0.0.9:5555"), 0}, 80, 7, 0xffffffffffffffff, 20s, false, true},
                  {{at("[fd00::1]:5555"), Address(), 3}, 81, 8, 1, 100ms, true, false}};
  notes.orders = {{{*Address::parse("10.0.0.1:80"), 7}, AdminState::drain},
                  {{*Address::parse("[fd00::1]:80"), 0xffffffff}, AdminState::maint}};
  const HandoverNotes read = parse_notes(format_notes(notes));
  CHECK(read.engine == "events");
  CHECK(read.memory_is_private);
  CHECK(read.kept == notes.kept);
  CHECK(read.agents == notes.agents);
  CHECK(read.orders == notes.orders);
}

TEST_CASE("handover notes: what another version writes is taken as far as it is understood", "[handover]") {
  for (const char* text : {"", "x", "[]", "7", R"({"engine":1,"agents":{},"orders":7})", R"({"orders":[1,{},{"backend":1}]})",
                           R"({"orders":[{"backend":"nowhere","pool":1,"state":"drain"}]})",
                           R"({"orders":[{"backend":"10.0.0.1:80","pool":-1,"state":"drain"}]})",
                           R"({"orders":[{"backend":"10.0.0.1:80","pool":1,"state":"ready"}]})",
                           R"({"memory_is_private":1})",
                           R"({"agents":["x",{"agent":"10.0.0.1:5555"}],"kept":[1,"x"]})"}) {
    CAPTURE(text);
    const HandoverNotes notes = parse_notes(text);
    CHECK(notes.engine.empty());
    CHECK_FALSE(notes.memory_is_private);
    CHECK((notes.agents.empty() && notes.orders.empty() && notes.kept.empty()));
  }
  const HandoverNotes notes = parse_notes(
      R"({"engine":"threads","news":[1],"orders":[{"backend":"10.0.0.1:80","pool":1,"state":"maint","why":"?"},0]})");
  CHECK(notes.engine == "threads");
  CHECK(notes.orders.size() == 1);
}

TEST_CASE("BackendTable: an order outlives the row it was for", "[handover]") {
  BackendTable table({});
  const BackendKey key{*Address::parse("10.0.0.1:80"), monitoring::pool_id("default")};
  const TimePoint now{std::chrono::hours(1000)};
  table.name_pool("default");
  table.take_orders({{key, AdminState::drain}});
  const auto add = [&] { return table.access().add(key, Source::configured); };
  CHECK(add()->state(now) == State::drain);
  REQUIRE(table.set_state("10.0.0.1:80", AdminState::maint, now) == ProxyView::Change::done);
  CHECK(table.orders() == BackendTable::Orders{{key, AdminState::maint}});
  {
    const auto rows = table.access();
    REQUIRE(rows.remove(*rows.by_key(key)));
  }
  CHECK(add()->state(now) == State::maint);
  REQUIRE(table.set_state("10.0.0.1:80", AdminState::ready, now) == ProxyView::Change::done);
  CHECK(table.orders().empty());
}

TEST_CASE("handover notes: the next process has every back-end at once, as it was", "[handover]") {
  Bench before;
  const TestAgent speaking("10.0.0.1:5555", 1), leaving("10.0.0.2:5555", 2), silent("10.0.0.3:5555", 3);
  for (const TestAgent* agent : {&speaking, &leaving, &silent}) before.join(*agent);
  before.row(silent)->agent.silent = true;
  before.row(leaving)->agent.leaving = true;
  const auto agents = parse_notes(format_notes({"threads", false, {}, agents_of(before.table), {}})).agents;
  REQUIRE(agents.size() == 2);

  Bench after;
  add_agents(after.table, agents, after.timers, after.now);
  CHECK(unheard_agents(after.table) == 1);
  CHECK(after.state(speaking) == State::up);
  CHECK(after.state(silent) == State::stale);
  CHECK(after.acquire());
  const auto checks = after.alarms.tick(after.now, false);
  REQUIRE(checks.size() == 1);
  CHECK(checks[0].service == silent.key().address);
  {
    const auto rows = after.table.access();
    for (int i = 0; i < 2; ++i) CHECK(rows.take_due_probe(after.now) != nullptr);
  }
  after.probe_and_answer(speaking);
  CHECK(after.state(speaking) == State::up);
  CHECK(unheard_agents(after.table) == 0);
  add_agents(after.table, agents, after.timers, after.now);  // whoever is there stays as it is
  CHECK(after.rows() == 2);
  CHECK(after.state(speaking) == State::up);
}
