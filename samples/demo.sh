#!/bin/sh
# What `make demo` does once the server runs: an inventory, indicators, then the sample alerts
# through the front door, and what became of them. BIN is the folder of the tocsin command.
set -eu
here=$(dirname "$0")
tocsin="${BIN:-.venv/bin}/tocsin"

echo
"$tocsin" assets import "$here/assets.csv"
"$tocsin" users import "$here/users.csv"
"$tocsin" intel import "$here/indicators.csv" --source demo
"$tocsin" send --restart "$here/suricata.ndjson" "$here/wazuh.ndjson" \
    "$here/windows-sigma.ndjson" "$here/firewall.cef" "$here/guardduty.json" \
    "$here/generic.ndjson"
"$tocsin" watch --settled --sort riskiest --rows 15
echo
echo "Why the first was judged so: $tocsin explain ALERT_ID"
