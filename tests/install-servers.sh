#!/bin/sh
# Installs the real servers that tests start: PostgreSQL and RabbitMQ, from Debian's packages.
# Needs root; without it the tests use what is installed and skip, saying so, what is not.
set -eu
have() { ls $1 >/dev/null 2>&1; }
missing=""
have "/usr/lib/postgresql/*/bin/initdb" || missing="$missing postgresql"
have "/usr/lib/rabbitmq/bin/rabbitmq-server" || missing="$missing rabbitmq-server"
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "Not installed:$missing. Tests that need them are skipped (run as root on Debian to install)."
    exit 0
fi
echo "Installing$missing …"
export DEBIAN_FRONTEND=noninteractive
# A package must not start a server of its own here: the tests start theirs on free ports.
guard=/usr/sbin/policy-rc.d
made=""
if [ ! -e "$guard" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$guard"
    chmod +x "$guard"
    made=yes
fi
apt-get update -qq
apt-get install -y -qq --no-install-recommends $missing >/dev/null
[ -z "$made" ] || rm -f "$guard"
