#include "proxyctl/decision_table.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using farol::proxyctl::decision_table;
using nlohmann::json;

namespace {

const json kDecisions = json::parse(R"({"decisions": [
  {"number": 42, "age_ms": 1234.5, "pool": "default", "policy": "weighted", "chosen": "10.1.1.1:80", "candidates": 2,
   "reason": "lowest", "verdicts": {"chosen": 1, "passed_over": 1, "drain": 2, "tried_before": 1},
   "considered": [
     {"address": "10.1.1.1:80", "verdict": "chosen", "score": 0.6951, "rtt_ms": 11.2, "tcp": 7, "cpu": 0.17, "memory": 0.89,
      "components": {"rtt": 0.168, "tcp": 0.03, "loss": 0, "cpu": 0.085, "memory": 0.4121, "doubt": 0},
      "report_age_ms": 340, "slow_start": null, "connections": {"active": 3, "busy": 1}},
     {"address": "10.1.1.2:80", "verdict": "passed_over", "score": 5.295, "rtt_ms": 3, "tcp": 100, "cpu": 1, "memory": 1,
      "components": {"rtt": 0.045, "tcp": 3, "loss": 0, "cpu": 0.75, "memory": 1.5, "doubt": 0},
      "report_age_ms": 5100, "slow_start": 0.4, "connections": {"active": 0, "busy": 0}}]},
  {"number": 41, "age_ms": 2000, "pool": "web", "policy": "round-robin", "chosen": "10.1.1.3:80", "candidates": 1,
   "reason": "turn", "verdicts": {"chosen": 1},
   "considered": [{"address": "10.1.1.3:80", "verdict": "chosen", "score": 0, "connections": {"active": 12, "busy": 0}}]}]})");

const char* const kNewest =
    "#42 1.2 s ago: pool default, weighted: the lowest score; 2 could be chosen, 2 drain, 1 tried before\n"
    "BACKEND      VERDICT                      SCORE    RTT    TCP   LOSS    CPU    MEM  DOUBT  AGE(s)  ACTIVE  BUSY\n"
    "10.1.1.1:80  chosen                       0.695  0.168  0.030  0.000  0.085  0.412  0.000     0.3       3     1\n"
    "10.1.1.2:80  passed over, slow start 40%  5.295  0.045  3.000  0.000  0.750  1.500  0.000     5.1       0     0\n";
const char* const kBefore =
    "#41 2.0 s ago: pool web, round-robin: its turn; 1 could be chosen\n"
    "BACKEND      VERDICT  SCORE  RTT  TCP  LOSS  CPU  MEM  DOUBT  AGE(s)  ACTIVE  BUSY\n"
    "10.1.1.3:80  chosen   0.000    -    -     -    -    -      -       -      12     0\n";

}  // namespace

TEST_CASE("the last decision is a table of its candidates, with what became of each") {
  CHECK(decision_table(kDecisions, 1, "") == kNewest);
}

TEST_CASE("of several decisions the newest comes last") {
  CHECK(decision_table(kDecisions, 9, "") == std::string(kBefore) + "\n" + kNewest);
}

TEST_CASE("decisions can be asked for by a back-end, with its pool or without") {
  CHECK(decision_table(kDecisions, 9, "10.1.1.3:80") == kBefore);
  CHECK(decision_table(kDecisions, 9, "10.1.1.3:80/web") == kBefore);
  CHECK(decision_table(kDecisions, 9, "10.1.1.1:80/default") == kNewest);
  CHECK(decision_table(kDecisions, 9, "10.1.1.3:80/default") ==
        "none of the last decisions tells of that back-end (proxyctl explain shows them)\n");
}

TEST_CASE("a decision says why it was not the one that was asked for") {
  const auto why = [](const char* reason, const char* verdict, double score) {
    json answer = kDecisions;
    json& decision = answer["decisions"][0];
    decision["reason"] = reason;
    decision["considered"][1]["verdict"] = verdict;
    decision["considered"][1]["score"] = score;
    const std::string text = decision_table(answer, 1, "10.1.1.2:80");
    const auto line = text.find('\n') + 1;
    return text.substr(line, text.find('\n', line) - line);
  };
  CHECK(why("lowest", "passed_over", 5.295) ==
        "10.1.1.2:80 was passed over: its score 5.295, the other's 0.695; most of it tcp (+2.970)");
  CHECK(why("turn", "passed_over", .69) == "10.1.1.2:80 was passed over: it was the other's turn");
  CHECK(why("source", "passed_over", 0) == "10.1.1.2:80 was passed over: other clients are its own");
  CHECK(why("source_moved", "passed_over", 0) ==
        "10.1.1.2:80 was passed over: it has as many as its share allows, or other clients are its own");
  CHECK(why("lowest", "full", .1) == "10.1.1.2:80 was left out: it has as many connections as it may");
  CHECK(why("lowest", "drain", .1) == "10.1.1.2:80 was left out: it is to get no new connections");
}

TEST_CASE("an address that is no back-end's is told from one that nothing was decided about") {
  using farol::proxyctl::has_backend;
  const json status = json::parse(R"({"backends": [{"address": "10.1.1.1:80", "pool": "web"}, 7]})");
  CHECK(has_backend(status, "10.1.1.1:80"));
  CHECK(has_backend(status, "10.1.1.1:80/web"));
  CHECK_FALSE(has_backend(status, "10.1.1.1:80/default"));
  CHECK_FALSE(has_backend(status, "-"));
  CHECK_FALSE(has_backend(json::object(), "10.1.1.1:80"));
}

TEST_CASE("what a program gets is cut and filtered alike") {
  using farol::proxyctl::last_decisions;
  CHECK(last_decisions(kDecisions, 1, "") == json::array({kDecisions["decisions"][0]}));
  CHECK(last_decisions(kDecisions, 1, "10.1.1.3:80") == json::array({kDecisions["decisions"][1]}));
  CHECK(last_decisions(json::object(), 1, "") == json::array());
}

TEST_CASE("that there was nobody to choose is a decision too") {
  CHECK(decision_table(json::parse(R"({"decisions": [
    {"number": 7, "age_ms": 100, "pool": "default", "policy": "weighted", "chosen": null, "candidates": 0, "reason": "nobody",
     "verdicts": {"maint": 1}, "considered": [{"address": "10.1.1.1:80", "verdict": "maint", "score": 0.5}]}]})"), 1, "") ==
        "#7 0.1 s ago: pool default, weighted: nobody can be chosen; 1 maint\n"
        "BACKEND      VERDICT  SCORE  RTT  TCP  LOSS  CPU  MEM  DOUBT  AGE(s)  ACTIVE  BUSY\n"
        "10.1.1.1:80  maint    0.500    -    -     -    -    -      -       -       -     -\n");
}

TEST_CASE("decisions that are not ours are shown, not believed") {
  CHECK(decision_table(json::object(), 1, "") == "no decisions yet\n");
  CHECK_NOTHROW(decision_table(json::parse(R"({"decisions": [1, null, {"considered": [3, {"score": "x"}]}]})"), 9, ""));
}
