// SPDX-License-Identifier: GPL-2.0

#include <linux/memcontrol.h>
#include <linux/sched.h>

#include "helpers.h"

struct mem_cgroup *carp_helper_mem_cgroup_of_current(void)
{
	return get_mem_cgroup_from_mm(current->mm);
}

void carp_helper_mem_cgroup_put(struct mem_cgroup *memcg)
{
	mem_cgroup_put(memcg);
}
