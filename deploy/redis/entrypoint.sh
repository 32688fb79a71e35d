#!/bin/sh
# Starts Redis with a user and a password for each role. The passwords are made once, in the volumes under /run/roles:
# each role's container mounts its own, and no other. They are in no image, no argument list and no environment.
set -eu
umask 077
here=$(dirname "$0")
sh "$here/make-users.sh" /run/roles >/run/acl/users.acl
chmod 700 /run/roles/admin
chown redis /run/acl/users.acl

# Redis itself keeps only digests. Workers, clients and the exporter run as 10001, as their images do.
for role in client operator worker metrics flower; do
  chown -R 10001:10001 "/run/roles/$role"
  chmod 500 "/run/roles/$role"
  chmod 400 "/run/roles/$role/password"
done

exec docker-entrypoint.sh redis-server "$here/redis.conf" "$@"
