#!/bin/sh
# Makes the secret files that compose.yaml mounts, with random passwords, in the folder `secrets`
# beside this script (or in the folder given). Files that exist are kept, so it is safe to repeat.
#
# The containers run as accounts of their own, so the files are readable by everybody; the folder,
# which is not, keeps them from the other people on this machine.
set -eu
umask 077

folder=${1:-$(dirname -- "$0")/secrets}
mkdir -p -- "$folder"
chmod 700 -- "$folder"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

keep() { # NAME: standard input becomes the file, if there is none
    if [ -e "$folder/$1" ]; then
        cat >/dev/null
        echo "kept     $folder/$1"
    else
        cat >"$folder/$1.new"
        chmod 444 -- "$folder/$1.new"
        mv -- "$folder/$1.new" "$folder/$1"
        echo "created  $folder/$1"
    fi
}

random | keep postgres_password
random | keep rabbitmq_password
random | keep tocsin_audit_key
printf '{}' | keep tocsin_llm_keys  # {"provider": "its API key"}, where there are any

postgres=$(cat -- "$folder/postgres_password")
rabbitmq=$(cat -- "$folder/rabbitmq_password")

printf 'postgresql://triage_user:%s@postgres:5432/security_triage' "$postgres" |
    keep tocsin_database
printf 'amqp://triage_user:%s@rabbitmq:5672/' "$rabbitmq" | keep tocsin_broker
printf 'default_user = triage_user\ndefault_pass = %s\n' "$rabbitmq" | keep rabbitmq.conf
