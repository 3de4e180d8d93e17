/* common/crashpoint.h: places at which a test may end the process as SIGKILL does.
 *
 * Built with -DCRASHPOINTS=ON, a process with CRASH_AT=after_permit:37 in its environment dies when
 * it comes to CRASH_POINT("after_permit") for the 37th time (without a number: the first). In any
 * other build the macro is nothing. tests/chaos kills at every point; `grep -r CRASH_POINT` lists
 * them. STOP_AT=after_permit:37 stops it there as SIGSTOP does. */
#ifndef COMMON_CRASHPOINT_H
#define COMMON_CRASHPOINT_H

#ifdef CRASHPOINTS
#define CRASH_POINT(name) crash_point(name)
void crash_point(const char *name);
#else
#define CRASH_POINT(name) ((void)0)
#endif

#endif
