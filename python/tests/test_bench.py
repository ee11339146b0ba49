"""The benchmark runs and reports; its figures are no test's business."""

import json

from statehouse import bench


def test_report(capsys):
    assert bench.main(["--seconds=0.1", "--in-flight=8", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    measured = {(m["name"], m["client"], m["in_flight"]) for m in report["measurements"]}
    assert {
        ("commit", "python, blocking", 1),
        ("get", "python, awaited", 8),
        ("commit", "go", 1),
        ("get", "go", 8),
    } <= measured
    assert all(m["per_second"] > 0 for m in report["measurements"])
    assert set(report["conversion_us"]) == {"commit", "get"}
    assert bench.main(["--seconds=0.05", "--in-flight=4", "--no-go"]) == 0
    assert "converting the value / the call" in capsys.readouterr().out
