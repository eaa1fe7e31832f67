// SPDX-License-Identifier: GPL-2.0
/*
 * tsc_khz: prints the frequency of this machine's time stamp counter in kHz.
 *
 * For run-guest --real: a guest that shares its processor with others measures
 * that against timers which QEMU emulates, and on a busy host is wrong by a
 * quarter; its clock then runs that much too fast or too slow for good.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

/* A reading of both clocks that belong together: the quickest of many. */
static void read_both(uint64_t *ns, uint64_t *ticks)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 1000; i++) {
		uint64_t before = __rdtsc(), after;
		struct timespec t;

		clock_gettime(CLOCK_MONOTONIC_RAW, &t);
		after = __rdtsc();
		if (after - before >= best)
			continue;
		best = after - before;
		*ticks = before + best / 2;
		*ns = t.tv_sec * 1000000000ull + t.tv_nsec;
	}
}

int main(void)
{
	uint64_t ns[2], ticks[2];

	read_both(&ns[0], &ticks[0]);
	usleep(200000);
	read_both(&ns[1], &ticks[1]);
	printf("%.0f\n", (ticks[1] - ticks[0]) * 1e6 / (ns[1] - ns[0]));
	return 0;
}
