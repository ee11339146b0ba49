#!/usr/bin/env bash
# Tries the image of deploy/Dockerfile: that it is built, holds nothing but the programs, and
# that as its user, who is not root, in its root directory, which is read-only, the daemon
# refuses to listen for all without TLS, serves, is found healthy, stops in order, and starts
# again on what it kept. It takes what "make dist" has built.
#
# buildah builds it. Where there is none, or it may not work, the files are put together by
# hand. They are run under chroot, as root may.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() {
  echo "try-image: $*" >&2
  exit 1
}
for program in statehoused statehousectl; do
  [ -x "dist/$program" ] || fail "there is no dist/$program: run make dist"
  if command -v readelf >/dev/null && readelf -l "dist/$program" | grep -q INTERP; then
    fail "dist/$program is not linked statically"
  fi
done

store=(--root "$work/storage" --runroot "$work/run" --storage-driver vfs)
by=hand
if command -v buildah >/dev/null &&
  buildah "${store[@]}" bud --isolation chroot -q -t statehouse -f deploy/Dockerfile . >"$work/built" 2>&1; then
  by=buildah
  container=$(buildah "${store[@]}" from statehouse)
  cp -a "$(buildah "${store[@]}" mount "$container")" "$work/root"
  buildah "${store[@]}" inspect --type image statehouse >"$work/image.json"
  for wanted in '"User": "65532:65532"' '/var/lib/statehouse' '"Healthcheck"\|HEALTHCHECK'; do
    grep -q "$wanted" "$work/image.json" || echo "try-image: note: the image does not say $wanted (OCI images have no health check)"
  done
else
  mkdir -p "$work/root/usr/bin" "$work/root/var/lib"
  cp dist/statehoused dist/statehousectl "$work/root/usr/bin/"
  cp -r deploy/image "$work/root/var/lib/statehouse"
  chown -R 65532:65532 "$work/root/var/lib/statehouse"
fi
[ "$(find "$work/root" -type f | wc -l)" -le 3 ] || fail "there is more in it than the programs"
[ "$(id -u)" = 0 ] || {
  echo "try-image: put together by $by; it is not run, since only root may change its root directory"
  exit 0
}

# become PROGRAM...: is it, in the image, as the image's user, with what the image sets.
become() {
  exec env -i PATH=/usr/bin STATEHOUSE_DATA_DIR=/var/lib/statehouse/data "${settings[@]}" \
    "$(command -v chroot)" --userspec=65532:65532 "$work/root" "$@"
}
in_image() { (become "$@"); }
chmod -R a+rX,go-w "$work/root/usr"
settings=(STATEHOUSE_LISTEN_ADDR=0.0.0.0:50951)
if in_image /usr/bin/statehoused >"$work/log" 2>&1; then fail "it listens for all without TLS"; fi
grep -q 'can be reached from other machines' "$work/log" || fail "$(cat "$work/log")"

settings=(STATEHOUSE_LISTEN_ADDR=127.0.0.1:50951 STATEHOUSE_ADDRESS=127.0.0.1:50951 STATEHOUSE_DISK_RESERVE_MB=1)
in_image /usr/bin/statehoused --check-config
for round in 1 2; do
  become /usr/bin/statehoused >"$work/log" 2>&1 &
  pid=$!
  for _ in $(seq 100); do
    in_image /usr/bin/statehousectl health --timeout 1s >"$work/health" 2>&1 && break
    kill -0 "$pid" 2>/dev/null || fail "$(cat "$work/log")"
    sleep 0.2
  done
  grep -q '^status *ok' "$work/health" || fail "$(cat "$work/health" "$work/log")"
  in_image /usr/bin/statehousectl put a k "{\"round\":$round}" --expected-version $((round - 1))
  kill -TERM "$pid"
  wait "$pid" || fail "it did not stop in order: $(cat "$work/log")"
  pid=
done
if grep -q 'others on this machine' "$work/log"; then fail "others can get at the store: $(cat "$work/log")"; fi
[ -z "$(find "$work/root/var/lib/statehouse" -not -user 65532)" ] || fail "not all of it is its user's"
echo "try-image: put together by $by, $(du -sh "$work/root/usr" | cut -f1) of programs, run as user 65532"
