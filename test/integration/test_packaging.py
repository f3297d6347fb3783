"""What is packaged for Prometheus and Grafana: well-formed, and about metrics that exist."""

import json
import pathlib
import re

from gateway_harness import GatewayTest
from harness import http_get
from metrics import Page, promtool, scrape

PACKAGING = pathlib.Path(__file__).resolve().parents[2] / "packaging"
ALERTS = PACKAGING / "prometheus/farol-alerts.yml"
VARIABLES = {"$__rate_interval": "1m", "$instance": ".*", "$pool": ".*", "$backend": ".*"}


class Packaging(GatewayTest):
    def checked(self, *arguments):
        run = promtool(*arguments)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def dashboard(self):
        board = json.loads((PACKAGING / "grafana/farol.json").read_text())
        return board, [panel for panel in board["panels"] if panel["type"] != "row"]

    def expressions(self):
        return [target["expr"] for panel in self.dashboard()[1] for target in panel["targets"]]

    def test_prometheus_takes_the_configuration_and_the_alerts(self):
        self.assertIn("1 rule files found", self.checked("check", "config", PACKAGING / "prometheus/prometheus.yml"))
        self.assertIn("SUCCESS", self.checked("check", "rules", ALERTS))

    def test_alerts_fire_when_they_should_and_only_then(self):
        self.assertIn("SUCCESS", self.checked("test", "rules", PACKAGING / "prometheus/farol-alerts.test.yml"))

    def test_prometheus_understands_every_panel(self):
        rules = []
        for expression in self.expressions():
            for variable, value in VARIABLES.items():
                expression = expression.replace(variable, value)
            self.assertNotIn("$", expression)
            rules.append({"record": f"panel:{len(rules)}", "expr": expression})
        file = self.directory() / "panels.yml"
        file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))  # JSON is YAML
        self.assertIn(f"{len(rules)} rules found", self.checked("check", "rules", file))

    def test_all_that_they_ask_for_exists(self):
        page = scrape(self.proxy(backends=["127.0.0.1:1"]))
        of_gateway = Page(http_get(*self.gateway().admin, "/metrics")[1].decode())
        board, _ = self.dashboard()
        asked = [*self.expressions(), *(variable["definition"] for variable in board["templating"]["list"]
                                        if "definition" in variable)]
        asked += [line for line in ALERTS.read_text().splitlines() if "description" not in line and "summary" not in line]
        names = {name for text in asked for name in re.findall(r"\bfarol_\w+", text)}
        self.assertGreater(len(names), 30)
        families = {name for family, kind in (page.types | of_gateway.types).items()
                    for name in ((f"{family}_bucket", f"{family}_sum", f"{family}_count") if kind == "histogram" else (family,))}
        self.assertEqual(names - families, set())
        for reason in ("last_resort", "lowest"):
            self.assertEqual(page["farol_pool_decisions_total", "pool=default", f"reason={reason}"], 0)
        self.assertEqual(page["farol_monitoring_datagrams_dropped_total", "reason=mac"], 0)
        for reason in ("nobody_has_it", "client_gone"):
            self.assertEqual(of_gateway["farol_gateway_transfers_failed_total", f"reason={reason}"], 0)

    def test_no_two_panels_are_one_or_in_one_place(self):
        board, panels = self.dashboard()
        ids = [panel["id"] for panel in board["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        taken = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            places = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertLessEqual(at["x"] + at["w"], 24, panel["title"])
            self.assertFalse(places & taken, panel["title"])
            taken |= places
        for panel in panels:
            self.assertTrue(panel["title"] and panel["description"] and panel["targets"], panel)
