"""The engine on file systems in user space: sshfs and glusterfs, each mounted twice, in namespaces of this host."""
