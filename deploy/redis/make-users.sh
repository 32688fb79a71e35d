#!/bin/sh
# make-users.sh FOLDER > users.acl
#
# A password for each role in FOLDER/ROLE/password, made where there is none, and the ACL file that holds their digests.
# To choose a password yourself, put it there before. Any POSIX shell: it runs in the Redis image, and in the tests.
set -eu
folder=$1
template=$(dirname "$0")/users.acl.template
umask 077

digest() { # of standard input, hexadecimal
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -d ' ' -f 1
}

script=''
for role in admin client operator worker metrics flower; do
  file=$folder/$role/password
  if [ ! -s "$file" ]; then
    mkdir -p "$folder/$role"
    od -An -N 32 -t x1 /dev/urandom | tr -d ' \n' >"$file.new"
    mv "$file.new" "$file"
  fi
  script="$script;s/@$role@/#$(tr -d '\r\n' <"$file" | digest)/"
done

# Client libraries introduce themselves with it since Redis 7.2; 7.0 would not start with a command that it does not know.
case $(redis-server --version 2>/dev/null || true) in *v=7.0.*) script="$script;s/ +client|setinfo//" ;; esac

# Comments and empty lines out, each user on one line of its own: that is all that Redis reads. `like client` stands for
# what stands under `user client`, but for its password.
sed -e '/^ *#/d' -e '/^ *$/d' -e "$script" "$template" | awk '
  /^user / { if (line != "") print line; line = $0; role = $2; next }
  { sub(/^ +/, "") }
  /^like / { $0 = rights[$2] }
  !/^on / { rights[role] = rights[role] (rights[role] == "" ? "" : " ") $0 }
  { line = line " " $0 }
  END { print line }'
