#include "proxy/state_file.hpp"

#include <catch2/catch.hpp>
#include <random>

#include "proxy/monitoring_fixture.hpp"

using namespace farol;
using namespace farol::proxy;
using namespace farol::test;

TEST_CASE("state file: what is written is read again", "[state_file]") {
  const std::vector<AgentPath> agents = {{at("10.1.1.1:40000"), at("10.1.1.10:5555"), 0},
                                         {at("[2001:db8::1]:1"), at("[2001:db8::10]:5555"), 0},
                                         {at("127.0.0.1:9"), {}, 0}};
  const ParsedState state = parse_state(format_state(agents));
  CHECK(state.agents == agents);
  CHECK(state.not_understood == 0);
  CHECK(parse_state(format_state({})).agents.empty());
  CHECK(parse_state("").not_understood == 0);
}

TEST_CASE("state file: a link-local agent is found again by its interface", "[state_file]") {
  const std::vector<AgentPath> agents = {{at("[fe80::1%lo]:5"), at("[fe80::2%lo]:5555"), at("[fe80::2%lo]:1").scope()}};
  CHECK(parse_state(format_state(agents)).agents == agents);
}

TEST_CASE("state file: of a damaged one what can be read is taken, and the rest counted", "[state_file]") {
  const ParsedState state = parse_state("farol agents 1\n10.1.1.1:7 -\n10.1.1.2:0 -\nten one\n\n[::]:80 -\n10.1.1.3:8 10.1.");
  REQUIRE(state.agents.size() == 1);
  CHECK(state.agents[0].peer == at("10.1.1.1:7"));
  CHECK(state.not_understood == 5);
  CHECK(parse_state("another program's\n10.1.1.1:7 -\n").not_understood == 1);
}

TEST_CASE("state file: no bytes whatever do harm", "[state_file]") {
  std::minstd_rand random(7);
  for (int i = 0; i < 2000; ++i) {
    std::string text = format_state({{at("10.1.1.1:7"), at("10.1.1.10:5555"), 0}});
    for (int changes = 0; changes < 4; ++changes) text[random() % text.size()] = static_cast<char>(random());
    const ParsedState state = parse_state(text.substr(0, random() % (text.size() + 1)));
    CHECK(state.agents.size() <= 4);
  }
}
