#!/bin/bash
# The first process of the guest: an NFS server, and two clients with network, host name and caches of their own.
# Given by the kernel's command line: PACKAGES, EXCHANGE (a directory of the host), PYTHON, CHECKOUT, EXPORT, VERSION, OPTIONS.
# The host's files are seen read-only; EXCHANGE alone is written.
export PATH="$PACKAGES/usr/sbin:$PACKAGES/sbin:$PACKAGES/usr/bin:$PACKAGES/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
libraries="$PACKAGES/lib/x86_64-linux-gnu:$PACKAGES/usr/lib/x86_64-linux-gnu"
exec </dev/null
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /mnt
mkdir -p /mnt/{exchange,data,a,b,etc,nfs,tmp}
mount -t hostfs none /mnt/exchange -o "$EXCHANGE"
exec >/mnt/exchange/boot.log 2>&1
finish() {
    echo "$1" >/mnt/exchange/ended.tmp
    mv /mnt/exchange/ended.tmp /mnt/exchange/ended
    sync
    echo o >/proc/sysrq-trigger
    sleep 10
}
ours() { LD_LIBRARY_PATH=$libraries "$@"; }
set -euo pipefail
trap 'finish "line $LINENO of init.sh failed: see boot.log"' ERR

mkdir -p /dev/shm
for place in /run /dev/shm; do mount -t tmpfs tmpfs "$place"; done
mkdir -p /run/netns /run/rpcbind /run/lock
cp -a /etc/. /mnt/etc/ 2>/dev/null || true
cp -n "$PACKAGES/etc/netconfig" /mnt/etc/
grep -q '^_rpc:' /mnt/etc/passwd || echo '_rpc:x:0:0::/:/bin/false' >>/mnt/etc/passwd
echo '127.0.0.1 localhost' >/mnt/etc/hosts
mount --bind /mnt/etc /etc
mount -t tmpfs tmpfs /var/lib
mkdir -p /var/lib/nfs/{rpc_pipefs,v4recovery,sm,sm.bak}
touch /var/lib/nfs/{etab,rmtab,state,xtab}

kmod=$(type -P kmod)
modules=$(echo "$PACKAGES"/usr/lib/uml/modules/*/kernel)
for module in net/sunrpc/sunrpc fs/nfs_common/grace fs/lockd/lockd fs/nfs_common/nfs_acl lib/oid_registry \
    net/sunrpc/auth_gss/auth_rpcgss fs/nfsd/nfsd fs/netfs/netfs fs/fscache/fscache fs/nfs/nfs fs/nfs/nfsv3 \
    net/dns_resolver/dns_resolver fs/nfs/nfsv4 drivers/net/veth net/sched/sch_netem drivers/block/brd; do
    parameters=()
    [ "$module" != drivers/block/brd ] || parameters=(rd_nr=1 rd_size=409600)
    # Where there is none it is built in, or of another kernel: what lacks it will say so.
    (export LD_LIBRARY_PATH=$libraries; exec -a insmod "$kmod" "$modules/$module".ko* "${parameters[@]}") ||
        echo "no module $module"
done

mount -t rpc_pipefs rpc_pipefs /var/lib/nfs/rpc_pipefs
mount -t nfsd nfsd /proc/fs/nfsd
case $EXPORT in
    ext4)
        ours mkfs.ext4 -q -O ^has_journal -N 150000 /dev/ram0 # no power is lost here, and a journal costs a commit each call
        mount -t ext4 /dev/ram0 /mnt/data
        rmdir /mnt/data/lost+found
        ;;
    tmpfs) mount -t tmpfs tmpfs /mnt/data ;;
esac
chmod 1777 /mnt/data /mnt/tmp
ip link set lo up
hostname server
ours rpcbind -w
ours exportfs -i -o rw,no_root_squash,insecure,fsid=0,no_subtree_check,sync '*:/mnt/data'
ours rpc.mountd
bash "$CHECKOUT/tests/nfs/server.sh" start
bash "$CHECKOUT/tests/nfs/server.sh" settle

client() { # NAME NUMBER
    local name=$1 net="10.0.$2"
    ours ip netns add "$name"
    ours ip link add "to-$name" type veth peer name "from-$name"
    ours ip link set "from-$name" netns "$name"
    ours ip addr add "$net.1/24" dev "to-$name"
    ours ip link set "to-$name" up
    nsenter --net="/run/netns/$name" bash -c "
        export LD_LIBRARY_PATH=$(printf %q "$libraries")
        ip link set lo up; ip addr add $net.2/24 dev from-$name; ip link set from-$name up"
    local from=/mnt/data options="vers=$VERSION,tcp"
    case $VERSION in
        3) options+=,nolock ;; # no statd here, and nothing of ours locks
        *) from=/ ;;
    esac
    nsenter --net="/run/netns/$name" unshare --uts env LD_LIBRARY_PATH="$libraries" bash -c \
        "hostname client-$name; mount.nfs $net.1:$from /mnt/$name -o $options${OPTIONS:+,$OPTIONS}"
    # Another boot id than the neighbour's: no sweeper may take the two for one host.
    sed "s/^.\{8\}/0000000$2/" /proc/sys/kernel/random/boot_id >"/run/boot-id.$name"
    nsenter --net="/run/netns/$name" unshare --uts --mount bash -c "
        hostname client-$name
        mount --bind /mnt/$name /mnt/data
        mount --bind /run/boot-id.$name /proc/sys/kernel/random/boot_id
        echo \$\$ >/run/$name.pid
        exec sleep infinity" &
    until [ -s "/run/$name.pid" ]; do sleep 0.02; done
}
client a 1
client b 2
grep ' /mnt/[ab] ' /proc/mounts
cd "$CHECKOUT"
export PYTHONDONTWRITEBYTECODE=1 PACKAGES HOME=/mnt/tmp TMPDIR=/mnt/tmp LC_ALL=C.UTF-8
"$PYTHON" -m tests.nfs.agent /mnt/exchange
finish asked
