// SPDX-License-Identifier: GPL-2.0

#include <linux/sched/mm.h>

#include "helpers.h"

struct mem_cgroup *carp_helper_set_active_memcg(struct mem_cgroup *memcg)
{
	return set_active_memcg(memcg);
}
