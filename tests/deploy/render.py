"""Lint and render a chart with Helm's own engine, as a program of its own.

The engine is a library in Go; its threads and signal handlers stay out of the tests' process.
Takes on standard input `{"chart": PATH, "values": {…}, "name": …, "namespace": …}` and writes
`{"errors": […], "messages": […], "manifests": {PATH: TEXT}}` or `{"errors": [MESSAGE]}`.
"""

import json
import sys

from helm_python import Chart, HelmError
from helm_python.chart import lint


def main() -> None:
    """Answer one request."""
    asked = json.load(sys.stdin)
    values = asked["values"]
    report = lint(asked["chart"], values, strict=True)
    answer = {"errors": report["errors"], "messages": report["messages"]}
    if not report["errors"]:
        try:
            with Chart.load(asked["chart"]) as chart:
                answer["manifests"] = chart.render(
                    values, name=asked["name"], namespace=asked["namespace"]
                )
        except HelmError as error:
            answer["errors"] = [str(error)]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
