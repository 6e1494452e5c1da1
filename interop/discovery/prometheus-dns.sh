#!/bin/sh
# Runs in a network and a view of the file system of its own: there the platform answers DNS on port 53, and
# /etc/resolv.conf names it. Prints the readiness line, and what Prometheus has found once it has found something.
set -eu
trellis=$1 manifest=$2 prometheus=$3 folder=$4

ip link set lo up
echo "nameserver 127.0.0.1" > "$folder/resolv.conf"
mount --bind "$folder/resolv.conf" /etc/resolv.conf

cat > "$folder/prometheus.yml" <<END
scrape_configs:
- job_name: users
  dns_sd_configs:
  - names: [users.service.consul]
    refresh_interval: 1s
END

mkfifo "$folder/ready"
"$trellis" up -f "$manifest" --data-dir "$folder/data" --json --any-port --dns-listen 127.0.0.1:53 \
    > "$folder/ready" 2> "$folder/trellis.log" &
platform=$!
end() {
    kill "$platform" 2> "$folder/kill.log" || true
    wait "$platform" || true
}
trap end EXIT
trap 'exit 1' TERM INT HUP
head -n 1 "$folder/ready" || { cat "$folder/trellis.log" >&2; exit 1; }

"$prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/tsdb" \
    --web.listen-address=127.0.0.1:9090 --log.level=error &
scraper=$!
tries=0
while [ "$tries" -lt 300 ]; do
    found=$(curl -s http://127.0.0.1:9090/api/v1/targets || true)
    case $found in *'"__address__"'*) break ;; esac
    tries=$((tries + 1))
    sleep 0.1
done
kill "$scraper"
echo "$found"
