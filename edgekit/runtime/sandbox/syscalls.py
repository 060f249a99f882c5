"""System calls that a sandboxed child may make, and their numbers on each machine.

What interpreters and Python need to read files, compute and start threads. Nothing else is let through: no
process, socket, or change of a file is to be had by these. The numbers are those of Linux' own tables:
``arch/x86/entry/syscalls/syscall_64.tbl``, ``include/uapi/asm-generic/unistd.h`` (64-bit Arm) and
``arch/arm/tools/syscall.tbl`` (32-bit Arm, EABI).
"""

from __future__ import annotations

# The machine's name: where its number stands below, and its name for filters (AUDIT_ARCH).
MACHINES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7), "armv7l": (2, 0x40000028)}

# What is newer stands at the same number everywhere, and is answered as by a kernel that does not know it.
NEWER = 424

# Allowed whatever their arguments are.
_FREE = """
read 0 63 3
write 1 64 4
close 3 57 6
lseek 8 62 19
_llseek - - 140
pread64 17 67 180
readv 19 65 145
writev 20 66 146
preadv 295 69 361
preadv2 327 286 392
fadvise64 221 223 270
readahead 187 213 225
stat 4 - 106
stat64 - - 195
lstat 6 - 107
lstat64 - - 196
fstat 5 80 108
fstat64 - - 197
newfstatat 262 79 327
statx 332 291 397
statfs 137 43 99
statfs64 - - 266
fstatfs 138 44 100
fstatfs64 - - 267
access 21 - 33
faccessat 269 48 334
faccessat2 439 439 439
readlink 89 - 85
readlinkat 267 78 332
getcwd 79 17 183
getdents 78 - 141
getdents64 217 61 217
flock 73 32 143
dup 32 23 41
dup2 33 - 63
dup3 292 24 358
pipe 22 - 42
pipe2 293 59 359
eventfd2 290 19 356
epoll_create1 291 20 357
epoll_ctl 233 21 251
epoll_wait 232 - 252
epoll_pwait 281 22 346
poll 7 - 168
ppoll 271 73 336
ppoll_time64 - - 414
select 23 - 142
pselect6 270 72 335
pselect6_time64 - - 413
mmap 9 222 -
mmap2 - - 192
munmap 11 215 91
mprotect 10 226 125
mremap 25 216 163
madvise 28 233 220
msync 26 227 144
mincore 27 232 219
brk 12 214 45
membarrier 324 283 389
get_mempolicy 239 236 320
futex 202 98 240
futex_time64 - - 422
futex_waitv 449 449 449
set_robust_list 273 99 338
get_robust_list 274 100 339
set_tid_address 218 96 256
rseq 334 293 398
exit 60 93 1
exit_group 231 94 248
restart_syscall 219 128 0
sched_yield 24 124 158
sched_getaffinity 204 123 242
sched_getparam 143 121 155
sched_getscheduler 145 120 157
sched_get_priority_max 146 125 159
sched_get_priority_min 147 126 160
getcpu 309 168 345
getpriority 140 141 96
rt_sigaction 13 134 174
rt_sigprocmask 14 135 175
rt_sigreturn 15 139 173
sigreturn - - 119
sigaltstack 131 132 186
rt_sigpending 127 136 176
rt_sigtimedwait 128 137 177
rt_sigtimedwait_time64 - - 421
getpid 39 172 20
getppid 110 173 64
gettid 186 178 224
getuid 102 174 24
getuid32 - - 199
geteuid 107 175 49
geteuid32 - - 201
getgid 104 176 47
getgid32 - - 200
getegid 108 177 50
getegid32 - - 202
getpgid 121 155 132
getsid 124 156 147
getrusage 98 165 77
getrlimit 97 163 191
times 100 153 43
uname 63 160 122
sysinfo 99 179 116
getrandom 318 278 384
time 201 - -
gettimeofday 96 169 78
clock_gettime 228 113 263
clock_gettime64 - - 403
clock_getres 229 114 264
clock_getres_time64 - - 406
clock_nanosleep 230 115 265
clock_nanosleep_time64 - - 407
nanosleep 35 101 162
arch_prctl 158 - -
cacheflush - - 983042
set_tls - - 983045
get_tls - - 983046
"""

# Looked at more closely, by the filter itself.
_LOOKED_AT = """
open 2 - 5
openat 257 56 322
clone 56 220 120
tgkill 234 131 268
prctl 157 167 172
prlimit64 302 261 369
ioctl 16 29 54
fcntl 72 25 55
fcntl64 - - 221
sched_setaffinity 203 122 241
"""

# That install the sandbox itself.
SECCOMP = {"x86_64": 317, "aarch64": 277, "armv7l": 383}
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446


def allowed(machine: str) -> dict[str, int]:
    """Numbers by name of what is allowed whatever its arguments are."""
    return _numbers(_FREE, machine)


def looked_at(machine: str) -> dict[str, int]:
    """Numbers by name of what is allowed by its arguments."""
    return _numbers(_LOOKED_AT, machine)


def _numbers(table: str, machine: str) -> dict[str, int]:
    column = 1 + MACHINES[machine][0]
    rows = (line.split() for line in table.split("\n") if line)
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}
