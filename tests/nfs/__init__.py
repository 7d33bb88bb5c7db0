"""The engine on real NFS: a kernel server and two clients with caches of their own, in user-mode-linux."""
