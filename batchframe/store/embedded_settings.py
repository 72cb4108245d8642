"""The embedded server's settings, in PostgreSQL's own syntax: written anew at every start, so that upgrades apply.

Made for bulk COPY on a laptop, and durable: a commit that returned survives a power cut.
"""

from __future__ import annotations

SERVER_SETTINGS = """\
# Written by batchframe at every start of the server; changes here are lost. Your own belong in ALTER SYSTEM.

# Who comes in: the Unix socket in a private folder is the only door.
listen_addresses = ''
unix_socket_directories = '../socket'   # seen from the data directory: short, however long the path to it
unix_socket_permissions = 0700
port = 5432                             # no port, only the end of the socket's name
max_connections = 100
cluster_name = 'batchframe'             # shown in process lists

# What is promised: these are PostgreSQL's defaults, said so that no other file can weaken them by accident.
fsync = on
synchronous_commit = on
full_page_writes = on

# Bulk COPY: few checkpoints, and no log of changes for replicas that do not exist.
wal_level = minimal
max_wal_senders = 0
max_wal_size = 2GB                      # 1M requests write about 1.5 GB
checkpoint_timeout = 15min
wal_buffers = 16MB                      # a whole WAL segment: COPY writes in large pieces

# A laptop: modest memory, fast disk.
shared_buffers = 512MB                  # a job of some 200,000 rows on its way through; touched only when used
work_mem = 16MB
maintenance_work_mem = 128MB
random_page_cost = 1.1                  # an SSD reads anywhere at the same price
jit = off                               # compiling costs more than our short statements take
dynamic_shared_memory_type = mmap       # not /dev/shm: 64 MB in containers, and emptied by systemd at a logout

# One time for all: the library converts for display.
timezone = 'UTC'
log_timezone = 'UTC'

# The log tells of the server, not of the data: no statement, no row. batchframe bounds its size at every start.
logging_collector = off
log_destination = 'stderr'
log_min_error_statement = panic
log_error_verbosity = terse
log_checkpoints = off
"""

# Where the programs are built with it; those of the wheel 0.6.0 are not, and keep the defaults (off, pglz).
SETTINGS_IF_BUILT_IN = {"wal_compression": "lz4", "default_toast_compression": "lz4"}
