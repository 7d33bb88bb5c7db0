#!/bin/bash
# The first process of the namespaces: an export, and the hosts `a` and `b`, each with a mount of it, a name and a boot id.
# Given by its environment: PACKAGES, EXCHANGE, PYTHON, CHECKOUT, KIND (sshfs, glusterfs), OPTIONS, EXPORT (a directory).
# /mnt/data is the root's place: on a host its own mount, and here what an operator would work on. Here the hosts' mounts
# are /mnt/a and /mnt/b, and what the server keeps is /mnt/export.
exec </dev/null >"$EXCHANGE/boot.log" 2>&1
finish() {
    echo "$1" | tee "$EXCHANGE/ended"
    exit 1
}
set -Eeuo pipefail
trap 'finish "line $LINENO of init.sh failed: see boot.log"' ERR

[ -r /dev/fuse ] && [ -w /dev/fuse ] || finish "no /dev/fuse that this user may open"
cd "$PACKAGES"
mount -t overlay overlay -o lowerdir=usr:/usr /usr # as if installed: modules and libraries are looked for at fixed places
cd "$CHECKOUT"
for place in /run /mnt; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /mnt/{data,export,tmp} /run/gluster
mount --bind "$EXPORT" /mnt/export
hostname server

export LD_LIBRARY_PATH=$PACKAGES/lib/x86_64-linux-gnu
gluster() { # PROGRAM VOLUME [POINT]
    (
        trap - ERR # it may be killed, and started anew
        exec "$1" --no-daemon --log-file="/mnt/tmp/$2.log" --volfile="$EXCHANGE/$2.vol" "${@:3}"
    ) &
}
complaints() { grep -h ' [EC] \[' /mnt/tmp/*.log | tail -n 5 || true; }
until_mounted() { # POINT
    until grep -q " $1 fuse" /proc/mounts && stat "$1" >/dev/null; do
        kill -0 $! || { complaints; finish "a program of the file system ended"; }
        sleep 0.02
    done
}
attach() { # POINT
    mkdir -p "$1"
    case $KIND in
        sshfs) PATH=$CHECKOUT/tests/fuse/bin:$PATH sshfs localhost:/mnt/export "$1" ${OPTIONS:+-o "$OPTIONS"} ;;
        glusterfs)
            gluster glusterfs client "$1"
            until_mounted "$1"
            ;;
    esac
}
host() { # NAME NUMBER
    attach "/mnt/$1"
    # Another boot id than the neighbour's: no sweeper may take the two for one host.
    sed "s/^.\{8\}/0000000$2/" /proc/sys/kernel/random/boot_id >"/run/boot-id.$1"
    unshare --uts --mount bash -c "
        hostname client-$1
        mount --bind /mnt/$1 /mnt/data
        mount --bind /run/boot-id.$1 /proc/sys/kernel/random/boot_id
        echo \$\$ >/run/$1.pid
        exec sleep infinity" &
    until [ -s "/run/$1.pid" ]; do sleep 0.02; done
}

case $KIND in
    sshfs) mount --bind /mnt/export /mnt/data ;;
    glusterfs) # its own attributes make a brick: who changes names does it through a mount
        for volume in "$EXCHANGE"/brick.*.vol; do
            number=$(basename "$volume" .vol)
            mkdir -p "/mnt/export/${number#*.}"
            gluster glusterfsd "$number"
            until [ -S "/mnt/$number.socket" ]; do
                kill -0 $! || { complaints; finish "no brick of glusterfs"; }
                sleep 0.02
            done
        done
        gluster glusterfs operator /mnt/data
        until_mounted /mnt/data
        ;;
esac
host a 1
host b 2
grep -E ' /mnt/(data|a|b) ' /proc/mounts
unset LD_LIBRARY_PATH
export PYTHONDONTWRITEBYTECODE=1 HOME=/mnt/tmp TMPDIR=/mnt/tmp LC_ALL=C.UTF-8
"$PYTHON" -m tests.nfs.agent "$EXCHANGE"
finish asked
