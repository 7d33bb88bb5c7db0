#!/bin/bash
# The NFS server of the guest: server.sh start | settle | stop | mute CLIENT | hear CLIENT. PACKAGES says where its programs
# are. After a start of version 4 it waits ten seconds for what clients had open, unless told to settle.
# A client that is muted gets no replies: what it asks for is done, and it never hears of it.
set -euo pipefail
export LD_LIBRARY_PATH="$PACKAGES/lib/x86_64-linux-gnu:$PACKAGES/usr/lib/x86_64-linux-gnu"
case $1 in
    start) rpc.nfsd -G 10 -L 10 4 ;; # the shortest grace: a v4 client waits for it at its first open
    settle) echo Y >/proc/fs/nfsd/v4_end_grace ;;
    stop) rpc.nfsd 0 ;;
    mute) tc qdisc replace dev "to-$2" root netem loss 100% ;;
    hear) tc qdisc del dev "to-$2" root ;;
    *) exit 64 ;;
esac
